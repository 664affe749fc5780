"""What a newcomer tries after the first PASS: an own request, an own repository, own notes."""

import json
import subprocess
import time

import pytest

pytestmark = pytest.mark.timeout(400)

REQUEST = "A recipe API with title and steps that also prints shopping lists"
CALC = "def add(a, b):\n    return a + b\n"
TEST_CALC = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def command(stack, *arguments):
    return subprocess.run(stack.command(*arguments), capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def repository(tmp_path):
    """A sound project on main, with work that is not committed."""
    folder = tmp_path / "calc"
    (folder / "tests").mkdir(parents=True)
    (folder / "calc.py").write_text(CALC)
    (folder / "tests" / "test_calc.py").write_text(TEST_CALC)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "calc")
    (folder / "notes.txt").write_text("not yet committed\n")
    return folder


def test_a_half_fitting_request_is_asked_about_goes_on_with_the_answer_and_comes_home(stack, repository):
    asked = stack.run(REQUEST)
    assert asked.returncode == 3, asked.stdout + asked.stderr
    assert "prints shopping lists" in asked.stdout
    task = asked.stdout.split("task=")[1].split()[0]

    answered = command(stack, "answer", task, "leave it out", "--out", str(stack.out))
    assert answered.returncode == 0, answered.stdout + answered.stderr
    spec = json.loads((stack.out / task / "spec.json").read_text())
    assert spec["blueprint"]["parameters"]["fields"] == "title:text,steps:text"
    assert any("shopping lists" in constraint for constraint in spec["constraints"])

    applied = command(stack, "apply", task, str(repository))
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert git(repository, "status", "--porcelain") == "?? notes.txt"
    assert git(repository, "rev-parse", f"worksite/{task}") == stack.commits(task)[0]


@pytest.mark.parametrize(("body", "word", "code"), [("a + b", "PASS", 0), ("a - b", "FAIL", 1)])
def test_a_branch_of_a_local_repository_is_judged_against_main(stack, repository, body, word, code):
    git(repository, "switch", "-q", "-c", "feature")
    (repository / "calc.py").write_text(f"def add(a, b):\n    total = {body}\n    return total\n")
    git(repository, "commit", "-q", "-a", "-m", "feature")

    done = command(stack, "review", str(repository), "--ref", "feature", "--out", str(stack.out))

    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"{word} task=")
    assert git(repository, "status", "--porcelain") == "?? notes.txt"


def test_own_notes_are_found_until_they_are_removed(stack, tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "refunds.md").write_text("# Refunds\n\nRefunds are booked against the kumquat ledger on Fridays.\n")

    ingested = command(stack, "ingest", str(notes))
    assert ingested.returncode == 0, ingested.stdout + ingested.stderr
    assert "notes/refunds.md" in command(stack, "search", "kumquat ledger").stdout

    removed = command(stack, "knowledge", "rm", "notes/refunds.md")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    with stack.client() as http:  # it is gone when the engine has done it; polled below the rate limit
        while any(d["path"] == "notes/refunds.md" for d in http.get("/v1/knowledge/documents").json()["documents"]):
            time.sleep(0.1)
    assert "notes/refunds.md" not in command(stack, "search", "kumquat ledger").stdout
