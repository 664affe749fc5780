"""A request becomes a proved git branch, through six processes on one bus, also when some of them are killed."""

import json
import subprocess
import threading
import time
from pathlib import Path

import pytest
from worksite.common.messages import document_id

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def survived(stack):
    """The main job once, with the builder killed in its build and admin killed while the validator judges."""
    with stack.client() as http:
        answer = http.post("/v1/tasks", json={"request": "Create auth system"})
        assert answer.status_code == 202, answer.text
        task = answer.json()["id"]
        killers = [
            threading.Thread(target=stack.kill_when, args=(http, task, "3-build", "builder")),
            threading.Thread(target=stack.kill_when, args=(http, task, "4-validate", "admin")),
        ]
        for killer in killers:
            killer.start()
        watched = stack.watch(task)
        for killer in killers:
            killer.join()
        yield task, watched, stack.events(http, task)


@pytest.mark.proof
def test_the_task_passes_although_builder_and_admin_were_killed(survived, stack):
    task, watched, _ = survived
    assert watched.returncode == 0, watched.stdout + watched.stderr
    assert watched.stdout.splitlines()[-1] == f"PASS task={task} out={stack.out / task}"


def test_every_step_has_one_result_and_the_round_one_commit_and_one_report(survived):
    _, _, seen = survived
    results = [(step, body["reply"]["status"]) for kind, step, body in seen if kind == "result"]
    assert results == [("1-import", "ok"), ("2-design", "ok"), ("3-build", "ok"), ("4-validate", "ok")]


def test_the_branch_has_one_commit_on_top_of_its_base_and_holds_the_project(survived, stack):
    task, _, seen = survived
    project = stack.out / task / "project"
    head, base = stack.commits(task)
    built = next(body["reply"]["data"] for kind, step, body in seen if (kind, step) == ("result", "3-build"))
    assert (built["head_sha"], built["base_sha"]) == (head, base)
    branch = subprocess.run(["git", "-C", project, "branch", "--show-current"], capture_output=True, text=True)
    assert branch.stdout.strip() == f"worksite/{task}"
    assert list(Path(project, "src").rglob("main.py"))


def test_the_report_shows_every_criterion_and_names_the_grade(survived, stack):
    task, _, _ = survived
    report = json.loads((stack.out / task / "report.json").read_text())
    spec = json.loads((stack.out / task / "spec.json").read_text())
    assert report["verdict"] == "PASS"
    assert {c["id"] for c in report["criteria"]} == {c["id"] for c in spec["criteria"]}
    assert {c["verdict"] for c in report["criteria"]} == {"pass"}
    http = {c["id"] for c in spec["criteria"] if c["grade"] == "verified_io"}
    assert {c["id"] for c in report["criteria"] if c["grade"] == "verified_io"} == http
    assert http


def test_cost_and_documents_are_there(survived, stack):
    task, _, _ = survived
    names = {path.name for path in (stack.out / task).iterdir()}
    wanted = {"spec.json", "spec.md", "report.json", "report.md", "branch.bundle", "branch.zip", "cost.json"}
    assert wanted <= names


def test_a_request_that_asks_for_more_than_is_covered_needs_input_and_names_it(stack):
    done = stack.run("Create auth system with OAuth login")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "NEEDS_INPUT task=" in done.stdout.splitlines()[-1]
    assert "OAuth" in done.stdout


def test_a_question_is_answered_with_places(stack):
    done = stack.run("How does the auth service rotate refresh tokens?")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("DONE task=")


def test_a_task_of_another_tenant_is_not_there(survived, stack):
    task, _, _ = survived
    with stack.client("--tenant", "other") as http:
        for path in (f"/v1/tasks/{task}", f"/v1/tasks/{task}/events", f"/v1/tasks/{task}/artifacts/report.json"):
            assert http.get(path).status_code == 404
        assert http.get("/v1/tasks").json()["tasks"] == []


def test_a_viewer_may_look_but_not_ask(survived, stack):
    task, _, _ = survived
    with stack.client("--role", "viewer") as http:
        assert http.get(f"/v1/tasks/{task}").status_code == 200
        assert http.post("/v1/tasks", json={"request": "Create auth system"}).status_code == 403


def test_what_was_built_is_found_by_whoever_asked_for_it(survived, stack):
    task, _, _ = survived
    spec, deadline = document_id(f"tasks/{task}/spec.md"), time.monotonic() + 120
    with stack.client() as http, stack.client("--tenant", "other") as stranger:
        while http.get(f"/v1/knowledge/documents/{spec}").json().get("state") != "indexed":
            assert time.monotonic() < deadline, http.get(f"/v1/knowledge/documents/{spec}").text
            time.sleep(0.2)
        query = {"query": "auth system", "filters": {"tags": ["task"]}}
        assert f"tasks/{task}/spec.md" in {
            found["path"] for found in http.post("/v1/search", json=query).json()["results"]
        }
        assert stranger.post("/v1/search", json=query).json()["results"] == []


def test_search_of_a_tenant_that_has_built_nothing_yet_finds_the_blueprint(stack):
    command = stack.command("search", "--blueprints", "--tenant", "other", "login and refresh tokens")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "auth-service" in done.stdout


@pytest.mark.parametrize(("body", "word", "code"), [("a + b", "PASS", 0), ("a - b", "FAIL", 1)])
def test_a_review_judges_a_repository_by_its_own_tests(stack, tmp_path, body, word, code):
    repository = tmp_path / "calc"
    (repository / "tests").mkdir(parents=True)
    (repository / "calc.py").write_text(f"def add(a, b):\n    return {body}\n")
    (repository / "tests" / "test_calc.py").write_text(
        "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
    )
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "calc"]):
        subprocess.run(["git", *identity, *arguments], cwd=repository, check=True)
    done = stack.run("Is it right?", "--route", "review", "--git-url", f"file://{repository}")
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"{word} task=")
