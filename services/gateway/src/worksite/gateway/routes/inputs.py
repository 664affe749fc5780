"""/v1/tasks/{id}/input: answer a task that waits."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from worksite.gateway import problems
from worksite.gateway.auth.access import permitted
from worksite.gateway.body import json_body, json_schema
from worksite.gateway.domain.answering import NotWaiting, TooLong
from worksite.gateway.domain.permits import Permit
from worksite.gateway.domain.submission import TaskInput
from worksite.gateway.domain.views import TaskView, task_view
from worksite.gateway.gateway import GatewayOf
from worksite.gateway.intake import KeyReused
from worksite.gateway.routes.tasks import find, idempotency_key, on_record_for_others

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])


@router.post("/{task_id}/input", status_code=202, operation_id="giveInput", openapi_extra=json_schema(TaskInput))
async def give(
    task_id: str,
    gateway: GatewayOf,
    permit: Annotated[Permit, Depends(permitted("giveInput"))],
    wanted: Annotated[TaskInput, Depends(json_body(TaskInput))],
    key: Annotated[str | None, Depends(idempotency_key)],
) -> TaskView:
    """Answer the question of a task that waits. The answer is stored when the reply comes; the task's events tell how
    it goes on."""
    entry = await find(gateway, permit.principal, task_id)
    try:
        await gateway.inputs.give(permit.principal, entry, wanted, key)
    except NotWaiting as error:
        raise problems.ProblemError(409, "not-waiting", "Task does not wait", str(error)) from error
    except KeyReused as error:
        raise problems.key_reused() from error
    except TooLong as error:
        raise problems.does_not_fit("text", str(error)) from error
    await on_record_for_others(gateway, permit, entry)
    return task_view(entry)
