"""Delivery, as tables: what has passed is pushed, behind its gate, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from worksite.admin.domain.decide import decide, open_task
from worksite.admin.domain.events import Event, TaskEvent, Transition
from worksite.admin.domain.gates import digest_of
from worksite.common.ids import new_id
from worksite.common.messages import (
    ArtifactRef,
    DeliverBranch,
    Delivery,
    ImportProject,
    PlannedDelivery,
    Push,
    ReplyData,
    Route,
    RouteDecision,
    TaskOptions,
    TaskState,
)

DELIVERY = Delivery(push=Push(branch="feature/login"), merge_request=True)


class Delivering:
    """A task that is to be delivered, told event by event."""

    def __init__(self, samples: Any, route: Route = "feature", **options: Any) -> None:
        self.samples, self.now = samples, samples.t0
        self.task = samples.submission(options=TaskOptions(deliver=DELIVERY, **options))
        decided = RouteDecision(route=route, stage="explicit", reason="said so", confidence=1, latency_ms=0)
        self.last: Transition = open_task(Event("e", self.now, self.task), self.task, decided)

    @property
    def state(self) -> TaskState:
        return self.last.after

    @property
    def digest(self) -> str:
        assert self.state.approval
        return self.state.approval.digest

    def happens(self, message: TaskEvent) -> Transition | None:
        moved = decide(self.state, Event(new_id(), self.now, message))
        self.last = moved or self.last
        return moved

    def answered(self, *answers: ReplyData | None) -> Delivering:
        for answer in answers:
            assert self.happens(self.samples.result(self.state.commands[0], answer))
        return self


def test_the_first_step_is_told_of_the_delivery_so_that_it_can_say_at_once_what_stands_in_its_way(samples: Any) -> None:
    [command] = Delivering(samples).state.commands

    assert isinstance(command, ImportProject)
    assert command.delivery == DELIVERY


@pytest.mark.parametrize("route", ["feature", "fix"])
def test_what_has_passed_is_delivered_as_the_client_asked(samples: Any, route: Route) -> None:
    told = Delivering(samples, route).answered(None, None, None, None)

    [command] = told.state.commands
    assert isinstance(command, DeliverBranch)
    assert (told.state.status, command.step, command.round) == ("running", "5-deliver", 1)
    assert (command.source, command.changeset, command.delivery) == (samples.existing, samples.changeset(), DELIVERY)
    assert command.title == "Auth"


def test_a_delivered_branch_completes_the_task(samples: Any) -> None:
    told = Delivering(samples).answered(None, None, None, None, None)

    assert (told.state.status, told.state.delivered) == ("completed", samples.delivered())
    assert told.state.reason == "Passed in round 1, delivered as worksite/x to https://git.example/shop.git."


@pytest.mark.parametrize(
    ("state", "says"),
    [("opened", ".git."), ("merged", "merged already."), ("closed", "by somebody and is not opened again.")],
)
def test_what_people_made_of_a_merge_request_meanwhile_is_said(samples: Any, state: str, says: str) -> None:
    delivered = samples.delivered().model_copy(update={"merge_request_state": state})
    told = Delivering(samples).answered(None, None, None, None, delivered)

    assert told.state.reason
    assert told.state.reason.endswith(says)


@pytest.mark.parametrize("verdict", ["FAIL", "ENVIRONMENT"])
def test_what_has_not_passed_is_not_delivered(samples: Any, verdict: str) -> None:
    told = Delivering(samples, max_rounds=1).answered(None, None, None, samples.judgement(verdict, "1"))

    assert (told.state.status, told.state.commands, told.state.delivered) == ("completed", (), None)


def test_a_delivery_of_something_else_than_what_passed_fails_the_task(samples: Any) -> None:
    told = Delivering(samples).answered(None, None, None, None, samples.delivered("2"))

    assert told.state.problem
    assert (told.state.status, told.state.problem.code, told.state.delivered) == ("failed", "bad_reply", None)


def test_a_refused_delivery_fails_the_task_and_keeps_what_passed(samples: Any) -> None:
    told = Delivering(samples).answered(None, None, None, None)
    told.happens(samples.result(told.state.commands[0], samples.problem(), "refused"))

    assert told.state.problem
    assert (told.state.status, told.state.problem.code) == ("failed", samples.problem().code)
    assert told.state.problem.detail.startswith(samples.problem().detail)
    assert "'worksite apply' puts it into a repository" in told.state.problem.detail
    assert (told.state.changeset, told.state.judgement) == (samples.changeset(), samples.judgement())


def waiting(samples: Any, **changes: Any) -> Delivering:
    """Before the gate, with other options or another work."""
    told = Delivering(samples, approve=("deliver",))
    asked = {name: changes.pop(name) for name in ("push", "merge_request") if name in changes}
    if asked:
        delivery = DELIVERY.model_copy(update=asked)
        options = told.state.options.model_copy(update={"deliver": delivery})
        told.last = replace(told.last, after=told.state.model_copy(update={"options": options}))
    return told.answered(None, None, samples.changeset().model_copy(update=changes), None)


@pytest.mark.parametrize(
    "changes",
    [
        {"push": Push(branch="feature/other")},
        {"push": Push(url="https://elsewhere.example/shop.git", branch="feature/login")},
        {"merge_request": False},
        {"head_sha": "3" * 40},
        {"bundle": ArtifactRef(sha256="9" * 64, size=1, media_type="application/x-git-bundle")},
    ],
)
def test_a_word_on_one_delivery_opens_no_other(samples: Any, changes: dict[str, Any]) -> None:
    approved, other = waiting(samples), waiting(samples, **changes)

    assert other.happens(samples.approval_given(other.task, gate="deliver", digest=approved.digest)) is None
    assert other.state.status == "needs_input"


def test_what_is_shown_before_the_gate_is_what_is_done_behind_it(samples: Any) -> None:
    told = waiting(samples)
    assert told.state.approval
    shown = told.state.approval.delivery
    told.happens(samples.approval_given(told.task, gate="deliver", digest=told.digest))

    [command] = told.state.commands
    assert isinstance(command, DeliverBranch)
    assert shown == command.planned
    assert shown == PlannedDelivery(
        remote=samples.existing.git_url,
        branch="feature/login",
        head_sha=samples.changeset().head_sha,
        base_sha=samples.changeset().base_sha,
        bundle=samples.changeset().bundle.sha256,
        merge_request=True,
        title="Auth",
        into=samples.existing.ref,
    )


def test_before_the_gate_nothing_is_pushed_and_the_digest_is_that_of_what_is_shown(samples: Any) -> None:
    told = Delivering(samples, approve=("deliver",)).answered(None, None, None, None)

    asked = told.state.approval
    assert asked
    assert (told.state.status, told.state.commands, told.state.reason) == (
        "needs_input",
        (),
        "The delivery waits for an approver.",
    )
    assert (asked.gate, asked.expires_at) == ("deliver", told.now + timedelta(days=7))
    assert asked.delivery
    assert asked.digest == digest_of(asked.delivery)


def test_an_approved_delivery_goes_on_and_the_wait_is_not_charged(samples: Any) -> None:
    told = Delivering(samples, approve=("deliver",)).answered(None, None, None, None)
    deadline = told.state.deadline
    told.now += timedelta(days=3)
    told.happens(samples.approval_given(told.task, gate="deliver", digest=told.digest))

    assert (told.state.step, told.state.approval) == ("5-deliver", None)
    assert told.state.deadline == deadline + timedelta(days=3)
    assert told.answered(None).state.status == "completed"


def test_a_word_on_something_else_opens_nothing(samples: Any) -> None:
    told = Delivering(samples, approve=("deliver",)).answered(None, None, None, None)

    for gate, digest in (("design", told.digest), ("deliver", samples.changeset().bundle.sha256)):
        assert told.happens(samples.approval_given(told.task, gate=gate, digest=digest)) is None


def test_a_rejected_delivery_ends_the_task_with_the_comment(samples: Any) -> None:
    told = Delivering(samples, approve=("deliver",)).answered(None, None, None, None)
    told.happens(samples.approval_given(told.task, gate="deliver", digest=told.digest, approved=False))

    assert (told.state.status, told.state.reason) == (
        "cancelled",
        "The delivery was rejected by bob: too much at once",
    )


def test_a_delivery_that_nobody_approves_in_time_fails_the_task(samples: Any) -> None:
    told = Delivering(samples, approve=("deliver",)).answered(None, None, None, None)
    expires_at = told.now + timedelta(days=7)
    told.now = expires_at

    assert told.happens(samples.approval_given(told.task, gate="deliver", digest=told.digest)) is None
    told.happens(samples.due(told.task, expires_at, "approval"))
    assert told.state.problem
    assert told.state.problem.code == "approval_expired"
    assert "Nobody approved the delivery until" in told.state.problem.detail


def test_both_gates_are_passed_one_after_the_other(samples: Any) -> None:
    told = Delivering(samples, approve=("design", "deliver")).answered(None, None)
    told.happens(samples.approval_given(told.task))
    assert told.state.step == "3-build"

    told.answered(None, None)
    assert told.state.approval
    assert told.state.approval.gate == "deliver"


@pytest.mark.parametrize("route", ["review", "design", "question"])
def test_a_route_without_a_branch_to_deliver_asks_before_it_begins(samples: Any, route: Route) -> None:
    told = Delivering(samples, route)

    assert told.state.question
    assert (told.state.status, told.state.commands) == ("needs_input", ())
    assert told.state.question.reason == f"Route {route} makes no branch that could be delivered."
    told.happens(samples.input_given(told.task, route="feature"))
    assert told.state.step == "1-import"


def test_an_answer_that_leads_to_such_a_route_and_a_second_one_begin_it_anew(samples: Any) -> None:
    """What the former route had asked is no longer what is asked."""
    told = Delivering(samples).answered(None, None)
    told.happens(samples.result(told.state.commands[0], samples.question(), "needs_input"))
    told.happens(samples.input_given(told.task, route="design"))
    told.happens(samples.input_given(told.task))

    assert told.state.question
    assert (told.state.status, told.state.commands) == ("needs_input", ())
    assert told.state.question.reason == "Route design makes no branch that could be delivered."


def test_a_delivery_is_not_begun_after_the_deadline(samples: Any) -> None:
    told = Delivering(samples).answered(None, None, None)
    told.now = told.state.deadline
    told.answered(None)

    assert told.state.problem
    assert (told.state.status, told.state.problem.code) == ("failed", "deadline")
