"""Approval gates: a task waits until an approver has spoken about exactly what was made."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from hashlib import sha256

from worksite.admin.domain import stopping
from worksite.admin.domain.commands import command
from worksite.admin.domain.routes import BUILDS
from worksite.common.messages import (
    Approval,
    ApprovalGiven,
    DeliverBranch,
    Gate,
    PlannedDelivery,
    Problem,
    TaskState,
)

_WORDS: dict[Gate, str] = {"design": "design", "deliver": "delivery"}


def is_shut(state: TaskState, gate: Gate) -> bool:
    """Does what lies behind it need somebody's word? A design does that loosens what the work is judged by."""
    return gate in state.options.approve or (gate == "design" and bool(_loosened(state)))


def _loosened(state: TaskState) -> tuple[str, ...]:
    return state.spec.loosens if state.spec and state.route.route in BUILDS else ()


def waiting_for_approval(state: TaskState, gate: Gate, time_to_approve: timedelta) -> TaskState:
    """Bound to a digest: what is approved is what is built, or pushed, and nothing else."""
    delivery = _planned(state) if gate == "deliver" else None
    digest = digest_of(delivery) if delivery else _spec_digest(state)
    expires_at = state.updated_at + time_to_approve
    asked = Approval(gate=gate, digest=digest, expires_at=expires_at, delivery=delivery)
    return stopping.stopped(state, "needs_input", _reason(state, gate)).model_copy(update={"approval": asked})


def _reason(state: TaskState, gate: Gate) -> str:
    loosened = _loosened(state) if gate == "design" else ()
    why = f" It lets go or change what the project is judged by: {', '.join(loosened)}." if loosened else ""
    return f"The {_WORDS[gate]} waits for an approver.{why}"


def digest_of(delivery: PlannedDelivery) -> str:
    """Everything that is shown is in it."""
    return sha256(json.dumps(delivery.model_dump(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _spec_digest(state: TaskState) -> str:
    assert state.spec
    return state.spec.spec.sha256


def _planned(state: TaskState) -> PlannedDelivery:
    """By the very command that is given once it is approved."""
    [deliver] = command(state, "deliver").commands
    assert isinstance(deliver, DeliverBranch)
    return deliver.planned


def answers(given: ApprovalGiven, at: datetime, state: TaskState) -> bool:
    """Is it a word, in time, on what the task waits for?"""
    asked = state.approval
    return (
        state.status == "needs_input"
        and asked is not None
        and (given.gate, given.digest) == (asked.gate, asked.digest)
        and at < asked.expires_at
    )


def rejected(state: TaskState, given: ApprovalGiven) -> TaskState:
    """The approver calls the task off."""
    why = f": {given.comment}" if given.comment else ""
    reason = f"The {_WORDS[given.gate]} was rejected by {given.principal}{why}"
    return stopping.stopped(state, "cancelled", reason)


def expired(state: TaskState, asked: Approval) -> TaskState:
    """Nobody spoke in time."""
    until = asked.expires_at.isoformat(timespec="seconds")
    detail = f"Nobody approved the {_WORDS[asked.gate]} until {until}. Submit the task again when an approver is there."
    return stopping.failed(state, Problem(code="approval_expired", detail=detail))
