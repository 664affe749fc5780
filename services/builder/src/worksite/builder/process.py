"""One child process: never a shell, a bounded time, a bounded output, nothing of its group left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAX_OUTPUT_BYTES = 64 * 1024 * 1024
_MAX_ERRORS_BYTES = 64 * 1024
_CHUNK_BYTES = 64 * 1024
_END_SECONDS = 5.0


class OutputTooLarge(Exception):
    """The process wrote more than it may."""


@dataclass(frozen=True)
class Finished:
    """What a process left; `errors` is the last part of its standard error."""

    returncode: int
    output: bytes
    errors: str


async def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    timeout_seconds: float,
    stdin: bytes | BinaryIO = b"",
    output_file: Path | None = None,
) -> Finished:
    """Run to the end. With `output_file`, standard output goes there, uncapped, and `output` is empty.

    An open file as `stdin` is read by the process itself, from where it stands.

    Raises TimeoutError, OutputTooLarge.
    """
    with contextlib.ExitStack() as stack:
        stdout = stack.enter_context(output_file.open("wb")) if output_file else PIPE
        process = await asyncio.create_subprocess_exec(
            *command,
            env=env,
            cwd=cwd,
            stdin=(PIPE if stdin else DEVNULL) if isinstance(stdin, bytes) else stdin,
            stdout=stdout,
            stderr=PIPE,
            start_new_session=True,  # a group of its own, so that helpers of git die with it
        )
    try:
        async with asyncio.timeout(timeout_seconds):
            output, errors, _ = await asyncio.gather(_output(process), _errors(process), _feed(process, stdin))
            returncode = await process.wait()
    except BaseException as error:  # cancelled or too slow: in each case it must not run on
        await asyncio.shield(_end(process))
        if isinstance(error, TimeoutError):
            raise TimeoutError(f"{Path(command[0]).name} took longer than {timeout_seconds:g} s") from None
        raise
    finally:  # after a normal end too: a helper that closed its pipes would outlive it
        _kill(process)
    if len(output) > MAX_OUTPUT_BYTES:
        raise OutputTooLarge(f"more than {MAX_OUTPUT_BYTES} bytes of output")
    return Finished(returncode, output, errors.decode(errors="replace"))


async def _feed(process: Process, stdin: bytes | BinaryIO) -> None:
    if process.stdin and isinstance(stdin, bytes):
        with contextlib.suppress(ConnectionError):  # a process may stop reading; its exit status tells why
            process.stdin.write(stdin)
            await process.stdin.drain()
        process.stdin.close()


async def _output(process: Process) -> bytes:
    """Everything, or more than it may be: then the process is killed and the rest is thrown away."""
    found = bytearray()
    while process.stdout and (chunk := await process.stdout.read(_CHUNK_BYTES)):
        if len(found) <= MAX_OUTPUT_BYTES:
            found += chunk
            if len(found) > MAX_OUTPUT_BYTES:
                _kill(process)
    return bytes(found)


async def _errors(process: Process) -> bytes:
    """The end, where the reason stands; all of it is read, so that the process never blocks on a full pipe."""
    assert process.stderr
    found = b""
    while chunk := await process.stderr.read(_CHUNK_BYTES):
        found = (found + chunk)[-_MAX_ERRORS_BYTES:]
    return found


async def _end(process: Process) -> None:
    """Kill, and read what is left in the pipes: asyncio takes a process for running until they are empty."""
    _kill(process)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.communicate(), _END_SECONDS)


def _kill(process: Process) -> None:
    """The process and everything it started in its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
