"""Tasks by what a person calls them, and as a list."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime
from textwrap import shorten
from typing import Any

from worksite.cli.client import verdict
from worksite.cli.client.gateway import Gateway
from worksite.cli.client.refusals import GatewayError

LAST = "last"
_TASK_ID = re.compile(r"[0-9a-f]{32}")
_PREFIX = re.compile(r"[0-9a-f]{8,31}")
_REQUEST_WIDTH = 60


async def resolve(gateway: Gateway, name: str) -> str:
    """The id of a task named by its id, the beginning of it, or `last`. Raises GatewayError."""
    if _TASK_ID.fullmatch(name):
        return name
    if name == LAST:
        return await _newest(gateway)
    if not _PREFIX.fullmatch(name):
        raise GatewayError(f"{name!r} names no task: give its id, at least 8 of its first digits, or '{LAST}'")
    found = await _beginning_with(gateway, name)
    if not found:
        raise GatewayError(f"there is no task {name}…: 'worksite tasks' lists them")
    if len(found) > 1:
        raise GatewayError(f"{name}… could be {', '.join(found)}: give {telling(found)} digits")
    return found[0]


def telling(ids: list[str]) -> int:
    """How many first digits tell these ids, all different, from one another."""
    return next(count for count in range(len(ids[0]) + 1) if len({each[:count] for each in ids}) == len(ids))


def row(view: dict[str, Any]) -> str:
    """A task in one line."""
    ended = view["status"] in {"completed", "failed", "cancelled", "needs_input"}
    word = verdict.outcome(view)[0] if ended else view["status"]
    created = datetime.fromisoformat(view["created_at"]).astimezone().strftime("%Y-%m-%d %H:%M")
    request = shorten(" ".join(view["request"].split()), _REQUEST_WIDTH, placeholder=" …")
    return f"{view['id']}  {created}  {view['route'] or '-':<8}  {word:<11}  {request}"


async def _newest(gateway: Gateway) -> str:
    async with contextlib.aclosing(gateway.tasks(1)) as tasks:
        async for task in tasks:
            return str(task["id"])
    raise GatewayError("there is no task yet")


async def _beginning_with(gateway: Gateway, prefix: str) -> list[str]:
    """The list is sorted by id, newest first, so what comes after the prefix need not be read."""
    found: list[str] = []
    async with contextlib.aclosing(gateway.tasks()) as tasks:
        async for task in tasks:
            if str(task["id"]) < prefix:
                break
            if str(task["id"]).startswith(prefix):
                found.append(str(task["id"]))
    return found
