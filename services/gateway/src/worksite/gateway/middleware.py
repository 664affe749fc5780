"""Around every request: its span, its metrics, an answer even when the gateway itself fails, and the parting."""

from __future__ import annotations

import asyncio
import logging
import time

from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from worksite.common import telemetry
from worksite.gateway import problems
from worksite.gateway.domain.heads import fault_of

log = logging.getLogger(__name__)

_REQUESTS = Counter("worksite_http_requests_total", "Requests answered", ["route", "method", "status"])
_SECONDS = Histogram(
    "worksite_http_request_seconds",
    "Time from the request to the end of its answer; for event streams that is their length",
    ["route"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}


class Observed:
    """Telemetry and the last net for exceptions. Plain ASGI, so that event streams pass through unbuffered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope["method"] if scope["method"] in _METHODS else "other"
        with telemetry.server_request(method, dict(Headers(scope=scope))) as span:
            try:
                await self._app(scope, receive, watched)
            except Exception:  # the boundary: the client gets a problem document, the log the reason
                log.exception("%s failed", scope["path"])
                if status:  # the answer is under way, it can only be cut off
                    raise
                await problems.internal().response()(scope, receive, watched)
            finally:
                route = _route(scope)
                span.update_name(f"{method} {route}")
                span.set_attributes({"url.path": scope["path"][:200], "http.response.status_code": status})
                _REQUESTS.labels(route, method, status).inc()
                _SECONDS.labels(route).observe(time.perf_counter() - started)


class WellFormed:
    """Refuses heads that are too large or could be read in two ways, before anybody has read them in one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = fault_of(scope["headers"], scope["query_string"]) if scope["type"] == "http" else None
        answer = problems.unfit_head(fault).response() if fault else self._app
        await answer(scope, receive, send)


class Parting:
    """Once the gateway is to stop, each answer is the last on its connection: the client's next request goes elsewhere,
    instead of into a connection that is closed at the same moment."""

    def __init__(self, app: ASGIApp, stop: asyncio.Event) -> None:
        self._app, self._stop = app, stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def parting(message: Message) -> None:
            if message["type"] == "http.response.start" and self._stop.is_set():
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, parting)


def _route(scope: Scope) -> str:
    """The path's template: a label of bounded cardinality."""
    return getattr(scope.get("route"), "path", "unmatched")
