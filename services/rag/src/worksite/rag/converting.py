"""Runs conversions, each in a process that may neither take long nor take much."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from contextlib import suppress
from typing import BinaryIO

from worksite.rag.conversion import TEXT_BYTES
from worksite.rag.domain.documents import Unindexable

SECONDS = 30.0
"""How long one conversion may take, waiting for a processor included."""
PROCESSOR_SECONDS = 20
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
"""All that the process gets to know of ours; a thread for each core would take the memory that it may have."""


class Converter:
    """One conversion at a time, so that memory is bounded whatever is sent."""

    def __init__(self, seconds: float = SECONDS, processor_seconds: int = PROCESSOR_SECONDS) -> None:
        self._seconds = seconds
        self._processor_seconds = processor_seconds
        self._turn = asyncio.Lock()

    async def markdown(self, data: bytes, suffix: str) -> str:
        """The Markdown of a file, which is HTML, PDF or DOCX by its suffix. Raises Unindexable with the reason."""
        async with self._turn:
            with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as result:
                await asyncio.to_thread(_fill, source, data)
                status = await self._run(suffix, source, result)
                said = await asyncio.to_thread(_read, result)
        if status == 0:
            return said
        raise Unindexable(f"it cannot be converted: {said if status == 1 and said else _what_happened(status)}")

    async def _run(self, suffix: str, source: BinaryIO, result: BinaryIO) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", "worksite.rag.conversion", suffix, str(self._processor_seconds)),
            stdin=source,
            stdout=result,
            stderr=asyncio.subprocess.DEVNULL,
            env=_ENVIRONMENT,
            start_new_session=True,
        )
        try:
            return await asyncio.wait_for(process.wait(), self._seconds)
        except TimeoutError as error:
            raise Unindexable(f"it cannot be converted within {self._seconds:g} s") from error
        finally:
            with suppress(ProcessLookupError):  # nothing is left of it, as a rule
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _fill(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.seek(0)


def _read(file: BinaryIO) -> str:
    file.seek(0)
    return file.read(2 * TEXT_BYTES).decode(errors="replace")


def _what_happened(status: int) -> str:
    if -status in (signal.SIGXCPU, signal.SIGKILL):
        return "it takes more processor time or memory than a file may take"
    return f"the converter ended with status {status}"
