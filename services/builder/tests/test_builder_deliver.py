"""Deliver: what passed becomes a branch of its own on the remote, once, and one merge request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from worksite.builder.domain.merge_requests import marker
from worksite.builder.remote import RemoteUnavailable
from worksite.builder.testing import TASK, Desk, Origin, answering, deliver_command, import_command, run_git
from worksite.builder.testing_forge import TOKEN, Forge, Hold, running_forge
from worksite.common.errors import StepRefused, StepWaits
from worksite.common.messages import Changeset, DeliverBranch, Delivery, GitProject, NewProject

pytestmark = pytest.mark.asyncio
BRANCH = f"worksite/{TASK}"
MERGE = {"merge_request": True}
Change = Callable[..., Awaitable[Changeset]]


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with running_forge(tmp_path / "forge") as running:
        yield running


@pytest.fixture
def change(desk: Desk, origin: Origin) -> Change:
    """A commit of a task on its branch, on top of the first commit of somebody's repository."""
    base = origin.commit(README__md="mine")

    async def made(task: str = TASK) -> Changeset:
        branch = f"worksite/{task}"
        origin.git("switch", "--quiet", "-C", branch, base)
        commit = origin.commit(greeting__py=f"print({task!r})\n")
        bundle = await desk.artifacts.put(origin.bundle("HEAD", branch), "application/x-git-bundle")
        return Changeset(
            base_sha=base, head_sha=commit, branch=branch, bundle=bundle, archive=bundle, summary="Greets",
            engine="test", files_changed=1,
        )  # fmt: skip

    return made


@pytest.fixture
def remote(forge: Forge, desk: Desk, change: Change, origin: Origin) -> Path:
    """The project on the forge, opened to the builder; its branch main is what tasks begin with."""
    folder = forge.project()
    desk.options["git_credentials"] = forge.credentials()
    origin.git("push", "--quiet", str(folder), "HEAD:refs/heads/main")
    return folder


def head(remote: Path, branch: str = BRANCH) -> str:
    return run_git(remote, "rev-parse", "--verify", f"refs/heads/{branch}")


def shown(forge: Forge, **fields: object) -> dict[str, Any]:
    """A merge request of somebody's, from a branch of the task's name."""
    ids = dict.fromkeys(("source_project_id", "target_project_id"), forge.project_id("team/app"))
    place = {"source_branch": BRANCH, "target_branch": "main", "sha": None, "description": None}
    return place | ids | {"state": "opened", "web_url": "https://m/1"} | fields


def hook(remote: Path, script: str) -> None:
    """What a repository does before it takes a push."""
    found = remote / "hooks" / "pre-receive"
    found.parent.mkdir(exist_ok=True)
    found.write_text(f"#!/bin/sh\n{script}")
    found.chmod(0o755)


