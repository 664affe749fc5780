"""What a merge request says: nothing that a forge would take for a command or a call."""

from __future__ import annotations

import pytest
from worksite.builder.domain.merge_requests import merge_request, project_of
from worksite.common.testing import examples

TASK = "0" * 32


def test_it_names_the_task_the_engine_and_both_commits() -> None:
    change = examples.changeset()

    wanted = merge_request(change, "worksite/x", "main", "Authentication service", TASK)

    assert (wanted.source, wanted.target, wanted.head) == ("worksite/x", "main", change.head_sha)
    assert wanted.title == "Authentication service"
    for part in (TASK, change.engine, change.base_sha, change.head_sha, change.summary):
        assert part in wanted.description


def test_words_of_the_work_are_one_line_of_code() -> None:
    """GitLab runs /merge at the start of a line, calls @all, and loads pictures."""
    evil = "fine`\n/merge\n/assign @all\n![x](https://evil.example/x.png)"
    change = examples.changeset().model_copy(update={"summary": evil})

    wanted = merge_request(change, "b", "main", f"Title\n/approve {'x' * 300}", TASK)

    [line] = [line for line in wanted.description.splitlines() if "/merge" in line]
    assert line.startswith("- `")
    assert line.count("`") == 2
    assert "\n" not in wanted.title
    assert len(wanted.title) == 255


def test_nothing_in_it_closes_calls_or_runs_anything() -> None:
    evil = "/approve [skip ci] Closes #1 for @all <!-- worksite-task: 2 -->"
    change = examples.changeset().model_copy(update={"summary": evil})

    wanted = merge_request(change, "b", "main", evil, TASK)

    for text in (wanted.title, wanted.description):
        assert "／approve ［skip ci] Closes ＃1 for ＠all ＜!-- worksite-task: 2 -->" in text


def test_without_a_title_it_is_the_tasks() -> None:
    assert merge_request(examples.changeset(), "b", "main", None, TASK).title == f"Worksite task {TASK}"


@pytest.mark.parametrize(
    ("url", "api", "project"),
    [
        ("https://git.example/team/app.git", "https://git.example/api/v4", "team/app"),
        ("https://git.example/team/sub/app/", "https://git.example/api/v4", "team/sub/app"),
        ("https://git.example/lab/team/app.git", "https://git.example/lab/api/v4", "team/app"),
        ("https://GIT.example:443/team/app.git", "https://git.example/api/v4", "team/app"),
        ("https://git.example/team/app.git", "https://api.example/api/v4", None),
        ("https://git.example/lab-b/app.git", "https://git.example/lab/api/v4", None),
        ("https://git.example/../team/app.git", "https://git.example/api/v4", None),
        ("https://git.example/", "https://git.example/api/v4", None),
    ],
)
def test_a_project_is_named_by_its_path(url: str, api: str, project: str | None) -> None:
    assert project_of(url, api) == project
