"""Calls that nothing will come of fail at once: NATS reports a denied one aside, on the connection, and somebody
else may know that the server is silent (`vigil.py`)."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable
from typing import TypeVar

from worksite.common.bus.tls import mistrust
from worksite.common.errors import BusUnavailable, Permanent, PermissionDenied

log = logging.getLogger(__name__)

_DENIED_SUBJECT = re.compile(r'permissions violation for \w+ to "([^"]+)"', re.IGNORECASE)

T = TypeVar("T")


class Denials:
    """Pending calls by subject, so that an asynchronous permission error fails the right one at once.

    nats-py lower-cases error texts, so subjects are compared without case.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Timeout]] = {}
        self._refused: asyncio.Future[Permanent] = asyncio.get_running_loop().create_future()
        self.last_error = ""
        self.given_up = False

    def give_up(self) -> None:
        """Every call that waits fails now, as unavailable."""
        self.given_up = True
        for waiting in set[asyncio.Timeout]().union(*self._waiting.values()):
            _end(waiting)

    async def on_error(self, error: Exception) -> None:
        if (refusal := _refusal(error)) and not self._refused.done():
            self._refused.set_result(refusal)
        match = _DENIED_SUBJECT.search(str(error))
        if match is None:
            # An outage repeats the same error every second: say it once.
            log.log(logging.DEBUG if str(error) == self.last_error else logging.WARNING, "nats: %s", error)
            self.last_error = str(error)
            return
        for waiting in self._waiting.get(match.group(1).lower(), set()):
            _end(waiting)

    async def unless_refused(self, connecting: Awaitable[None]) -> None:
        """Await the first connection. Raises, as soon as it is known, PermissionDenied where the server refuses the
        user, Permanent where it cannot be trusted."""
        task = asyncio.ensure_future(connecting)
        try:
            await asyncio.wait({task, self._refused}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise self._refused.result()
            task.result()
        finally:
            task.cancel()

    async def race(self, subject: str, call: Awaitable[T]) -> T:
        """Await a call. Raises PermissionDenied as soon as its subject is, BusUnavailable as soon as it is given up. In
        the caller's own task, because a second one costs three more turns of the event loop, at every publish."""
        key, task = subject.lower(), asyncio.current_task()
        cancels = task.cancelling() if task else 0
        waiting = asyncio.timeout(None)
        try:
            async with waiting:
                self._waiting.setdefault(key, set()).add(waiting)
                result = await call
        except TimeoutError:
            if waiting.expired() and self.given_up:
                raise BusUnavailable(f"NATS does not answer: {subject} is given up") from None
            if waiting.expired():
                raise PermissionDenied(f"NATS refuses this service {subject}") from None
            raise
        finally:
            self._waiting[key].discard(waiting)
            if not self._waiting[key]:
                del self._waiting[key]
        if task and task.cancelling() > cancels:  # just as the answer came: Python 3.11's wait_for drops it
            raise asyncio.CancelledError
        return result


def _refusal(error: Exception) -> Permanent | None:
    """What another attempt would not change."""
    if "authorization violation" in str(error).lower():
        return PermissionDenied("authorization violation")
    return Permanent(reason) if (reason := mistrust(error)) else None


def _end(waiting: asyncio.Timeout) -> None:
    if not waiting.expired():
        waiting.reschedule(asyncio.get_running_loop().time())
