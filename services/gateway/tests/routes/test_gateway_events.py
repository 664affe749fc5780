"""/v1/tasks/{id}/events: nothing missing, nothing twice, whatever is cut off in between."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import Message
from worksite.common import subjects
from worksite.common.bus import Bus, Envelope, KeyValue
from worksite.common.errors import BusUnavailable, WorksiteError
from worksite.common.health import http_server
from worksite.common.messages import StepProgress
from worksite.common.testing import NatsServer
from worksite.gateway import stream
from worksite.gateway.auth.revocations import storage_key
from worksite.gateway.domain import sse
from worksite.gateway.gateway import Gateway
from worksite.gateway.routes.events import EventStream

Event = dict[str, Any]


def parsed(text: str) -> list[Event]:
    """The data of each event in a stream; its `id` and `event` must say the same."""
    events: list[Event] = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in lines:
            events.append(json.loads(lines["data"]))
            assert (lines["id"], lines["event"]) == (str(events[-1]["sequence"]), events[-1]["kind"])
    return events


async def say(bus: Bus, task: str, text: str, tenant: str = "acme") -> int:
    """A progress line of the builder; retried as a worker would while NATS is away."""
    event = StepProgress(task=task, tenant=tenant, step="1-import", text=text)
    subject = subjects.event_subject(tenant, task, "builder", "1-import", "progress")
    envelope = Envelope(event.ce_type(), "builder", tenant, task)
    while True:
        try:
            return await bus.publish(subject, event, envelope)
        except WorksiteError:
            await asyncio.sleep(0.05)


async def always() -> bool:
    return True


@pytest_asyncio.fixture
async def live(app: FastAPI, client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The same client on a real connection: in-process transports do not stream."""
    async with (
        http_server(app, "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=client.headers, trust_env=False) as over_tcp,
    ):
        yield over_tcp


@pytest.mark.asyncio
async def test_a_finished_task_replays_all_its_events_and_ends(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any, bus: Bus
) -> None:
    task, other = await submit(), await submit()
    first = await say(bus, task, "cloning")
    await say(bus, other, "not mine")
    last = await admin.advance(task, "completed")

    answer = await client.get(f"/v1/tasks/{task}/events")

    assert answer.headers["content-type"].startswith("text/event-stream")
    events = parsed(answer.text)
    assert [event["sequence"] for event in events] == [first, last]
    assert (events[0]["producer"], events[0]["step"], events[0]["kind"]) == ("builder", "1-import", "progress")
    assert events[0]["body"]["text"] == "cloning"
    assert (events[1]["producer"], events[1]["step"], events[1]["kind"]) == ("admin", "task", "state")
    assert events[1]["body"]["status"] == "completed"


@pytest.mark.asyncio
async def test_without_following_the_stream_ends_after_what_is_there(
    client: httpx.AsyncClient, submit: Callable[..., Any], bus: Bus
) -> None:
    task = await submit()
    empty = await client.get(f"/v1/tasks/{task}/events", params={"follow": "false"})
    await say(bus, task, "cloning")

    one = await client.get(f"/v1/tasks/{task}/events", params={"follow": "false"})

    assert (empty.status_code, empty.text) == (200, "")
    assert len(parsed(one.text)) == 1


@pytest.mark.asyncio
async def test_a_client_that_has_seen_the_end_is_told_not_to_come_back(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any
) -> None:
    task = await submit()
    last = await admin.advance(task, "completed")

    answer = await client.get(f"/v1/tasks/{task}/events", headers={"Last-Event-ID": str(last)})

    assert (answer.status_code, answer.text) == (204, "")


@pytest.mark.asyncio
async def test_the_header_wins_over_the_parameter_because_reconnects_repeat_the_parameter(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any, bus: Bus
) -> None:
    task = await submit()
    first = await say(bus, task, "one")
    second = await say(bus, task, "two")
    url = f"/v1/tasks/{task}/events?follow=false"

    by_parameter = await client.get(f"{url}&after={first}")
    by_header = await client.get(f"{url}&after=0", headers={"Last-Event-ID": str(first)})

    for answer in (by_parameter, by_header):
        assert [event["sequence"] for event in parsed(answer.text)] == [second]


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "1e3", "9" * 30, "٣", "1 OR 1"])
async def test_a_position_that_is_not_a_number_is_refused(
    client: httpx.AsyncClient, submit: Callable[..., Any], text: str
) -> None:
    url = f"/v1/tasks/{await submit()}/events"

    by_header = await client.get(url, headers={"Last-Event-ID": text.encode()})
    by_parameter = await client.get(url, params={"after": text})

    for answer in (by_header, by_parameter):
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:worksite:problem:malformed-event-id")


