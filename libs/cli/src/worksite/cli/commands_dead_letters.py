"""`worksite dlq`: what no service could handle, and what to do about it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Callable
from textwrap import shorten
from typing import Any

from worksite.cli.client.refusals import GatewayError
from worksite.cli.session import Session

ROLE = "operator"
_REASON_WIDTH = 120


async def show_all(service: str | None, session: Session) -> None:
    """Print the open letters, oldest first."""
    shown = 0
    async with session.gateway(ROLE) as gateway, contextlib.aclosing(gateway.dead_letters(service)) as letters:
        async for letter in letters:
            shown += 1
            session.screen.tell(_line(letter))
    if not shown:
        session.screen.say("no dead letters")


async def show(sequence: int, session: Session) -> None:
    """Print one letter with its message."""
    async with session.gateway(ROLE) as gateway:
        letter = await gateway.dead_letter(sequence)
    body, encoding = str(letter.pop("body")), letter.pop("body_encoding")
    letter.pop("links", None)
    for name, value in letter.items():
        session.screen.tell(f"{name:<14} {json.dumps(value) if isinstance(value, dict) else _printable(value)}")
    session.screen.tell(f"body ({encoding}):\n{body}")


async def redrive(sequences: tuple[int, ...], session: Session) -> bool:
    """Have messages handled again; True when all were taken."""
    async with session.gateway(ROLE) as gateway:
        done = await _each(sequences, gateway.redrive, "redriven", session)
    session.screen.say("what dies again is a new letter in a moment: worksite dlq ls")
    return done


async def purge(sequences: tuple[int, ...], session: Session) -> bool:
    """Give letters up; True when all were there."""
    async with session.gateway(ROLE) as gateway:
        return await _each(sequences, gateway.purge, "purged", session)


async def _each(sequences: tuple[int, ...], act: Callable[[int], Awaitable[None]], done: str, session: Session) -> bool:
    """One that is refused does not keep the others back."""
    refused = 0
    for sequence in sequences:
        try:
            await act(sequence)
            session.screen.tell(f"{done} {sequence}")
        except GatewayError as error:
            refused += 1
            session.screen.say(f"{sequence}: {error}")
    return not refused


def _line(letter: dict[str, Any]) -> str:
    reason = shorten(_printable(letter["reason"]), _REASON_WIDTH, placeholder=" …")
    again = f" (redriven {letter['redrive_count']}x)" if letter["redrive_count"] else ""
    kind = _printable(letter["type"] or "unreadable").removeprefix("worksite.v1.")
    return f"{letter['sequence']:>6}  {letter['died_at'][:19]}  {letter['service']:<9}  {kind}{again}  {reason}"


def _printable(value: object) -> str:
    """What a poisoned message says must not drive the terminal."""
    return "-" if value is None else "".join(char if char.isprintable() else " " for char in str(value))
