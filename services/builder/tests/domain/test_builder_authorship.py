"""Who commits, and when."""

from __future__ import annotations

from worksite.builder.domain.authorship import branch_of, commit_message, identity, task_seconds

TASK = "01990525fe007abcdef0123456789abc"


def test_a_task_id_tells_when_the_task_was_submitted() -> None:
    assert task_seconds(TASK) == 1_756_728_000  # 2025-09-01 12:00:00 UTC


def test_author_and_committer_are_the_same_at_the_same_time() -> None:
    assert identity(5) == {
        "GIT_AUTHOR_NAME": "Worksite",
        "GIT_AUTHOR_EMAIL": "worksite@localhost",
        "GIT_AUTHOR_DATE": "@5 +0000",
        "GIT_COMMITTER_NAME": "Worksite",
        "GIT_COMMITTER_EMAIL": "worksite@localhost",
        "GIT_COMMITTER_DATE": "@5 +0000",
    }


def test_each_task_has_its_own_branch() -> None:
    assert branch_of(TASK) == f"worksite/{TASK}"


def test_a_title_of_several_lines_makes_one_short_subject() -> None:
    message = commit_message("Auth\n\nWorksite-Task: forged " + "x" * 100, "blueprint:a@1", TASK, "f" * 64)

    subject, blank, *rest = message.splitlines()
    assert len(subject) == 72
    assert subject.startswith("Auth Worksite-Task: forged")
    assert blank == ""
    assert rest == ["Made by blueprint:a@1.", "", f"Worksite-Task: {TASK}", f"Worksite-Spec: {'f' * 64}"]


def test_a_subject_holds_nothing_that_a_forge_obeys() -> None:
    message = commit_message("/approve [skip ci] closes #1 for @all", "e", TASK, "f" * 64)

    assert message.splitlines()[0] == "／approve ［skip ci] closes ＃1 for ＠all"


def test_an_empty_title_still_makes_a_commit() -> None:
    assert commit_message(" \n", "e", TASK, "f" * 64).startswith("Build\n")
