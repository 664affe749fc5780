"""Work that several builders do side by side: planned by the architect, merged wave by wave, judged as one.

The model is a script, spoken by a strict local server of the Messages API; the routing model calls each request hard.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from worksite.common.llm import Reply, Script
from worksite.common.llm.scripted import Conversation
from worksite.common.testing.messages_api.api import TEST_KEY
from worksite.common.testing.scripting import costs_agree, provider, reviewed, said, used

pytestmark = [pytest.mark.proof, pytest.mark.timeout(400)]

REPAIRED, CONFLICTING = "Frequent words of a text, offline", "Frequent words of a text, with a README"
PATH = "acceptance/test_frequent.py"
MODULES = {
    "words": "def words(text):\n    return text.lower().split()\n",
    "counts": "def counts(items):\n    return {item: items.count(item) for item in items}\n",
    "frequent": "from counts import counts\nfrom words import words\n\n\ndef frequent(text):\n"
    "    found = counts(words(text))\n    return max(sorted(found), key=found.get)\n",
}
WRONG = MODULES["frequent"].replace("max(", "min(")
ACCEPTANCE = """def test_words(load, fresh):
    one, other = fresh.word(), fresh.word()
    assert load("words:words")(f"{one.upper()}  {other}") == [one, other]


def test_counts(load, fresh):
    word = fresh.word()
    assert load("counts:counts")([word, word]) == {word: 2}


def test_frequent(load, fresh):
    word = fresh.word()
    assert load("frequent:frequent")(f"{fresh.word()} {word} {word} {fresh.word()}") == word
"""
OWN = {
    "words": 'assert words("A b") == ["a", "b"]',
    "counts": 'assert counts(["a"]) == {"a": 1}',
    "frequent": 'assert frequent("a")',
}


def package(name: str, *after: str) -> dict[str, Any]:
    files = [f"{name}.py", f"tests/test_{name}.py"]
    return {
        "id": name, "title": f"Module {name}", "summary": f"The function {name}.{name}.",
        "criteria": [f"{name}-work"], "files": files, "after": after,
    }  # fmt: skip


def design() -> Reply:
    names = list(MODULES)
    draft = {
        "type": "draft", "title": "Frequent words", "decisions": [], "constraints": ["The standard library only."],
        "interfaces": [{"name": f"{name}.{name}", "summary": "one argument"} for name in names],
        "files": [], "tests": [{"path": PATH, "content": ACCEPTANCE}], "harness": None, "removed_tests": [],
        "criteria": [
            {"id": f"{name}-work", "statement": "As said.", "grade": "verified_io", "test": f"{PATH}::test_{name}"}
            for name in names
        ],
        "packages": [package("words"), package("counts"), package("frequent", "words", "counts")],
    }  # fmt: skip
    return said(draft, "design", "architect")


def built(name: str, **other: str) -> Sequence[Reply]:
    """What a builder of one package does; the model that writes, and where else it meddles."""
    own = f"from {name} import {name}\n\n\ndef test_{name}():\n    {OWN[name]}\n"
    files = {f"{name}.py": MODULES[name], f"tests/test_{name}.py": own} | {
        path.replace("__", "."): text for path, text in other.items()
    }
    write = [("write_file", {"path": path, "content": text}) for path, text in files.items()]
    return (used(*write), used(("check_syntax", {})), done(f"Made {name}."))


def done(summary: str) -> Reply:
    return said({"type": "built", "summary": summary}, "build", "builder")


def script() -> Script:
    mend = ("edit_file", {"path": "frequent.py", "old": "min(", "new": "max("})
    again = " on what is merged so far"
    replies: dict[str, dict[str, Sequence[Reply]]] = {
        REPAIRED: {
            "Build work package words": built("words"),
            "Build work package counts": built("counts"),
            f"Build work package frequent{again}": built("frequent", frequent__py=WRONG),
            "Build round 2": (used(mend), done("The most frequent one.")),
        },
        CONFLICTING: {
            "Build work package words": built("words", README__md="# Words\n"),
            "Build work package counts": built("counts", README__md="# Counts\n"),
            f"Build work package counts{again}": built("counts"),
            f"Build work package frequent{again}": built("frequent"),
        },
    }
    conversations = [
        Conversation(opening=f"{what}, a new project.\n\n<request>\n{request}", replies=tuple(told))
        for request, builds in replies.items()
        for what, told in builds.items()
    ]
    reviews = (Conversation(opening=f"Review of round {n}.", replies=(reviewed(),)) for n in (1, 2))
    may_split = "Design for route feature, a new project.\n\nThe work may be split into packages."
    hard = {"route": "feature", "difficulty": "hard", "reason": "many parts"}
    routing = [
        Conversation(opening=request, system="Sort software requests", replies=(said(hard, "route", "admin"),))
        for request in replies
    ]
    designing = Conversation(opening=may_split, replies=(design(),))
    return Script(conversations=(*routing, designing, *conversations, *reviews))


@pytest.fixture(scope="module")
def billing(tmp_path_factory):
    with provider(tmp_path_factory.mktemp("provider"), script()) as running:
        yield running


@pytest.fixture(scope="module")
def thinking(start_stack, billing, tmp_path_factory):
    settings = {
        "ANTHROPIC_API_KEY": TEST_KEY,
        "ANTHROPIC_BASE_URL": billing.url,
        "ROUTE_EMBED_SECONDS": "0.001",  # nothing is read in that time, so that the routing model is asked
        "ROUTE_MODEL_SECONDS": "120",
        "BUDGET_TASK_USD": "50",
    }
    with start_stack(tmp_path_factory.mktemp("thinking"), settings) as stack:
        yield stack


class Finished:
    """A task, from its files and its events."""

    def __init__(self, thinking, billing, request: str) -> None:
        process = thinking.run(request)
        assert process.returncode == 0, process.stdout + process.stderr
        self.out = Path(process.stdout.splitlines()[-1].partition("out=")[2])
        self.cost, self.books = self.document("cost"), billing.books()
        with thinking.client() as http:
            events = thinking.events(http, self.out.name)
        self.states = [body for kind, _, body in events if kind == "state"]

    def document(self, name: str) -> Any:
        return json.loads((self.out / f"{name}.json").read_text())

    def waves(self) -> list[set[str]]:
        """The packages that were in flight at once, each set as it was when it was largest."""
        flights = [{each["id"] for each in state["packages"] if each["step"]} for state in self.states]
        return [now for before, now in zip([set[str](), *flights], flights, strict=False) if now - before]

    def commits(self) -> list[str]:
        """Above the base, oldest first; each has one parent."""
        command = ["git", "-C", str(self.out / "project"), "log", "--reverse", "--format=%s|%P"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
        commits = [line.split("|") for line in lines]
        assert all(" " not in parents for _, parents in commits)
        return [subject for subject, _ in commits]

    def summaries(self) -> list[str]:
        """Of the steps, as the last state has them."""
        return [record["summary"] for record in self.states[-1]["history"]]

    def engines(self) -> list[str]:
        """Of the steps that built, as far as the prompt's hash."""
        return [step["engine"].partition("@")[0] for step in self.cost["steps"] if step["step"].endswith("-build")]


