"""Processes that die, stop or freeze at any moment, and the network between them and the server."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

import nats.errors
from chaos import CLIENT_TIMEOUT_SECONDS, Chaos
from server import Consumer, Message, Server
from virtual_time import VirtualTimeLoop
from worksite.common.errors import BusUnavailable, WorksiteError

_OWNER: contextvars.ContextVar[Process | None] = contextvars.ContextVar("owner", default=None)
_RESTART_SECONDS = (0.1, 3.0)
Main = Callable[["Process"], Coroutine[Any, Any, None]]
Reply = asyncio.Future[Any]
Task = asyncio.Task[Any]
Trace = Callable[[str], None]


class Process:
    """One life of a process; the next one is another object. What is not on the server dies with it."""

    def __init__(self, name: str, mortal: bool = True) -> None:
        self.name = name
        self.mortal = mortal
        self.alive = True
        self.frozen_until = 0.0
        self.stop = asyncio.Event()
        self.tasks: list[Task] = []


class Network:
    """Carries calls, and lets things go wrong on the way."""

    def __init__(
        self, loop: VirtualTimeLoop, server: Server, chaos: Chaos, trace: Callable[[str], None] | None
    ) -> None:
        self.loop = loop
        self.server = server
        self.chaos = chaos
        self.in_flight = 0
        self.faults: list[str] = []
        """Processes that ended with an exception."""
        self.processes: dict[str, Process] = {}
        self._mains: dict[str, Main] = {}
        self._waiting: list[Reply] = []
        self._down_until = 0.0
        self._trace = trace
        loop.set_task_factory(_owned_task)

    def say(self, who: str, what: str) -> None:
        """A line of the trace."""
        if self._trace:
            self._trace(f"{self.loop.time():10.3f}  {who:<12} {what}")

    # -- processes

    def run(self, name: str, main: Main) -> None:
        """Keep a process running, as a supervisor does."""
        self._mains[name] = main
        self._start(name)

    def kill(self, process: Process) -> None:
        """kill -9. Its coroutines are unwound, but nothing they do on the way leaves the process."""
        if process.alive:
            self.say(process.name, "is KILLED")
            self._ended(process)

    def close(self) -> list[Task]:
        """End everything; returns what has to be awaited."""
        self._mains.clear()
        for process in self.processes.values():
            self._bury(process)
        return [task for process in self.processes.values() for task in process.tasks if not task.done()]

    def must_live(self, process: Process) -> None:
        """Raises CancelledError in a dead process."""
        if not process.alive:
            raise asyncio.CancelledError

    def _start(self, name: str) -> None:
        if name not in self._mains:
            return
        process = self.processes[name] = Process(name)
        token = _OWNER.set(process)
        task = self.loop.create_task(self._mains[name](process))
        _OWNER.reset(token)
        task.add_done_callback(lambda _: self._returned(process, task))

    def _returned(self, process: Process, task: asyncio.Task[None]) -> None:
        """Told to stop, killed, or by a fault of its own."""
        if not task.cancelled() and (error := task.exception()):
            self.faults.append(f"{process.name} ended by itself: {error!r}")
        self._ended(process)

    def _ended(self, process: Process) -> None:
        if process.alive:
            self._bury(process)
            self.loop.call_later(self.chaos.rng.uniform(*_RESTART_SECONDS), self._start, process.name)

    def _bury(self, process: Process) -> None:
        process.alive = False
        for task in process.tasks:
            task.cancel()

    def _strike(self, process: Process) -> None:
        """Something may happen to a process within the time that its call takes: before, at or after the effect."""
        chaos, now = self.chaos, self.loop.time()
        if not process.mortal or now >= chaos.seconds:
            return
        if chaos.rng.random() < chaos.weather.kill:
            self.loop.call_later(chaos.moment() * 2, self.kill, process)
        elif chaos.rng.random() < chaos.weather.stop:
            self.say(process.name, "is told to stop")
            process.stop.set()
        elif chaos.rng.random() < chaos.weather.pause:
            process.frozen_until = now + chaos.long()
            self.say(process.name, f"is FROZEN until {process.frozen_until:.3f}")

    # -- the server

    def restart_server(self, down_seconds: float) -> None:
        """kill -9 of nats-server: connections break, message ids of finished work are forgotten."""
        self.say("nats-server", f"is KILLED for {down_seconds:.1f} s")
        self._down_until = self.loop.time() + down_seconds
        self.server.restart()
        for reply in self._waiting:
            if not reply.done():
                reply.set_exception(nats.errors.ConnectionClosedError())
        self._waiting.clear()

    # -- calls

    def send(self, process: Process, what: str, effect: Callable[[], Any], reply: Reply | None) -> None:
        self.must_live(process)
        self._strike(process)
        now = self.loop.time()
        journey = self.chaos.journey(now)
        if journey.there is None:
            self.say(process.name, f"{what}: the request is LOST")
        else:
            self.in_flight += 1
            there = journey.there + max(0.0, process.frozen_until - now)
            self.loop.call_later(there, self._arrive, process, what, effect, reply, journey.back)
        if reply and (journey.there is None or journey.back is None or journey.there > CLIENT_TIMEOUT_SECONDS):
            self._time_out_later(process, what, reply)

    def _arrive(
        self, process: Process, what: str, effect: Callable[[], Any], reply: Reply | None, back: float | None
    ) -> None:
        self.in_flight -= 1
        if self.loop.time() < self._down_until:
            self.say(process.name, f"{what}: no server")
            if reply:
                self._time_out_later(process, what, reply)
            return
        try:
            outcome = effect()
        except WorksiteError as error:
            outcome = error
        self.say(process.name, f"{what} -> {_short(outcome)}{' (the reply is LOST)' if back is None else ''}")
        if reply and back is not None:
            self.loop.call_later(back, self._settle, process, reply, outcome)

    def _time_out_later(self, process: Process, what: str, reply: Reply) -> None:
        error = BusUnavailable(f"no answer to {what}")
        self.loop.call_later(CLIENT_TIMEOUT_SECONDS, self._settle, process, reply, error)

    def _settle(self, process: Process, reply: Reply, outcome: Any) -> None:
        if reply.done() or not process.alive:
            return
        if (frozen := process.frozen_until - self.loop.time()) > 0:
            self.loop.call_later(frozen, self._settle, process, reply, outcome)
        elif isinstance(outcome, WorksiteError):
            reply.set_exception(outcome)
        else:
            reply.set_result(outcome)

    async def fetch(self, process: Process, consumer: Consumer) -> tuple[Message, int]:
        """Raises nats.errors.ConnectionClosedError, CancelledError in a dead process."""
        self.must_live(process)
        reply: Reply = self.loop.create_future()
        self._waiting.append(reply)

        def take(message: Message, attempt: int) -> bool:
            if reply.done() or not process.alive:
                return False
            self.say(process.name, f"is sent {message.subject} seq {message.sequence}, attempt {attempt}")
            chaos, now = self.chaos, self.loop.time()
            self.loop.call_later(chaos.moment(), self._settle, process, reply, (message, attempt))
            if chaos.happens(chaos.weather.again, now):
                self.loop.call_later(chaos.moment(), consumer.again, message.sequence)
            return True

        while self.loop.time() < self._down_until:
            await asyncio.sleep(self._down_until - self.loop.time())
        consumer.wait(take)
        try:
            return await reply
        finally:
            if reply in self._waiting:
                self._waiting.remove(reply)


def _owned_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **given: Any
) -> asyncio.Task[Any]:
    """A task belongs to the process whose code made it, and dies with it."""
    task = asyncio.Task(coroutine, loop=loop, **given)
    if owner := _OWNER.get():
        owner.tasks.append(task)
        if not owner.alive:
            task.cancel()
    return task


def _short(outcome: Any) -> str:
    if isinstance(outcome, WorksiteError):
        return type(outcome).__name__
    return f"seq {outcome.sequence}" if hasattr(outcome, "sequence") else repr(outcome)[:40]
