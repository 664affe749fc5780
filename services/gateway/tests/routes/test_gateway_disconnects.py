"""A thousand forced disconnects over the lives of some tasks: 0 gaps, 0 duplicates."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from worksite.common import subjects
from worksite.common.bus import Bus, Envelope
from worksite.common.health import http_server
from worksite.common.messages import StepProgress
from worksite.gateway import stream
from worksite.gateway.gateway import Gateway

IDS = re.compile(rb"id: (\d+)\nevent: \w+\ndata: .+\n\n")
"""Of events that came whole: what was cut off in the middle does not count as seen."""


async def at_work(bus: Bus, admin: Any, task: str, lines: int, choose: random.Random) -> list[int]:
    """The sequences of everything that happens in a task, its end included."""
    published: list[int] = []
    for number in range(lines):
        event = StepProgress(task=task, tenant="acme", step="1-import", text=f"line {number}")
        subject = subjects.event_subject("acme", task, "builder", "1-import", "progress")
        published.append(await bus.publish(subject, event, Envelope(event.ce_type(), "builder", "acme", task)))
        if choose.random() < 0.05:
            await asyncio.sleep(0.005)
    return [*published, await admin.advance(task, "completed")]


async def always() -> bool:
    return True


@pytest.mark.asyncio
async def test_a_thousand_resumed_streams_show_every_event_once_and_in_order(
    submit: Callable[..., Any], admin: Any, bus: Bus, gateway: Gateway
) -> None:
    cuts = 0

    async def watched(task: str, choose: random.Random) -> list[int]:
        nonlocal cuts
        seen: list[int] = []
        while not await stream.is_over(bus, place := stream.Place("acme", task, seen[-1] if seen else 0)):
            frames = stream.follow(gateway.bus, place, gateway.stop, always)
            for _ in range(choose.choice((1, 1, 2))):
                if (frame := await anext(frames, None)) is None:
                    break
                seen += [int(number) for number in IDS.findall(frame)]
            await frames.aclose()
            cuts += 1
        return seen

    tasks = [await submit(f"task {number}") for number in range(4)]
    working = [at_work(bus, admin, task, 350, random.Random(n)) for n, task in enumerate(tasks)]
    watching = [watched(task, random.Random(-n - 1)) for n, task in enumerate(tasks)]
    results = await asyncio.gather(*working, *watching)

    assert cuts >= 1000
    assert results[4:] == results[:4]


@pytest.mark.asyncio
async def test_connections_that_are_reset_in_the_middle_of_an_event_show_every_event_once(
    app: FastAPI, client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any, bus: Bus
) -> None:
    """By hand on a socket, because it is cut off wherever the bytes end."""
    task, choose = await submit(), random.Random(11)
    seen: list[int] = []
    cuts = 0

    async def watch_until_cut(port: int) -> bool:
        """False when the client is told that it has seen the last event."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        last = f"Last-Event-ID: {seen[-1]}\r\n" if seen else ""
        request = (
            f"GET /v1/tasks/{task}/events HTTP/1.0\r\nAuthorization: {client.headers['Authorization']}\r\n{last}\r\n"
        )
        writer.write(request.encode())
        received, wanted = b"", choose.randrange(1, 3000)
        while len(received) < wanted and (more := await reader.read(wanted - len(received))):
            received += more
        writer.transport.abort()
        seen.extend(int(number) for number in IDS.findall(received))
        return b" 204 " not in received.split(b"\r\n")[0]

    async with http_server(app, "127.0.0.1", 0) as port:
        working = asyncio.create_task(at_work(bus, admin, task, 400, random.Random(3)))
        while await watch_until_cut(port):
            cuts += 1
        published = await working

    assert cuts >= 100
    assert seen == published
