"""What the client's view keeps of each step, and the read model's row of each task."""

from __future__ import annotations

from typing import Any

import pytest
from worksite.admin.domain.decide import open_task
from worksite.admin.domain.events import Event
from worksite.admin.domain.projection import entry_of, submission_of
from worksite.admin.domain.records import MAX_SUMMARY_CHARACTERS, record_of
from worksite.admin.domain.routes import action_of, agent_of, is_ahead
from worksite.common.messages import AnswerQuestion, Delivered, ModelUse, Problem, Route, RouteDecision

ROUTED = RouteDecision(route="feature", stage="default", reason="nothing else", confidence=0, latency_ms=0.1)
DELIVERED = Delivered(remote="origin", branch="worksite/x", head_sha="1" * 40)


def test_a_record_names_step_agent_round_status_and_times(samples: Any) -> None:
    record = record_of(samples.result(a_command(samples), samples.problem(), "failed"), None)

    assert (record.step, record.agent, record.round, record.status) == ("1-answer", "architect", 0, "failed")
    assert (record.started_at, record.finished_at) == (samples.t0, samples.t0)


@pytest.mark.parametrize(
    ("sample", "summary", "engine"),
    [
        (lambda s: s.imported(), "imported at bbbbbbbbbbbb", None),
        (lambda s: s.imported(empty=True), "imported at bbbbbbbbbbbb, empty", None),
        (lambda s: s.spec(), "Auth: 7 acceptance criteria", "blueprint:auth-service@1.0.0"),
        (lambda s: s.changeset(), "wrote it", "blueprint:auth-service@1.0.0"),
        (lambda s: s.judgement("FAIL"), "FAIL: 7 of 7 criteria", "validator"),
        (lambda s: s.answer(), "answered with 1 citation", "rag"),
        (lambda s: s.question(), "OAuth is not covered", None),
        (lambda s: s.problem(), "the ref main does not exist", None),
        (lambda _: ROUTED, "nothing else", None),
        (lambda _: DELIVERED, "delivered worksite/x to origin", None),
    ],
)
def test_a_record_sums_up_what_the_step_made(samples: Any, sample: Any, summary: str, engine: str | None) -> None:
    record = record_of(samples.result(a_command(samples), sample(samples)), None)

    assert (record.summary, record.engine) == (summary, engine)


def test_a_record_holds_what_the_step_had_of_each_model_and_its_sum(samples: Any) -> None:
    uses = (ModelUse(model="a", calls=2, cost_micro_usd=1_500), ModelUse(model="b", calls=1, cost_micro_usd=250_000))
    result = samples.result(a_command(samples), samples.answer()).model_copy(update={"model_use": uses})

    record = record_of(result, "large")
    assert (record.cost_usd, record.model_use, record.tier) == (0.2515, uses, "large")


def test_a_summary_is_cut_to_its_limit(samples: Any) -> None:
    long = Problem(code="long", detail="x" * 2000)

    assert len(record_of(samples.result(a_command(samples), long, "failed"), None).summary) == MAX_SUMMARY_CHARACTERS


@pytest.mark.parametrize("route", [None, "question"])
def test_the_submission_can_be_rebuilt_from_the_state(samples: Any, route: Route | None) -> None:
    submitted = samples.submission(route=route)
    stage = "explicit" if route else "default"
    decision = ROUTED.model_copy(update={"route": route or "feature", "stage": stage})

    state = open_task(Event("e1", samples.t0, submitted), submitted, decision).after

    assert submission_of(state) == submitted


def test_a_row_shows_the_state_without_its_outbox(samples: Any) -> None:
    submitted = samples.submission()
    state = open_task(Event("e1", samples.t0, submitted), submitted, ROUTED).after

    row = entry_of(state, 17)

    assert state.commands
    assert row.state == state.model_copy(update={"commands": ()})
    assert (row.submitted, row.sequence) == (submitted, 17)


def test_a_step_says_what_is_done_and_who_may_speak_about_it() -> None:
    assert [(action_of(step), agent_of(step)) for step in ("1-import", "12-validate", "3-design")] == [
        ("import", "builder"),
        ("validate", "validator"),
        ("design", "architect"),
    ]


def test_a_result_is_ahead_of_a_state_that_has_not_commanded_its_step(samples: Any) -> None:
    submitted = samples.submission()
    state = open_task(Event("e1", samples.t0, submitted), submitted, ROUTED).after
    first = samples.result(state.commands[0])

    assert not is_ahead(state, first)
    assert is_ahead(state, first.model_copy(update={"step": "2-design"}))


def a_command(samples: Any) -> AnswerQuestion:
    return AnswerQuestion(
        task="0" * 32, tenant="acme", step="1-answer", round=0, deadline=samples.t0, request="What is a round?"
    )
