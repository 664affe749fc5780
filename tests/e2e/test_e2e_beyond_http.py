"""A library with a command line, designed and built by a model: judged across the pipe, first wrong, then right."""

import json
from pathlib import Path

import pytest
from worksite.common.llm import Reply, Script
from worksite.common.llm.scripted import Conversation
from worksite.common.testing.messages_api.api import TEST_KEY
from worksite.common.testing.scripting import provider, reviewed, said, used

pytestmark = [pytest.mark.proof, pytest.mark.timeout(400)]

REQUEST = "Slugs of titles, as a library and on the command line"
PATH = "acceptance/test_slugs.py"
RIGHT = '''"""Titles as parts of addresses."""

import re
import sys


def slug(title):
    words = re.findall("[a-z0-9]+", title.lower())
    if not words:
        raise ValueError("nothing is left of the title")
    return "-".join(words)


def main():
    try:
        print(slug(" ".join(sys.argv[1:])))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
'''
REFUSAL = '    if not words:\n        raise ValueError("nothing is left of the title")\n'
OWN_TEST = 'from slugs import slug\n\n\ndef test_words_are_joined():\n    assert slug("A, b") == "a-b"\n'
ACCEPTANCE = """import pytest


def test_joins_words(load, fresh):
    one, other = fresh.word(), fresh.word()
    assert load("slugs:slug")(f" {one.upper()}: {other}! ") == f"{one}-{other}"


def test_refuses_empty_titles(load):
    with pytest.raises(ValueError):
        load("slugs:slug")("?!")


def test_prints_the_slug(run, fresh):
    one, other = fresh.word(), fresh.word()
    done = run("python", "-m", "slugs", one, f"& {other}")
    assert (done.code, done.out, done.err) == (0, f"{one}-{other}\\n", "")


def test_ends_with_2(run):
    done = run("python", "-m", "slugs", "?!")
    assert (done.code, done.out) == (2, "")
    assert done.err
"""
CRITERIA = ("joins_words", "refuses_empty_titles", "prints_the_slug", "ends_with_2")


def design() -> Reply:
    criteria = [
        {"id": name.replace("_", "-"), "statement": name, "grade": "verified_io", "test": f"{PATH}::test_{name}"}
        for name in CRITERIA
    ]
    draft = {
        "type": "draft", "title": "Slugs", "decisions": [], "constraints": [], "files": [], "criteria": criteria,
        "interfaces": [{"name": "python -m slugs TITLE…", "summary": "prints the slug, or ends with code 2"}],
        "tests": [{"path": PATH, "content": ACCEPTANCE}], "harness": None, "removed_tests": [], "packages": [],
    }  # fmt: skip
    return said(draft, "design", "architect")


def script() -> Script:
    done = said({"type": "built", "summary": "Slugs."}, "build", "builder")
    files = {"slugs.py": RIGHT.replace(REFUSAL, ""), "tests/test_slugs.py": OWN_TEST}
    write = [("write_file", {"path": path, "content": text}) for path, text in files.items()]
    joined = '    return "-".join(words)\n'
    mend = ("edit_file", {"path": "slugs.py", "old": joined, "new": REFUSAL + joined})
    replies = {
        "Design for route feature": (design(),),
        "Build round 1": (used(*write), done),
        "Build round 2": (used(mend), done),
        "Review of round 1.": (reviewed(),),
        "Review of round 2.": (reviewed(),),
    }
    return Script(conversations=tuple(Conversation(opening=o, replies=r) for o, r in replies.items()))


@pytest.fixture(scope="module")
def thinking(start_stack, tmp_path_factory):
    with provider(tmp_path_factory.mktemp("provider"), script()) as running:
        settings = {"ANTHROPIC_API_KEY": TEST_KEY, "ANTHROPIC_BASE_URL": running.url}
        with start_stack(tmp_path_factory.mktemp("thinking"), settings) as stack:
            yield stack


def test_functions_and_command_lines_are_proved_across_the_pipe_and_a_wrong_first_attempt_fails(thinking):
    done = thinking.run(REQUEST, "--route", "feature")
    assert done.returncode == 0, done.stdout + done.stderr
    out = Path(done.stdout.splitlines()[-1].partition("out=")[2])

    report = json.loads((out / "report.json").read_text())
    assert (report["verdict"], report["round"]) == ("PASS", 2)
    assert [(each["verdict"], each["grade"]) for each in report["criteria"]] == [("pass", "verified_io")] * len(
        CRITERIA
    )
    assert json.loads((out / "spec.json").read_text())["harness"] is None
    assert judgements(thinking, out.name) == [
        "2 of 4 criteria shown (2 verified_io); failed checks: acceptance",
        "4 of 4 criteria shown (4 verified_io); no check failed",
    ]


def judgements(thinking, task: str) -> list[str]:
    """Of all rounds, in words."""
    with thinking.client() as http:
        states = [body for kind, _, body in thinking.events(http, task) if kind == "state"]
    return list(dict.fromkeys(state["judgement"]["summary"] for state in states if state["judgement"]))
