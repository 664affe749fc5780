"""What a client sees of a task."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

from pydantic import Field
from worksite.common.messages import (
    Answer,
    Approval,
    Delivered,
    Model,
    PackageState,
    Problem,
    Question,
    ReplyStatus,
    Route,
    TaskEntry,
    TaskState,
    TaskStatus,
    Verdict,
)
from worksite.gateway.domain import artifacts
from worksite.gateway.domain.routing import RoutingView, routing_view

_TASK_ID = re.compile(r"[0-9a-f]{32}")


class StepView(Model):
    """A finished step."""

    step: str
    agent: str
    round: int
    status: ReplyStatus
    summary: str
    engine: str | None
    started_at: datetime
    finished_at: datetime
    seconds: float
    cost_usd: float


class PackageView(Model):
    """A part of the work that one builder does alone. Those that build on nothing unfinished are built side by side."""

    id: str
    title: str
    status: Literal["waiting", "building", "built", "merged"] = Field(
        description="built: done, not merged yet; one that conflicts with what was merged goes back to waiting"
    )
    step: str | None = Field(description="the step that builds it, while it is in flight")
    after: tuple[str, ...] = Field(description="the packages that it builds on")


class Cost(Model):
    total_usd: float
    currency: Literal["USD"] = "USD"


class TaskLinks(Model):
    """Where to go on."""

    self: str
    events: str
    artifacts: str
    cancel: str
    input: str | None = Field(description="status needs_input: where the answer goes; null otherwise")
    approval: str | None = Field(description="where an approver's word goes; null when none is awaited")


class TaskView(Model):
    """A task as far as it has come."""

    id: str
    status: TaskStatus
    request: str
    route: Route | None = Field(description="null until it is decided")
    routing: RoutingView | None = Field(description="how it was decided")
    round: int
    verdict: Verdict | None = Field(description="the validator's; null before it and on routes without it")
    engine: str | None = Field(description="what made the newest result, e.g. blueprint:auth-service@1.0.0")
    reason: str | None = Field(description="why it stopped, in a sentence")
    question: Question | None = Field(description="status needs_input: what is covered, what is not, what would help")
    approval: Approval | None = Field(description="status needs_input: what an approver's word is awaited on")
    inputs: tuple[str, ...] = Field(description="answers to questions so far, oldest first")
    problem: Problem | None = Field(description="status failed: what went wrong")
    answer: Answer | None = Field(description="route question")
    delivered: Delivered | None = Field(description="where the branch was pushed, and its merge request")
    step: str | None = Field(description="the step in flight; while packages are built side by side, the first of them")
    packages: tuple[PackageView, ...] = Field(description="in the order of merging; none where the work is one piece")
    steps: tuple[StepView, ...]
    cost: Cost
    artifacts: tuple[str, ...] = Field(description="names of what can be fetched now")
    created_at: datetime
    updated_at: datetime
    links: TaskLinks


class TaskList(Model):
    """The newest tasks first."""

    tasks: tuple[TaskView, ...]
    next: str | None = Field(description="cursor of the page after this one; null: there is none")


def is_task_id(text: str) -> bool:
    """Could this be the id of a task at all?"""
    return _TASK_ID.fullmatch(text) is not None


def task_view(entry: TaskEntry) -> TaskView:
    """The view of a row of the read model."""
    state = entry.state
    if state is None:
        return _queued(entry)
    return TaskView(
        id=state.task,
        status=state.status,
        request=state.request,
        route=state.route.route,
        routing=routing_view(state.route),
        round=state.round,
        verdict=state.judgement.verdict if state.judgement else None,
        engine=_engine(state),
        reason=state.reason,
        question=state.question,
        approval=state.approval,
        inputs=state.inputs,
        problem=state.problem,
        answer=state.answer,
        delivered=state.delivered,
        step=next(iter(state.in_flight), None),
        packages=tuple(_package(package) for package in state.packages),
        steps=_steps(state),
        cost=Cost(total_usd=artifacts.total_usd(state)),
        artifacts=tuple(artifacts.available(state)),
        created_at=state.created_at,
        updated_at=state.updated_at,
        links=task_links(state.task, state.status, gated=state.approval is not None),
    )


def task_links(task: str, status: TaskStatus, *, gated: bool = False) -> TaskLinks:
    """Paths relative to the gateway."""
    root = f"/v1/tasks/{task}"
    return TaskLinks(
        self=root,
        events=f"{root}/events",
        artifacts=f"{root}/artifacts",
        cancel=f"{root}/cancel",
        input=f"{root}/input" if status == "needs_input" and not gated else None,
        approval=f"{root}/approval" if gated else None,
    )


def _queued(entry: TaskEntry) -> TaskView:
    submitted = entry.submitted
    return TaskView(
        id=submitted.task,
        status="queued",
        request=submitted.request,
        route=submitted.route,
        routing=None,
        round=0,
        verdict=None,
        engine=None,
        reason=None,
        question=None,
        approval=None,
        inputs=(),
        problem=None,
        answer=None,
        delivered=None,
        step=None,
        packages=(),
        steps=(),
        cost=Cost(total_usd=0),
        artifacts=(),
        created_at=submitted.submitted_at,
        updated_at=submitted.submitted_at,
        links=task_links(submitted.task, "queued"),
    )


def _engine(state: TaskState) -> str | None:
    made = state.changeset or state.spec or state.answer
    return made.engine if made else None


def _package(package: PackageState) -> PackageView:
    if package.merged:
        status = "merged"
    elif package.changeset:
        status = "built"
    else:
        status = "building" if package.step else "waiting"
    return PackageView(id=package.id, title=package.title, status=status, step=package.step, after=package.after)


def _steps(state: TaskState) -> tuple[StepView, ...]:
    return tuple(
        StepView(
            step=record.step,
            agent=record.agent,
            round=record.round,
            status=record.status,
            summary=record.summary,
            engine=record.engine,
            started_at=record.started_at,
            finished_at=record.finished_at,
            seconds=artifacts.seconds(record),
            cost_usd=record.cost_usd,
        )
        for record in state.history
    )
