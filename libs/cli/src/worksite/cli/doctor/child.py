"""A question put to a service's own code, in a process of its own: the command imports no service."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass

_ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """`complaint` is the last line of standard error of a process that failed, None of one that did not."""

    output: str
    complaint: str | None


async def ask(*arguments: str, env: Mapping[str, str]) -> Answer:
    """Run our interpreter with these arguments to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), _ANSWER_SECONDS)
    except TimeoutError:
        process.kill()
        await process.communicate()
        return Answer("", f"no answer within {_ANSWER_SECONDS} s")
    said = errors.decode(errors="replace").strip().splitlines() or [f"ended with status {process.returncode}"]
    return Answer(output.decode(errors="replace"), said[-1] if process.returncode else None)
