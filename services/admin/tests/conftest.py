"""What agents and clients say, for the tests of admin."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.msg import Msg
from worksite.admin.main import STREAMS
from worksite.common import subjects
from worksite.common.bus import Bus, Delivery, Envelope, KeyValue, consume
from worksite.common.ids import new_id
from worksite.common.messages import (
    BY_CE_TYPE,
    Agent,
    AgentReply,
    Answer,
    AnswerQuestion,
    ApprovalGiven,
    ArtifactRef,
    BuildChange,
    CancelRequested,
    Changeset,
    Citation,
    Command,
    DeadLetter,
    Delivered,
    DesignSpec,
    Gate,
    GitProject,
    ImportedProject,
    ImportProject,
    InputGiven,
    Judgement,
    PackageConflict,
    PackageOutline,
    Problem,
    Question,
    ReplyData,
    ReplyStatus,
    Route,
    SpecWritten,
    StepResult,
    SubmitTask,
    TaskEntry,
    TaskOptions,
    TaskState,
    TimerDue,
    ValidateChange,
    Verdict,
)
from worksite.common.messages.replies import Action
from worksite.common.subjects import TimerPurpose
from worksite.common.worker import Reply, StepContext, Worker

T0 = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
AGENTS: dict[str, Agent] = {
    "import": "builder",
    "design": "architect",
    "build": "builder",
    "validate": "validator",
    "answer": "architect",
    "deliver": "builder",
}


class Samples:
    """One valid example of everything that travels."""

    def __init__(self, t0: datetime = T0) -> None:
        self.t0 = t0

    existing = GitProject(git_url="https://git.example/shop.git")

    def submission(self, **changes: Any) -> SubmitTask:
        return SubmitTask(
            **{
                "task": new_id(),
                "tenant": "acme",
                "principal": "ada",
                "request": "Create auth system",
                "project": self.existing,
                "submitted_at": self.t0,
                **changes,
            }
        )

    def ref(self, letter: str = "a") -> ArtifactRef:
        return ArtifactRef(sha256=letter * 64, size=1, media_type="application/octet-stream")

    def imported(self, *, empty: bool = False, changeset: Changeset | None = None) -> ImportedProject:
        return ImportedProject(base_sha="b" * 40, bundle=self.ref("b"), empty=empty, changeset=changeset)

    def spec(self, **after: str) -> SpecWritten:
        """With a package for each name, which builds on those whose names it is given, one letter each."""
        return SpecWritten(
            spec=self.ref("c"),
            document=self.ref("d"),
            title="Auth",
            engine="blueprint:auth-service@1.0.0",
            criteria=7,
            packages=tuple(
                PackageOutline(id=name, title=f"the {name}", after=tuple(others)) for name, others in after.items()
            ),
        )

    def changeset(self, mark: str = "1", conflicts: str = "") -> Changeset:
        """`conflicts`: names of packages, one letter each."""
        return Changeset(
            conflicts=tuple(PackageConflict(package=name, files=("app.py",)) for name in conflicts),
            base_sha="b" * 40,
            head_sha=mark * 40,
            branch="worksite/x",
            bundle=self.ref("e"),
            archive=self.ref("f"),
            summary="wrote it",
            engine="blueprint:auth-service@1.0.0",
            files_changed=3,
        )

    def judgement(self, verdict: Verdict = "PASS", signature: str | None = None) -> Judgement:
        return Judgement(
            verdict=verdict,
            report=self.ref("9"),
            document=self.ref("8"),
            summary="7 of 7 criteria",
            engine="validator",
            failure_signature=signature * 64 if signature else None,
        )

    def answer(self) -> Answer:
        citation = Citation(path="docs/a.md", start_line=1, end_line=2, text="so")
        return Answer(text="so", citations=(citation,), engine="rag")

    def delivered(self, mark: str = "1") -> Delivered:
        return Delivered(remote=self.existing.git_url, branch="worksite/x", head_sha=mark * 40)

    def question(self) -> Question:
        return Question(reason="OAuth is not covered", missing=("OAuth",), hint="configure a model")

    def problem(self) -> Problem:
        return Problem(code="no_such_ref", detail="the ref main does not exist")

    def input_given(
        self, task: SubmitTask, text: str = "without OAuth, then", route: Route | None = None
    ) -> InputGiven:
        return InputGiven(task=task.task, tenant=task.tenant, principal="ada", text=text, route=route)

    def approval_given(
        self, task: SubmitTask, *, approved: bool = True, digest: str = "c" * 64, gate: Gate = "design"
    ) -> ApprovalGiven:
        return ApprovalGiven(
            task=task.task,
            tenant=task.tenant,
            principal="bob",
            gate=gate,
            approved=approved,
            digest=digest,
            expires_at=self.t0,
            comment="" if approved else "too much at once",
        )

    def due(self, task: SubmitTask, at: datetime, purpose: TimerPurpose = "deadline") -> TimerDue:
        return TimerDue(task=task.task, tenant=task.tenant, purpose=purpose, at=at)

    def late(self, seconds_left: float, **changes: Any) -> SubmitTask:
        """A submission whose deadline is close."""
        options = TaskOptions(deadline_seconds=10, **changes.pop("options", {}))
        submitted_at = datetime.now(UTC) - timedelta(seconds=10 - seconds_left)
        return self.submission(options=options, submitted_at=submitted_at, **changes)

    def good(self, command: Command) -> ReplyData:
        """What an agent that succeeds makes of a command."""
        match command:
            case ImportProject(review=True):
                return self.imported(changeset=self.changeset("0"))
            case ImportProject():
                return self.imported()
            case _:
                made = {
                    "design_spec": self.spec,
                    "build_change": self.changeset,
                    "validate_change": self.judgement,
                    "answer_question": self.answer,
                    "deliver_branch": self.delivered,
                }
                return made[command.type]()

    def result(self, command: Command, data: ReplyData | None = None, status: ReplyStatus = "ok") -> StepResult:
        """An agent's result of a command; by default a success."""
        action: Action = command.step.split("-")[1]  # pyright: ignore[reportAssignmentType]
        reply = AgentReply(action=action, agent=AGENTS[action], status=status, data=data or self.good(command))
        return StepResult(
            task=command.task,
            tenant=command.tenant,
            step=command.step,
            round=command.round,
            reply=reply,
            started_at=self.t0,
            finished_at=self.t0,
        )


