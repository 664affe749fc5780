"""The decision, as tables: what each event makes of each state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from worksite.admin.domain.commands import command
from worksite.admin.domain.decide import decide, open_task, without_room
from worksite.admin.domain.events import Event, TaskEvent, Transition
from worksite.common.ids import new_id
from worksite.common.messages import (
    BuildChange,
    CancelRequested,
    Command,
    Criterion,
    DesignSpec,
    Difficulty,
    ImportProject,
    ModelUse,
    NewProject,
    ReplyData,
    ReplyStatus,
    Route,
    RouteDecision,
    SubmitTask,
    TaskOptions,
    TaskState,
    TaskStatus,
    ValidateChange,
)

Answer = tuple[ReplyStatus, ReplyData] | ReplyData | None


class Story:
    """A task that is being told: submitted, then answered step by step."""

    def __init__(
        self, samples: Any, route: Route = "feature", difficulty: Difficulty | None = None, **submission: Any
    ) -> None:
        self.samples = samples
        self.now = samples.t0
        self.submitted: SubmitTask = samples.submission(**submission)
        decision = RouteDecision(
            route=route, stage="explicit", reason="said so", confidence=1, latency_ms=0.1, difficulty=difficulty
        )
        self.transition = open_task(self.event(self.submitted), self.submitted, decision)
        self.commands: list[Command] = list(self.state.commands)

    @property
    def state(self) -> TaskState:
        return self.transition.after

    def event(self, message: TaskEvent) -> Event:
        return Event(new_id(), self.now, message)

    def happens(self, message: TaskEvent) -> Transition | None:
        """Returns None, and leaves the state, when the message changes nothing."""
        transition = decide(self.state, self.event(message))
        if transition:
            self.transition = transition
            self.commands += transition.after.commands
        return transition

    def answered(self, *answers: Answer) -> Story:
        """Each answer goes to the step then in flight; None is a success."""
        for answer in answers:
            status, data = answer if isinstance(answer, tuple) else ("ok", answer)
            assert self.happens(self.samples.result(self.commands[-1], data, status))
        return self

    def cancel(self, reason: str = "") -> Transition | None:
        return self.happens(
            CancelRequested(task=self.state.task, tenant=self.state.tenant, principal="ada", reason=reason)
        )


@pytest.fixture
def story(samples: Any) -> Callable[..., Story]:
    return lambda route="feature", **submission: Story(samples, route, **submission)


@pytest.mark.parametrize(
    ("route", "steps", "reason"),
    [
        ("feature", ["1-import", "2-design", "3-build", "4-validate"], "Passed in round 1."),
        ("fix", ["1-import", "2-design", "3-build", "4-validate"], "Passed in round 1."),
        ("review", ["1-import", "2-design", "3-validate"], "Passed in round 1."),
        ("design", ["1-import", "2-design"], "The design is written."),
        ("question", ["1-answer"], "The question is answered."),
    ],
)
def test_each_route_walks_its_steps_and_completes(
    story: Callable[..., Story], route: Route, steps: list[str], reason: str
) -> None:
    told = story(route).answered(*[None] * len(steps))

    assert [c.step for c in told.commands] == steps
    assert (told.state.status, told.state.reason, told.state.step) == ("completed", reason, None)
    assert [record.step for record in told.state.history] == steps
    assert told.transition.stops


def test_what_each_step_made_is_kept_and_handed_on(story: Callable[..., Story], samples: Any) -> None:
    told = story().answered(None, None, None, None)

    imported, design, build, validate = told.commands
    assert isinstance(imported, ImportProject)
    assert isinstance(design, DesignSpec)
    assert isinstance(build, BuildChange)
    assert isinstance(validate, ValidateChange)
    assert (imported.source, imported.review) == (samples.existing, False)
    assert (design.request, design.project) == ("Create auth system", samples.imported())
    assert (build.spec, build.report, build.previous) == (samples.spec().spec, None, None)
    assert (validate.spec, validate.changeset) == (samples.spec().spec, samples.changeset())
    assert (told.state.spec, told.state.judgement) == (samples.spec(), samples.judgement("PASS"))
    assert {c.deadline for c in told.commands} == {samples.t0 + timedelta(hours=1)}
    assert [c.round for c in told.commands] == [0, 0, 1, 1]


def test_a_review_judges_the_imported_changeset_by_the_given_criteria(
    story: Callable[..., Story], samples: Any
) -> None:
    criterion = Criterion(id="no-secrets", statement="No secrets are committed.", grade="self_reported")
    options = TaskOptions(base="main", criteria=(criterion,))

    told = story("review", options=options).answered(None, None)

    imported, design, validate = told.commands
    assert isinstance(imported, ImportProject)
    assert isinstance(design, DesignSpec)
    assert isinstance(validate, ValidateChange)
    assert (imported.review, imported.review_base) == (True, "main")
    assert design.criteria == (criterion,)
    assert (validate.changeset, validate.round) == (samples.changeset("0"), 1)


@pytest.mark.parametrize("route", ["feature", "fix", "design", "question"])
def test_criteria_that_nobody_would_judge_are_asked_back_instead_of_dropped(
    story: Callable[..., Story], route: Route
) -> None:
    criterion = Criterion(id="oauth", statement="OAuth works.", grade="self_reported")

    told = story(route, options=TaskOptions(base="main", criteria=(criterion,)))

    assert told.state.question
    assert (told.state.status, told.commands) == ("needs_input", [])
    assert told.state.question.missing == ("criterion oauth: OAuth works.", "comparison with main")


def test_a_failed_round_is_followed_by_another_with_the_findings(story: Callable[..., Story], samples: Any) -> None:
    told = story().answered(None, None, None, samples.judgement("FAIL", "1"), None, samples.judgement("PASS"))

    rebuild = told.commands[4]
    assert isinstance(rebuild, BuildChange)
    assert (rebuild.step, rebuild.round) == ("5-build", 2)
    assert (rebuild.report, rebuild.previous) == (samples.judgement().report, samples.changeset())
    assert (told.state.status, told.state.round, told.state.reason) == ("completed", 2, "Passed in round 2.")


def test_a_change_of_another_base_than_the_imported_fails_the_task(story: Callable[..., Story], samples: Any) -> None:
    stale = samples.changeset().model_copy(update={"base_sha": "0" * 40})

    told = story().answered(None, None, stale)

    assert (told.state.status, told.state.problem.code) == ("failed", "bad_reply")
    assert "0" * 40 in told.state.reason


def test_a_verdict_never_stands_beside_a_changeset_it_does_not_speak_of(
    story: Callable[..., Story], samples: Any
) -> None:
    told = story().answered(None, None, None, samples.judgement("FAIL", "1"), samples.changeset("2"))

    assert (told.state.changeset, told.state.judgement) == (samples.changeset("2"), None)


@pytest.mark.parametrize(
    ("max_rounds", "signatures", "rounds", "reason"),
    [
        (3, "123", 3, "Stopped after round 3: no more rounds are allowed."),
        (3, [None, None, None], 3, "Stopped after round 3: no more rounds are allowed."),
        (2, "12", 2, "Stopped after round 2: no more rounds are allowed."),
        (1, "1", 1, "Stopped after round 1: no more rounds are allowed."),
        (3, "11", 2, "Stopped after round 2: the same failure twice."),
        (3, "121", 3, "Stopped after round 3: the same failure twice."),
    ],
)
def test_failing_rounds_stop_and_say_why(
    story: Callable[..., Story], samples: Any, max_rounds: int, signatures: list[str | None], rounds: int, reason: str
) -> None:
    told = story(options=TaskOptions(max_rounds=max_rounds)).answered(None, None)
    for signature in signatures:
        told.answered(None, samples.judgement("FAIL", signature))

    assert (told.state.status, told.state.round, told.state.reason) == ("completed", rounds, reason)
    assert told.state.judgement == samples.judgement("FAIL", signatures[-1])
    assert len(told.state.signatures) == len([s for s in signatures if s])


def test_a_failing_review_completes_at_once(story: Callable[..., Story], samples: Any) -> None:
    told = story("review").answered(None, None, samples.judgement("FAIL", "1"))

    assert (told.state.status, told.state.reason) == ("completed", "The change under review does not pass.")


def test_what_cannot_be_judged_completes_at_once(story: Callable[..., Story], samples: Any) -> None:
    told = story().answered(None, None, None, samples.judgement("ENVIRONMENT"))

    assert told.state.status == "completed"
    assert told.state.reason == "The change could not be judged: 7 of 7 criteria"


def test_no_step_is_commanded_after_the_deadline(story: Callable[..., Story]) -> None:
    told = story()
    told.now += timedelta(hours=1)

    told.answered(None)

    assert told.state.problem
    assert (told.state.status, told.state.problem.code, told.state.commands) == ("failed", "deadline", ())
    assert told.state.problem.detail == "The deadline, 2026-11-22T13:00:00+00:00, passed before the design could begin."


def test_no_round_begins_after_the_deadline_and_the_verdict_stands(story: Callable[..., Story], samples: Any) -> None:
    told = story().answered(None, None, None)
    told.now += timedelta(hours=1)

    told.answered(samples.judgement("FAIL", "1"))

    assert (told.state.status, told.state.reason) == ("completed", "Stopped after round 1: the deadline has passed.")
    assert told.state.judgement == samples.judgement("FAIL", "1")


def test_a_pass_after_the_deadline_is_a_pass(story: Callable[..., Story]) -> None:
    told = story().answered(None, None, None)
    told.now += timedelta(hours=1)

    told.answered(None)

    assert (told.state.status, told.state.reason) == ("completed", "Passed in round 1.")


def test_a_question_of_an_agent_makes_the_task_wait(story: Callable[..., Story], samples: Any) -> None:
    told = story().answered(None, ("needs_input", samples.question()))

    assert (told.state.status, told.state.question) == ("needs_input", samples.question())
    assert (told.state.reason, told.state.step, told.transition.stops) == ("OAuth is not covered", None, True)


@pytest.mark.parametrize("status", ["refused", "failed"])
def test_an_agent_that_refuses_or_fails_fails_the_task(
    story: Callable[..., Story], samples: Any, status: ReplyStatus
) -> None:
    told = story().answered((status, samples.problem()))

    assert (told.state.status, told.state.problem) == ("failed", samples.problem())
    assert told.state.reason == "the ref main does not exist"


@pytest.mark.parametrize(
    ("status", "data", "detail"),
    [
        ("ok", "problem", "import contradicts itself: ok with problem."),
        ("ok", "spec", "import contradicts itself: ok with spec_written."),
        ("needs_input", "problem", "1-import contradicts itself: needs_input with problem."),
        ("failed", "imported", "1-import contradicts itself: failed with imported_project."),
        ("refused", "question", "1-import contradicts itself: refused with question."),
    ],
)
def test_an_answer_that_contradicts_itself_fails_the_task(
    story: Callable[..., Story], samples: Any, status: ReplyStatus, data: str, detail: str
) -> None:
    told = story().answered((status, getattr(samples, data)()))

    assert told.state.problem
    assert (told.state.status, told.state.problem.code) == ("failed", "bad_reply")
    assert told.state.problem.detail == f"The agent's answer to {detail}"


def test_a_review_without_a_changeset_to_review_fails(story: Callable[..., Story], samples: Any) -> None:
    told = story("review").answered(samples.imported(changeset=None))

    assert told.state.problem
    assert told.state.problem.detail == "The agent's answer to import contradicts itself: no changeset to review."


@pytest.mark.parametrize("route", ["feature", "fix", "design"])
def test_what_an_import_brings_unasked_never_passes_for_a_persons_change(
    story: Callable[..., Story], samples: Any, route: Route
) -> None:
    told = story(route).answered(samples.imported(changeset=samples.changeset()))

    assert told.state.problem
    assert told.state.problem.detail.endswith("contradicts itself: a changeset that nobody asked to review.")


@pytest.mark.parametrize("route", ["review", "fix"])
def test_a_new_project_cannot_be_reviewed_or_fixed(story: Callable[..., Story], route: Route) -> None:
    told = story(route, project=NewProject())

    assert told.state.question
    assert (told.state.status, told.commands) == ("needs_input", [])
    assert told.state.question.reason == (
        f"The request was taken for a {route}, which needs a repository, and none was given."
    )
    assert "--repo" in told.state.question.hint
    assert "--git-url" in told.state.question.hint


@pytest.mark.parametrize("route", ["review", "fix"])
def test_a_repository_that_turns_out_to_be_empty_cannot_be_reviewed_or_fixed(
    story: Callable[..., Story], samples: Any, route: Route
) -> None:
    told = story(route).answered(samples.imported(empty=True))

    assert (told.state.status, told.state.imported) == ("needs_input", samples.imported(empty=True))


def test_a_feature_starts_from_an_empty_project(story: Callable[..., Story], samples: Any) -> None:
    told = story(project=NewProject()).answered(samples.imported(empty=True))

    assert told.state.step == "2-design"


@pytest.mark.parametrize(
    ("reason", "told_reason"), [("wrong repository", "Cancelled by ada: wrong repository"), ("", "Cancelled by ada")]
)
def test_a_cancel_ends_a_running_task_and_takes_its_step_away(
    story: Callable[..., Story], reason: str, told_reason: str
) -> None:
    told = story().answered(None)

    transition = told.cancel(reason)

    assert transition
    assert transition.abandoned_steps == ("2-design",)
    assert (told.state.status, told.state.reason, told.state.commands) == ("cancelled", told_reason, ())


def test_a_cancel_ends_a_waiting_task(story: Callable[..., Story], samples: Any) -> None:
    told = story().answered(("needs_input", samples.question()))

    transition = told.cancel()

    assert transition
    assert (transition.abandoned_steps, told.state.status) == ((), "cancelled")


@pytest.mark.parametrize(
    ("end", "status"), [("completed", "completed"), ("failed", "failed"), ("cancelled", "cancelled")]
)
def test_a_cancel_of_what_has_ended_changes_nothing(
    story: Callable[..., Story], samples: Any, end: str, status: TaskStatus
) -> None:
    told = story("question")
    if end == "cancelled":
        told.cancel()
    else:
        told.answered(None if end == "completed" else ("failed", samples.problem()))

    assert told.cancel() is None
    assert told.state.status == status


def test_a_result_of_a_step_that_is_not_in_flight_changes_nothing(story: Callable[..., Story], samples: Any) -> None:
    told = story().answered(None)

    assert told.happens(samples.result(told.commands[0])) is None
    told.cancel()
    assert told.happens(samples.result(told.commands[1])) is None
    assert told.state.status == "cancelled"


def test_second_submissions_and_approval_change_nothing(story: Callable[..., Story], samples: Any) -> None:
    told = story().answered(("needs_input", samples.question()))

    assert told.happens(told.submitted) is None
    assert told.happens(samples.approval_given(told.submitted)) is None


def test_an_answer_lets_the_step_that_asked_go_on_with_every_answer_so_far(
    story: Callable[..., Story], samples: Any
) -> None:
    told = story(project=NewProject(name="shop")).answered(
        samples.imported(empty=True), ("needs_input", samples.question())
    )

    told.happens(samples.input_given(told.submitted, "without OAuth"))
    told.answered(("needs_input", samples.question()))
    told.happens(samples.input_given(told.submitted, "and without SAML"))

    command = told.commands[-1]
    assert isinstance(command, DesignSpec)
    assert (command.step, command.inputs) == ("4-design", ("without OAuth", "and without SAML"))
    assert (command.request, command.project_name) == ("Create auth system", "shop")
    assert (told.state.status, told.state.question, told.state.reason) == ("running", None, None)
    assert told.answered(None, None, None).state.reason == "Passed in round 1."


def test_a_question_is_asked_again_with_the_answer(story: Callable[..., Story], samples: Any) -> None:
    told = story("question").answered(("needs_input", samples.question()))

    told.happens(samples.input_given(told.submitted, "I mean the gateway"))

    assert told.commands[-1].model_dump(include={"step", "inputs"}) == {
        "step": "2-answer",
        "inputs": ("I mean the gateway",),
    }


@pytest.mark.parametrize("ended", ["running", "completed", "cancelled"])
def test_input_where_nothing_was_asked_changes_nothing(
    story: Callable[..., Story], samples: Any, ended: TaskStatus
) -> None:
    told = story("question")
    if ended == "completed":
        told.answered(None)
    elif ended == "cancelled":
        told.cancel()

    assert told.happens(samples.input_given(told.submitted)) is None
    assert told.state.status == ended


def test_a_second_answer_to_one_question_changes_nothing(story: Callable[..., Story], samples: Any) -> None:
    told = story().answered(("needs_input", samples.question()))

    assert told.happens(samples.input_given(told.submitted))
    assert told.happens(samples.input_given(told.submitted)) is None


def test_the_time_that_a_task_waits_is_not_charged_to_its_deadline(story: Callable[..., Story], samples: Any) -> None:
    told = story().answered(None)
    deadline = told.state.deadline
    told.now += timedelta(minutes=10)
    told.answered(("needs_input", samples.question()))
    told.now += timedelta(days=3)

    told.happens(samples.input_given(told.submitted))

    assert told.state.deadline == deadline + timedelta(days=3)
    assert told.state.step == "3-design"


def test_a_build_that_asked_goes_on_in_the_same_round(story: Callable[..., Story], samples: Any) -> None:
    told = story(options=TaskOptions(max_rounds=1)).answered(None, None, ("needs_input", samples.question()))

    told.happens(samples.input_given(told.submitted))

    assert (told.state.step, told.state.round) == ("4-build", 1)


def test_an_answer_that_names_a_route_starts_the_task_again_along_it(story: Callable[..., Story], samples: Any) -> None:
    told = story("fix").answered(None, None, None, samples.judgement("FAIL", "1"), ("needs_input", samples.question()))

    told.happens(samples.input_given(told.submitted, "build it anew", "feature"))

    state = told.state
    assert (state.route.route, state.route.stage, state.step) == ("feature", "explicit", "6-import")
    assert (state.imported, state.spec, state.changeset, state.judgement) == (None, None, None, None)
    assert (state.round, state.signatures) == (0, ())


def test_what_admin_asked_itself_is_asked_again_until_the_answer_names_a_route(
    story: Callable[..., Story], samples: Any
) -> None:
    told = story("review", project=NewProject())
    question = told.state.question

    told.happens(samples.input_given(told.submitted, "go on"))
    assert (told.state.status, told.state.question) == ("needs_input", question)
    told.happens(samples.input_given(told.submitted, "build it", "feature"))
    assert (told.state.status, told.state.step) == ("running", "1-import")


def test_a_repository_that_was_empty_is_imported_again_after_an_answer(
    story: Callable[..., Story], samples: Any
) -> None:
    told = story("fix").answered(samples.imported(empty=True))

    told.happens(samples.input_given(told.submitted, "I have pushed it now"))

    assert told.state.step == "2-import"


def test_answers_that_are_too_long_together_are_refused_in_words(story: Callable[..., Story], samples: Any) -> None:
    told = story(request="x" * 10_000).answered(("needs_input", samples.question()))

    told.happens(samples.input_given(told.submitted, "y" * 4000))

    assert told.state.question
    assert (told.state.status, told.state.inputs) == ("needs_input", ())
    assert "at most 12000 fit" in told.state.question.reason


def test_every_applied_event_is_remembered_with_its_time_and_the_last_as_the_cause(
    story: Callable[..., Story], samples: Any
) -> None:
    told = story()
    told.now += timedelta(seconds=5)
    told.answered(None)

    assert len(set(told.state.applied)) == 2
    assert told.state.applied[-1] == told.state.cause
    assert (told.state.created_at, told.state.updated_at) == (samples.t0, samples.t0 + timedelta(seconds=5))


def test_a_result_that_does_not_fit_fails_the_task_from_the_state_before_it(
    story: Callable[..., Story], samples: Any
) -> None:
    told = story("question")
    event = told.event(samples.result(told.commands[0]))
    transition = decide(told.state, event)
    assert transition

    smaller = without_room(transition, event).after

    assert smaller.problem
    assert (smaller.status, smaller.problem.code, smaller.answer, smaller.step) == ("failed", "too_large", None, None)
    assert smaller.applied == (*told.state.applied, event.id)


def test_a_submission_that_does_not_fit_fails_the_task_without_a_command(
    story: Callable[..., Story], samples: Any
) -> None:
    told = story("question")
    event = Event(told.state.cause, samples.t0, told.submitted)

    smaller = without_room(told.transition, event).after

    assert (smaller.status, smaller.commands, smaller.step) == ("failed", (), None)
    assert smaller.applied == (event.id,)


def test_no_command_is_made_for_a_step_that_no_route_has(story: Callable[..., Story]) -> None:
    with pytest.raises(ValueError, match="no route has the step route"):
        command(story().state, "route")


WRITTEN_BY_MODEL = (ModelUse(model="any", calls=3, cost_micro_usd=1000),)


@pytest.mark.parametrize(
    ("difficulty", "signatures", "tiers", "reason"),
    [
        ("medium", "111", ["medium", "medium", "large"], "3: the same failure again, with a larger model too."),
        ("medium", "112", ["medium", "medium", "large"], "3: no more rounds are allowed."),
        ("easy", "112", ["small", "small", "medium"], "3: no more rounds are allowed."),
        ("medium", "121", ["medium", "medium", "medium"], "3: no more rounds are allowed."),
        ("medium", [None, None, None], ["medium", "medium", "medium"], "3: no more rounds are allowed."),
        ("hard", "11", ["large", "large"], "2: the same failure twice."),
    ],
)
def test_a_model_that_fails_as_before_is_followed_once_by_a_larger_one(
    story: Callable[..., Story], samples: Any, difficulty: Any, signatures: Any, tiers: list[str], reason: str
) -> None:
    told = story(difficulty=difficulty).answered(None, None)
    for signature in signatures:
        built = samples.result(told.commands[-1])
        told.happens(built.model_copy(update={"model_use": WRITTEN_BY_MODEL}))
        told.answered(samples.judgement("FAIL", signature))

    assert [c.tier for c in told.commands if isinstance(c, BuildChange)] == tiers
    assert (told.state.status, told.state.reason) == ("completed", f"Stopped after round {reason}")
    assert len({c.tier for c in told.commands if isinstance(c, ValidateChange)}) == 1


def test_where_no_round_is_left_nothing_is_escalated(story: Callable[..., Story], samples: Any) -> None:
    told = story(options=TaskOptions(max_rounds=2)).answered(None, None)
    for _ in range(2):
        told.happens(samples.result(told.commands[-1]).model_copy(update={"model_use": WRITTEN_BY_MODEL}))
        told.answered(samples.judgement("FAIL", "1"))

    assert told.state.reason == "Stopped after round 2: no more rounds are allowed."
