"""From a delivery to an event: parsed, and spoken by the one who may say it."""

from __future__ import annotations

from pydantic import ValidationError
from worksite.admin.domain.events import Event, TaskEvent
from worksite.admin.domain.routes import action_of, agent_of
from worksite.common import subjects
from worksite.common.bus import Delivery, Envelope
from worksite.common.dead_letters import Original
from worksite.common.errors import MalformedMessage, UnknownMessageType
from worksite.common.messages import (
    BY_CE_TYPE,
    ApprovalGiven,
    CancelRequested,
    InputGiven,
    StepResult,
    SubmitTask,
    TimerDue,
)

_ACCEPTED = (SubmitTask, StepResult, CancelRequested, InputGiven, ApprovalGiven, TimerDue)
_SAID_BY_GATEWAY: dict[type[TaskEvent], subjects.EventKind] = {
    CancelRequested: "cancel",
    InputGiven: "input",
    ApprovalGiven: "approval",
}


def parse(delivery: Delivery | Original) -> Event:
    """Raises MalformedMessage (to be dead-lettered) or UnknownMessageType (to be handed back)."""
    envelope = Envelope.from_headers(delivery.headers)
    model = BY_CE_TYPE.get(envelope.type)
    if model is None:
        raise UnknownMessageType(f"{envelope.type} is not known to this version")
    if not issubclass(model, _ACCEPTED):
        raise MalformedMessage(f"{envelope.type} is nothing that admin handles")
    try:
        message = model.consume(delivery.data)
    except ValidationError as error:
        raise MalformedMessage(f"{envelope.type}: {error}") from error
    if (message.task, message.tenant) != (envelope.task, envelope.tenant):
        raise MalformedMessage("envelope and body name different tasks or tenants")
    if envelope.time.tzinfo is None:
        raise MalformedMessage("header ce-time has no time zone")
    _check_speaker(delivery.subject, message)
    # A timer's envelope was written when it was set; what it says happens when it runs out.
    return Event(envelope.id, message.at if isinstance(message, TimerDue) else envelope.time, message)


def _check_speaker(subject: str, message: TaskEvent) -> None:
    """The bus lets each service publish under its own name only; the body must not claim another.

    Without this a builder could publish a PASS for the step of the validator.
    """
    if isinstance(message, StepResult):
        reply = message.reply
        if (reply.action, reply.agent) != (action_of(message.step), agent_of(message.step)):
            raise MalformedMessage(f"{reply.agent} answers {reply.action} to the step {message.step}")
    if subject != _subject_of(message):
        raise MalformedMessage(f"{message.type} of task {message.task} may not come on {subject}")


def _subject_of(message: TaskEvent) -> str:
    """The one subject that the message may come on."""
    tenant, task = message.tenant, message.task
    if isinstance(message, SubmitTask):
        return subjects.task_subject(tenant)
    if isinstance(message, StepResult):
        return subjects.event_subject(tenant, task, agent_of(message.step), message.step, "result")
    if isinstance(message, TimerDue):
        return subjects.timer_subject("due", task, message.purpose)
    return subjects.event_subject(tenant, task, "gateway", subjects.TASK_LEVEL_STEP, _SAID_BY_GATEWAY[type(message)])