@pytest.mark.asyncio
async def test_forced_disconnects_leave_no_gap_and_no_duplicate(
    live: httpx.AsyncClient, submit: Callable[..., Any], admin: Any, bus: Bus
) -> None:
    task = await submit()
    choose = random.Random(7)
    published: list[int] = []
    seen: list[int] = []

    async def work() -> None:
        for number in range(300):
            published.append(await say(bus, task, f"line {number}"))
            if choose.random() < 0.1:
                await asyncio.sleep(0.01)
        published.append(await admin.advance(task, "completed"))

    async def watch_until_cut(lines: int) -> None:
        headers = {"Last-Event-ID": str(seen[-1])} if seen else {}
        async with live.stream("GET", f"/v1/tasks/{task}/events", headers=headers) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    seen.append(json.loads(line[5:])["sequence"])
                    lines -= 1
                if lines == 0:
                    return  # leaves the connection in the middle of the stream

    working = asyncio.create_task(work())
    cuts = 0
    while not (working.done() and seen[-1:] == published[-1:]):
        await watch_until_cut(choose.randrange(1, 12))
        cuts += 1
    await working

    assert cuts > 20
    assert seen == published


@pytest.mark.asyncio
async def test_a_restart_of_nats_leaves_no_gap_and_no_duplicate(
    submit: Callable[..., Any],
    admin: Any,
    bus: Bus,
    gateway: Gateway,
    nats_server: NatsServer,
    wait_until: Callable[..., Any],
) -> None:
    task = await submit()
    received: list[bytes] = []

    async def watch() -> None:
        async for frame in stream.follow(gateway.bus, stream.Place("acme", task, 0), gateway.stop, always):
            received.append(frame)

    watching = asyncio.create_task(watch())
    published = [await say(bus, task, "before")]
    await wait_until(lambda: bool(received))
    nats_server.kill()
    await wait_until(lambda: not bus.connected)
    nats_server.start()
    await wait_until(lambda: bus.connected)
    published += [await say(bus, task, f"after {number}") for number in range(5)]
    published.append(await admin.advance(task, "completed"))
    await asyncio.wait_for(watching, 20)

    assert [event["sequence"] for event in parsed(b"".join(received).decode())] == published


@pytest.mark.asyncio
async def test_a_stream_that_begins_during_an_outage_delivers_once_it_is_over(
    submit: Callable[..., Any],
    admin: Any,
    bus: Bus,
    gateway: Gateway,
    nats_server: NatsServer,
    wait_until: Callable[..., Any],
) -> None:
    task = await submit()
    last = await admin.advance(task, "completed")
    nats_server.kill()
    await wait_until(lambda: not bus.connected)
    frames = stream.follow(gateway.bus, stream.Place("acme", task, 0), gateway.stop, always)
    waiting = asyncio.ensure_future(anext(frames))
    await asyncio.wait({waiting}, timeout=0.1)  # lets it find the bus gone

    nats_server.start()

    [event] = parsed((await asyncio.wait_for(waiting, 20)).decode())
    assert event["sequence"] == last
    await frames.aclose()


@pytest.mark.asyncio
async def test_an_event_wakes_the_stream_up_without_waiting_for_the_next_poll(
    submit: Callable[..., Any], bus: Bus, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "POLL_SECONDS", 3600.0)
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 3600.0)
    task = await submit()
    frames = stream.follow(gateway.bus, stream.Place("acme", task, 0), gateway.stop, always)
    waiting = asyncio.ensure_future(anext(frames))
    await asyncio.wait({waiting}, timeout=0.1)  # lets it find nothing and begin to wait

    await say(bus, task, "one")

    assert b"one" in await asyncio.wait_for(waiting, 30)
    await frames.aclose()


