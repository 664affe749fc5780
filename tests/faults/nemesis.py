"""What is done to the processes, their connections and their disk: at a moment, or when a task reaches a step."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from disk import Disk
from proxy import Direction, Proxy, Weather
from running import Stack
from worksite.common.subjects import SERVICES

Kind = Literal["kill", "stop", "delay", "throttle", "reset", "half-open", "disk full"]
KINDS: tuple[Kind, ...] = ("kill", "stop", "delay", "throttle", "reset", "half-open", "disk full")
PROGRAMS = ("gateway", "admin", "architect", "builder", "validator", "rag", "nats")
STEPS = ("1-import", "2-design", "3-build", "4-validate")
_STRUCK_AT = (*STEPS, "1-answer")
_DRAWN: tuple[Kind, ...] = ("kill",) * 6 + ("stop",) * 3 + ("delay", "throttle", "reset", "half-open")
_DISK_FULL = 0.08
"""Share of the runs; the others have room."""
_LONGEST_SECONDS = 20.0
"""Longer than ack_wait: work is taken over meanwhile."""
_RESTART_SECONDS = 15.0
"""A supervisor waits 10 s at most before it starts again what was killed."""


@dataclass(frozen=True)
class Fault:
    """`when`: seconds after the start of the run, or the step that has to be in flight."""

    kind: Kind
    program: str
    when: float | str
    seconds: float = 0.0
    weather: Weather | None = None

    def __str__(self) -> str:
        at = f"at {self.when:.1f} s" if isinstance(self.when, float) else f"at step {self.when}"
        towards = f" {self.weather.swallows}" if self.weather and self.weather.swallows else ""
        return f"{self.kind} {self.program}{towards} {at}" + (f" for {self.seconds:.1f} s" if self.seconds else "")


@dataclass(frozen=True)
class Strike:
    """A fault that hit, by the machine's clock; `until`: its victim works again, or is about to."""

    fault: Fault
    since: float
    until: float


def drawn(rng: Random, seconds: float) -> list[Fault]:
    """One to four faults; each program is struck once at most, because a supervisor waits longer each time."""
    faults = [_fault(rng, program, seconds) for program in rng.sample(PROGRAMS, rng.randint(1, 4))]
    if rng.random() < _DISK_FULL:
        faults.append(Fault("disk full", "nats", rng.uniform(0, seconds), rng.uniform(1, 6)))
    return faults


def tour(number: int) -> list[Fault]:
    """A kill at each step of a whole task. Seven tours in a row kill every program at every step."""
    return [Fault("kill", PROGRAMS[(number + 2 * i) % len(PROGRAMS)], step) for i, step in enumerate(STEPS)]


def _fault(rng: Random, program: str, seconds: float) -> Fault:
    when = rng.choice(_STRUCK_AT) if rng.random() < 0.4 else rng.uniform(0, seconds)
    kind = rng.choice(_DRAWN)
    lasts = rng.uniform(0.5, rng.choice((4.0, _LONGEST_SECONDS)))
    direction: Direction = rng.choice(("up", "down"))
    match kind:
        case "delay":
            return Fault(kind, program, when, lasts, Weather(delay_seconds=rng.uniform(0.05, 1.0)))
        case "throttle":
            return Fault(kind, program, when, lasts, Weather(bytes_per_second=rng.uniform(10_000, 200_000)))
        case "half-open":
            return Fault(kind, program, when, lasts, Weather(swallows=direction))
        case "stop":
            return Fault(kind, program, when, lasts)
        case _:
            return Fault(kind, program, when)


@dataclass
class Nemesis:
    """Strikes one stack; remembers whom and when."""

    stack: Stack
    proxy: Proxy
    disk: Disk | None
    strikes: list[Strike] = field(default_factory=list)
    _bus: asyncio.Lock = field(default_factory=asyncio.Lock)
    """nats-server may lose a stream when it is started on a full disk, so it is not struck while the disk is; of a
    cluster one node at a time is struck."""

    async def strike(self, fault: Fault, reached: Callable[[str], asyncio.Event], over: asyncio.Event) -> Strike | None:
        """None when its step was not reached before it was over, or there was nobody to strike."""
        if isinstance(fault.when, float):
            await asyncio.sleep(fault.when)
        elif not await _first(reached(fault.when), over):
            return None
        async with contextlib.nullcontext() if fault.program in SERVICES else self._bus:
            since = time.time()
            if not await self._hit(fault):
                return None
            self.strikes.append(struck := Strike(fault, since, time.time()))
            return struck

    async def _hit(self, fault: Fault) -> bool:
        match fault.kind:
            case "kill":
                return await self._kill(fault.program)
            case "stop":
                return await self._stop(fault)
            case "reset":
                return self.proxy.reset(fault.program) > 0
            case "disk full":
                return await self._fill(fault)
            case "delay" | "throttle" | "half-open":
                assert fault.weather
                with self.proxy.weather(fault.program, fault.weather):
                    await asyncio.sleep(fault.seconds)
                return True

    async def _kill(self, program: str) -> bool:
        pid = self.stack.pid(program)
        if pid is None:
            return False
        async with self._followed_by_restart(program, pid):
            os.kill(pid, signal.SIGKILL)
        return True

    async def _stop(self, fault: Fault) -> bool:
        pid = self.stack.pid(fault.program)
        if pid is None:
            return False
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):  # killed meanwhile by another run
                os.kill(pid, signal.SIGCONT)
        return True

    async def _fill(self, fault: Fault) -> bool:
        pid = self.stack.pid("nats")
        if self.disk is None or pid is None:
            return False
        async with self._followed_by_restart("nats", pid):
            with self.disk.full():
                await asyncio.sleep(fault.seconds)
        return True

    @contextlib.asynccontextmanager
    async def _followed_by_restart(self, program: str, pid: int) -> AsyncGenerator[None]:
        """Returns when another process is there in its place, or none comes: nobody wrote to a full disk."""
        yield
        deadline = time.monotonic() + _RESTART_SECONDS
        while time.monotonic() < deadline and self.stack.pid(program) in (None, pid):
            await asyncio.sleep(0.05)


async def _first(wanted: asyncio.Event, other: asyncio.Event) -> bool:
    """Wait for either."""
    waiting = [asyncio.ensure_future(event.wait()) for event in (wanted, other)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for future in waiting:
        future.cancel()
    return wanted.is_set()
