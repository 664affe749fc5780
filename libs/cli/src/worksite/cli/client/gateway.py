"""The gateway's HTTP interface, typed as far as the command needs it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx
from httpx_sse import aconnect_sse
from worksite.cli.client.access import Access

_RECONNECT_SECONDS = 0.5
_GIVE_UP_AFTER_SECONDS = 60.0


class GatewayError(Exception):
    """The gateway's problem document, as one line."""


class _Unavailable(Exception):
    """The gateway is there but cannot serve now."""


@dataclass(frozen=True)
class Event:
    """One event of a task."""

    sequence: int
    producer: str
    step: str
    kind: str
    body: dict[str, Any]


class Gateway:
    """One client session; use as an async context manager."""

    def __init__(self, access: Access, tenant: str) -> None:
        self._access = access
        self._tenant = tenant
        self._http = httpx.AsyncClient(base_url=access.url, timeout=30, trust_env=False, auth=_Bearer(access, tenant))

    async def __aenter__(self) -> Gateway:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def submit(self, body: dict[str, object], idempotency_key: str) -> str:
        """Returns the task id. Safe to repeat with the same key."""
        answer = await self._call("POST", "/v1/tasks", json=body, headers={"Idempotency-Key": idempotency_key})
        return str(answer.json()["id"])

    async def task(self, task: str) -> dict[str, Any]:
        """The task as the gateway shows it."""
        return dict((await self._call("GET", f"/v1/tasks/{task}")).json())

    async def cancel(self, task: str) -> None:
        """Ask for an end."""
        await self._call("POST", f"/v1/tasks/{task}/cancel", json={})

    async def search(self, body: dict[str, object]) -> dict[str, Any]:
        """Search the knowledge base."""
        return dict((await self._call("POST", "/v1/search", json=body)).json())

    async def artifact(self, task: str, name: str) -> bytes:
        """One artifact's bytes."""
        return (await self._call("GET", f"/v1/tasks/{task}/artifacts/{name}")).content

    async def events(self, task: str) -> AsyncGenerator[Event]:
        """Every event of the task, once and in order, across reconnects; ends with the task."""
        last, lost_for = 0, 0.0
        while True:
            try:
                async with contextlib.aclosing(self._events_after(task, last)) as events:
                    async for event in events:
                        last, lost_for = event.sequence, 0.0
                        yield event
                        if _is_final(event):
                            return
            except (httpx.TransportError, _Unavailable) as error:
                lost_for += _RECONNECT_SECONDS
                if self._access.has_stopped():
                    again = f"start it again and 'worksite watch {task}' goes on"
                    raise GatewayError(f"the stack has stopped; nothing is lost: {again}") from error
                if lost_for > _GIVE_UP_AFTER_SECONDS:
                    raise GatewayError(f"lost the gateway: {error}") from error
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _events_after(self, task: str, last: int) -> AsyncGenerator[Event]:
        headers = {"Last-Event-ID": str(last)} if last else {}
        path = f"/v1/tasks/{task}/events"
        async with aconnect_sse(self._http, "GET", path, headers=headers, timeout=45) as source:
            if source.response.status_code != 200:
                await source.response.aread()
                error = _Unavailable if source.response.status_code in {429, 502, 503, 504} else GatewayError
                raise error(_problem(source.response))
            async for message in source.aiter_sse():
                if not message.data:  # `retry:` alone, sent when the gateway goes away
                    continue
                data = json.loads(message.data)
                yield Event(data["sequence"], data["producer"], data["step"], data["kind"], data["body"])

    async def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GatewayError(f"{self._access.url} does not answer: {error}") from error
        if answer.is_error:
            raise GatewayError(_problem(answer))
        return answer


class _Bearer(httpx.Auth):
    """Fetches a token when there is none, and once more when it has expired."""

    def __init__(self, access: Access, tenant: str) -> None:
        self._access, self._tenant = access, tenant
        self._token: str | None = None

    async def async_auth_flow(self, request: httpx.Request):
        self._token = self._token or await self._access.token(self._tenant)
        request.headers["Authorization"] = f"Bearer {self._token}"
        answer = yield request
        if answer.status_code == 401:
            self._token = await self._access.token(self._tenant)
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request


def _is_final(event: Event) -> bool:
    return event.kind == "state" and event.body["status"] in {"completed", "failed", "cancelled", "needs_input"}


def _problem(answer: httpx.Response) -> str:
    """`title: detail (field: message; …)`."""
    try:
        document = answer.json()
        parts = [str(document.get("title", answer.status_code)), str(document.get("detail") or "")]
        fields = [f"{e.get('field', e.get('path', ''))}: {e.get('message', '')}" for e in document.get("errors", [])]
    except ValueError:
        return f"the gateway answered {answer.status_code}"
    return ": ".join(part for part in parts if part) + (f" ({'; '.join(fields)})" if fields else "")
