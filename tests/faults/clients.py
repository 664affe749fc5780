"""Clients of one run: they submit, cancel, and follow their tasks over connections that break."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

ENDED = ("completed", "failed", "cancelled")
RESTING = (*ENDED, "needs_input")
_REQUESTS: tuple[dict[str, Any], ...] = (
    {"request": "How does a task get its route?", "route": "question"},
    {"request": "A bookshop API with title, price and stock", "route": "design"},
    {"request": "A bookshop API with a quantum teleporter", "route": "feature"},
    {"request": "Fix the login", "route": "fix"},
)
_WHOLE = {"request": "A bookshop API with title, price and stock"}
_AGAIN_SECONDS = 0.3
_PATIENCE_SECONDS = 90.0
"""With one request. Longer than any fault lasts, and than what it leaves behind takes to be mended."""
_CATCH_UP_SECONDS = 60.0
"""A connection that no longer delivers is given up after ten, and the next ones may meet the faults of other runs."""


class Hung(Exception):
    """A request was repeated and never answered."""


@dataclass
class Followed:
    """One task and what its client saw, in order."""

    id: str
    ids: list[int] = field(default_factory=list)
    cancelled: bool = False
    reconnects: int = 0
    last_answer: str = "none yet"


class Clients:
    """Over one connection pool; every request is repeated until it is answered."""

    def __init__(self, http: httpx.AsyncClient, rng: Random, run: int) -> None:
        self._http = http
        self._rng = rng
        self._run = run
        self._reached: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._followers: list[asyncio.Task[None]] = []
        self.tasks: list[Followed] = []

    def reached(self, step: str) -> asyncio.Event:
        """Set when a task of this run has that step in flight."""
        return self._reached[step]

    async def submit_all(self, tasks: int, whole: int, seconds: float) -> None:
        """`tasks` cheap ones and `whole` ones that are built and judged, spread over some seconds. Raises Hung."""
        bodies = [_WHOLE] * whole + [self._rng.choice(_REQUESTS) for _ in range(tasks)]
        await asyncio.gather(*(self._submit(i, body, self._rng.uniform(0, seconds)) for i, body in enumerate(bodies)))

    async def _submit(self, number: int, body: dict[str, Any], after: float) -> None:
        await asyncio.sleep(after)
        key = {"Idempotency-Key": f"run-{self._run}-{number}"}
        followed = Followed((await self._asked("POST", "/v1/tasks", json=body, headers=key)).json()["id"])
        self.tasks.append(followed)
        self._followers.append(asyncio.create_task(self._follow(followed)))
        if body is not _WHOLE and self._rng.random() < 0.15:
            await asyncio.sleep(self._rng.uniform(0, 3))
            answer = await self._asked("POST", f"/v1/tasks/{followed.id}/cancel", json={})
            followed.cancelled = answer.status_code == 202

    async def all_rest(self, patience: float) -> bool:
        """Wait until no task is under way; False when some still are after that time."""
        try:
            async with asyncio.timeout(patience):
                for task in self.tasks:
                    wanted = ENDED if task.cancelled else RESTING
                    while (await self.view(task.id))["status"] not in wanted:
                        await asyncio.sleep(_AGAIN_SECONDS)
        except TimeoutError:
            return False
        return True

    async def under_way(self) -> list[str]:
        """The tasks that do not rest, with what they wait for."""
        views = [await self.view(task.id) for task in self.tasks]
        return [f"task {view['id']} is still {view['status']}" for view in views if view["status"] not in RESTING]

    async def view(self, task: str) -> dict[str, Any]:
        """Raises Hung."""
        return (await self._asked("GET", f"/v1/tasks/{task}")).json()

    async def artifact(self, task: str, name: str) -> bytes:
        """Raises Hung."""
        return (await self._asked("GET", f"/v1/tasks/{task}/artifacts/{name}")).content

    async def recorded(self, task: str) -> list[dict[str, Any]]:
        """Every event of a task, read once and whole. Raises Hung."""
        answer = await self._asked("GET", f"/v1/tasks/{task}/events", params={"follow": "false", "after": "0"})
        return [
            json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:") and line[5:].strip()
        ]

    async def end(self) -> None:
        for follower in self._followers:
            follower.cancel()
        await asyncio.gather(*self._followers, return_exceptions=True)

    async def caught_up(self, followed: Followed, last: int) -> None:
        """Give a follower the time to see the last event."""
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        while time.monotonic() < deadline and not (followed.ids and followed.ids[-1] >= last):
            await asyncio.sleep(0.1)

    async def _asked(self, method: str, path: str, **given: Any) -> httpx.Response:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        said = ""
        while time.monotonic() < deadline:
            try:
                answer = await self._http.request(method, path, **given)
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
                said = answer.text
            except httpx.HTTPError as error:
                said = repr(error)
            await asyncio.sleep(_AGAIN_SECONDS)
        raise Hung(f"{method} {path} got no answer for {_PATIENCE_SECONDS:.0f} s, last: {said}")

    async def _follow(self, followed: Followed) -> None:
        """Resume by Last-Event-ID after each break; most connections are broken by the client itself."""
        while True:
            headers = {"Last-Event-ID": str(followed.ids[-1])} if followed.ids else {}
            patience = self._rng.choice((0.2, 1.0, 5.0, 60.0))
            try:
                async with asyncio.timeout(patience):
                    async with self._http.stream("GET", f"/v1/tasks/{followed.id}/events", headers=headers) as source:
                        followed.last_answer = str(source.status_code)
                        if source.status_code == 204:
                            return
                        await self._read(followed, source)
            except (httpx.HTTPError, TimeoutError) as error:
                followed.last_answer = f"{followed.last_answer}, then {error!r}"[-200:]
            followed.reconnects += 1
            await asyncio.sleep(self._rng.uniform(0, 0.3))

    async def _read(self, followed: Followed, source: httpx.Response) -> None:
        async for line in source.aiter_lines():
            if line.startswith("data:") and line[5:].strip():
                event = json.loads(line[5:])
                followed.ids.append(event["sequence"])
                if event["kind"] == "state" and (step := event["body"]["step"]):
                    self._reached[step].set()
