"""/v1/tasks/{id}/approval: an approver's word on what a task waits with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from worksite.gateway import problems
from worksite.gateway.auth.access import permitted
from worksite.gateway.body import json_body, json_schema
from worksite.gateway.domain.approving import NothingToApprove
from worksite.gateway.domain.permits import Permit
from worksite.gateway.domain.submission import ApprovalWord
from worksite.gateway.domain.views import TaskView, task_view
from worksite.gateway.gateway import GatewayOf
from worksite.gateway.routes.tasks import find

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])


@router.post(
    "/{task_id}/approval", status_code=202, operation_id="approveTask", openapi_extra=json_schema(ApprovalWord)
)
async def give(
    task_id: str,
    gateway: GatewayOf,
    permit: Annotated[Permit, Depends(permitted("approveTask"))],
    word: Annotated[ApprovalWord, Depends(json_body(ApprovalWord))],
) -> TaskView:
    """Approve or reject what the task's `approval` names, by its digest. The word is stored when the reply comes; the
    task's events tell how it goes on. The same word once more changes nothing."""
    entry = await find(gateway, permit.principal, task_id)
    try:
        await gateway.approvals.give(permit.principal, entry, word)
    except NothingToApprove as error:
        raise problems.ProblemError(409, "nothing-to-approve", "Nothing to approve", str(error)) from error
    said = "approved" if word.approved else "rejected"
    await gateway.audit.act("allowed", permit, f"{said} {word.gate} {word.digest}")
    return task_view(entry)
