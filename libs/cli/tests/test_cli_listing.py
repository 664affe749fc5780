"""worksite tasks, and what holds for every command."""

import importlib.metadata

import pytest

LIMITED = {"title": "Too many requests", "detail": "30 a minute"}


def test_tasks_are_listed_newest_first_across_pages(gateway, worksite):
    ids = [gateway.add_task() for _ in range(8)]
    lines = worksite("tasks").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ids[::-1]
    assert "PASS" in lines[0]
    assert "wish 8" in lines[0]


def test_a_limit_is_kept_and_said(gateway, worksite):
    ids = [gateway.add_task() for _ in range(8)]
    done = worksite("tasks", "--limit", "4")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ids[:3:-1]
    assert "--all" in done.stderr


def test_all_has_no_limit(gateway, worksite):
    for _ in range(25):
        gateway.add_task()
    assert len(worksite("tasks").stdout.splitlines()) == 20
    assert len(worksite("tasks", "--all").stdout.splitlines()) == 25


def test_tasks_are_filtered_by_status_and_route(gateway, worksite):
    gateway.add_task()
    wanted = gateway.add_task("running", None, route="review")
    gateway.add_task("running", None)
    (line,) = worksite("tasks", "--status", "running", "--route", "review").stdout.splitlines()
    assert line.startswith(wanted)
    assert "running" in line


def test_a_request_of_several_lines_is_one_line_of_the_list(gateway, worksite):
    gateway.add_task(request="a\nb " + "long " * 50)
    (line,) = worksite("tasks").stdout.splitlines()
    assert "a b long" in line
    assert len(line) < 160


def test_a_pause_that_the_gateway_asks_for_is_made_and_said(gateway, worksite):
    gateway.add_task()
    gateway.refusals = [("/v1/tasks", 429, {"Retry-After": "0"}, LIMITED)] * 2
    done = worksite("tasks")
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 1)
    assert done.stderr.count("Too many requests: 30 a minute: waiting 0 s") == 2


@pytest.mark.parametrize(
    ("command", "method", "path"),
    [
        (["watch", "last"], "GET", "/events"),
        (["watch", "last"], "GET", "/v1/tasks"),
        (["watch", "last"], "GET", "/artifacts/cost.json"),
        (["submit", "do it"], "POST", "/v1/tasks"),
    ],
)
def test_what_may_be_asked_twice_is_asked_again_when_the_answer_breaks_off(gateway, worksite, command, method, path):
    gateway.add_task(artifacts=["cost.json"])
    gateway.artifacts = {"cost.json": b"{}"}
    gateway.breaks_off = [(method, path)]
    done = worksite(*command)
    assert (done.exit_code, gateway.breaks_off) == (0, []), done.stderr
    keys = {
        headers.get("Idempotency-Key") for _, _, _, headers, _ in gateway.requests if headers.get("Idempotency-Key")
    }
    assert len(keys) == (command[0] == "submit")


def test_what_may_not_be_asked_twice_is_an_error_when_the_answer_breaks_off(gateway, worksite):
    task = gateway.add_task("needs_input", None, question={"reason": "x", "covered": [], "missing": [], "hint": "y"})
    gateway.breaks_off = [("POST", "/input")]
    done = worksite("answer", task, "blue")
    assert (done.exit_code, len(gateway.sent("POST", f"/v1/tasks/{task}/input"))) == (1, 1)
    assert "does not answer" in done.stderr


def test_a_pause_that_is_too_long_is_an_error_at_once(gateway, worksite):
    gateway.refusals = [("/v1/tasks", 429, {"Retry-After": "3600"}, LIMITED)]
    done = worksite("tasks")
    assert (done.exit_code, done.stderr) == (1, "worksite: Too many requests: 30 a minute: try again in 3600 s\n")


def test_events_are_asked_for_again_after_a_pause(gateway, worksite):
    gateway.refusals = [("/events", 429, {"Retry-After": "0"}, LIMITED)]
    assert worksite("run", "wish").exit_code == 0


def test_the_version_is_that_of_the_distribution(worksite):
    assert worksite("--version").stdout == f"worksite {importlib.metadata.version('worksite-cli')}\n"


def test_a_misspelt_command_is_answered_with_the_one_meant(worksite):
    done = worksite("reveiw")
    assert done.exit_code == 2
    assert "Did you mean 'review'" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--repo", ".", "--git-url", "https://h/r.git"], "one of them"),
        (["--name", "x", "--repo", "."], "one of them"),
        (["--ref", "main"], "--ref needs"),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(gateway, worksite, options, said):
    done = worksite("submit", "wish", *options)
    assert done.exit_code == 2
    assert said in done.stderr