BY_MODEL = "model:claude-opus-5-5+builder"


def test_two_packages_are_built_at_once_a_third_upon_them_and_the_whole_is_repaired_in_round_2(thinking, billing):
    task = Finished(thinking, billing, REPAIRED)

    assert task.cost["routing"]["stage"] == "model"
    assert task.waves() == [{"words", "counts"}, {"frequent"}]
    assert sorted(task.engines()) == [*["git"], *[BY_MODEL] * 4]
    report = task.document("report")
    assert (report["verdict"], report["round"]) == ("PASS", 2)
    assert {(each["id"], each["grade"]) for each in report["criteria"]} == {
        (f"{name}-work", "verified_io") for name in MODULES
    }
    assert task.commits() == ["Frequent words"], "a repair is one build of the whole, in one commit"
    assert "| `frequent` | **Module frequent**: " in (task.out / "spec.md").read_text()
    costs_agree(task.cost, task.books)


def test_a_package_that_conflicts_is_built_anew_on_what_was_merged_and_the_line_has_a_commit_for_each(
    thinking, billing
):
    task = Finished(thinking, billing, CONFLICTING)

    assert task.waves() == [{"words", "counts"}, {"counts"}, {"frequent"}]
    assert sorted(task.engines()) == [*["git"], *[BY_MODEL] * 4]
    report = task.document("report")
    assert (report["verdict"], report["round"]) == ("PASS", 1)
    assert task.commits() == ["Module words", "Module counts", "Module frequent"]
    assert (task.out / "project" / "README.md").read_text() == "# Words\n"
    assert "Frequent words: merged Module words; to be built anew: counts" in task.summaries()
    costs_agree(task.cost, task.books)
