"""/healthz (alive: the consumer progresses, the bus is not deaf), /readyz (can work now), /metrics.

That the event loop moves is shown by the answer itself: the endpoint runs in it, so a stalled loop answers nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from worksite.common import telemetry
from worksite.common.http_protocol import BoundedProtocol, Bounds

Probe = Callable[[], str | None]
"""None when all is well, else what is wrong in a few words."""


@dataclass
class Health:
    """The probes of one process, by name. `state` says what it works with, e.g. which model; /readyz shows it."""

    alive: dict[str, Probe] = field(default_factory=dict[str, Probe])
    ready: dict[str, Probe] = field(default_factory=dict[str, Probe])
    state: dict[str, str] = field(default_factory=dict[str, str])

    def routes(self) -> list[Route]:
        """To be mounted on whatever HTTP server the service has."""
        return [
            Route("/healthz", self._endpoint(lambda: self.alive)),
            Route("/readyz", self._endpoint(lambda: self.alive | self.ready, self.state)),
            Route("/metrics", self._metrics),
        ]

    def _endpoint(
        self, probes: Callable[[], dict[str, Probe]], state: Mapping[str, str] | None = None
    ) -> Callable[[Request], JSONResponse]:
        def endpoint(_: Request) -> JSONResponse:
            wrong = {name: said for name, probe in probes().items() if (said := probe())}
            shown = {"state": dict(state)} if state else {}
            return JSONResponse({"ok": not wrong, "wrong": wrong, **shown}, status_code=503 if wrong else 200)

        return endpoint

    def _metrics(self, _: Request) -> Response:
        """Prometheus text format; what the probes say belongs to it, for alerts."""
        for name, probe in (self.alive | self.ready).items():
            telemetry.probed(name, wrong=probe() is not None)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@contextlib.asynccontextmanager
async def ops_server(health: Health, host: str, port: int) -> AsyncGenerator[int]:
    """Serve the three endpoints; yields the port. Raises OSError when it is taken."""
    async with http_server(Starlette(routes=health.routes()), host, port) as bound:
        yield bound


@contextlib.asynccontextmanager
async def http_server(app: object, host: str, port: int, bounds: Bounds | None = None) -> AsyncGenerator[int]:
    """Serve an ASGI application inside this event loop; the process's own signal handling stays in charge."""
    protocol = functools.partial(BoundedProtocol, bounds or Bounds())
    config = uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]
        host=host,
        port=port,
        http=protocol,  # pyright: ignore[reportArgumentType] - only ever called
        ws="none",
        log_config=None,
        access_log=False,
        # Longer than clients and balancers keep an idle connection, mostly 5 to 60 s: who closes first must not be us,
        # or a request that is on its way at that moment is lost.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    listener = _bind(host, port)
    server = _EmbeddedServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.005)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        listener.close()


class _EmbeddedServer(uvicorn.Server):
    """uvicorn without its signal handlers: SIGTERM belongs to the service runner, which drains in order."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


def _bind(host: str, port: int) -> socket.socket:
    """uvicorn's own bind would end the process without a word when the port is taken."""
    # The protocol is spelt out because asyncio sets TCP_NODELAY only then; without it every answer waits 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"port {port} on {host}: {error.strerror}") from error
    listener.set_inheritable(True)
    return listener
