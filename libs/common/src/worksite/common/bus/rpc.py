"""Request/reply endpoints as NATS micro services, so that `nats micro ls` shows the whole system (ADR-32)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import nats.errors
import nats.micro
from nats.micro.request import Request
from nats.micro.service import EndpointConfig, Service
from pydantic import ValidationError

from worksite.common import telemetry
from worksite.common.bus.connection import Bus
from worksite.common.errors import Permanent, ServiceUnavailable, WorksiteError
from worksite.common.messages import Message, RequestFailed
from worksite.common.subjects import rpc_subject

log = logging.getLogger(__name__)

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)
Endpoint = tuple[type[Message], Callable[[Message], Awaitable[Message]]]


async def serve(bus: Bus, service: str, version: str, endpoints: Mapping[str, Endpoint]) -> Service:
    """Announce the service and answer each verb. Stop it with `await service.stop()` before closing the bus."""
    micro = await nats.micro.add_service(bus.client, name=service, version=version, description=f"Worksite {service}")
    for verb, (accepts, handler) in endpoints.items():
        await micro.add_endpoint(
            EndpointConfig(name=verb, subject=rpc_subject(service, verb), handler=_endpoint(accepts, handler))
        )
    return micro


def _endpoint(
    accepts: type[Message], handler: Callable[[Message], Awaitable[Message]]
) -> Callable[[Request], Awaitable[None]]:
    async def answer(request: Request) -> None:
        with telemetry.consumed(request.subject, dict(request.headers or {})):
            reply = await _answer(accepts, handler, request.data)
        await request.respond(reply.to_json(), headers={"ce-type": reply.ce_type()})

    return answer


async def _answer(
    accepts: type[Message], handler: Callable[[Message], Awaitable[Message]], data: bytes
) -> Message:
    try:
        return await handler(accepts.consume(data))
    except ValidationError as error:
        return RequestFailed(code="malformed", detail=str(error)[:1000], retryable=False)
    except WorksiteError as error:
        return RequestFailed(code="failed", detail=str(error), retryable=not isinstance(error, Permanent))
    except Exception:  # the boundary: the caller must get an answer
        log.exception("an endpoint failed")
        return RequestFailed(code="internal", detail="the endpoint failed; see its log", retryable=True)


async def request(bus: Bus, service: str, verb: str, question: Message, answer: type[A]) -> A:
    """Ask another service. Raises ServiceUnavailable when it is away or overloaded, Permanent when it refuses."""
    subject = rpc_subject(service, verb)
    headers = {"ce-type": question.ce_type()}
    with telemetry.published(subject, headers):
        try:
            reply = await bus.request_raw(subject, question.to_json(), headers)
        except WorksiteError as error:
            raise ServiceUnavailable(f"{service} does not answer: {error}") from error
    if (reply.headers or {}).get("ce-type") == RequestFailed.ce_type():
        failed = RequestFailed.consume(reply.data)
        raise (ServiceUnavailable if failed.retryable else Permanent)(f"{service}: {failed.detail}")
    return answer.consume(reply.data)
