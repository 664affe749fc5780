"""Runs work on files of other people, each in a process that may neither take long nor take much."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from contextlib import suppress
from typing import BinaryIO

SECONDS = 30.0
"""How long one piece of work may take, waiting for a processor included."""
PROCESSOR_SECONDS = 20
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
"""All that the process gets to know of ours; a thread for each core would take the memory that it may have."""


class NotDone(Exception):
    """Why there is no result; the text is for whoever owns the file."""


class CutShort(NotDone):
    """Its time was over, or it was killed: by the file's fault, or because the machine was busy or short of memory."""


class Confined:
    """Runs a module that calls `confined.serve`, once at a time, so that memory is bounded whatever is sent."""

    def __init__(
        self,
        module: str,
        output_bytes: int,
        seconds: float = SECONDS,
        processor_seconds: int = PROCESSOR_SECONDS,
    ) -> None:
        self._module = module
        self._output_bytes = output_bytes
        self._seconds = seconds
        self._processor_seconds = processor_seconds
        self._turn = asyncio.Lock()

    async def run(self, data: bytes, argument: str) -> str:
        """The result. Raises NotDone with the reason, CutShort where another try may succeed."""
        async with self._turn:
            with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as result:
                await asyncio.to_thread(_fill, source, data)
                status = await self._status(argument, source, result)
                said = await asyncio.to_thread(_read, result, self._output_bytes)
        if status == 0:
            return said
        raise NotDone(said) if status == 1 and said else _what_happened(status)

    async def _status(self, argument: str, source: BinaryIO, result: BinaryIO) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", self._module, argument, str(self._processor_seconds)),
            stdin=source,
            stdout=result,
            stderr=asyncio.subprocess.DEVNULL,
            env=_ENVIRONMENT,
            start_new_session=True,
        )
        try:
            return await asyncio.wait_for(process.wait(), self._seconds)
        except TimeoutError as error:
            raise CutShort(f"it takes longer than {self._seconds:g} s") from error
        finally:
            with suppress(ProcessLookupError):  # nothing is left of it, as a rule
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _fill(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.seek(0)


def _read(file: BinaryIO, most: int) -> str:
    file.seek(0)
    return file.read(most).decode(errors="replace")


def _what_happened(status: int) -> NotDone:
    if -status in (signal.SIGXCPU, signal.SIGKILL):  # the latter also for processor time, or by a system out of memory
        return CutShort("it takes more processor time or memory than a file may take")
    return NotDone(f"its process ended with status {status}")
