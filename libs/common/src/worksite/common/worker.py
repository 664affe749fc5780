"""An agent's side of the bus: one command in, one result out, exactly one effect (DESIGN section 5).

    claim in the ledger -> handler -> record the result -> publish it expecting sequence 0 -> ack

Every arrow may be cut by a crash; the redelivery goes on from what the ledger says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from pydantic import ValidationError
from worksite.common import subjects, telemetry
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, Delivery, Envelope, consume
from worksite.common.bus.consumer import Progress
from worksite.common.dead_letters import Original, bury
from worksite.common.errors import (
    BusUnavailable,
    Conflict,
    Fenced,
    MalformedMessage,
    Retryable,
    StepRefused,
    StepWaits,
    UnknownMessageType,
)
from worksite.common.ids import new_id
from worksite.common.ledger import MAX_FAILURES, Claim, Ledger
from worksite.common.llm.costs import Costs
from worksite.common.messages import (
    BY_CE_TYPE,
    Agent,
    AgentReply,
    Problem,
    Question,
    ReplyData,
    ReplyStatus,
    StepCommand,
    StepProgress,
    StepResult,
)
from worksite.common.messages.replies import Action

log = logging.getLogger(__name__)

UNKNOWN_TYPE_DELAY_SECONDS = 30.0
_MAX_RESULT_BYTES = 60_000
"""Of a StepResult, so that the ledger entry around it still fits a message."""


@dataclass(frozen=True)
class Reply:
    """What a handler returns: could it do its job, and the typed result."""

    data: ReplyData
    status: ReplyStatus = "ok"


@dataclass(frozen=True)
class StepContext:
    """What a handler may use besides its command."""

    artifacts: Artifacts
    progress: Callable[[str], Awaitable[None]]
    holder: str
    """Who has the step, until somebody else takes it over."""
    holds: Callable[[], Awaitable[bool]]
    """Is that still so? Raises BusUnavailable."""
    costs: Costs
    """What the step had of language models goes into its result, however it ends."""


Handler = Callable[[Any, StepContext], Awaitable[Reply]]
"""Takes the command type it is registered for. Raises StepRefused (told to the client), a Retryable (tried again
later, uncounted) or anything else (counted; five times end the step as failed)."""


class Worker:
    """Runs the handlers of one agent."""

    def __init__(
        self,
        bus: Bus,
        agent: Agent,
        handlers: Mapping[type[StepCommand], Handler],
        *,
        concurrency: int = 2,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._bus = bus
        self._agent: Agent = agent
        self._handlers = handlers
        self._concurrency = concurrency
        self._now = now
        self._ledger = Ledger(bus, agent)
        self._artifacts = Artifacts(bus)
        self.progress = Progress()

    async def run(self, stop: asyncio.Event, grace_seconds: float = 10.0) -> None:
        """Work until `stop`, then finish or hand back."""
        await consume(
            self._bus,
            "WORK",
            self._agent,
            self.handle,
            concurrency=self._concurrency,
            stop=stop,
            grace_seconds=grace_seconds,
            progress=self.progress,
        )

    async def handle(self, delivery: Delivery) -> None:
        """One delivery, to its end."""
        try:
            envelope, command = parse_command(delivery)
            handler = self._handlers[type(command)]
        except MalformedMessage as error:
            await bury(self._bus, self._agent, delivery, str(error))
            return
        except (UnknownMessageType, KeyError):
            await delivery.hand_back(UNKNOWN_TYPE_DELAY_SECONDS)
            return
        try:
            await self._step(delivery, envelope, command, handler)
        except MalformedMessage as error:  # what the ledger knows of the step
            await bury(self._bus, self._agent, delivery, str(error))
        except Fenced as error:
            log.info("%s of %s: %s", command.step, command.task, error)
        except Retryable as error:
            log.warning("%s of %s handed back: %s", command.step, command.task, error)
            await delivery.hand_back()

    async def _step(self, delivery: Delivery, envelope: Envelope, command: StepCommand, handler: Handler) -> None:
        claim = await self._ledger.claim(command.task, command.step, holder=new_id())
        if claim is None:  # cancelled while it waited
            await delivery.ack()
            return
        result = claim if isinstance(claim, StepResult) else await self._worked(delivery, claim, command, handler)
        if result is not None:
            await self._publish(envelope, result)
            await delivery.ack()

    async def _worked(
        self, delivery: Delivery, claim: Claim, command: StepCommand, handler: Handler
    ) -> StepResult | None:
        with telemetry.worked(command.task, command.step) as handling:
            result = await self._perform(delivery, claim, command, handler)
            handling.outcome = result.reply.status if result else "retried"
        return result

    async def _perform(
        self, delivery: Delivery, claim: Claim, command: StepCommand, handler: Handler
    ) -> StepResult | None:
        """Run the handler under its claim; None when the delivery was handed back to be tried again."""
        started, costs = self._now(), Costs()
        try:
            reply = await self._fenced(claim, command, handler, costs)
        except StepWaits as error:
            reply = Reply(Question(reason=error.detail[:4000], hint=error.hint), "needs_input")
        except StepRefused as error:
            reply = _problem(error.code, error.detail, "refused")
        except (Retryable, Fenced):
            raise
        except Exception as error:  # the boundary: a handler's own fault is counted, then told
            log.exception("%s of %s failed", command.step, command.task)
            telemetry.handler_failed(delivery.subject)
            failures = await self._ledger.failed(claim, f"{type(error).__name__}: {error}")
            if failures < MAX_FAILURES:
                await delivery.hand_back()
                return None
            await bury(self._bus, self._agent, delivery, f"{failures} failures, last: {error}", terminate=False)
            reply = _problem("failed", f"{self._agent} failed {failures} times: {error}", "failed")
            claim = await self._reclaimed(command)
        return await self._recorded(claim, command, reply, started, costs)

    async def _recorded(
        self, claim: Claim, command: StepCommand, reply: Reply, started: datetime, costs: Costs
    ) -> StepResult:
        """The effect, as the ledger keeps it; a result that fits no message is a failure that says so."""
        result = self._result(command, reply, started, costs)
        if len(result.to_json()) > _MAX_RESULT_BYTES:
            told = _problem("too_large", f"{self._agent}'s result is larger than a message may be", "failed")
            result = self._result(command, told, started, costs)
        await self._ledger.record(claim, result)
        return result

    async def _reclaimed(self, command: StepCommand) -> Claim:
        """Counting the last failure used the claim up; recording the outcome needs a new one."""
        claim = await self._ledger.claim(command.task, command.step, holder=new_id())
        if not isinstance(claim, Claim):
            raise Fenced(f"{command.step} was decided elsewhere")
        return claim

    async def _fenced(self, claim: Claim, command: StepCommand, handler: Handler, costs: Costs) -> Reply:
        """Run the handler, but no longer than the claim holds and the deadline allows."""
        seconds_left = (command.deadline - self._now()).total_seconds()
        if seconds_left <= 0:  # also what ends a step that is handed back again and again
            raise _too_late(command)
        task = asyncio.ensure_future(handler(command, self._context(claim, command, costs)))
        watch = asyncio.create_task(self._lost(claim))
        try:
            done, _ = await asyncio.wait({task, watch}, timeout=seconds_left, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise _too_late(command)
            if task not in done:
                raise Fenced(f"{claim.key} was taken over or cancelled")
            if task.cancelled():  # by the handler itself; it must not end the worker
                raise RuntimeError("the handler cancelled itself")
            return task.result()
        finally:
            watch.cancel()
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    async def _lost(self, claim: Claim) -> None:
        """Return when the claim no longer holds."""
        while True:
            await asyncio.sleep(subjects.HEARTBEAT_SECONDS)
            with contextlib.suppress(Retryable):  # an unreachable ledger proves nothing
                if not await self._ledger.holds(claim):
                    return

    def _context(self, claim: Claim, command: StepCommand, costs: Costs) -> StepContext:
        async def progress(text: str) -> None:
            event = StepProgress(task=command.task, tenant=command.tenant, step=command.step, text=text[:500])
            subject = subjects.event_subject(command.tenant, command.task, self._agent, command.step, "progress")
            with contextlib.suppress(Retryable):  # nothing depends on a progress line
                await self._bus.publish(subject, event, self._envelope(event, command.tenant, command.task, None))

        async def holds() -> bool:
            return await self._ledger.holds(claim)

        return StepContext(self._artifacts, progress, claim.entry.holder, holds, costs)

    def _result(self, command: StepCommand, reply: Reply, started: datetime, costs: Costs) -> StepResult:
        return StepResult(
            task=command.task,
            tenant=command.tenant,
            step=command.step,
            round=command.round,
            reply=AgentReply(action=_action(command), agent=self._agent, status=reply.status, data=reply.data),
            started_at=started,
            finished_at=self._now(),
            model_use=costs.uses,
        )

    async def _publish(self, cause: Envelope, result: StepResult) -> None:
        subject = subjects.event_subject(result.tenant, result.task, self._agent, result.step, "result")
        envelope = self._envelope(result, result.tenant, result.task, cause.id)
        try:
            await self._bus.publish(subject, result, envelope, expected_last=0)
        except Conflict:  # already published, unless something foreign got onto our subject
            tip = await self._bus.tip("EVENTS", subject, history=False)
            if tip.sequence == 0:  # in flight, or on replicas that lag: it may yet be lost with a leader
                raise BusUnavailable(f"{subject} is taken and cannot be seen yet") from None
            if tip.record is None:
                log.error("%s held a foreign message; the result follows it", subject)
                await self._bus.publish(subject, result, envelope, expected_last=tip.sequence)

    def _envelope(self, message: StepResult | StepProgress, tenant: str, task: str, causation: str | None) -> Envelope:
        return Envelope(message.ce_type(), self._agent, tenant, task, causation=causation)


def parse_command(delivery: Delivery | Original) -> tuple[Envelope, StepCommand]:
    """Raises MalformedMessage or UnknownMessageType."""
    envelope = Envelope.from_headers(delivery.headers)
    model = BY_CE_TYPE.get(envelope.type)
    if model is None:
        raise UnknownMessageType(envelope.type)
    if not issubclass(model, StepCommand):
        raise MalformedMessage(f"{envelope.type} is not a command")
    try:
        command = model.consume(delivery.data)
    except ValidationError as error:
        raise MalformedMessage(f"{envelope.type}: {error}") from error
    if command.task != envelope.task or command.tenant != envelope.tenant:
        raise MalformedMessage("envelope and body name different tasks or tenants")
    if delivery.subject.rpartition(".")[2] != command.tenant:
        raise MalformedMessage(f"a command of {command.tenant} may not come on {delivery.subject}")
    return envelope, command


def _problem(code: str, detail: str, status: ReplyStatus) -> Reply:
    return Reply(Problem(code=code, detail=detail[:4000]), status)


def _too_late(command: StepCommand) -> StepRefused:
    return StepRefused(
        "deadline", f"the task's deadline, {command.deadline.isoformat()}, passed before this step was done"
    )


def _action(command: StepCommand) -> Action:
    return cast(Action, command.step.split("-", 1)[1])  # StepId's pattern allows nothing else
