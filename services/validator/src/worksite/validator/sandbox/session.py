"""A running program, seen from the trusted side of its pipes."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from worksite.validator.sandbox import metrics
from worksite.validator.sandbox.capture import Capture
from worksite.validator.sandbox.errors import LauncherError, SessionClosed
from worksite.validator.sandbox.job import Limits, Outcome

_CLOSE_SECONDS = 2.0


class Session:
    """Talk to a sandboxed program by lines; every limit is enforced meanwhile, by its keeper and by this reader."""

    def __init__(
        self,
        keeper: asyncio.subprocess.Process,
        reports: asyncio.StreamReader,
        orders: asyncio.StreamWriter,
        result: asyncio.StreamReader,
        limits: Limits,
    ) -> None:
        self._keeper = keeper
        self._reports = reports
        self._orders = orders
        self._overflowed = False
        self._report: dict[str, Any] | None = None
        self._outcome: Outcome | None = None
        self._stdout, self._stderr = Capture(limits.output_bytes), Capture(limits.output_bytes)
        self._result = Capture(limits.result_bytes)
        assert keeper.stdout is not None
        assert keeper.stderr is not None
        pipes = ((self._stdout, keeper.stdout), (self._stderr, keeper.stderr), (self._result, result))
        self._drains = [asyncio.create_task(capture.drain(pipe, self._overflow)) for capture, pipe in pipes]

    async def write(self, data: bytes) -> None:
        """Send `data` to stdin. Raises `SessionClosed` when the program no longer reads, `LauncherError` as `wait`."""
        assert self._keeper.stdin is not None
        try:
            self._keeper.stdin.write(data)
            await self._keeper.stdin.drain()
        except ConnectionError as error:
            await self._blame()
            raise SessionClosed("the program no longer reads its input") from error

    async def readline(self, limit: int, timeout: float) -> bytes:  # noqa: ASYNC109 - part of the protocol
        """The next line of stdout with its newline, at most `limit` bytes, within `timeout` seconds.

        Raises `SessionClosed` at the end of the output, `LineTooLong`, `TimeoutError`, or `LauncherError` as `wait`.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._stdout.take_line(limit)
        except SessionClosed:
            await self._blame()
            raise

    def stderr_tail(self, size: int = 4096) -> bytes:
        """The last bytes that the program wrote to stderr so far."""
        return bytes(self._stderr.data[-size:])

    async def wait(self) -> Outcome:
        """Close stdin and wait for the end. The outcome's stdout holds what `readline` has not taken.

        Raises `LauncherError` when the run could not be supervised to its end.
        """
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        return await self._finish()

    async def started(self) -> None:
        """Wait until the program itself runs. Raises `LauncherError` when it cannot."""
        message = await self._receive()
        if "started" not in message:
            await self._ended()
            raise self._launcher_error(message)

    async def stop(self) -> None:
        """Kill everything that still runs and wait until it is gone."""
        self._order_stop()
        await self._ended()

    def _overflow(self) -> None:
        self._overflowed = True
        self._order_stop()

    def _order_stop(self) -> None:
        if not self._orders.is_closing():
            self._orders.write_eof()

    async def _finish(self) -> Outcome:
        if self._outcome is None:
            report = self._report = self._report or await self._receive()
            await self._ended()
            if "failed" in report:
                raise self._launcher_error(report)
            self._outcome = Outcome(
                exit_code=report["exit_code"],
                signal=report["signal"],
                stopped="output" if self._overflowed else report["stopped"],
                stdout=bytes(self._stdout.data),
                stderr=bytes(self._stderr.data),
                result=bytes(self._result.data),
                duration_seconds=report["seconds"],
            )
            metrics.ended(self._outcome.stopped)
        return self._outcome

    async def _blame(self) -> None:
        """Not the program, when it was the sandbox that failed: raises `LauncherError` then."""
        with suppress(TimeoutError):  # it closed its pipes and runs on
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._finish()

    async def _receive(self) -> dict[str, Any]:
        try:
            line = await self._reports.readline()
        except ConnectionError:
            line = b""
        return json.loads(line) if line else {"failed": "keeper: it ended without a report"}

    async def _ended(self) -> None:
        """The keeper ends last of all; with it the pipes close."""
        await self._keeper.wait()
        _, open_still = await asyncio.wait(self._drains, timeout=_CLOSE_SECONDS)
        for drain in open_still:  # something survived its keeper
            drain.cancel()
        self._orders.close()

    def _launcher_error(self, report: dict[str, Any]) -> LauncherError:
        step, _, reason = str(report["failed"]).partition(": ")
        said = self.stderr_tail().decode(errors="replace").strip()
        return LauncherError(step, f"{reason} ({said})" if said else reason)
