"""The process itself: on a real bus, killed in the middle of its work."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from worksite.builder.testing import TASK, TENANT, Desk, Origin, a_zip, deliver_command, import_command, run_git
from worksite.builder.testing_forge import TOKEN, Forge, Hold, Stage, running_forge
from worksite.common import subjects
from worksite.common.bus import Bus, Envelope
from worksite.common.messages import (
    BuildChange,
    Changeset,
    DeliverBranch,
    Delivered,
    GitProject,
    ImportProject,
    Problem,
    StepProgress,
    StepResult,
)
from worksite.common.testing import NatsServer

pytestmark = [pytest.mark.proof, pytest.mark.asyncio]
ACK_WAIT_SECONDS = 6.0
"""Shorter than in service, to keep the test short; longer than the heartbeat, so that living work is left alone."""


@asynccontextmanager
async def _running(nats: NatsServer, desk: Desk) -> AsyncGenerator[Process, None]:
    settings = {"NATS_URL": nats.url, "STATE_DIR": str(desk.state_dir), "BLUEPRINTS_DIR": str(desk.blueprints_dir)}
    settings |= {name.upper(): str(value) for name, value in desk.options.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worksite.builder.main", env=os.environ | settings
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def _soon() -> datetime:
    """The process goes by the real clock."""
    return datetime.now(UTC) + timedelta(hours=1)


async def _send(bus: Bus, command: BuildChange | ImportProject | DeliverBranch) -> None:
    envelope = Envelope(command.ce_type(), "admin", TENANT, TASK)
    await bus.publish(subjects.work_subject("builder", TENANT), command, envelope)


async def _events(bus: Bus, step: str, kind: subjects.EventKind, until: str = "") -> list[bytes]:
    """The step's events of one kind, as soon as one contains `until`."""
    subject = subjects.event_subject(TENANT, TASK, "builder", step, kind)
    async with asyncio.timeout(60), bus.listen(subject) as changed:
        while True:
            changed.clear()
            found = [stored.data for stored in await bus.read("EVENTS", subject, 0)]
            if any(until.encode() in data for data in found):
                return found
            with contextlib.suppress(TimeoutError):  # the hint may come before the message is stored: look again
                await asyncio.wait_for(changed.wait(), 0.1)


async def _hurry(bus: Bus) -> None:
    info = await bus.jetstream.consumer_info("WORK", "builder")
    config = info.config
    config.ack_wait = ACK_WAIT_SECONDS
    await bus.jetstream.add_consumer("WORK", config)


