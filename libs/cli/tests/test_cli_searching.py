"""worksite search: what is asked for, and what is refused before anybody is asked."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from worksite.cli.knowledge.moments import moment
from worksite.gateway.domain.queries import SearchQuery

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture
def found(gateway):
    """The bodies of all searches; each finds one passage."""
    asked = []
    result = {"score": 0.5, "citation": "a.md:1-2", "text": "words"}
    answer = {"results": [result], "reranked": False, "rerank_skipped": "not_asked", "timings_ms": {"total": 1}}
    routes = gateway._routes

    def search(*, body, **_):
        asked.append(json.loads(body))
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    gateway._routes = lambda: ((r"POST /v1/search", search), *routes())
    return asked


def test_a_search_without_options_names_no_filter(worksite, found):
    done = worksite("search", "refunds")
    assert done.exit_code == 0
    assert found == [{"query": "refunds", "top_k": 5, "mode": "hybrid", "rerank": True, "filters": {}}]
    assert done.stdout == "0.500  a.md:1-2\n       words\n"


def test_every_filter_and_setting_of_the_gateway_can_be_given(worksite, found):
    options = [
        "--path",
        "docs/",
        "--kind",
        "document",
        "--tag",
        "a",
        "--tag",
        "b",
        "--language",
        "python",
        "--blueprints",
    ]
    options += ["--since", "2026-11-01T00:00+00:00", "--before", "2026-11-02T00:00Z"]
    assert worksite("search", "x", *options, "--top-k", 7, "--mode", "dense", "--no-rerank", "--rrf").exit_code == 0
    [body] = found
    assert body == {
        "query": "x", "top_k": 7, "mode": "dense", "rerank": False, "rrf": {},
        "filters": {
            "path_prefix": "docs/", "kind": "document", "tags": ["a", "b"], "language": "python", "blueprints": True,
            "since": "2026-11-01T00:00:00+00:00", "before": "2026-11-02T00:00:00+00:00",
        },
    }  # fmt: skip
    assert SearchQuery.model_validate_json(json.dumps(body), strict=True).filters.tags == ("a", "b")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--language", "pyhton"], "restructuredtext"),
        (["--since", "yesterday"], "7d"),
        (["--before", "2026-13-01"], "no time"),
        (["--kind", "note"], "blueprint"),
        (["--top-k", "101"], "100"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage_with_what_can(worksite, found, options, said):
    done = worksite("search", "x", *options)
    assert done.exit_code == 2
    assert said in done.stderr.replace("\n", "").replace("│", "").replace(" ", "").replace("notime", "no time")
    assert found == []


def test_what_the_gateway_refuses_is_wrong_usage_too(gateway, worksite):
    error = {"field": "query", "message": "String should have at most 2000 characters"}
    document = {"title": "Invalid request", "detail": "does not fit: query", "errors": [error]}
    gateway.refusals.append(("search", 422, {"Content-Type": "application/problem+json"}, document))
    done = worksite("search", "x" * 2001)
    assert done.exit_code == 2
    assert "at most 2000 characters" in done.stderr


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("90m", NOW - timedelta(minutes=90)),
        ("12h", NOW - timedelta(hours=12)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=NOW.tzinfo)),
        ("2026-11-01T10:00", datetime(2026, 11, 1, 10, tzinfo=NOW.tzinfo)),
        ("2026-11-01T10:00Z", datetime(2026, 11, 1, 10, tzinfo=UTC)),
    ],
)
def test_a_time_is_a_date_or_how_long_ago(text, meant):
    assert moment(text, NOW) == meant


@pytest.mark.parametrize("text", ["", "7", "d", "-7d", "7 d", "７d", "999999w", "tomorrow"])
def test_what_is_no_time_is_said_with_what_is(text):
    with pytest.raises(ValueError, match="or how long ago"):
        moment(text, NOW)
