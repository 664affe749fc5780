"""A running program, seen from the trusted side of its pipes."""

from __future__ import annotations

from worksite.validator.sandbox.job import Outcome


class Session:
    """Talk to a sandboxed program by lines; every limit is enforced meanwhile."""

    async def write(self, data: bytes) -> None:
        """Send `data` to stdin. Raises `SessionClosed` when the program no longer reads."""
        raise NotImplementedError

    async def readline(self, limit: int, timeout: float) -> bytes:
        """The next line of stdout, at most `limit` bytes, within `timeout` seconds.

        Raises `SessionClosed` at the end of the output, `LineTooLong`, or `TimeoutError`.
        """
        raise NotImplementedError

    def stderr_tail(self, size: int = 4096) -> bytes:
        """The last bytes that the program wrote to stderr so far."""
        raise NotImplementedError

    async def wait(self) -> Outcome:
        """Close stdin and wait for the end. The outcome's stdout holds what `readline` has not taken."""
        raise NotImplementedError
