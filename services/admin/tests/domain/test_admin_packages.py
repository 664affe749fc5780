"""Work in packages: what is built side by side, what is merged when, and what an end takes away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from worksite.admin.domain.decide import decide, open_task
from worksite.admin.domain.events import Event, TaskEvent, Transition
from worksite.common.ids import new_id
from worksite.common.messages import (
    BuildChange,
    CancelRequested,
    Changeset,
    Command,
    DesignSpec,
    Difficulty,
    ReplyData,
    ReplyStatus,
    Route,
    RouteDecision,
    SpecWritten,
    TaskOptions,
    TaskState,
    ValidateChange,
)


class Plan:
    """A task whose design is about to be answered with packages, then told step by step."""

    def __init__(
        self, samples: Any, route: Route = "feature", difficulty: Difficulty | None = "hard", **options: Any
    ) -> None:
        self.samples = samples
        self.now = samples.t0
        self.task = samples.submission(options=TaskOptions(**options))
        decision = RouteDecision(
            route=route, stage="rules", reason="so", confidence=1, latency_ms=0, difficulty=difficulty
        )
        self.last = open_task(self._event(self.task), self.task, decision)
        self.says(self.waiting[0])

    @property
    def state(self) -> TaskState:
        return self.last.after

    @property
    def waiting(self) -> list[Command]:
        """The commands of the steps in flight; each is in the outbox of the state that commanded it."""
        self._commands = {**getattr(self, "_commands", {}), **{c.step: c for c in self.state.commands}}
        return [self._commands[step] for step in self.state.in_flight]

    @property
    def builds(self) -> dict[str, BuildChange]:
        """The packages that are being built, in order."""
        return {c.package: c for c in self.waiting if isinstance(c, BuildChange) and c.package}

    @property
    def merging(self) -> BuildChange:
        """The merge that is in flight, alone."""
        (merge,) = self.waiting
        assert isinstance(merge, BuildChange)
        assert merge.package is None
        return merge

    def designed(self, **after: str) -> Plan:
        self.says(self.waiting[0], self.samples.spec(**after))
        return self

    def says(self, command: Command, data: ReplyData | None = None, status: ReplyStatus = "ok") -> Transition:
        moved = self.happens(self.samples.result(command, data, status))
        assert moved
        return moved

    def built(self, *names: str) -> Plan:
        """Each with a commit that bears its name."""
        for name in names:
            self.says(self.builds[name], self.samples.changeset(name))
        return self

    def merged(self, mark: str, conflicts: str = "") -> Plan:
        self.says(self.merging, self.samples.changeset(mark, conflicts))
        return self

    def happens(self, message: TaskEvent) -> Transition | None:
        moved = decide(self.state, self._event(message))
        if moved:
            self.last = moved
        return moved

    def cancel(self) -> Transition:
        moved = self.happens(CancelRequested(task=self.task.task, tenant=self.task.tenant, principal="ada"))
        assert moved
        return moved

    def _event(self, message: TaskEvent) -> Event:
        return Event(new_id(), self.now, message)

    @property
    def standing(self) -> dict[str, str]:
        return {
            p.id: "merged" if p.merged else "built" if p.changeset else "building" if p.step else "waiting"
            for p in self.state.packages
        }


@pytest.fixture
def plan(samples: Any) -> Callable[..., Plan]:
    return lambda *given, **options: Plan(samples, *given, **options)


# -- planning


@pytest.mark.parametrize(
    ("route", "difficulty", "may_split"),
    [
        ("feature", "hard", True),
        ("fix", "hard", True),
        ("feature", "medium", False),
        ("feature", None, False),
        ("design", "hard", False),
        ("review", "hard", False),
    ],
)
def test_only_hard_work_that_is_built_may_be_planned_in_packages(
    samples: Any, route: Route, difficulty: Difficulty | None, may_split: bool
) -> None:
    told = Plan.__new__(Plan)
    told.samples, told.now = samples, samples.t0
    task = samples.submission()
    decision = RouteDecision(route=route, stage="rules", reason="", confidence=1, latency_ms=0, difficulty=difficulty)
    told.last = open_task(Event("e", samples.t0, task), task, decision)
    changeset = samples.changeset() if route == "review" else None
    told.says(told.waiting[0], samples.imported(changeset=changeset))

    (design,) = told.waiting

    assert isinstance(design, DesignSpec)
    assert design.may_split is may_split


def test_packages_that_build_on_nothing_are_built_side_by_side_in_round_1(
    plan: Callable[..., Plan], samples: Any
) -> None:
    told = plan().designed(a="", b="", c="ab")

    assert [(c.step, c.package) for c in told.builds.values()] == [("3-build", "a"), ("4-build", "b")]
    assert {(c.round, c.previous, c.parts, c.report) for c in told.builds.values()} == {(1, None, (), None)}
    assert {c.spec for c in told.builds.values()} == {samples.spec().spec}
    assert (told.state.status, told.state.step, told.state.round) == ("running", None, 1)
    assert (told.state.in_flight, told.state.steps_commanded) == (("3-build", "4-build"), 4)
    assert told.standing == {"a": "building", "b": "building", "c": "waiting"}
    assert [(p.id, p.title, p.after) for p in told.state.packages][2] == ("c", "the c", ("a", "b"))


@pytest.mark.parametrize("difficulty", ["medium", None])
def test_packages_that_nobody_asked_for_are_built_as_one_piece(
    plan: Callable[..., Plan], difficulty: Difficulty | None
) -> None:
    told = plan("feature", difficulty).designed(a="", b="")

    assert (told.state.step, told.state.packages, told.builds) == ("3-build", (), {})


def test_a_single_package_is_the_whole_work(plan: Callable[..., Plan]) -> None:
    told = plan().designed(a="")

    assert (told.state.step, told.state.packages, told.builds) == ("3-build", (), {})


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({"a": "", "b": "c", "c": ""}, "package b builds on c, planned nowhere before it"),
        ({"a": "", "b": "b"}, "package b builds on b, planned nowhere before it"),
        ({"a": "x", "b": ""}, "package a builds on x, planned nowhere before it"),
        ({"a": "x"}, "package a builds on x, planned nowhere before it"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_fails_the_task(
    plan: Callable[..., Plan], after: dict[str, str], said: str
) -> None:
    told = plan().designed(**after)

    assert told.state.problem
    assert (told.state.status, told.state.problem.code) == ("failed", "bad_reply")
    assert told.state.reason == f"The agent's answer to design contradicts itself: {said}."


def test_two_packages_of_one_name_fail_the_task(plan: Callable[..., Plan], samples: Any) -> None:
    told = plan()
    written: SpecWritten = samples.spec(a="")
    told.says(told.waiting[0], written.model_copy(update={"packages": written.packages * 2}))

    assert told.state.reason == "The agent's answer to design contradicts itself: package a is planned twice."


def test_a_plan_waits_for_the_approver_of_the_design(plan: Callable[..., Plan], samples: Any) -> None:
    told = plan(approve=("design",)).designed(a="", b="")
    assert (told.state.status, told.standing) == ("needs_input", {"a": "waiting", "b": "waiting"})

    told.happens(samples.approval_given(told.task))

    assert list(told.builds) == ["a", "b"]


# -- waves


def test_the_last_of_a_wave_is_followed_by_a_merge_in_the_order_of_the_plan(
    plan: Callable[..., Plan], samples: Any
) -> None:
    told = plan().designed(a="", b="", c="")
    told.built("c", "a")
    assert (told.standing, told.state.commands) == ({"a": "built", "b": "building", "c": "built"}, ())
    assert (told.state.in_flight, told.state.changeset, told.state.status) == (("4-build",), None, "running")

    told.built("b")

    merge = told.merging
    assert (merge.step, merge.round, merge.previous, told.state.step) == ("6-build", 1, None, "6-build")
    assert [(part.package, part.changeset) for part in merge.parts] == [(m, samples.changeset(m)) for m in "abc"]


def test_what_was_merged_is_what_the_next_wave_builds_on_and_the_whole_is_validated_at_last(
    plan: Callable[..., Plan], samples: Any
) -> None:
    told = plan().designed(a="", b="", c="a", d="b").built("a", "b").merged("5")
    assert {(c.step, c.package, c.previous) for c in told.builds.values()} == {
        ("6-build", "c", samples.changeset("5")),
        ("7-build", "d", samples.changeset("5")),
    }

    told.built("c", "d")
    assert (told.merging.previous, [p.package for p in told.merging.parts]) == (samples.changeset("5"), ["c", "d"])
    told.merged("8")

    (validate,) = told.waiting
    assert isinstance(validate, ValidateChange)
    assert (validate.step, validate.round, validate.changeset) == ("9-validate", 1, samples.changeset("8"))
    assert set(told.standing.values()) == {"merged"}
    told.says(validate)
    assert (told.state.status, told.state.reason) == ("completed", "Passed in round 1.")


def test_a_wave_of_one_needs_no_merge(plan: Callable[..., Plan], samples: Any) -> None:
    told = plan().designed(a="", b="a")
    assert list(told.builds) == ["a"]
    told.built("a")
    assert (told.state.changeset, told.standing) == (samples.changeset("a"), {"a": "merged", "b": "building"})
    assert told.builds["b"].previous == samples.changeset("a")

    told.built("b")

    (validate,) = told.waiting
    assert (validate.step, told.state.changeset) == ("5-validate", samples.changeset("b"))


def test_a_package_that_conflicts_is_built_anew_on_what_was_merged_beside_the_next_ones(
    plan: Callable[..., Plan], samples: Any
) -> None:
    told = plan().designed(a="", b="", c="a", d="b").built("a", "b").merged("5", conflicts="b")

    assert told.standing == {"a": "merged", "b": "building", "c": "building", "d": "waiting"}
    assert {c.previous for c in told.builds.values()} == {samples.changeset("5")}
    assert told.state.changeset == samples.changeset("5")  # what was left out is no part of it
    told.built("b", "c").merged("8").built("d")
    assert (told.waiting[0].step, set(told.standing.values())) == ("10-validate", {"merged"})


def test_the_builder_of_a_package_that_conflicted_is_told_the_files_until_it_is_built(
    plan: Callable[..., Plan],
) -> None:
    told = plan().designed(a="", b="", c="a").built("a", "b").merged("5", conflicts="b")

    assert {name: build.conflicts for name, build in told.builds.items()} == {"b": ("app.py",), "c": ()}
    told.says(told.waiting[1], told.samples.question(), "needs_input")  # c asks, b is called off
    told.happens(told.samples.input_given(told.task))
    assert told.builds["b"].conflicts == ("app.py",)
    told.built("b")
    assert [package.conflicts for package in told.state.packages] == [(), (), ()]


def test_conflicts_without_end_have_an_end(plan: Callable[..., Plan]) -> None:
    names = "abcdef12"
    told = plan().designed(**dict.fromkeys(names, ""))
    waves = 0
    while told.builds:
        waves += 1
        told.built(*told.builds)
        if len(told.waiting) == 1 and isinstance(told.waiting[0], BuildChange):
            told.merged("0", conflicts="".join(part.package for part in told.merging.parts[1:]))

    assert waves == len(names)
    assert isinstance(told.waiting[0], ValidateChange)


def test_a_merge_by_a_builder_that_knows_no_packages_counts_as_the_whole(plan: Callable[..., Plan]) -> None:
    told = plan().designed(a="", b="").built("a", "b").merged("7")

    assert isinstance(told.waiting[0], ValidateChange)


@pytest.mark.parametrize(
    ("conflicts", "said"),
    [
        ("ab", "nothing was merged"),
        ("c", "a conflict of c, which was not to be merged"),
        ("xay", "a conflict of x, y, which was not to be merged"),
    ],
)
def test_a_merge_that_contradicts_its_command_fails_the_task(
    plan: Callable[..., Plan], conflicts: str, said: str
) -> None:
    told = plan().designed(a="", b="", c="a").built("a", "b").merged("5", conflicts)

    assert told.state.problem
    assert (told.state.status, told.state.problem.code) == ("failed", "bad_reply")
    assert told.state.reason == f"The agent's answer to build contradicts itself: {said}."


def test_a_build_cannot_conflict(plan: Callable[..., Plan], samples: Any) -> None:
    told = plan().designed(a="", b="").built("a")
    told.says(told.builds["b"], samples.changeset("b", conflicts="a"))
    assert told.state.reason
    assert "a conflict of a, which was not to be merged" in told.state.reason

    whole = plan("feature", "easy").designed()
    whole.says(whole.waiting[0], samples.changeset("b", conflicts="a"))
    assert (whole.state.status, whole.state.problem.code) == ("failed", "bad_reply")


def test_a_package_of_another_base_than_the_imported_fails_the_task(plan: Callable[..., Plan], samples: Any) -> None:
    told = plan().designed(a="", b="")
    stale: Changeset = samples.changeset("a").model_copy(update={"base_sha": "0" * 40})

    moved = told.says(told.builds["a"], stale)

    assert (told.state.status, moved.abandoned_steps) == ("failed", ("4-build",))


def test_a_repair_after_the_validation_is_one_build_of_the_whole(plan: Callable[..., Plan], samples: Any) -> None:
    told = plan().designed(a="", b="").built("a", "b").merged("5")

    told.says(told.waiting[0], samples.judgement("FAIL", "1"))

    (rebuild,) = told.waiting
    assert isinstance(rebuild, BuildChange)
    assert (rebuild.step, rebuild.round, rebuild.package, rebuild.parts) == ("7-build", 2, None, ())
    assert (rebuild.previous, rebuild.report) == (samples.changeset("5"), samples.judgement().report)
    told.says(rebuild, samples.changeset("8"))
    assert (told.waiting[0].step, told.state.changeset) == ("8-validate", samples.changeset("8"))


# -- ends


@pytest.mark.parametrize("status", ["refused", "failed"])
def test_a_package_that_fails_ends_the_task_and_takes_the_others_away(
    plan: Callable[..., Plan], samples: Any, status: ReplyStatus
) -> None:
    told = plan().designed(a="", b="", c="").built("a")
    others = told.builds["c"]

    moved = told.says(told.builds["b"], samples.problem(), status)

    assert (told.state.status, told.state.problem, told.state.in_flight) == ("failed", samples.problem(), ())
    assert moved.abandoned_steps == ("5-build",)
    assert told.happens(samples.result(others)) is None


def test_a_cancel_takes_every_package_in_flight_away(plan: Callable[..., Plan]) -> None:
    told = plan().designed(a="", b="", c="").built("b")

    moved = told.cancel()

    assert (moved.abandoned_steps, told.state.in_flight) == (("3-build", "5-build"), ())
    assert told.standing == {"a": "waiting", "b": "built", "c": "waiting"}


def test_a_deadline_takes_every_package_in_flight_away_and_names_them(plan: Callable[..., Plan], samples: Any) -> None:
    told = plan().designed(a="", b="")
    told.now = told.state.deadline

    moved = told.happens(samples.due(told.task, told.state.deadline))

    assert moved
    assert (moved.abandoned_steps, moved.stops) == (("3-build", "4-build"), True)
    assert told.state.reason
    assert told.state.reason.endswith("passed while 3-build, 4-build were under way.")


def test_nothing_is_taken_away_while_a_wave_goes_on(plan: Callable[..., Plan], samples: Any) -> None:
    told = plan().designed(a="", b="")

    assert told.says(told.builds["a"], samples.changeset("a")).abandoned_steps == ()
    assert told.says(told.builds["b"], samples.changeset("b")).abandoned_steps == ()


def test_a_result_that_comes_again_changes_nothing(plan: Callable[..., Plan], samples: Any) -> None:
    told = plan().designed(a="", b="")
    first = told.builds["a"]
    told.built("a")

    assert told.happens(samples.result(first, samples.changeset("c"))) is None


def test_no_wave_begins_after_the_deadline(plan: Callable[..., Plan]) -> None:
    told = plan().designed(a="", b="").built("a")
    told.now += timedelta(hours=1)

    told.built("b")

    assert told.state.problem
    assert (told.state.status, told.state.problem.code, told.state.commands) == ("failed", "deadline", ())


# -- questions


def test_a_package_that_asks_takes_the_others_away_and_what_was_built_is_kept(
    plan: Callable[..., Plan], samples: Any
) -> None:
    told = plan(max_rounds=1).designed(a="", b="", c="").built("a")

    moved = told.says(told.builds["b"], samples.question(), "needs_input")

    assert (told.state.status, told.state.question) == ("needs_input", samples.question())
    assert (moved.abandoned_steps, moved.timer, told.state.in_flight) == (("5-build",), None, ())
    told.happens(samples.input_given(told.task))
    assert [(c.step, c.package, c.round) for c in told.builds.values()] == [("6-build", "b", 1), ("7-build", "c", 1)]
    told.built("c", "b")
    assert [part.package for part in told.merging.parts] == ["a", "b", "c"]


def test_a_merge_that_asks_is_tried_again(plan: Callable[..., Plan], samples: Any) -> None:
    told = plan().designed(a="", b="").built("a", "b")
    told.says(told.merging, samples.question(), "needs_input")

    told.happens(samples.input_given(told.task))

    assert (told.merging.step, told.merging.round, len(told.merging.parts)) == ("6-build", 1, 2)


def test_an_answer_that_names_a_route_forgets_the_packages(plan: Callable[..., Plan], samples: Any) -> None:
    told = plan().designed(a="", b="").built("a")
    told.says(told.builds["b"], samples.question(), "needs_input")

    told.happens(samples.input_given(told.task, route="feature"))

    assert (told.state.packages, told.state.step) == ((), "5-import")
