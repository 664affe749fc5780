"""Timers and approval gates, as tables: what each event makes of each state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from worksite.admin.domain.decide import decide, open_task
from worksite.admin.domain.events import Event, TaskEvent, Transition
from worksite.admin.domain.timers import Timer, timer_of
from worksite.common.ids import new_id
from worksite.common.messages import CancelRequested, Route, RouteDecision, SubmitTask, TaskOptions, TaskState

A_WEEK = timedelta(days=7)


class Gated:
    """A task, told event by event."""

    def __init__(self, samples: Any, route: Route = "feature", approve: tuple[str, ...] = ("design",)) -> None:
        self.samples, self.now = samples, samples.t0
        self.task: SubmitTask = samples.submission(options=TaskOptions.model_validate({"approve": approve}))
        decided = RouteDecision(route=route, stage="explicit", reason="said so", confidence=1, latency_ms=0)
        self.last: Transition = open_task(Event("e", self.now, self.task), self.task, decided)

    @property
    def state(self) -> TaskState:
        return self.last.after

    def happens(self, message: TaskEvent) -> Transition | None:
        moved = decide(self.state, Event(new_id(), self.now, message), A_WEEK)
        self.last = moved or self.last
        return moved

    def works(self, steps: int) -> Gated:
        for _ in range(steps):
            assert self.happens(self.samples.result(self.state.commands[0]))
        return self


# -- timers


def test_a_task_at_work_is_timed_by_its_deadline_once(samples: Any) -> None:
    told = Gated(samples, approve=())
    assert told.last.timer == Timer("deadline", samples.t0 + timedelta(hours=1))

    told.works(1)

    assert told.last.timer is None


def test_a_deadline_fails_the_task_and_takes_its_step_away(samples: Any) -> None:
    told = Gated(samples, approve=()).works(2)
    told.now = told.state.deadline

    moved = told.happens(samples.due(told.task, told.state.deadline))

    assert moved
    assert (moved.abandoned_steps, moved.timer, moved.stops) == (("3-build",), None, True)
    assert told.state.problem
    assert (told.state.status, told.state.problem.code, told.state.commands) == ("failed", "deadline", ())
    assert told.state.reason == "The deadline, 2026-11-22T13:00:00+00:00, passed while 3-build was under way."


def test_a_deadline_that_has_moved_since_changes_nothing(samples: Any) -> None:
    told = Gated(samples, approve=())
    early = samples.due(told.task, told.state.deadline)
    told.happens(samples.result(told.state.commands[0], samples.question(), "needs_input"))
    assert told.happens(early) is None  # who waits for a person has time
    told.now += timedelta(minutes=5)
    moved = told.happens(samples.input_given(told.task))

    assert moved
    assert moved.timer == Timer("deadline", early.at + timedelta(minutes=5))
    assert told.happens(early) is None
    assert told.happens(samples.due(told.task, moved.timer.at))


@pytest.mark.parametrize("steps", [4])
def test_a_deadline_of_a_task_that_has_ended_changes_nothing(samples: Any, steps: int) -> None:
    told = Gated(samples, approve=()).works(steps)

    assert told.happens(samples.due(told.task, told.state.deadline)) is None
    assert timer_of(told.state) is None


def test_the_result_of_a_step_whose_time_was_over_changes_nothing(samples: Any) -> None:
    told = Gated(samples, approve=())
    [command] = told.state.commands
    told.happens(samples.due(told.task, told.state.deadline))

    assert told.happens(samples.result(command)) is None


# -- gates


@pytest.mark.parametrize("route", ["feature", "fix", "review", "design"])
def test_behind_a_design_that_is_to_be_approved_nothing_is_commanded(samples: Any, route: Route) -> None:
    told = Gated(samples, route).works(2)

    asked = told.state.approval
    assert asked
    assert (told.state.status, told.state.step, told.state.commands) == ("needs_input", None, ())
    assert (asked.gate, asked.digest, asked.expires_at) == ("design", samples.spec().spec.sha256, told.now + A_WEEK)
    assert told.last.timer == Timer("approval", asked.expires_at)
    assert told.last.stops


@pytest.mark.parametrize(
    ("route", "status"), [("feature", "needs_input"), ("fix", "needs_input"), ("design", "completed")]
)
def test_a_design_that_loosens_what_the_work_is_judged_by_waits_unasked(
    samples: Any, route: Route, status: str
) -> None:
    told = Gated(samples, route, approve=()).works(1)
    loose = samples.spec().model_copy(update={"loosens": ("tests/test_old.py", "worksite.toml")})

    told.happens(samples.result(told.state.commands[0], loose))

    assert (told.state.status, told.state.commands) == (status, ())
    if status == "needs_input":
        assert told.state.approval
        assert told.state.approval.gate == "design"
        assert told.state.reason.endswith("what the project is judged by: tests/test_old.py, worksite.toml.")
        told.happens(samples.approval_given(told.task))
        assert told.state.step == "3-build"


def test_an_approved_design_goes_on_where_it_stood_and_the_wait_is_not_charged(samples: Any) -> None:
    told = Gated(samples).works(2)
    deadline = told.state.deadline
    told.now += timedelta(days=3)

    told.happens(samples.approval_given(told.task))

    assert (told.state.status, told.state.step, told.state.approval) == ("running", "3-build", None)
    assert told.last.timer == Timer("deadline", deadline + timedelta(days=3))


def test_an_approved_design_on_route_design_is_done(samples: Any) -> None:
    told = Gated(samples, "design").works(2)

    told.happens(samples.approval_given(told.task))

    assert (told.state.status, told.state.reason) == ("completed", "The design is written.")


def test_a_rejected_design_ends_the_task_with_the_comment(samples: Any) -> None:
    told = Gated(samples).works(2)

    told.happens(samples.approval_given(told.task, approved=False))

    assert (told.state.status, told.state.approval) == ("cancelled", None)
    assert told.state.reason == "The design was rejected by bob: too much at once"


@pytest.mark.parametrize(
    "other",
    [{"digest": "0" * 64}, {"gate": "deliver"}, {"digest": "0" * 64, "approved": False}],
)
def test_a_word_on_something_else_changes_nothing(samples: Any, other: dict[str, Any]) -> None:
    told = Gated(samples).works(2)

    assert told.happens(samples.approval_given(told.task, **other)) is None


@pytest.mark.parametrize("steps", [0, 1])
def test_a_word_before_there_is_a_design_changes_nothing(samples: Any, steps: int) -> None:
    told = Gated(samples).works(steps)

    assert told.happens(samples.approval_given(told.task)) is None


def test_a_second_word_changes_nothing(samples: Any) -> None:
    told = Gated(samples).works(2)
    told.happens(samples.approval_given(told.task))

    assert told.happens(samples.approval_given(told.task, approved=False)) is None


def test_an_answer_is_no_approval(samples: Any) -> None:
    told = Gated(samples).works(2)

    assert told.happens(samples.input_given(told.task)) is None


def test_an_approval_that_comes_too_late_does_not_open_the_gate(samples: Any) -> None:
    told = Gated(samples).works(2)
    expires_at = told.now + A_WEEK
    told.now = expires_at

    assert told.happens(samples.approval_given(told.task)) is None
    assert told.happens(samples.due(told.task, expires_at, "approval"))
    assert told.state.problem
    assert (told.state.status, told.state.problem.code, told.state.approval) == ("failed", "approval_expired", None)
    assert "Nobody approved the design until 2026-11-29" in told.state.problem.detail


def test_the_deadline_does_not_run_while_an_approver_is_awaited(samples: Any) -> None:
    told = Gated(samples).works(2)

    assert told.happens(samples.due(told.task, told.state.deadline)) is None


def test_a_task_that_waits_for_an_approver_can_be_cancelled(samples: Any) -> None:
    told = Gated(samples).works(2)

    assert told.happens(CancelRequested(task=told.task.task, tenant="acme", principal="ada"))
    assert (told.state.status, told.state.approval, timer_of(told.state)) == ("cancelled", None, None)


def test_rounds_that_follow_need_no_second_approval(samples: Any) -> None:
    told = Gated(samples).works(2)
    told.happens(samples.approval_given(told.task))
    told.works(1)
    told.happens(samples.result(told.state.commands[0], samples.judgement("FAIL", "1")))

    assert (told.state.status, told.state.step) == ("running", "5-build")