@pytest.mark.asyncio
async def test_a_quiet_stream_sends_heartbeats(submit: Callable[..., Any], gateway: Gateway) -> None:
    place = stream.Place("acme", await submit(), 0)
    times = iter(range(0, 10_000, 16))  # every look at the clock finds sixteen seconds gone

    frames = stream.follow(gateway.bus, place, gateway.stop, always, clock=lambda: next(times))

    assert await anext(frames) == sse.HEARTBEAT
    assert await anext(frames) == sse.HEARTBEAT
    await frames.aclose()


@pytest.mark.asyncio
async def test_a_stream_ends_when_its_token_is_no_longer_good(submit: Callable[..., Any], gateway: Gateway) -> None:
    place = stream.Place("acme", await submit(), 0)
    times = iter(range(0, 10_000, 16))
    answers = iter([True, False])

    async def admitted() -> bool:
        return next(answers)

    received = [f async for f in stream.follow(gateway.bus, place, gateway.stop, admitted, clock=lambda: next(times))]

    assert received == [sse.HEARTBEAT, sse.SIGNED_OUT]


@pytest.mark.asyncio
async def test_a_busy_stream_ends_too_when_its_token_is_no_longer_good(
    submit: Callable[..., Any], gateway: Gateway, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_BATCH", 1)
    task = await submit()
    for number in range(10):
        await say(bus, task, f"line {number}")
    times = iter(range(0, 10_000, 4))

    async def never() -> bool:
        return False

    place = stream.Place("acme", task, 0)
    received = [f async for f in stream.follow(gateway.bus, place, gateway.stop, never, clock=lambda: next(times))]

    assert received[-1] == sse.SIGNED_OUT
    assert 0 < len(received) < 10


@pytest.mark.asyncio
async def test_an_outage_of_the_deny_list_does_not_sign_anybody_out(
    submit: Callable[..., Any], gateway: Gateway
) -> None:
    place = stream.Place("acme", await submit(), 0)
    times = iter(range(0, 10_000, 16))

    async def unknown() -> bool:
        raise BusUnavailable("away")

    frames = stream.follow(gateway.bus, place, gateway.stop, unknown, clock=lambda: next(times))

    assert [await anext(frames) for _ in range(3)] == [sse.HEARTBEAT] * 3
    await frames.aclose()


@pytest.mark.asyncio
async def test_a_followers_token_is_asked_about(
    live: httpx.AsyncClient, submit: Callable[..., Any], bus: Bus, mint: Callable[..., str], monkeypatch: Any
) -> None:
    """Revoked while it is still remembered as good: the stream asks the deny-list itself."""
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.05)
    url = f"/v1/tasks/{await submit()}/events"
    text = ""

    async with live.stream("GET", url, headers={"Authorization": f"Bearer {mint(jti='stolen')}"}) as answer:
        await KeyValue(bus, subjects.REVOKED).create(storage_key("stolen"), b"")
        async for chunk in answer.aiter_text():
            text += chunk

    assert text.endswith(sse.SIGNED_OUT.decode())


@pytest.mark.asyncio
async def test_stopping_the_gateway_sends_clients_away_to_come_back(
    live: httpx.AsyncClient, submit: Callable[..., Any], gateway: Gateway, bus: Bus
) -> None:
    task = await submit()
    await say(bus, task, "one")
    text = ""

    async with live.stream("GET", f"/v1/tasks/{task}/events") as answer:
        async for chunk in answer.aiter_text():
            text += chunk
            gateway.stop.set()

    assert len(parsed(text)) == 1
    assert text.endswith("retry: 1000\n\n")


@pytest.mark.asyncio
async def test_a_client_that_goes_away_leaves_no_subscription_behind() -> None:
    closed = False

    async def frames() -> AsyncGenerator[bytes]:
        nonlocal closed
        try:
            while True:
                yield b"frame"
        finally:
            closed = True

    async def nobody_there(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError("connection lost")

    answer = EventStream(frames())
    with pytest.raises(ClientDisconnect):
        await answer({"type": "http", "asgi": {"spec_version": "2.4"}}, never_receive, nobody_there)

    assert closed


async def never_receive() -> Message:
    raise AssertionError("a server of this version says by raising that the client is gone")