@pytest.fixture(scope="session")
def samples() -> Samples:
    return Samples()


class Scene:
    """Admin with its surroundings on a real bus: clients, fake agents, and what everybody saw."""

    def __init__(self, bus: Bus, samples: Samples) -> None:
        self.bus = bus
        self.samples = samples
        self.stop = asyncio.Event()
        self.executed: Counter[tuple[str, str]] = Counter()
        """How often an agent carried out each step of each task."""
        self.verdicts: dict[str, list[Judgement]] = {}
        """What the validator says, round by round, of a task; PASS where nothing is set."""
        self.holding: set[str] = set()
        """Tasks whose builds never finish."""
        self.plan: dict[str, str] = {}
        """The packages that the architect plans where it may, as `Samples.spec` takes them."""
        self.conflicts: list[str] = []
        """What each merge to come leaves out."""
        self._running: list[asyncio.Task[None]] = []

    # -- processes

    def start_admin(self, handle: Callable[[Delivery], Awaitable[None]], bus: Bus | None = None) -> None:
        for stream in STREAMS:
            self._start(
                consume(bus or self.bus, stream, "admin", handle, concurrency=8, stop=self.stop, grace_seconds=0.1)
            )

    def start_agents(self) -> None:
        handlers = {
            "builder": {ImportProject: self._perform, BuildChange: self._perform},
            "architect": {DesignSpec: self._perform, AnswerQuestion: self._perform},
            "validator": {ValidateChange: self._perform},
        }
        for agent, steps in handlers.items():
            self._start(Worker(self.bus, agent, steps, concurrency=8).run(self.stop, 0.1))  # pyright: ignore

    async def _perform(self, command: Command, _: StepContext) -> Reply:
        self.executed[command.task, command.step] += 1
        if command.type == "build_change" and command.task in self.holding:
            await asyncio.Event().wait()
        if command.type == "design_spec" and command.may_split:
            return Reply(self.samples.spec(**self.plan))
        if command.type == "build_change" and command.parts and self.conflicts:
            return Reply(self.samples.changeset("7", self.conflicts.pop(0)))
        planned = self.verdicts.get(command.task)
        if command.type == "validate_change" and planned:
            return Reply(planned.pop(0))
        return Reply(self.samples.good(command))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._running.append(asyncio.create_task(work))

    async def end(self) -> None:
        self.stop.set()
        await asyncio.gather(*self._running)

    # -- clients

    async def submit(self, task: SubmitTask) -> SubmitTask:
        await self.publish(subjects.task_subject(task.tenant), task, "gateway")
        return task

    async def cancel(self, task: SubmitTask) -> None:
        request = CancelRequested(task=task.task, tenant=task.tenant, principal="ada")
        await self.publish(
            subjects.event_subject(task.tenant, task.task, "gateway", "task", "cancel"), request, "gateway"
        )

    async def approve(self, task: SubmitTask, **word: Any) -> None:
        given = self.samples.approval_given(task, **word)
        subject = subjects.event_subject(task.tenant, task.task, "gateway", "task", "approval")
        await self.publish(subject, given, "gateway")

    async def say(self, result: StepResult) -> None:
        subject = subjects.event_subject(result.tenant, result.task, result.reply.agent, result.step, "result")
        await self.publish(subject, result, result.reply.agent)

    async def publish(self, subject: str, message: Any, source: str) -> None:
        envelope = Envelope(message.ce_type(), source, message.tenant, message.task)
        await self.bus.publish(subject, message, envelope)

    # -- what everybody saw

    async def next_delivery(self, stream: str, service: str = "admin") -> Delivery:
        """Take one message as a service, by hand."""
        subscription = await self.bus.jetstream.pull_subscribe_bind(service, stream)
        try:
            return Delivery.of((await subscription.fetch(1, timeout=10))[0])
        finally:
            await subscription.unsubscribe()

    @contextlib.asynccontextmanager
    async def overheard(self, filter_: str) -> AsyncIterator[list[Msg]]:
        """Every publication under the filter while this is open, those included that a stream drops as duplicates."""
        said: list[Msg] = []

        async def hear(message: Msg) -> None:
            said.append(message)

        subscription = await self.bus.client.subscribe(filter_, cb=hear)
        try:
            yield said
            await self.bus.client.flush()
        finally:
            await subscription.unsubscribe()

    async def states(self, task: SubmitTask) -> list[TaskState]:
        stored = await self.bus.read("EVENTS", subjects.state_subject(task.tenant, task.task), after=0)
        return [TaskState.consume(message.data) for message in stored]

    async def row(self, task: SubmitTask) -> TaskEntry | None:
        found = await KeyValue(self.bus, subjects.TASKS).get(f"{task.tenant}.{task.task}")
        return TaskEntry.consume(found.value) if found else None

    async def until(self, task: SubmitTask, done: Callable[[TaskState], bool]) -> TaskState:
        """Wait until the read model shows a state that satisfies `done`."""
        async with asyncio.timeout(20), self.bus.listen(f"$KV.{subjects.TASKS}.{task.tenant}.{task.task}") as changed:
            while True:
                changed.clear()
                row = await self.row(task)
                if row and row.state and done(row.state):
                    return row.state
                with contextlib.suppress(TimeoutError):  # the hint may come before the row is stored: look again
                    await asyncio.wait_for(changed.wait(), 0.1)

    async def ended(self, task: SubmitTask) -> TaskState:
        return await self.until(task, lambda state: state.status != "running")

    async def queued(self, agent: str) -> list[Command]:
        """The commands that wait for an agent; they stay where they are."""
        stored = await self.bus.read("WORK", f"ws.v1.work.{agent}.>", after=0)
        return [BY_CE_TYPE[message.headers["ce-type"]].consume(message.data) for message in stored]  # pyright: ignore

    async def dead_letters(self) -> list[DeadLetter]:
        return [DeadLetter.consume(m.data) for m in await self.bus.read("DEAD", "ws.v1.dead.admin.>", after=0)]

    async def settled(self, stream: str) -> None:
        """Wait until admin has acked or terminated all there is."""
        async with asyncio.timeout(20):
            while (info := await self.bus.jetstream.consumer_info(stream, "admin")).num_pending or info.num_ack_pending:
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture
async def scene(bus: Bus) -> AsyncIterator[Scene]:
    scene = Scene(bus, Samples(datetime.now(UTC)))
    yield scene
    await scene.end()
