"""What is done to the processes: killed, or stopped and continued, at a moment or when a task reaches a step."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from running import Stack

PROGRAMS = ("gateway", "admin", "architect", "builder", "validator", "rag", "nats")
_STEPS = ("1-import", "2-design", "3-build", "4-validate", "1-answer")
_LONGEST_STOP_SECONDS = 20.0
"""Longer than ack_wait: work is taken over meanwhile."""


@dataclass(frozen=True)
class Fault:
    """`when`: seconds after the start of the run, or the step that has to be in flight."""

    kind: Literal["kill", "stop"]
    program: str
    when: float | str
    seconds: float = 0.0

    def __str__(self) -> str:
        at = f"at {self.when:.1f} s" if isinstance(self.when, float) else f"at step {self.when}"
        return f"{self.kind} {self.program} {at}" + (f" for {self.seconds:.1f} s" if self.kind == "stop" else "")


def drawn(rng: Random, seconds: float) -> list[Fault]:
    """One to four faults; each program is struck once at most, because a supervisor waits longer each time."""
    return [_fault(rng, program, seconds) for program in rng.sample(PROGRAMS, rng.randint(1, 4))]


def _fault(rng: Random, program: str, seconds: float) -> Fault:
    when = rng.choice(_STEPS) if rng.random() < 0.4 else rng.uniform(0, seconds)
    if rng.random() < 0.6:
        return Fault("kill", program, when)
    return Fault("stop", program, when, rng.uniform(0.5, rng.choice((4.0, _LONGEST_STOP_SECONDS))))


async def strike(stack: Stack, fault: Fault, reached: Callable[[str], asyncio.Event], patience: float) -> bool:
    """False when its step was never reached, or its victim was down already."""
    if isinstance(fault.when, float):
        await asyncio.sleep(fault.when)
    else:
        try:
            await asyncio.wait_for(reached(fault.when).wait(), patience)
        except TimeoutError:
            return False
    pid = stack.pid(fault.program)
    if pid is None:
        return False
    if fault.kind == "kill":
        os.kill(pid, signal.SIGKILL)
        return True
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        os.kill(pid, signal.SIGCONT)
    return True