def branches(remote: Path) -> list[str]:
    return run_git(remote, "for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()


async def test_the_branch_and_its_merge_request_are_there(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    made = await change()
    source = GitProject(git_url=forge.url())

    done = await desk.deliver(deliver_command(source, made, delivery=MERGE, title="Greeting service"))

    assert (done.remote, done.branch, done.head_sha) == (forge.url(), BRANCH, made.head_sha)
    assert head(remote) == made.head_sha
    assert head(remote, "main") == made.base_sha
    [request] = forge.merge_requests
    assert done.merge_request == request["web_url"]
    assert (request["source_branch"], request["target_branch"], request["title"]) == (
        BRANCH,
        "main",
        "Greeting service",
    )
    assert made.head_sha in request["description"]


async def test_without_a_merge_request_only_the_branch_is_pushed(
    desk: Desk, origin: Origin, tmp_path: Path, change: Change
) -> None:
    """To a repository on this machine, and one that is empty."""
    desk.options["allow_file_pushes"] = True
    bare = tmp_path / "bare.git"
    origin.git("init", "--quiet", "--bare", str(bare))
    made = await change()

    delivery = {"push": {"url": f"file://{bare}", "branch": "feature/greeting"}}
    done = await desk.deliver(deliver_command(NewProject(), made, delivery=delivery))

    assert (done.branch, done.merge_request) == ("feature/greeting", None)
    assert head(bare, "feature/greeting") == made.head_sha


async def test_nothing_is_pushed_to_this_machine_only_because_something_may_be_imported_from_it(
    desk: Desk, origin: Origin, tmp_path: Path, change: Change
) -> None:
    """git would run the hooks there, as the builder."""
    bare, ran = tmp_path / "bare.git", tmp_path / "ran"
    origin.git("init", "--quiet", "--bare", str(bare))
    hook(bare, f"touch {ran}\n")
    made = await change()
    assert desk.settings.allow_file_urls

    with pytest.raises(StepRefused, match="file://") as refused:
        await desk.deliver(deliver_command(NewProject(), made, delivery={"push": {"url": f"file://{bare}"}}))

    assert refused.value.code == "url_refused"
    assert branches(bare) == []
    assert not ran.exists()


async def test_a_url_that_cannot_be_parsed_is_refused(desk: Desk, forge: Forge, change: Change) -> None:
    desk.options["git_credentials"] = forge.credentials()
    with pytest.raises(StepRefused, match="cannot be parsed") as refused:
        await desk.deliver(deliver_command(NewProject(), await change(), delivery={"push": {"url": "http://["}}))

    assert refused.value.code == "url_refused"


async def test_a_redirect_of_the_git_host_does_not_carry_the_token_elsewhere(
    desk: Desk, forge: Forge, change: Change
) -> None:
    made = await change()
    with answering(200) as (elsewhere, asked), answering(302, location=elsewhere) as (outside, _):
        desk.options["git_credentials"] = forge.credentials(url=f"{outside}/")
        with pytest.raises(StepRefused, match="redirects"):
            await desk.deliver(deliver_command(GitProject(git_url=f"{outside}/team/app.git"), made))

    assert asked == []


async def test_delivered_again_it_ends_in_the_same(desk: Desk, forge: Forge, remote: Path, change: Change) -> None:
    command = deliver_command(GitProject(git_url=forge.url()), await change(), delivery=MERGE)

    first, second = await desk.deliver(command), await desk.deliver(command)

    assert first == second
    assert len(forge.merge_requests) == 1
    assert forge.asked("POST", "git-receive-pack") == 1


@pytest.mark.parametrize("state", ["merged", "closed", "locked"])
async def test_what_people_have_ended_meanwhile_is_neither_pushed_nor_opened_again_and_that_is_said(
    desk: Desk, forge: Forge, remote: Path, state: str, change: Change
) -> None:
    """Though they have also changed its title and target, added commits, and deleted the branch."""
    command = deliver_command(GitProject(git_url=forge.url()), await change(), delivery=MERGE)
    first = await desk.deliver(command)
    forge.merge_requests[0] |= {"state": state, "title": "Ours", "target_branch": "next", "sha": "1" * 40}
    run_git(remote, "branch", "-D", BRANCH)

    again = await desk.deliver(command)

    ended = "closed" if state == "closed" else "merged"
    assert (first.merge_request_state, again.merge_request_state) == ("opened", ended)
    assert again.merge_request == first.merge_request
    assert branches(remote) == ["main"]
    assert len(forge.merge_requests) == 1


async def test_a_merge_request_that_people_work_on_is_left_to_them(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    command = deliver_command(GitProject(git_url=forge.url()), await change(), delivery=MERGE)
    first = await desk.deliver(command)
    run_git(remote, "update-ref", f"refs/heads/{BRANCH}", "main")

    assert await desk.deliver(command) == first
    assert head(remote) == head(remote, "main")


async def test_a_merge_request_of_a_fork_is_not_ours_though_it_bears_our_mark(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    """There are more of them than a page of the forge's answer holds."""
    made = await change()
    theirs = shown(forge, source_project_id=7, sha=made.head_sha, description=marker(TASK))
    forge.merge_requests += [theirs | {"state": state} for state in ("opened", "merged", "closed")] * 40

    done = await desk.deliver(deliver_command(GitProject(git_url=forge.url()), made, delivery=MERGE))

    assert head(remote) == made.head_sha
    assert done.merge_request == forge.merge_requests[-1]["web_url"]
    assert len(forge.merge_requests) == 121


async def test_a_merge_request_of_another_task_on_a_branch_of_the_same_name_is_not_ours(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    forge.merge_requests.append(shown(forge, state="merged", sha="1" * 40, description=marker("2" * 32)))

    await desk.deliver(deliver_command(GitProject(git_url=forge.url()), await change(), delivery=MERGE))

    assert [one["state"] for one in forge.merge_requests] == ["merged", "opened"]


async def test_a_merge_request_that_somebody_opened_is_taken(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    """Between the look and the opening: GitLab says conflict, and shows it."""
    made = await change()
    forge.answers.append((200, "[]"))
    forge.merge_requests.append(shown(forge, state="opened", web_url="https://m/7"))

    done = await desk.deliver(deliver_command(GitProject(git_url=forge.url()), made, delivery=MERGE))

    assert done.merge_request == "https://m/7"
    assert len(forge.merge_requests) == 1


async def test_a_branch_with_other_work_is_never_moved(desk: Desk, forge: Forge, remote: Path, change: Change) -> None:
    made = await change()
    for name in ("main", "taken"):
        run_git(remote, "update-ref", f"refs/heads/{name}", made.base_sha)
        delivery = {"push": {"branch": name}}
        with pytest.raises(StepRefused, match=f"a branch {name} with other work") as refused:
            await desk.deliver(deliver_command(GitProject(git_url=forge.url()), made, delivery=delivery))
        assert refused.value.code == "branch_taken"
        assert head(remote, name) == made.base_sha
    assert forge.asked("POST", "git-receive-pack") == 0


async def test_of_two_that_push_one_branch_at_once_the_second_is_refused(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    """Both see that it is not there; git itself decides."""
    one, other = await change(), await change("2" * 32)
    delivery = {"push": {"branch": "shared"}}
    commands = [deliver_command(GitProject(git_url=forge.url()), each, delivery=delivery) for each in (one, other)]

    results = await asyncio.gather(*map(desk.deliver, commands), return_exceptions=True)

    [refused] = [each for each in results if isinstance(each, StepRefused)]
    [done] = [each for each in results if not isinstance(each, BaseException)]
    assert refused.code == "branch_taken"
    assert head(remote, "shared") == done.head_sha


async def test_several_tasks_on_one_repository_do_not_disturb_each_other(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    changes = [await change()]
    changes += [await change(n * 32) for n in "123"]
    source = GitProject(git_url=forge.url())

    await asyncio.gather(
        *(desk.deliver(deliver_command(source, each, task=each.branch[9:], delivery=MERGE)) for each in changes)
    )

    assert {name: head(remote, name) for name in branches(remote)} == {"main": changes[0].base_sha} | {
        each.branch: each.head_sha for each in changes
    }
    assert sorted(each["source_branch"] for each in forge.merge_requests) == sorted(each.branch for each in changes)


async def test_a_change_that_does_not_go_on_from_its_base_is_refused_before_anything_is_pushed(
    desk: Desk, forge: Forge, remote: Path, origin: Origin, change: Change
) -> None:
    made = await change()
    origin.git("switch", "--quiet", "--orphan", "elsewhere")
    elsewhere = origin.commit(a__txt="one")
    bundle = await desk.artifacts.put(origin.bundle("HEAD", "elsewhere", made.branch), "application/x-git-bundle")
    stale = made.model_copy(update={"head_sha": elsewhere, "bundle": bundle})

    with pytest.raises(StepRefused, match="does not go on from") as refused:
        await desk.deliver(deliver_command(GitProject(git_url=forge.url()), stale))

    assert refused.value.code == "stale_base"
    assert branches(remote) == ["main"]


async def test_the_bundle_has_to_hold_the_commit_that_passed(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    other = (await change()).model_copy(update={"head_sha": "1" * 40})

    with pytest.raises(StepRefused) as refused:
        await desk.deliver(deliver_command(GitProject(git_url=forge.url()), other))

    assert refused.value.code == "unknown_head"


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"tenants": ["other"]}, "access_denied"), ({"token": "glpat-another-token"}, "access_denied")],
)
async def test_a_tenant_pushes_only_with_a_token_that_is_meant_for_it(
    desk: Desk, forge: Forge, remote: Path, changes: dict[str, Any], code: str, change: Change
) -> None:
    made = await change()
    desk.options["git_credentials"] = forge.credentials(**changes)

    with pytest.raises(StepRefused) as refused:
        await desk.deliver(deliver_command(GitProject(git_url=forge.url()), made))

    assert refused.value.code == code
    assert branches(remote) == ["main"]


async def test_a_merge_request_without_a_token_is_refused_before_the_push(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    made = await change()
    del desk.options["git_credentials"]

    with pytest.raises(StepRefused, match="GIT_CREDENTIALS") as refused:
        await desk.deliver(deliver_command(GitProject(git_url=forge.url()), made, delivery=MERGE))

    assert refused.value.code == "no_credentials"
    assert forge.requests == []


async def test_a_private_repository_is_imported_with_the_tenants_token(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    made = await change()

    assert (await desk.import_git(forge.url())).base_sha == made.base_sha
    desk.options["git_credentials"] = forge.credentials(tenants=["other"])
    with pytest.raises(StepRefused) as refused:
        await desk.import_git(forge.url())
    assert refused.value.code == "access_denied"


async def test_a_private_host_is_refused_before_anybody_talks_to_it(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    made = await change()
    desk.options |= {"allow_private_hosts": False, "git_credentials": None}

    with pytest.raises(StepRefused) as refused:
        await desk.deliver(deliver_command(GitProject(git_url=forge.url()), made))

    assert refused.value.code == "url_refused"
    assert forge.requests == []


@pytest.mark.parametrize(
    ("status", "code"), [(401, "access_denied"), (403, "access_denied"), (404, "repository_not_found"), (400, None)]
)
async def test_what_the_forge_refuses_is_told_in_our_words(
    desk: Desk,
    forge: Forge,
    remote: Path,
    status: int,
    code: str | None,
    caplog: pytest.LogCaptureFixture,
    change: Change,
) -> None:
    made = await change()
    forge.answers.append((status, f"INSIDE {TOKEN} <html>"))

    with caplog.at_level(logging.DEBUG), pytest.raises(StepRefused) as refused:
        await desk.deliver(deliver_command(GitProject(git_url=forge.url()), made, delivery=MERGE))

    assert refused.value.code == (code or "merge_request_refused")
    assert "INSIDE" not in refused.value.detail
    assert any("INSIDE ***" in message for message in caplog.messages)
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(("status", "text"), [(429, "{}"), (502, "x"), (200, "<html>"), (200, "x" * (5 << 20))])
async def test_what_may_pass_is_tried_again(
    desk: Desk, forge: Forge, remote: Path, status: int, text: str, change: Change
) -> None:
    command = deliver_command(GitProject(git_url=forge.url()), await change(), delivery=MERGE)
    forge.answers.append((status, text))

    with pytest.raises(RemoteUnavailable):
        await desk.deliver(command)
    assert (await desk.deliver(command)).merge_request


async def test_no_token_is_in_a_command_line_an_answer_or_a_log(
    desk: Desk, forge: Forge, remote: Path, caplog: pytest.LogCaptureFixture, change: Change
) -> None:
    """Of git neither, when the remote repeats what it was sent."""
    made = await change()
    hook(remote, f"echo rejected {TOKEN} >&2\nexit 1\n")

    with caplog.at_level(logging.DEBUG), pytest.raises(StepRefused) as refused:
        await desk.deliver(deliver_command(GitProject(git_url=forge.url()), made))

    assert refused.value.code == "push_refused"
    assert "rejected ***" in caplog.text
    assert TOKEN not in caplog.text + refused.value.detail + json.dumps(desk.progress)


async def test_no_list_of_processes_shows_a_token_while_it_is_used(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    hold = forge.holds["before push"] = Hold()
    pushing = asyncio.create_task(desk.deliver(deliver_command(GitProject(git_url=forge.url()), await change())))
    assert await asyncio.to_thread(hold.reached.wait, 60)
    shown = await asyncio.to_thread(_command_lines)
    hold.released.set()
    await pushing

    assert any(b"push" in line and forge.url().encode() in line for line in shown)
    for secret in (TOKEN, b64encode(f"oauth2:{TOKEN}".encode()).decode()):
        assert not any(secret.encode() in line for line in shown)


def _command_lines() -> list[bytes]:
    found: list[bytes] = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append((process / "cmdline").read_bytes())
    return found


async def test_a_change_of_a_tag_goes_into_the_default_branch(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    made = await change()
    run_git(remote, "tag", "v1", "main")
    run_git(remote, "branch", "release", "main")
    for task, (ref, target) in enumerate((("v1", "main"), ("release", "release"), (made.base_sha, "main"))):
        command = deliver_command(
            GitProject(git_url=forge.url(), ref=ref),
            made,
            delivery={"merge_request": True, "push": {"branch": f"b{task}"}},
        )
        await desk.deliver(command)
        assert forge.merge_requests[-1]["target_branch"] == target


async def test_an_empty_repository_takes_a_branch_but_no_merge_request(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    made = await change()
    run_git(remote, "update-ref", "-d", "refs/heads/main")
    source = GitProject(git_url=forge.url())

    with pytest.raises(StepRefused) as refused:
        await desk.deliver(deliver_command(source, made, delivery=MERGE))
    assert refused.value.code == "no_target"
    await desk.deliver(deliver_command(source, made, delivery={"push": {"branch": "main"}}))
    assert branches(remote) == ["main"]


async def test_a_new_project_without_a_remote_is_refused(desk: Desk, change: Change) -> None:
    with pytest.raises(StepRefused) as refused:
        await desk.deliver(deliver_command(NewProject(), await change()))

    assert refused.value.code == "no_remote"


@pytest.mark.parametrize(
    ("source", "delivery", "told"),
    [
        (GitProject(git_url="https://git.example.org/a/b"), MERGE, "GIT_CREDENTIALS has no token"),
        (NewProject(), {"push": {"url": "file:///srv/app.git"}}, "file:// may not be used here"),
        (NewProject(), {}, "has no git_url"),
    ],
)
async def test_a_delivery_that_cannot_be_is_said_before_anything_is_cloned_or_built(
    desk: Desk, source: GitProject | NewProject, delivery: dict[str, Any], told: str
) -> None:
    command = import_command(source, delivery=Delivery.model_validate(delivery))

    with pytest.raises(StepWaits, match=told) as waits:
        await desk.handle(command)

    assert "ALLOW_FILE_PUSHES" in waits.value.hint
    assert "GIT_CREDENTIALS" in waits.value.hint
    assert desk.progress == []


async def test_a_delivery_for_which_there_is_a_token_is_no_reason_to_wait(
    desk: Desk, forge: Forge, remote: Path
) -> None:
    imported = await desk.import_git(forge.url(), delivery=Delivery(merge_request=True))

    assert imported.base_sha == head(remote, "main")


async def test_an_unreachable_remote_is_tried_until_the_deadline(
    desk: Desk, forge: Forge, remote: Path, change: Change
) -> None:
    made = await change()
    forge.answers.extend([(503, ""), (503, "")])
    command = deliver_command(GitProject(git_url=forge.url()), made, delivery=MERGE)

    with pytest.raises(RemoteUnavailable):
        await desk.deliver(command)
    late = DeliverBranch.model_validate(command.model_dump() | {"deadline": "2025-09-01T11:00:00Z"})
    with pytest.raises(StepRefused, match="until the deadline") as refused:
        await desk.deliver(late)
    assert refused.value.code == "repository_unreachable"
