"""A compromised builder, with the permissions it really has, makes the server write into EVENTS for it (ADR 0009)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from nats.js.errors import NotFoundError
from pydantic import SecretStr
from worksite.admin.handlers import Orchestrator
from worksite.cli.stack import nats_config
from worksite.common import subjects
from worksite.common.bus import Bus, BusSettings, Envelope, provision
from worksite.common.messages import AgentReply, Message, StepResult, TaskState
from worksite.common.testing.nats import NatsServer, start_nats

pytestmark = pytest.mark.asyncio
PASSWORD = "of everybody"
_OWN_CHUNK = "$O.artifacts.C.planted"


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """nats-server with the users and permissions that `worksite up` generates."""
    users = nats_config.authorization(dict.fromkeys((*subjects.SERVICES, "provision"), PASSWORD), "provision")
    with start_nats(tmp_path, users) as server:
        yield server


async def connected(server: NatsServer, user: str) -> Bus:
    return await Bus.connect(BusSettings(server.url, user, user, SecretStr(PASSWORD)))


@pytest_asyncio.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """Of the scene's clients and agents, who are not what is tested here."""
    connection = await connected(nats_server, "provision")
    await provision(connection, 1 << 30)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def users(nats_server: NatsServer) -> AsyncIterator[dict[str, Bus]]:
    connections = {user: await connected(nats_server, user) for user in ("admin", "builder", "gateway")}
    yield connections
    for connection in connections.values():
        await connection.close()


async def planted(builder: Bus, subject: str, message: Any, source: str) -> None:
    """What the builder may do: store bytes in the artifacts, and ask for them with any subject as the reply."""
    headers = Envelope(message.ce_type(), source, message.tenant, message.task).headers()
    await builder.publish_raw(_OWN_CHUNK, message.to_json(), headers)
    await builder.client.publish(f"$JS.API.DIRECT.GET.OBJ_artifacts.{_OWN_CHUNK}", b"", reply=subject)


async def stored(bus: Bus, subject: str, message: Message) -> None:
    """Returns when the stream really has that last."""
    async with asyncio.timeout(20):
        while not await _has_last(bus, subject, message.to_json()):
            await asyncio.sleep(0.005)


async def _has_last(bus: Bus, subject: str, data: bytes) -> bool:
    try:
        return (await bus.jetstream.get_last_msg("EVENTS", subject)).data == data
    except NotFoundError:
        return False


def validated(samples: Any, state: TaskState) -> StepResult:
    """A PASS, as the validator would say it."""
    imported = samples.result(state.commands[0])
    reply = AgentReply(action="validate", agent="validator", status="ok", data=samples.judgement())
    return imported.model_copy(update={"step": "4-validate", "round": 1, "reply": reply})


async def test_a_planted_state_and_a_planted_result_change_nothing_and_nobody_reads_them(
    scene: Any, users: dict[str, Bus]
) -> None:
    scene.start_admin(Orchestrator(users["admin"]).handle, users["admin"])
    task = await scene.submit(scene.samples.submission())
    running = await scene.until(task, lambda state: state.step == "1-import")

    state_subject = subjects.state_subject(task.tenant, task.task)
    [recorded] = await scene.states(task)
    over = recorded.model_copy(update={"status": "failed", "step": None, "commands": ()})
    await planted(users["builder"], state_subject, over, "admin")
    result_subject = subjects.event_subject(task.tenant, task.task, "validator", "4-validate", "result")
    passed = validated(scene.samples, recorded)
    await planted(users["builder"], result_subject, passed, "validator")
    await stored(scene.bus, state_subject, over)
    await stored(scene.bus, result_subject, passed)
    assert TaskState.consume((await users["gateway"].last("EVENTS", state_subject)).data) == recorded
    assert running.status == "running"

    scene.start_agents()
    ended = await scene.ended(task)

    assert (ended.status, ended.round) == ("completed", 1)
    assert set(scene.executed.values()) == {1}
    read = await users["gateway"].read("EVENTS", subjects.task_events_filter(task.tenant, task.task), 0)
    assert not {over.to_json(), passed.to_json()} & {record.data for record in read}
    assert len([record for record in read if record.subject == result_subject]) == 1
    assert len(await scene.states(task)) == 5
