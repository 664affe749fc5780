"""Import: the base is fixed and its whole history stored."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest
from worksite.builder.remote import RemoteUnavailable
from worksite.builder.testing import NOW, Desk, Origin, answering, import_command, run_git, served
from worksite.common.errors import StepRefused
from worksite.common.messages import GitProject, NewProject

pytestmark = pytest.mark.asyncio


async def test_every_new_project_starts_from_the_same_root_commit(desk: Desk, tmp_path: Path) -> None:
    first, second = await desk.import_new(), await desk.import_new()

    assert first == second
    assert first.empty
    clone = await desk.unbundle(first.bundle, tmp_path / "clone")
    assert run_git(clone, "log", "--format=%H %an <%ae> %aI %s") == (
        f"{first.base_sha} Worksite <worksite@localhost> 2000-01-01T00:00:00+00:00 Start of the project"
    )
    assert run_git(clone, "ls-files") == ""
    assert run_git(clone, "branch", "--show-current") == "main"


async def test_a_clone_takes_the_default_branch_with_its_whole_history(
    desk: Desk, origin: Origin, tmp_path: Path
) -> None:
    origin.commit(a__txt="one")
    head = origin.commit(a__txt="two")

    project = await desk.import_git(origin.url)

    assert (project.base_sha, project.empty, project.changeset) == (head, False, None)
    clone = await desk.unbundle(project.bundle, tmp_path / "clone")
    assert run_git(clone, "rev-list", "--count", "HEAD") == "2"
    assert run_git(clone, "branch", "--show-current") == "trunk"
    assert (clone / "a.txt").read_text() == "two"


async def test_a_ref_may_be_a_branch_a_tag_a_commit_or_any_other_ref(desk: Desk, origin: Origin) -> None:
    first = origin.commit(a__txt="one")
    origin.git("tag", "-m", "annotated", "v1")
    origin.git("checkout", "--quiet", "-b", "feature/login")
    second = origin.commit(a__txt="two")
    origin.git("checkout", "--quiet", "trunk")
    origin.commit(a__txt="three")
    origin.git("update-ref", "refs/pull/7/head", second)

    for ref, commit in (
        ("feature/login", second),
        ("v1", first),
        (second, second),
        (first[:9], first),
        ("pull/7/head", second),
    ):
        assert (await desk.import_git(origin.url, ref)).base_sha == commit, ref


async def test_a_branch_wins_over_a_tag_of_the_same_name(desk: Desk, origin: Origin) -> None:
    origin.commit(a__txt="one")
    origin.git("tag", "v1")
    origin.git("checkout", "--quiet", "-b", "v1")
    branch = origin.commit(a__txt="two")

    assert (await desk.import_git(origin.url, "v1")).base_sha == branch


async def test_a_ref_that_does_not_exist_is_named_in_the_refusal(desk: Desk, origin: Origin) -> None:
    origin.commit(a__txt="one")

    for ref in ("no-such-branch", "0123456789" * 4):
        with pytest.raises(StepRefused, match=re.escape(repr(ref))) as refused:
            await desk.import_git(origin.url, ref)
        assert refused.value.code == "unknown_ref"


async def test_a_repository_without_a_commit_is_a_new_project(desk: Desk, origin: Origin) -> None:
    assert await desk.import_git(origin.url) == await desk.import_new()


async def test_a_ref_of_a_repository_without_a_commit_is_refused(desk: Desk, origin: Origin) -> None:
    with pytest.raises(StepRefused, match="no branch or tag 'trunk'"):
        await desk.import_git(origin.url, "trunk")


async def test_a_repository_that_is_not_there_is_refused(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(StepRefused, match="no such repository") as refused:
        await desk.import_git(f"file://{tmp_path}/nowhere")
    assert refused.value.code == "repository_not_found"


async def test_a_host_that_refuses_connections_is_unreachable(desk: Desk) -> None:
    with pytest.raises(StepRefused) as refused:
        await desk.import_git("http://127.0.0.1:9/project.git")
    assert refused.value.code == "repository_unreachable"


async def test_a_shallow_clone_is_refused_because_its_history_is_cut_off(
    desk: Desk, origin: Origin, tmp_path: Path
) -> None:
    origin.commit(a__txt="one")
    origin.commit(a__txt="two")
    run_git(tmp_path, "clone", "--quiet", "--depth=1", origin.url, str(tmp_path / "shallow"))

    with pytest.raises(StepRefused, match="complete history"):
        await desk.import_git(f"file://{tmp_path}/shallow")


async def test_importing_twice_gives_the_same_artifacts(desk: Desk, origin: Origin) -> None:
    for content in ("one", "two", "three"):
        origin.commit(a__txt=content * 500, b__txt=content)

    assert await desk.import_git(origin.url) == await desk.import_git(origin.url)


async def test_nothing_is_left_behind_after_an_import_or_a_refusal(desk: Desk, origin: Origin) -> None:
    origin.commit(a__txt="one")

    await desk.import_git(origin.url)
    with pytest.raises(StepRefused):
        await desk.import_git(origin.url, "nope")

    assert desk.leftovers() == []


async def test_a_dumb_http_server_is_cloned_from(desk: Desk, origin: Origin, tmp_path: Path) -> None:
    head = origin.commit(a__txt="one")
    run_git(tmp_path, "clone", "--quiet", "--bare", origin.url, str(tmp_path / "web" / "project.git"))
    run_git(tmp_path / "web" / "project.git", "update-server-info")

    with served(tmp_path / "web") as address:
        project = await desk.import_git(f"{address}/project.git")
        with pytest.raises(StepRefused) as refused:
            await desk.import_git(f"{address}/other.git")

    assert project.base_sha == head
    assert refused.value.code == "repository_not_found"


async def test_a_server_that_asks_for_a_password_is_refused_at_once(desk: Desk) -> None:
    with answering(401) as (address, _), pytest.raises(StepRefused, match="private or does not exist") as refused:
        await desk.import_git(f"{address}/project.git")
    assert refused.value.code == "access_denied"


async def test_a_server_in_trouble_is_tried_again_until_the_deadline(desk: Desk) -> None:
    with answering(503) as (address, _):
        source = GitProject(git_url=f"{address}/project.git")
        with pytest.raises(RemoteUnavailable, match="does not answer"):
            await desk.handle(import_command(source))
        with pytest.raises(StepRefused, match="deadline") as refused:
            await desk.handle(import_command(source, deadline=NOW - timedelta(seconds=1)))
    assert refused.value.code == "repository_unreachable"


async def test_a_server_that_never_answers_runs_into_the_time_limit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worksite.builder.remote._LIST_SECONDS", 0.3)
    server = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(60), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    with pytest.raises(RemoteUnavailable, match=r"longer than 0\.3 s"):
        await desk.import_git(f"http://127.0.0.1:{port}/project.git")
    server.close()


async def test_a_review_compares_with_the_merge_base_of_the_default_branch(
    desk: Desk, origin: Origin, tmp_path: Path
) -> None:
    fork = origin.commit(a__txt="one", b__txt="one")
    origin.git("checkout", "--quiet", "-b", "change")
    head = origin.commit(a__txt="two", c__txt="new")
    origin.git("checkout", "--quiet", "trunk")
    origin.commit(b__txt="meanwhile")

    project = await desk.import_git(origin.url, "change", review=True)

    found = project.changeset
    assert found is not None
    assert (found.base_sha, found.head_sha, found.branch) == (fork, head, "change")
    assert (project.base_sha, project.bundle, found.files_changed) == (fork, found.bundle, 2)
    clone = await desk.unbundle(found.bundle, tmp_path / "clone")
    assert run_git(clone, "rev-parse", "HEAD", "worksite/base") == f"{head}\n{fork}"


async def test_a_review_takes_the_base_that_the_client_names(desk: Desk, origin: Origin, tmp_path: Path) -> None:
    origin.commit(a__txt="one")
    origin.git("checkout", "--quiet", "-b", "change")
    head = origin.commit(a__txt="two")
    origin.git("checkout", "--quiet", "-b", "release", "trunk")
    release = origin.commit(b__txt="aside")

    project = await desk.import_git(origin.url, "change", review=True, review_base="release")

    assert project.changeset is not None
    assert (project.changeset.base_sha, project.changeset.head_sha) == (release, head)
    clone = await desk.unbundle(project.bundle, tmp_path / "clone")
    assert run_git(clone, "cat-file", "-t", release) == "commit"


async def test_a_review_of_the_default_branch_has_no_baseline(desk: Desk, origin: Origin) -> None:
    head = origin.commit(a__txt="one")

    project = await desk.import_git(origin.url, review=True)

    assert project.changeset is not None
    assert project.changeset.base_sha == project.changeset.head_sha == head
    assert "no baseline" in project.changeset.summary


async def test_a_review_of_an_unrelated_history_has_no_baseline(desk: Desk, origin: Origin) -> None:
    origin.commit(a__txt="one")
    origin.git("checkout", "--quiet", "--orphan", "island")
    head = origin.commit(a__txt="two")

    project = await desk.import_git(origin.url, "island", review=True)

    assert project.changeset is not None
    assert project.changeset.base_sha == head


async def test_an_empty_project_cannot_be_reviewed(desk: Desk, origin: Origin) -> None:
    for source in (NewProject(name="shop"), GitProject(git_url=origin.url)):
        with pytest.raises(StepRefused) as refused:
            await desk.handle(import_command(source, review=True))
        assert refused.value.code == "nothing_to_review"
