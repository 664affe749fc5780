"""worksite stats: figures as tables, or as JSON."""

import json
from datetime import UTC, datetime, timedelta

import pytest

TOKENS = {"uncached": 900, "cached": 50, "written": 100, "output": 40}
SPENT = {"usd": 0.5, "calls": 3, "tokens": TOKENS}
NOTHING = {"usd": 0, "calls": 0, "tokens": dict.fromkeys(TOKENS, 0)}
FIGURES = {
    "since": None, "tasks": 3, "complete": True, "passed": 2, "spent": SPENT, "usd_per_pass": 0.25,
    "rounds": [
        {"round": 0, "entered": 3, "passed": 0, "failed": 0, "undecided": 0, "spent": NOTHING, "usd_per_pass": None},
        {"round": 1, "entered": 3, "passed": 2, "failed": 0, "undecided": 1, "spent": SPENT, "usd_per_pass": 0.25},
    ],
    "stops": [{"reason": "passed", "tasks": 2}, {"reason": "still running", "tasks": 1}],
    "routes": [{"name": "feature", "tasks": 3, "passed": 2, "spent": SPENT}],
    "engines": [], "tiers": [],
    "models": [{"name": "small", "tasks": 1, "passed": 0, "spent": SPENT}],
}  # fmt: skip


@pytest.fixture
def asked(gateway):
    """Answers with FIGURES; keeps the queries."""
    queries = []

    def answer(*, query, **_):
        queries.append(query)
        return 200, {"Content-Type": "application/json"}, json.dumps(FIGURES).encode()

    routes = gateway._routes
    gateway._routes = lambda: ((r"GET /v1/stats", answer), *routes())
    return queries


def test_rounds_reasons_and_groups_are_shown_as_tables(worksite, asked):
    done = worksite("stats")

    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines() == [
        "3 tasks, 2 passed, $0.5000, per PASS $0.2500",
        "",
        "round             entered  passed  failed  undecided      usd  usd/PASS  calls    in  cached  out",
        "before the first        3                             $0.0000         -      0     0       0    0",
        "1                       3       2       0          1  $0.5000   $0.2500      3  1000      50   40",
        "",
        "stopped because  tasks",
        "passed               2",
        "still running        1",
        "",
        "route    tasks  passed      usd  usd/PASS  calls    in  cached  out",
        "feature      3       2  $0.5000   $0.2500      3  1000      50   40",
        "",
        "model  tasks  passed      usd  usd/PASS  calls    in  cached  out",
        "small      1       0  $0.5000         -      3  1000      50   40",
    ]
    assert asked == [{}]


def test_the_same_comes_as_json(worksite, asked):
    assert json.loads(worksite("stats", "--json").stdout) == FIGURES


@pytest.mark.parametrize(("given", "ago"), [("12h", timedelta(hours=12)), ("7d", timedelta(days=7))])
def test_a_span_of_time_is_counted_back_from_now(worksite, asked, given, ago):
    assert worksite("stats", "--since", given).exit_code == 0

    since = datetime.fromisoformat(asked[0]["since"][0])
    assert abs(datetime.now(UTC) - ago - since) < timedelta(minutes=5)


def test_a_moment_is_taken_as_it_is_and_anything_else_is_refused(worksite, asked):
    assert worksite("stats", "--since", "2026-11-01T08:00:00+00:00").exit_code == 0
    refused = worksite("stats", "--since", "yesterday")

    assert asked == [{"since": ["2026-11-01T08:00:00+00:00"]}]
    assert refused.exit_code == 2
    assert "is no time" in refused.stderr


def test_that_there_are_more_tasks_than_were_read_is_said(worksite, asked, monkeypatch):
    monkeypatch.setitem(FIGURES, "complete", False)

    assert "there are more tasks" in worksite("stats").stdout
