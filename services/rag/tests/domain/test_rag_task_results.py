"""Which tasks leave something to be found, and which of them replaces which."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from worksite.common.errors import MalformedMessage
from worksite.common.messages import GitProject, NewProject, TaskEntry, UploadedProject
from worksite.common.messages.sources import ProjectSource
from worksite.common.testing import examples
from worksite.rag.domain.results import Completed, TaskResults, kept, results_of, texts_of

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY = f"{examples.TENANT}.{examples.TASK}"
STATE = examples.task_state()


def row(**changes: Any) -> TaskResults | None:
    state = STATE.model_copy(update=changes)
    return results_of(KEY, TaskEntry(state=state, submitted=examples.submit_task(), sequence=7).to_json())


def routed(route: str, verdict: str | None = "PASS") -> dict[str, Any]:
    judgement = STATE.judgement.model_copy(update={"verdict": verdict}) if verdict and STATE.judgement else None
    return {"route": STATE.route.model_copy(update={"route": route}), "judgement": judgement}


@pytest.mark.parametrize(
    ("changes", "documents", "has_branch"),
    [
        (routed("feature"), {"spec.md", "report.md"}, True),
        (routed("fix"), {"spec.md", "report.md"}, True),
        (routed("review"), {"spec.md", "report.md"}, False),
        (routed("design", None) | {"changeset": None}, {"spec.md"}, False),
    ],
    ids=["feature", "fix", "review: the branch is the client's own", "design: nothing is judged"],
)
def test_task_that_passed_leaves_its_documents_and_the_branch_that_was_built(
    changes: dict[str, Any], documents: set[str], has_branch: bool
) -> None:
    found = row(**changes)
    assert found
    assert (set(found.documents), found.branch is not None) == (documents, has_branch)


@pytest.mark.parametrize(
    "changes",
    [
        routed("feature", "FAIL"),
        routed("feature", None),
        routed("question", None) | {"spec": None, "changeset": None},
        {"status": "failed"},
        {"status": "cancelled"},
        {"status": "running"},
        {"status": "needs_input"},
    ],
    ids=["FAIL", "no verdict", "an answer", "failed", "cancelled", "running", "waiting"],
)
def test_any_other_task_leaves_nothing(changes: dict[str, Any]) -> None:
    assert row(**changes) is None


def test_task_that_nobody_has_taken_up_leaves_nothing() -> None:
    assert results_of(KEY, TaskEntry(state=None, submitted=examples.submit_task(), sequence=0).to_json()) is None


def test_row_that_is_not_what_its_key_says_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="cannot be read"):
        results_of(KEY, b"{")
    whole = TaskEntry(state=STATE, submitted=examples.submit_task(), sequence=7).to_json()
    with pytest.raises(MalformedMessage, match="holds a task of"):
        results_of(f"other.{examples.TASK}", whole)


@pytest.mark.parametrize(
    ("source", "project", "tags"),
    [
        (NewProject(name="shop"), "new:shop", ("task", "shop")),
        (NewProject(), f"titled:{STATE.spec and STATE.spec.title}", ("task",)),
        (NewProject(name="s" * 64), "new:" + "s" * 64, ("task", "s" * 50)),
        (
            GitProject(git_url="https://git.example.org/team/a+b.git/", ref="main"),
            "git:https://git.example.org/team/a+b.git/",
            ("task", "a-b"),
        ),
        (GitProject(git_url="https://git.example.org/.git"), "git:https://git.example.org/.git", ("task",)),
        (UploadedProject(archive=examples.artifact(), format="zip", name="app"), "uploaded:app", ("task", "app")),
        (
            UploadedProject(archive=examples.artifact(), format="zip"),
            f"upload:{examples.artifact().sha256}",
            ("task",),
        ),
    ],
)
def test_project_is_told_apart_by_where_it_comes_from_and_named_in_a_tag(
    source: ProjectSource, project: str, tags: tuple[str, ...]
) -> None:
    found = row(project=source)
    assert found
    assert (found.origin.project, found.tags) == (project, tags)


@pytest.mark.parametrize(
    "changes",
    [routed("review"), routed("design", None), routed("feature") | {"changeset": None}],
    ids=["review", "design", "nothing was built"],
)
def test_task_without_a_branch_is_not_on_the_project_of_one_with_a_branch(changes: dict[str, Any]) -> None:
    built, other = row(), row(**changes)
    assert built
    assert other
    assert other.origin.project == f"{other.route} {built.origin.project}"


def test_text_that_no_document_can_hold_is_left_out() -> None:
    found = row()
    assert found
    texts = {
        "spec.md": "x",
        "branch/../up.py": "x",
        f"branch/{'n' * 400}.py": "x",
        "blank.md": " ",
        "a.md": "x" * 2**22,
    }
    assert [one.text.path for one in texts_of(found, texts)] == [f"tasks/{examples.TASK}/spec.md"]


def task(minute: int, project: str) -> Completed:
    return Completed(NOW + timedelta(minutes=minute), f"{minute}", project)


@pytest.mark.parametrize(
    ("projects", "most", "expected"),
    [
        ((), 5, set[str]()),
        (("a", "b", "a"), 5, {"1", "2"}),
        (("a", "b", "c"), 5, {"0", "1", "2"}),
        (("a", "b", "c", "b"), 2, {"2", "3"}),
        (("a", "a", "b"), 1, {"2"}),
    ],
)
def test_latest_task_of_each_project_is_kept_as_far_as_there_is_room(
    projects: tuple[str, ...], most: int, expected: set[str]
) -> None:
    tasks = [task(minute, project) for minute, project in enumerate(projects)]
    assert kept(tasks, most) == kept(reversed(tasks), most) == expected
