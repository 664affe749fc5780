"""Keeps all replicas together under the provider's limits: one value for each model in the bucket `models`."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError
from worksite.common import subjects
from worksite.common.bus import Bus, KeyValue
from worksite.common.errors import BusUnavailable, Conflict
from worksite.common.llm.errors import ModelUnavailable
from worksite.common.llm.pacing import Pace, PaceLimits
from worksite.common.llm.usage import Usage

LONGEST_PAUSE_SECONDS = 60.0
"""However long a provider asks to wait: a wrong header must not stop a fleet."""
_NOT_OF_A_KEY = re.compile(r"[^a-zA-Z0-9_-]")
_ATTEMPTS = 60
_PAUSE_SECONDS = 0.02
Waiting = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Pass:
    """A call that was let through, and what it is expected to use."""

    model: str
    input_tokens: int
    output_tokens: int


class Governor:
    """One for a process; many calls share it. Clock: seconds since 1970, the same everywhere within a second."""

    def __init__(
        self,
        bus: Bus,
        limits: Mapping[str, PaceLimits],
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`limits` by model; a model without any is not held back."""
        self._store = KeyValue(bus, subjects.MODELS)
        self._limits = limits
        self._clock, self._sleep = clock, sleep
        self._turns = {model: asyncio.Lock() for model in limits}

    async def admit(
        self, model: str, input_tokens: int, max_tokens: int, patience_seconds: float, waiting: Waiting | None = None
    ) -> Pass:
        """Waits for this call's moment. `input_tokens`: expected not to come from the cache. `waiting` is told how
        many seconds it will be.

        Raises ModelUnavailable where the moment is too far away; then nothing is taken. Raises BusUnavailable.
        """
        limits = self._limits.get(model)
        if limits is None:
            return Pass(model, input_tokens, max_tokens)
        waits, expected = list[float](), list[int]()

        def admitted(pace: Pace) -> Pace:
            output = pace.expected_output(max_tokens)
            after, wait = pace.admitted(limits, input_tokens, output, self._clock())
            if wait > patience_seconds:
                raise ModelUnavailable("rate_limited", f"the fleet's limit for {model} lets this call in {wait:.0f} s")
            waits.append(wait)
            expected.append(output)
            return after

        await self._change(model, admitted)
        try:
            if waits[-1] > 0:
                if waiting:
                    await waiting(waits[-1])
                await self._sleep(waits[-1])
        except BaseException:  # cancelled: the moment is somebody else's
            await self._change(model, lambda pace: pace.returned(limits, input_tokens, expected[-1]))
            raise
        return Pass(model, input_tokens, expected[-1])

    async def settle(self, given: Pass, usage: Usage | None) -> None:
        """What the call used; none: nothing, it was refused or never sent. Raises BusUnavailable."""
        limits = self._limits.get(given.model)
        if limits is None:
            return
        used = usage or Usage()
        more_input = used.input_tokens + used.cache_write_tokens - given.input_tokens
        more_output = used.output_tokens - given.output_tokens
        whole = used.output_tokens if usage and usage.complete else None
        await self._change(given.model, lambda pace: pace.settled(limits, more_input, more_output, whole))

    async def pause(self, model: str, seconds: float) -> None:
        """The provider refused a call: nobody starts one for so long. Raises BusUnavailable."""
        if model in self._limits:
            until = self._clock() + min(seconds, LONGEST_PAUSE_SECONDS)
            await self._change(model, lambda pace: pace.paused(until))

    async def _change(self, model: str, change: Callable[[Pace], Pace]) -> None:
        """By compare-and-set; one at a time in this process, so that only other processes can be in the way."""
        key = f"pace.{_NOT_OF_A_KEY.sub('-', model)}"
        async with self._turns[model]:
            for attempt in range(_ATTEMPTS):
                found = await self._store.get(key)
                changed = change(_read(found.value if found else None))
                try:
                    await self._store.update(key, changed.model_dump_json().encode(), found.revision if found else 0)
                    return
                except Conflict:
                    await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS * min(attempt + 1, 10)))
        raise BusUnavailable(f"the limits of {model} cannot be changed: others keep writing, or a replica lags")


def _read(value: bytes | None) -> Pace:
    """What cannot be read is begun anew: it is worth nothing a minute later."""
    try:
        return Pace.model_validate_json(value) if value else Pace()
    except ValidationError:
        return Pace()
