"""What the commands about tasks do; `main.py` only parses."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worksite.cli.client import output, tasks, verdict
from worksite.cli.client.access import Access
from worksite.cli.client.display import Display
from worksite.cli.client.events import Event
from worksite.cli.client.gateway import Gateway
from worksite.cli.client.refusals import GatewayError
from worksite.cli.repository.bundle import Bundle, LocalRepository
from worksite.cli.session import Session, StackOptions, on_some_stack
from worksite.cli.workplace import workplace
from worksite.common.messages import Criterion

_REPORT = "report.md"
_AT_GATES = {"design": ("the design", "spec.md"), "deliver": ("the branch", "project")}
APPROVER = "approver"
_LOOKS, _LOOK_AGAIN_SECONDS = 40, 0.1


@dataclass(frozen=True)
class Delivery:
    """Where a branch goes that has passed; `url` None: where the project came from."""

    url: str | None = None
    merge_request: bool = False
    approved_first: bool = False

    def body(self) -> dict[str, object]:
        """As `POST /v1/tasks` takes it."""
        return {"push": _given({"url": self.url}), "merge_request": self.merge_request}


@dataclass(frozen=True)
class Submission:
    """A request as the command line gave it. `repo` is a repository on this machine, sent as a bundle."""

    request: str
    route: str | None = None
    name: str | None = None
    git_url: str | None = None
    ref: str | None = None
    repo: Path | None = None
    base: str | None = None
    criteria: tuple[Criterion, ...] = ()
    approve: tuple[str, ...] = ()
    delivery: Delivery | None = None

    def body(self, upload: str | None = None, bundle: Bundle | None = None) -> dict[str, object]:
        """What `POST /v1/tasks` takes."""
        ref = bundle.head.short if bundle else self.ref
        base = bundle.base.short if bundle and bundle.base else None
        criteria = [each.model_dump(mode="json") for each in self.criteria]
        options: dict[str, object] = {"base": base, "criteria": criteria, "approve": list(self.approve)}
        options |= {"deliver": self.delivery.body() if self.delivery else None}
        name = bundle.name if bundle else self.name
        project = {"git_url": self.git_url, "upload": upload, "ref": ref, "name": name}
        body: dict[str, object] = {"request": self.request, "route": self.route}
        body |= {"project": _given(project), "options": _given(options)}
        return _given(body)


async def run(submission: Submission, session: Session, stack: StackOptions, out: Path) -> int:
    """Submit, follow, fetch; returns the exit code."""

    async def work(bundle: Bundle | None) -> int:
        async with session.gateway() as gateway:
            task = await _submitted(gateway, session, submission, bundle, uuid.uuid4().hex)
            return await _to_the_end(gateway, session, task, out)

    async with _bundled(submission, session) as bundle:  # before a stack is started for nothing
        return await on_some_stack(session, stack, lambda: work(bundle))


async def submit(submission: Submission, session: Session, idempotency_key: str | None) -> str:
    """Returns the task id."""
    async with _bundled(submission, session) as bundle, session.gateway() as gateway:
        return await _submitted(gateway, session, submission, bundle, idempotency_key or uuid.uuid4().hex)


async def watch(name: str, session: Session, out: Path) -> int:
    """Follow a task to its end and fetch what it made."""
    async with session.gateway() as gateway:
        task = await tasks.resolve(gateway, name)
        known = await gateway.position(task)
        return await _to_the_end(gateway, session, task, out, known=known)


async def answer(name: str, text: str, route: str | None, session: Session, stack: StackOptions, out: Path) -> int:
    """Give a task what it asks for, and follow it."""

    async def work() -> int:
        async with session.gateway() as gateway:
            task = await tasks.resolve(gateway, name)
            after = await gateway.position(task)
            await gateway.answer(task, text, route)
            return await _to_the_end(gateway, session, task, out, after=after)

    return await on_some_stack(session, stack, work)


@dataclass(frozen=True)
class Word:
    """An approver's word on what a task waits with; `digest` is of what they looked at."""

    approved: bool
    comment: str = ""
    digest: str | None = None


async def approve(name: str, word: Word, session: Session, stack: StackOptions, out: Path) -> int:
    """Open the gate that a task waits at, or end it there, and follow it.

    What leaves the house cannot be called back: a delivery is approved by the digest of what was shown.
    Raises GatewayError, NoAccess: no stack is started to find out which task somebody may have seen last.
    """
    if name == tasks.LAST:
        Access.find(session.state)

    async def work() -> int:
        async with session.gateway(APPROVER) as gateway:
            task = await tasks.resolve(gateway, name)
            view = await gateway.task(task)
            if view["approval"] is None:
                raise GatewayError(f"the task is {view['status']} and waits for no approver")
            asked = view["approval"]
            if word.digest not in (None, asked["digest"]):
                raise GatewayError(f"what waits for approval has the digest {asked['digest']}: look at it first")
            if asked["gate"] == "deliver" and word.approved and word.digest is None:
                _ask(session, view)
                return verdict.EXIT_NEEDS_INPUT
            session.screen.tell("\n".join(verdict.awaited(asked)))
            after = await gateway.position(task)
            await gateway.approve(task, asked, word.approved, word.comment)
            return await _to_the_end(gateway, session, task, out, after=after)

    return await on_some_stack(session, stack, work)


