# nats-py is only partly typed.
# pyright: reportUnknownMemberType=false
"""Request/reply endpoints as NATS micro services, so that `nats micro ls` shows the whole system (ADR-32)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import nats.errors
import nats.micro
from nats.micro.request import Request
from nats.micro.service import EndpointConfig
from nats.micro.service import Service as MicroService
from pydantic import ValidationError
from worksite.common import telemetry
from worksite.common.bus.connection import Bus
from worksite.common.errors import Permanent, ServiceUnavailable, WorksiteError
from worksite.common.messages import Message, RequestFailed
from worksite.common.subjects import rpc_subject

log = logging.getLogger(__name__)

MAX_CONCURRENT_REQUESTS = 32
"""Per endpoint; what is beyond waits in the connection."""

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)


@dataclass(frozen=True)
class Service:
    """One announced service."""

    bus: Bus
    micro: MicroService

    async def stop(self) -> None:
        """Before the bus is closed."""
        with contextlib.suppress(nats.errors.Error):  # not connected: then nobody can ask any more
            await self.micro.stop()


async def announce(bus: Bus, service: str, version: str) -> Service:
    """Show up in `nats micro ls`."""
    micro = await nats.micro.add_service(bus.client, name=service, version=version, description=f"Worksite {service}")
    return Service(bus, micro)


async def answer(service: Service, verb: str, accepts: type[Q], handler: Callable[[Q], Awaitable[Message]]) -> None:
    """Answer one verb of an announced service; returns when requests can arrive."""
    subject = rpc_subject(service.micro.info().name, verb)
    endpoint = EndpointConfig(name=verb, subject=subject, handler=_endpoint(accepts, handler))
    await service.micro.add_endpoint(endpoint)
    await service.bus.subscribed()


def _endpoint(accepts: type[Q], handler: Callable[[Q], Awaitable[Message]]) -> Callable[[Request], Awaitable[None]]:
    room = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
    running: set[asyncio.Task[None]] = set()

    async def respond(request: Request) -> None:
        try:
            with telemetry.consumed(request.subject, dict(request.headers or {})) as handling:
                reply = await _answer(accepts, handler, request.data)
                handling.outcome = "failed" if isinstance(reply, RequestFailed) else "answered"
            await request.respond(reply.to_json(), headers={"ce-type": reply.ce_type()})
        finally:
            room.release()

    async def begin(request: Request) -> None:
        """nats-py awaits its callbacks one after another: answer beside it, or one slow request holds up all."""
        await room.acquire()
        running.add(task := asyncio.create_task(respond(request)))
        task.add_done_callback(running.discard)

    return begin


async def _answer(accepts: type[Q], handler: Callable[[Q], Awaitable[Message]], data: bytes) -> Message:
    try:
        return await handler(accepts.consume(data))
    except ValidationError as error:
        return RequestFailed(code="malformed", detail=str(error)[:1000], retryable=False)
    except WorksiteError as error:
        return RequestFailed(code="failed", detail=str(error), retryable=not isinstance(error, Permanent))
    except Exception:  # the boundary: the caller must get an answer
        log.exception("an endpoint failed")
        return RequestFailed(code="internal", detail="the endpoint failed; see its log", retryable=True)


async def request(
    bus: Bus,
    service: str,
    verb: str,
    question: Message,
    expects: type[A],
    *,
    timeout_seconds: float | None = None,
) -> A:
    """Ask another service; what takes longer than other answers says so.

    Raises ServiceUnavailable when it is away or overloaded, Permanent when it refuses.
    """
    subject = rpc_subject(service, verb)
    headers = {"ce-type": question.ce_type()}
    with telemetry.published(subject, headers):
        try:
            reply = await bus.request_raw(subject, question.to_json(), headers, timeout_seconds=timeout_seconds)
        except WorksiteError as error:
            raise ServiceUnavailable(f"{service} does not answer: {error}") from error
    if (reply.headers or {}).get("ce-type") == RequestFailed.ce_type():
        failed = RequestFailed.consume(reply.data)
        raise (ServiceUnavailable if failed.retryable else Permanent)(f"{service}: {failed.detail}")
    return expects.consume(reply.data)
