"""A task's events as they happen, once and in order, across reconnects."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx
from httpx_sse import aconnect_sse
from worksite.cli.client.connection import Connection
from worksite.cli.client.refusals import GatewayError, TooMany, pause, problem
from worksite.cli.client.repeating import repeated

_RECONNECT_SECONDS = 0.5
_GIVE_UP_AFTER_SECONDS = 60.0
_ENDED = frozenset({"completed", "failed", "cancelled"})
_UNAVAILABLE = frozenset({429, 502, 503, 504})


class _Over(Exception):
    """We have seen the task's last event."""


class _Unavailable(Exception):
    """The gateway is there but cannot serve before `seconds` have passed."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


@dataclass(frozen=True)
class Event:
    """One event of a task."""

    sequence: int
    producer: str
    step: str
    kind: str
    body: dict[str, Any]


async def position(connection: Connection, task: str) -> int:
    """The sequence of the task's newest event; 0: none. Raises GatewayError."""
    try:
        return await repeated(lambda: _newest(connection, task))
    except (httpx.TransportError, TooMany, _Unavailable) as error:
        raise GatewayError(f"lost the gateway: {_named(error)}") from error


async def follow(connection: Connection, task: str, after: int, known: int) -> AsyncGenerator[Event]:
    """Every event after `after`, until the task has ended or needs input.

    What the task needed before the event `known` has been answered since. Raises GatewayError.
    """
    last, lost_for = after, 0.0
    while True:
        try:
            async with contextlib.aclosing(_stream(connection, f"/v1/tasks/{task}/events", last)) as events:
                async for event in events:
                    last, lost_for = event.sequence, 0.0
                    yield event
                    if _is_final(event, known):
                        return
        except _Over:
            return
        except (httpx.TransportError, TooMany, _Unavailable) as error:
            wait = max(_RECONNECT_SECONDS, 0 if isinstance(error, httpx.TransportError) else error.seconds)
            lost_for += wait
            _check_patience(connection, task, lost_for, error)
        else:
            wait = _RECONNECT_SECONDS
        await asyncio.sleep(wait)


def _check_patience(connection: Connection, task: str, lost_for: float, error: Exception) -> None:
    if connection.access.has_stopped():
        again = f"start it again and 'worksite watch {task}' goes on"
        raise GatewayError(f"the stack has stopped; nothing is lost: {again}") from error
    if lost_for > _GIVE_UP_AFTER_SECONDS:
        raise GatewayError(f"lost the gateway: {_named(error)}") from error


async def _newest(connection: Connection, task: str) -> int:
    sequence = 0
    async with contextlib.aclosing(_stream(connection, f"/v1/tasks/{task}/events?follow=false", 0)) as events:
        async for event in events:
            sequence = event.sequence
    return sequence


async def _stream(connection: Connection, path: str, last: int) -> AsyncGenerator[Event]:
    headers = {"Last-Event-ID": str(last)} if last else {}
    async with aconnect_sse(connection.http, "GET", path, headers=headers, timeout=45) as source:
        if source.response.status_code == httpx.codes.NO_CONTENT:
            raise _Over
        if source.response.status_code != httpx.codes.OK:
            await source.response.aread()
            if source.response.status_code in _UNAVAILABLE:
                raise _Unavailable(problem(source.response), pause(source.response))
            raise GatewayError(problem(source.response))
        async for message in source.aiter_sse():
            if not message.data:  # `retry:` alone, sent when the gateway goes away
                continue
            data = json.loads(message.data)
            yield Event(data["sequence"], data["producer"], data["step"], data["kind"], data["body"])


def _named(error: Exception) -> str:
    return str(error) or type(error).__name__  # an answer that breaks off has no text


def _is_final(event: Event, known: int) -> bool:
    if event.kind != "state":
        return False
    asks = event.body["status"] == "needs_input" and event.sequence >= known
    return asks or event.body["status"] in _ENDED