async def cancel(name: str, session: Session) -> None:
    """Ask a task to end."""
    async with session.gateway() as gateway:
        await gateway.cancel(await tasks.resolve(gateway, name))


async def show(status: str | None, route: str | None, limit: int | None, session: Session) -> None:
    """Print tasks, newest first; `limit` None: all."""
    shown = 0
    async with (
        session.gateway() as gateway,
        contextlib.aclosing(gateway.tasks(*([limit] if limit else []), status=status, route=route)) as found,
    ):
        async for task in found:
            if shown == limit:
                session.screen.say(f"the newest {limit}; --limit N or --all shows more")
                break
            session.screen.tell(tasks.row(task))
            shown += 1
    if not shown:
        session.screen.say("no tasks")


@contextlib.asynccontextmanager
async def _bundled(submission: Submission, session: Session) -> AsyncGenerator[Bundle | None]:
    """The local repository as a file for the length of the block. Raises RepositoryError."""
    if submission.repo is None:
        yield None
        return
    with workplace(session.state) as folder:
        repository = await LocalRepository.open(submission.repo)
        bundle = await repository.bundle(folder, submission.ref, submission.base)
        session.screen.say(f"{repository.top}: {bundle.head.short} at {bundle.head.commit[:12]}, {bundle.size}")
        if bundle.uncommitted:
            session.screen.say(
                f"uncommitted changes are not part of it, only commits are (paths: {bundle.uncommitted})"
            )
        yield bundle


async def _submitted(
    gateway: Gateway, session: Session, submission: Submission, bundle: Bundle | None, key: str
) -> str:
    upload = None
    if bundle:
        with session.screen.progress.status(f"uploading {bundle.size}"):
            try:
                upload = await gateway.upload(bundle.file)
            except GatewayError as error:
                raise type(error)(f"the repository's bundle of {bundle.size} was not taken: {error}") from error
    return await gateway.submit(submission.body(upload, bundle), key)


async def _to_the_end(
    gateway: Gateway, session: Session, task: str, out: Path, *, after: int = 0, known: int = 0
) -> int:
    """Show what happens, fetch what was made, say how it ended; returns the exit code."""
    last: Event | None = None
    async with contextlib.aclosing(gateway.events(task, after, known)) as events:
        with Display(session.screen.progress, f"task {task}") as display:
            async for last in events:
                display.show(last)
    return await _conclude(gateway, session, await _settled(gateway, task, last), out)


async def _settled(gateway: Gateway, task: str, last: Event | None) -> dict[str, Any]:
    """The view that shows the last event: it follows the events, a moment later. Raises GatewayError."""
    view = await gateway.task(task)
    for _ in range(_LOOKS):
        if last is None or view["status"] == last.body["status"]:
            return view
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        view = await gateway.task(task)
    raise GatewayError(f"the task goes on, it is {view['status']} again: 'worksite watch {task}' follows it")


async def _conclude(gateway: Gateway, session: Session, view: dict[str, Any], out: Path) -> int:
    target, trouble = await output.write(gateway, view, out) if view["artifacts"] else (None, None)
    for text in verdict.explanation(view):
        session.screen.tell(text)
    if trouble:
        session.screen.say(f"the branch is in branch.bundle, but not checked out: {trouble}")
    if target and (target / _REPORT).exists() and view["verdict"] != "PASS":
        session.screen.say(f"the reasons are in {target / _REPORT}")
    line, code = verdict.conclusion(view, target)
    if view.get("approval"):
        what, name = _AT_GATES[view["approval"]["gate"]]
        if target and (target / name).exists():
            session.screen.say(f"{what} is in {target / name}")
        _ask(session, view)
    elif code == verdict.EXIT_NEEDS_INPUT:
        session.screen.tell("answer with: " + session.command("answer", str(view["id"]), "your answer"))
    session.screen.tell(line)
    return code


def _ask(session: Session, view: dict[str, Any]) -> None:
    """Show what an approver decides about, and the line that approves just that."""
    for text in verdict.awaited(view["approval"]):
        session.screen.tell(text)
    named = ["--digest", view["approval"]["digest"]] if view["approval"]["gate"] == "deliver" else []
    session.screen.tell("approve with: " + session.command("approve", str(view["id"]), *named))


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
