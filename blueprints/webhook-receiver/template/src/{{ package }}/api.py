"""The HTTP interface: translates between requests and use cases.

The endpoints of administrators are plain functions on purpose: they wait for the database, so FastAPI
runs them in its thread pool and the event loop stays free.
"""

import hmac
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from . import deliveries, inbox
from .bodies import read_body
from .context import Context
from .models import State
from .problems import MEDIA_TYPE, InvalidAdminToken
from .schemas import (
    AcceptedOut,
    CountOut,
    DeliveriesOut,
    DeliveryOut,
    DeliverySummaryOut,
    HealthOut,
    ProblemOut,
)
from .signatures import Envelope
from .workers import Workers

_PROBLEM: dict[str, Any] = {
    "description": "A problem document.",
    "content": {MEDIA_TYPE: {"schema": ProblemOut.model_json_schema()}},
}
_ANY_BODY: dict[str, Any] = {"requestBody": {"content": {"*/*": {"schema": {"type": "string"}}}}}

MAX_ID = 2**63 - 1  # what an SQLite integer holds


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _workers(request: Request) -> Workers:
    workers: Workers = request.app.state.workers
    return workers


InContext = Annotated[Context, Depends(_context)]
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


def _require_admin(context: InContext, bearer: Bearer) -> None:
    presented = bearer.credentials if bearer else ""
    token = context.settings.admin_token.get_secret_value()
    if not hmac.compare_digest(presented.encode(errors="replace"), token.encode()):
        raise InvalidAdminToken


Identity = Annotated[int, Path(ge=1, le=MAX_ID)]
SourceFilter = Annotated[str | None, Query(max_length=100)]
Before = Annotated[int | None, Query(ge=1, le=MAX_ID)]
Limit = Annotated[int, Query(ge=1, le=100)]

router = APIRouter(responses={"4XX": _PROBLEM})
admin = APIRouter(
    dependencies=[Depends(_require_admin)], responses={"4XX": _PROBLEM}, tags=["administration"]
)


@router.post(
    "/webhooks/{source}",
    status_code=HTTPStatus.ACCEPTED,
    tags=["webhooks"],
    openapi_extra=_ANY_BODY,
)
async def receive(
    source: str,
    request: Request,
    context: InContext,
    workers: Annotated[Workers, Depends(_workers)],
    webhook_id: Annotated[str, Header()] = "",
    webhook_timestamp: Annotated[str, Header()] = "",
    webhook_signature: Annotated[str, Header()] = "",
) -> AcceptedOut:
    """Accept a signed delivery: verify it and store it. It is handled afterwards."""
    inbox.require_source(context, source)
    body = await read_body(request, context.settings.max_body_bytes)
    envelope = Envelope(webhook_id, webhook_timestamp, webhook_signature)
    content_type = request.headers.get("content-type")
    delivery = await run_in_threadpool(inbox.accept, context, source, envelope, body, content_type)
    workers.wake()
    return AcceptedOut.model_validate(delivery)


@admin.get("/deliveries")
def list_deliveries(
    context: InContext,
    state: State | None = None,
    source: SourceFilter = None,
    before: Before = None,
    limit: Limit = 50,
) -> DeliveriesOut:
    """List deliveries, newest first."""
    page = deliveries.list_deliveries(context, state, source, before, limit)
    oldest = page[-1].id if len(page) == limit else None
    shown = [DeliverySummaryOut.model_validate(delivery) for delivery in page]
    return DeliveriesOut(deliveries=shown, next=oldest)


@admin.get("/deliveries/{id}")
def show_delivery(id: Identity, context: InContext) -> DeliveryOut:
    """Show a delivery with its body and its attempts."""
    return DeliveryOut.model_validate(deliveries.show(context, id))


@admin.get("/dead-letters")
def list_dead_letters(
    context: InContext, source: SourceFilter = None, before: Before = None, limit: Limit = 50
) -> DeliveriesOut:
    """List the deliveries that were given up, newest first."""
    return list_deliveries(context, State.DEAD, source, before, limit)


@admin.post("/dead-letters/redrive", status_code=HTTPStatus.ACCEPTED)
def redrive_all(context: InContext, source: SourceFilter = None) -> CountOut:
    """Have every dead letter, or those of a source, handled again."""
    return CountOut(count=deliveries.redrive_all(context, source))


@admin.post("/dead-letters/{id}/redrive", status_code=HTTPStatus.ACCEPTED)
def redrive(id: Identity, context: InContext) -> DeliveryOut:
    """Have a dead letter handled again, with all its attempts."""
    deliveries.redrive(context, id)
    return show_delivery(id, context)


@admin.delete("/dead-letters")
def purge_all(context: InContext, source: SourceFilter = None) -> CountOut:
    """Erase every dead letter, or those of a source."""
    return CountOut(count=deliveries.purge_all(context, source))


@admin.delete("/dead-letters/{id}", status_code=HTTPStatus.NO_CONTENT)
def purge(id: Identity, context: InContext) -> None:
    """Erase a dead letter. Repetitions of it are still known, and not handled."""
    deliveries.purge(context, id)


@router.get("/healthz", tags=["operations"])
def health(context: InContext) -> HealthOut:
    """Tell whether the service and its database answer."""
    context.database.ping()
    return HealthOut()
