"""The gateway's HTTP interface, typed as far as the command needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from worksite.cli.client import events
from worksite.cli.client.access import DEFAULT_ROLE, Access
from worksite.cli.client.connection import Connection
from worksite.cli.client.events import Event
from worksite.cli.client.refusals import Say

_UPLOAD_SECONDS = 300
_CHUNK_BYTES = 1 << 20
_PAGE = 200


class Gateway:
    """One client session; use as an async context manager. Every method raises GatewayError."""

    def __init__(self, access: Access, tenant: str, say: Say = lambda _: None, role: str = DEFAULT_ROLE) -> None:
        """`say` is told why a call takes longer."""
        self._connection = Connection(access, tenant, say, role)

    async def __aenter__(self) -> Gateway:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.__aexit__(kind, error, trace)

    async def upload(self, bundle: Path) -> str:
        """Returns the id by which a submission names it."""
        body = _File(bundle)
        headers = {"Content-Type": "application/x-git-bundle", "Content-Length": str(body.size)}
        options = {"content": body, "headers": headers, "timeout": _UPLOAD_SECONDS}
        answer = await self._connection.call("POST", "/v1/uploads", **options)
        return str(answer.json()["id"])

    async def submit(self, body: dict[str, object], idempotency_key: str) -> str:
        """Returns the task id. Safe to repeat with the same key."""
        headers = {"Idempotency-Key": idempotency_key}
        answer = await self._connection.call("POST", "/v1/tasks", json=body, headers=headers)
        return str(answer.json()["id"])

    async def task(self, task: str) -> dict[str, Any]:
        """The task as the gateway shows it."""
        return dict((await self._connection.call("GET", f"/v1/tasks/{task}")).json())

    def tasks(self, page: int = _PAGE, **filters: str | None) -> AsyncGenerator[dict[str, Any]]:
        """The tenant's tasks, newest first."""
        return self._connection.listed("/v1/tasks", "tasks", min(page, _PAGE), filters)

    async def answer(self, task: str, text: str, route: str | None) -> None:
        """Answer a task that needs input."""
        body = {"text": text} | ({"route": route} if route else {})
        await self._connection.call("POST", f"/v1/tasks/{task}/input", json=body)

    async def approve(self, task: str, approval: dict[str, Any], approved: bool, comment: str) -> None:
        """Give an approver's word on what the task's `approval` names."""
        body = {"gate": approval["gate"], "digest": approval["digest"], "approved": approved, "comment": comment}
        await self._connection.call("POST", f"/v1/tasks/{task}/approval", json=body)

    async def cancel(self, task: str) -> None:
        """Ask for an end."""
        await self._connection.call("POST", f"/v1/tasks/{task}/cancel", json={})

    async def timed_search(self, body: dict[str, object]) -> tuple[dict[str, Any], float]:
        """Search the knowledge base; also the milliseconds until the answer, without pauses that were asked for."""
        answer = await self._connection.call("POST", "/v1/search", json=body)
        return dict(answer.json()), answer.elapsed.total_seconds() * 1000

    async def search(self, body: dict[str, object]) -> dict[str, Any]:
        """Search the knowledge base."""
        return dict((await self._connection.call("POST", "/v1/search", json=body)).json())

    async def stats(self, since: datetime | None) -> dict[str, Any]:
        """What the tenant's tasks came to."""
        params = {"since": since.isoformat()} if since else {}
        return dict((await self._connection.call("GET", "/v1/stats", params=params)).json())

    async def explain_route(self, body: dict[str, object]) -> dict[str, Any]:
        """Which route a request would take, and why."""
        return dict((await self._connection.call("POST", "/v1/route/explain", json=body)).json())

    async def artifact(self, task: str, name: str) -> bytes:
        """One artifact's bytes."""
        return (await self._connection.call("GET", f"/v1/tasks/{task}/artifacts/{name}")).content

    async def position(self, task: str) -> int:
        """The sequence of the task's newest event; 0: none."""
        return await events.position(self._connection, task)

    def events(self, task: str, after: int = 0, known: int = 0) -> AsyncGenerator[Event]:
        """See `events.follow`."""
        return events.follow(self._connection, task, after, known)

    async def add_documents(self, body: bytes) -> list[dict[str, Any]]:
        """Put texts into the knowledge base; returns their entries."""
        headers = {"Content-Type": "application/json"}
        answer = await self._connection.call("POST", "/v1/knowledge/documents", content=body, headers=headers)
        return list(answer.json()["documents"])

    async def add_file(self, name: str, content: bytes, tags: tuple[str, ...]) -> dict[str, Any]:
        """Put one file that has to be converted into the knowledge base; returns its entry. Raises NotTaken."""
        form = {"files": [("files", (name, content))], "data": {"tags": list(tags)}, "timeout": _UPLOAD_SECONDS}
        answer = await self._connection.call("POST", "/v1/knowledge/documents", **form)
        return dict(answer.json()["documents"][0])

    def documents(self, state: str | None = None) -> AsyncGenerator[dict[str, Any]]:
        """The entries of the knowledge base."""
        return self._connection.listed("/v1/knowledge/documents", "documents", _PAGE, {"state": state})

    async def remove_document(self, document: str) -> None:
        """Take a document out of the knowledge base. Raises NotThere."""
        await self._connection.call("DELETE", f"/v1/knowledge/documents/{document}")

    def dead_letters(self, service: str | None = None) -> AsyncGenerator[dict[str, Any]]:
        """The tenant's open dead letters, oldest first; for operators, as the next three."""
        return self._connection.listed("/v1/dead-letters", "letters", _PAGE, {"service": service})

    async def dead_letter(self, sequence: int) -> dict[str, Any]:
        """One letter with its message. Raises NotThere."""
        return dict((await self._connection.call("GET", f"/v1/dead-letters/{sequence}")).json())

    async def redrive(self, sequence: int) -> None:
        """Have the letter's message handled again; safe to repeat. Raises NotThere."""
        await self._connection.call("POST", f"/v1/dead-letters/{sequence}/redrive")

    async def purge(self, sequence: int) -> None:
        """Give the letter up. Raises NotThere."""
        await self._connection.call("DELETE", f"/v1/dead-letters/{sequence}")


@dataclass(frozen=True)
class _File:
    """A body that can be sent again, after a pause or with a new token."""

    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self.path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                yield chunk
