"""Who takes part: agents that answer anything a real one may, and clients that submit, answer and cancel."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Callable, Coroutine, Iterable, Sequence
from random import Random
from typing import Any

from client import SimulatedBus
from server import Message as StoredMessage
from virtual_time import VirtualTimeLoop
from worksite.common import subjects
from worksite.common.bus import Envelope, KeyValue
from worksite.common.errors import BusUnavailable, Conflict, QueueFull, ServiceUnavailable, StepRefused
from worksite.common.llm.costs import Charge
from worksite.common.llm.usage import Usage
from worksite.common.messages import (
    Agent,
    Answer,
    AnswerQuestion,
    ApprovalGiven,
    ArtifactRef,
    BuildChange,
    CancelRequested,
    Changeset,
    DeliverBranch,
    Delivered,
    Delivery,
    DesignSpec,
    GitProject,
    ImportedProject,
    ImportProject,
    InputGiven,
    Judgement,
    Message,
    NewProject,
    PackageConflict,
    PackageOutline,
    Problem,
    Question,
    ReplyData,
    Route,
    SpecWritten,
    StepCommand,
    SubmitTask,
    TaskEntry,
    TaskOptions,
    ValidateChange,
)
from worksite.common.worker import Handler, Reply, StepContext

TENANT = "acme"
AGENTS: dict[Agent, tuple[type[StepCommand], ...]] = {
    "architect": (DesignSpec, AnswerQuestion),
    "builder": (ImportProject, BuildChange, DeliverBranch),
    "validator": (ValidateChange,),
}
_ROUTES: tuple[Route | None, ...] = ("feature", "feature", "fix", "review", "design", "question", None)
_CHARGE = Charge(response_id=None, model="stub", usage=Usage(), micro_usd=1, used=True)
"""Of a build that a model had a part in: only such a one is escalated."""
Word = CancelRequested | InputGiven | ApprovalGiven
_RESEND_SECONDS = 1.0


class Agents:
    """Handlers with seeded outcomes. Each execution makes something else, so that two effects can be told apart."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._trouble = rng.choice((0.0, 0.1, 0.4))
        self._patience = rng.choice((0.5, 5.0, 30.0))
        self._conflicts = rng.choice((0.0, 0.2, 0.7))

    def handlers(self, agent: Agent) -> dict[type[StepCommand], Handler]:
        return dict.fromkeys(AGENTS[agent], self._perform)

    async def _perform(self, command: StepCommand, context: StepContext) -> Reply:
        if self._rng.random() < 0.1:
            await context.progress("at work")
        await asyncio.sleep(self._rng.random() * self._patience)
        if self._rng.random() < self._trouble:
            return self._troubled()
        if isinstance(command, BuildChange) and self._rng.random() < 0.5:
            context.costs.add(_CHARGE)
        return Reply(self._made(command))

    def _troubled(self) -> Reply:
        match self._rng.randrange(8):
            case 0:
                raise StepRefused("no_such_ref", "there is no such ref")
            case 1:
                raise ServiceUnavailable("the provider is away")
            case 2:
                raise asyncio.CancelledError
            case 3:
                return Reply(Question(reason="which one?", hint="say which"), "needs_input")
            case 4:
                return Reply(Problem(code="odd", detail="ok with a problem"))
            case _:
                raise RuntimeError("a bug")

    def _made(self, command: StepCommand) -> ReplyData:
        match command:
            case ImportProject():
                base = self._hex(40)
                change = self._changeset(base) if command.review else None
                return ImportedProject(
                    base_sha=base, bundle=self._blob(), empty=self._rng.random() < 0.2, changeset=change
                )
            case DesignSpec():
                packages = self._packages() if command.may_split else ()
                return SpecWritten(
                    spec=self._blob(), document=_BLOB, title="x", engine="stub", criteria=1, packages=packages
                )
            case BuildChange(parts=parts) if parts:
                left_out = {"conflicts": self._left_out([part.package for part in parts])}
                return self._changeset(command.project.base_sha).model_copy(update=left_out)
            case BuildChange():
                return self._changeset(command.project.base_sha)
            case DeliverBranch():
                head = command.changeset.head_sha
                return Delivered(remote="https://git.example/shop.git", branch=self._hex(8), head_sha=head)
            case ValidateChange():
                return self._judgement()
            case _:
                return Answer(text=self._hex(8), citations=(), engine="stub")

    def _packages(self) -> tuple[PackageOutline, ...]:
        """A plan; an impossible one now and then."""
        names = "abcdefgh"[: self._rng.choice((0, 1, 2, 3, 3, 5, 8))]
        follows = self._rng.choice((0.0, 0.2, 0.6))
        first = "h" if self._rng.random() < self._trouble / 8 else ""
        return tuple(
            PackageOutline(id=name, title=name, after=(*first, *self._some(names[:i], follows)))
            for i, name in enumerate(names)
        )

    def _left_out(self, parts: Sequence[str]) -> tuple[PackageConflict, ...]:
        """Some of what was to be merged; all of it, which cannot be, now and then."""
        impossible = self._rng.random() < self._trouble / 8
        left_out = parts if impossible else self._some(parts[1:], self._conflicts)
        return tuple(PackageConflict(package=name) for name in left_out)

    def _some(self, names: Iterable[str], likely: float) -> list[str]:
        return [name for name in names if self._rng.random() < likely]

    def _changeset(self, base: str) -> Changeset:
        return Changeset(
            base_sha=base, head_sha=self._hex(40), branch="worksite/x", bundle=_BLOB, archive=_BLOB, summary="x",
            engine="stub", files_changed=1,
        )  # fmt: skip

    def _judgement(self) -> Judgement:
        verdict = self._rng.choice(("PASS", "FAIL", "FAIL", "ENVIRONMENT"))
        signature = self._rng.choice("12345") * 64 if verdict == "FAIL" else None
        return Judgement(
            verdict=verdict, report=self._blob(), document=_BLOB, summary="x", engine="stub",
            failure_signature=signature,
        )  # fmt: skip

    def _blob(self) -> ArtifactRef:
        return ArtifactRef(sha256=self._hex(64), size=1, media_type="text/plain")

    def _hex(self, digits: int) -> str:
        return f"{self._rng.getrandbits(4 * digits):0{digits}x}"


