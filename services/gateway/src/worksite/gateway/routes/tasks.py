"""/v1/tasks: submit, list, look at, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import AwareDatetime, BeforeValidator
from worksite.common import subjects
from worksite.common.bus import Envelope
from worksite.common.messages import TERMINAL, CancelRequested, Route, TaskEntry, TaskStatus
from worksite.gateway import problems
from worksite.gateway.auth.access import authorized, may, permitted
from worksite.gateway.body import json_body, json_schema
from worksite.gateway.domain import cursors, idempotency
from worksite.gateway.domain.listing import TaskQuery
from worksite.gateway.domain.permits import Permit
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.submission import Cancellation, NewTask
from worksite.gateway.domain.views import TaskList, TaskView, task_view
from worksite.gateway.gateway import Gateway, GatewayOf
from worksite.gateway.intake import KeyReused
from worksite.gateway.pages import Cursor, Limit, link_next, position

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])

_CURSOR: cursors.Kind = "task"


async def idempotency_key(
    key: Annotated[str | None, Header(alias="Idempotency-Key", description="1 to 255 printable characters")] = None,
) -> str | None:
    """The key, if the client sent one. Raises a 400 problem for one that cannot be a key."""
    if key is not None and not idempotency.is_key(key):
        detail = f"Idempotency-Key must be 1 to {idempotency.MAX_KEY_LENGTH} printable ASCII characters"
        raise problems.malformed("malformed-idempotency-key", detail)
    return key


def _written_out(text: str) -> str:
    if "T" not in text.upper():
        raise ValueError("write it as RFC 3339 does, e.g. 2026-11-22T12:00:00Z")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
"""Not the seconds since 1970 that pydantic would also take."""


async def task_query(
    limit: Limit = 50,
    cursor: Cursor = None,
    status: Annotated[TaskStatus | None, Query(description="only these")] = None,
    route: Annotated[Route | None, Query(description="only these")] = None,
    since: Annotated[Moment | None, Query(description="created then or later, with its time zone")] = None,
    until: Annotated[Moment | None, Query(description="created earlier than that")] = None,
) -> TaskQuery:
    """Raises a 400 problem for a cursor that is none."""
    return TaskQuery(limit, position(_CURSOR, cursor), status, route, since, until)


@router.post("", status_code=202, operation_id="submitTask", openapi_extra=json_schema(NewTask))
async def submit(
    request: Request,
    response: Response,
    gateway: GatewayOf,
    caller: Annotated[Principal, Depends(may("submitTask"))],
    wanted: Annotated[NewTask, Depends(json_body(NewTask))],
    key: Annotated[str | None, Depends(idempotency_key)],
) -> TaskView:
    """Accept a task. The answer comes when it is stored; sent again with the same `Idempotency-Key`, it is the same."""
    await authorized(gateway, request, caller, "submitTask", {}, wanted.options)  # what it may use is known only now
    view = task_view(await accepted(gateway, caller, wanted, await request.body(), key))
    response.headers["Location"] = view.links.self
    return view


@router.get("", operation_id="listTasks")
async def newest(
    request: Request,
    response: Response,
    gateway: GatewayOf,
    caller: Annotated[Principal, Depends(may("listTasks"))],
    wanted: Annotated[TaskQuery, Depends(task_query)],
) -> TaskList:
    """The tenant's tasks, newest first. New ones do not move the pages that follow."""
    page = await gateway.tasks.page(caller.tenant, wanted)
    following = page.go_on_before and cursors.encode(_CURSOR, page.go_on_before)
    link_next(request, response, following)
    return TaskList(tasks=tuple(task_view(entry) for entry in page.entries), next=following)


@router.get("/{task_id}", operation_id="readTask")
async def read(task_id: str, gateway: GatewayOf, caller: Annotated[Principal, Depends(may("readTask"))]) -> TaskView:
    """One task as far as it has come."""
    return task_view(await find(gateway, caller, task_id))


@router.post(
    "/{task_id}/cancel",
    status_code=202,
    operation_id="cancelTask",
    openapi_extra=json_schema(Cancellation, required=False),
)
async def cancel(
    task_id: str,
    gateway: GatewayOf,
    permit: Annotated[Permit, Depends(permitted("cancelTask"))],
    wanted: Annotated[Cancellation, Depends(json_body(Cancellation, optional=True))],
) -> TaskView:
    """Ask for the end of a task; a step in flight is stopped too. The task's events tell when it has ended."""
    caller = permit.principal
    entry = await find(gateway, caller, task_id)
    if entry.state and entry.state.status in TERMINAL:
        raise problems.ProblemError(409, "task-ended", "Task has ended", f"the task is {entry.state.status}")
    await on_record_for_others(gateway, permit, entry)
    event = CancelRequested(task=task_id, tenant=caller.tenant, principal=caller.subject, reason=wanted.reason)
    subject = subjects.event_subject(caller.tenant, task_id, "gateway", subjects.TASK_LEVEL_STEP, "cancel")
    await gateway.bus.publish(subject, event, Envelope(event.ce_type(), "gateway", caller.tenant, task_id))
    return task_view(entry)


async def accepted(gateway: Gateway, caller: Principal, wanted: NewTask, body: bytes, key: str | None) -> TaskEntry:
    """See `Intake.submit`. Raises a 422 problem for a key that stands for another body, 507 where there is no room."""
    if not (key and gateway.room.full and await gateway.intake.known(caller, body, key)):  # sent again, it needs none
        gateway.room.check()
    try:
        return await gateway.intake.submit(caller, wanted, body, key)
    except KeyReused as error:
        raise problems.key_reused() from error


async def find(gateway: Gateway, caller: Principal, task: str) -> TaskEntry:
    """The caller's task. Raises a 404 problem for unknown ids and other tenants' alike."""
    entry = await gateway.tasks.get(caller.tenant, task)
    if entry is None:
        raise problems.not_found()
    return entry


async def on_record_for_others(gateway: Gateway, permit: Permit, entry: TaskEntry) -> None:
    """Who does something to another's task is put on record. Raises BusUnavailable."""
    owner = entry.submitted.principal
    if owner != permit.principal.subject:
        await gateway.audit.act("allowed", permit, f"the task of {owner}")