async def test_a_builder_killed_while_it_renders_leaves_one_result_the_same_as_undisturbed(
    desk: Desk, bus: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    await _hurry(bus)
    command = await desk.build_command(await desk.import_new(), deadline=_soon())
    undisturbed = await Desk(desk.artifacts, tmp_path / "other", desk.blueprints_dir).build(command)

    async with _running(nats_server, desk) as builder:
        await _send(bus, command)
        await _events(bus, command.step, "progress", until="building")
        builder.kill()
    (leftover,) = desk.leftovers()
    (leftover.parent / f"{'1' * 32}-3-build-x").mkdir()  # of a step that never comes back

    async with _running(nats_server, desk):
        results = await _events(bus, command.step, "result")

    (result,) = map(StepResult.consume, results)
    assert isinstance(result.reply.data, Changeset)
    assert result.reply.data == undisturbed
    assert desk.leftovers() == []


async def test_a_builder_killed_while_it_unpacks_an_upload_leaves_one_result_the_same_as_undisturbed(
    desk: Desk, bus: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    await _hurry(bus)
    source = await desk.upload(a_zip({f"file{n}.txt": str(n) for n in range(2000)}), "zip")
    command = import_command(source, deadline=_soon())
    undisturbed = await Desk(desk.artifacts, tmp_path / "other", desk.blueprints_dir).handle(command)

    async with _running(nats_server, desk) as builder:
        await _send(bus, command)
        async with asyncio.timeout(60):
            while not desk.leftovers():
                await asyncio.sleep(0.005)
        builder.kill()
    assert len(desk.leftovers()) == 1

    async with _running(nats_server, desk):
        results = await _events(bus, command.step, "result")

    (result,) = map(StepResult.consume, results)
    assert result.reply.data == undisturbed
    assert desk.leftovers() == []


@pytest.mark.parametrize("stage", ["before push", "after push", "before open", "after open"])
async def test_a_builder_killed_while_it_delivers_leaves_one_branch_one_merge_request_and_one_result(
    desk: Desk, bus: Bus, nats_server: NatsServer, origin: Origin, tmp_path: Path, stage: Stage
) -> None:
    await _hurry(bus)
    with running_forge(tmp_path / "forge") as forge:
        remote, command = await _deliverable(desk, origin, forge)
        hold = forge.holds[stage] = Hold()
        async with _running(nats_server, desk) as builder:
            await _send(bus, command)
            assert await asyncio.to_thread(hold.reached.wait, 60)
            builder.kill()
            await builder.wait()
        hold.released.set()  # what it had asked for is still done, as it would be

        async with _running(nats_server, desk):
            results = await _events(bus, command.step, "result")

        (result,) = map(StepResult.consume, results)
        (opened,) = forge.merge_requests
        assert result.reply.data == Delivered(
            remote=forge.url(), branch=command.changeset.branch, head_sha=command.changeset.head_sha,
            merge_request=opened["web_url"], merge_request_state="opened",
        )  # fmt: skip
        assert run_git(
            remote, "for-each-ref", "--format=%(objectname) %(refname:short)", "refs/heads"
        ).splitlines() == [
            f"{command.changeset.base_sha} main",
            f"{command.changeset.head_sha} {command.changeset.branch}",
        ]
    assert desk.leftovers() == []
    said = [StepProgress.consume(data).text for data in await _events(bus, command.step, "progress")]
    assert not any(TOKEN in text for text in said)


async def _deliverable(desk: Desk, origin: Origin, forge: Forge) -> tuple[Path, DeliverBranch]:
    """A commit on a task's branch, and the project on the forge where its base is main."""
    base = origin.commit(README__md="mine")
    remote = forge.project()
    origin.git("push", "--quiet", str(remote), "HEAD:refs/heads/main")
    branch = f"worksite/{TASK}"
    origin.git("switch", "--quiet", "-c", branch)
    head = origin.commit(greeting__py="print('hello')\n")
    bundle = await desk.artifacts.put(origin.bundle("HEAD", branch), "application/x-git-bundle")
    desk.options |= {"git_credentials": forge.credentials(), "allow_private_hosts": True}
    made = Changeset(
        base_sha=base, head_sha=head, branch=branch, bundle=bundle, archive=bundle, summary="Greets", engine="test",
        files_changed=1,
    )  # fmt: skip
    source = GitProject(git_url=forge.url())
    return remote, deliver_command(source, made, delivery={"merge_request": True}, deadline=_soon())


async def test_a_refusal_is_told_as_a_result_with_code_and_words(desk: Desk, bus: Bus, nats_server: NatsServer) -> None:
    """File URLs are not allowed unless the setting says so."""
    command = import_command(GitProject(git_url="file:///srv/project.git"), deadline=_soon())

    async with _running(nats_server, desk):
        await _send(bus, command)
        (data,) = await _events(bus, command.step, "result")

    reply = StepResult.consume(data).reply
    assert (reply.action, reply.agent, reply.status) == ("import", "builder", "refused")
    assert isinstance(reply.data, Problem)
    assert reply.data.code == "url_refused"
    assert StepProgress.consume((await _events(bus, command.step, "progress"))[0]).text == "cloning the repository"


async def test_a_builder_that_cannot_read_a_setting_says_which(nats_server: NatsServer) -> None:
    settings = {"NATS_URL": nats_server.url, "MAX_REPOSITORY_BYTES": "lots"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worksite.builder.main", env=os.environ | settings, stderr=asyncio.subprocess.PIPE
    )

    _, errors = await process.communicate()

    assert process.returncode != 0
    assert b"MAX_REPOSITORY_BYTES" in errors