class Clients:
    """The gateway with who stands behind it: sends until JetStream has acknowledged, always with the same id."""

    def __init__(self, bus: SimulatedBus, loop: VirtualTimeLoop, rng: Random, seconds: float) -> None:
        self._bus = bus
        self._loop = loop
        self._rng = rng
        self._seconds = seconds
        self._busy: set[asyncio.Task[None]] = set()
        self._answers: dict[str, int] = {}
        self.accepted: list[SubmitTask] = []
        self.sent: dict[str, Message] = {}
        """By ce-id, once acknowledged."""

    @property
    def done(self) -> bool:
        """Nobody is about to say anything."""
        return not self._busy

    def submit(self) -> None:
        """A task, and perhaps a change of mind."""
        task = self._task()
        self._later(self._rng.random() * 5, lambda: self._submit(task))
        if self._rng.random() < 0.2:
            cancel = CancelRequested(task=task.task, tenant=TENANT, principal="ada")
            self._later(self._rng.random() * self._seconds * 1.5, lambda: self._say(cancel, "cancel"))
        if self._rng.random() < 0.05:
            self._answer(task.task, "nobody asked")

    def hear(self, message: StoredMessage) -> None:
        """A task needs input: most answer, some twice at once, some along another route, nobody for ever."""
        if not message.subject.endswith(".state") or b'"status":"needs_input"' not in message.data:
            return
        state = json.loads(message.data)
        task, approval = state["task"], state.get("approval")
        if approval:
            self._approve(task, approval)
            return
        answered = self._answers[task] = self._answers.get(task, 0) + 1
        for _ in range(0 if answered > 3 else self._rng.choice((0, 1, 1, 2))):
            self._answer(task, f"answer {answered}")

    def _answer(self, task: str, text: str) -> None:
        route = self._rng.choice((None, None, "feature", "design", "question"))
        given = InputGiven(task=task, tenant=TENANT, principal="ada", text=text, route=route)
        self._later(self._rng.random() * 10, lambda: self._say(given, "input"))

    def _approve(self, task: str, asked: dict[str, str]) -> None:
        """Most say yes, some no, some twice, some too late."""
        for _ in range(self._rng.choice((0, 1, 1, 2))):
            given = ApprovalGiven(
                task=task, tenant=TENANT, principal="bob", gate=asked["gate"], approved=self._rng.random() < 0.7,
                digest=asked["digest"], expires_at=self._loop.today(),
            )  # fmt: skip
            self._later(self._rng.random() * 60, lambda given=given: self._say(given, "approval"))

    def _task(self) -> SubmitTask:
        rng = self._rng
        project = rng.choice((GitProject(git_url="https://git.example/shop.git"), NewProject(name="shop")))
        approve = rng.choice(((), (), (), ("design",), ("deliver",)))
        options = TaskOptions(
            max_rounds=rng.randint(1, 3), deadline_seconds=rng.choice((3600, 3600, 30)), approve=approve,
            deliver=rng.choice((None, Delivery())),
        )  # fmt: skip
        return SubmitTask(
            task=f"{rng.getrandbits(128):032x}", tenant=TENANT, principal="ada", request="Create auth system",
            route=rng.choice(_ROUTES), project=project, options=options, submitted_at=self._loop.today(),
        )  # fmt: skip

    async def _submit(self, task: SubmitTask) -> None:
        await self._send(subjects.task_subject(TENANT), task, task.task)
        self.accepted.append(task)
        row = TaskEntry(state=None, submitted=task, sequence=0).to_json()
        rows = KeyValue(self._bus, subjects.TASKS)
        await self._until_acked(lambda: rows.create(f"{TENANT}.{task.task}", row))

    async def _say(self, message: Word, kind: subjects.EventKind) -> None:
        subject = subjects.event_subject(TENANT, message.task, "gateway", "task", kind)
        while not any(task.task == message.task for task in self.accepted):  # the gateway knows only what it accepted
            await asyncio.sleep(_RESEND_SECONDS)
        await self._send(subject, message, f"{self._rng.getrandbits(128):032x}")

    async def _send(self, subject: str, message: SubmitTask | Word, id_: str) -> None:
        envelope = Envelope(message.ce_type(), "gateway", TENANT, message.task, id=id_, time=self._loop.today())
        await self._until_acked(lambda: self._bus.publish(subject, message, envelope))
        self.sent[id_] = message

    async def _until_acked(self, publish: Callable[[], Any]) -> None:
        while True:
            try:
                await publish()
                return
            except Conflict:  # admin made the row
                return
            except (BusUnavailable, QueueFull):
                await asyncio.sleep(_RESEND_SECONDS)

    def _later(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            await asyncio.sleep(seconds)
            await work()

        # In a context of its own: what a process made the server say must not belong to that process.
        task = self._loop.create_task(run(), context=contextvars.Context())
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)


_BLOB = ArtifactRef(sha256="a" * 64, size=1, media_type="text/plain")
