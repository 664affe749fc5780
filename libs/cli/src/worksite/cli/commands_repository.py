"""What the commands about a person's own repository do; `main.py` only parses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worksite.cli import commands_tasks
from worksite.cli.client import tasks, verdict
from worksite.cli.client.gateway import Gateway
from worksite.cli.commands_tasks import Submission
from worksite.cli.repository import applying
from worksite.cli.repository.bundle import LocalRepository
from worksite.cli.repository.criteria import CriteriaFile
from worksite.cli.repository.git import RepositoryError
from worksite.cli.session import Session, StackOptions, on_some_stack
from worksite.cli.workplace import workplace

_BUNDLE = "branch.bundle"


@dataclass(frozen=True)
class Application:
    """What `worksite apply` was asked to do."""

    task: str
    path: Path
    branch: str | None = None
    switch: bool = False
    unproved: bool = False


@dataclass(frozen=True)
class Review:
    """What `worksite review` was asked to do."""

    path: Path
    ref: str | None = None
    base: str | None = None
    criteria: Path | None = None


async def apply(application: Application, session: Session, stack: StackOptions) -> None:
    """Bring a task's branch into a repository, and say what to do with it. Raises RepositoryError, GatewayError."""

    async def work() -> applying.Applied:
        async with session.gateway() as gateway:
            view = await gateway.task(await tasks.resolve(gateway, application.task))
            _check(view, application)
            return await _applied(gateway, session, view, application)

    applied = await on_some_stack(session, stack, work)
    session.screen.tell(applied.said)
    for step in applied.next_steps:
        session.screen.tell(f"  {step}")


async def review(review: Review, session: Session, stack: StackOptions, out: Path) -> int:
    """Have a local repository judged; returns the exit code. Raises RepositoryError, CriteriaError."""
    wanted = CriteriaFile.read(review.criteria) if review.criteria else None
    repository = await LocalRepository.open(review.path)
    commit = await repository.commit(review.ref or "HEAD")
    criteria = await wanted.judgeable(repository.git, commit) if wanted else ()
    branch = await repository.git.says("symbolic-ref", "--quiet", "--short", "HEAD")
    request = f"{repository.top.name} at {review.ref or branch or commit[:12]}"
    submission = Submission(request, "review", ref=review.ref, repo=review.path, base=review.base, criteria=criteria)
    return await commands_tasks.run(submission, session, stack, out)


def _check(view: dict[str, Any], application: Application) -> None:
    """Only what was proved goes into a person's repository, unless they say otherwise."""
    task, word = view["id"], verdict.outcome(view)[0]
    if view["status"] in {"queued", "running"}:
        raise RepositoryError(f"task {task} has not ended yet: 'worksite watch {task}' follows it")
    if view["route"] == "review":
        raise RepositoryError(f"task {task} is a review, which makes no branch")
    if view["verdict"] != "PASS" and not application.unproved:  # which may not have been delivered
        raise RepositoryError(f"task {task} ended {word}: only a PASS is applied, anything else with --unproved")
    if _BUNDLE not in view["artifacts"]:
        raise RepositoryError(f"task {task} has made no branch")


async def _applied(
    gateway: Gateway, session: Session, view: dict[str, Any], application: Application
) -> applying.Applied:
    with workplace(session.state) as folder:
        bundle = folder / _BUNDLE
        await asyncio.to_thread(bundle.write_bytes, await gateway.artifact(view["id"], _BUNDLE))
        offer = await applying.opened(bundle)
        wanted = applying.Wanted(offer, application.branch or offer.branch, application.switch)
        return await applying.apply(wanted, application.path)
