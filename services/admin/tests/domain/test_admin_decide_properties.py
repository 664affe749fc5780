"""Whatever comes, in whatever order and however often: the promises of the decision hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from worksite.admin.domain.decide import decide, open_task
from worksite.admin.domain.events import Event, TaskEvent, Transition
from worksite.admin.domain.routing import explicit
from worksite.admin.domain.timers import timer_of
from worksite.common.messages import (
    TERMINAL,
    ApprovalGiven,
    CancelRequested,
    Command,
    Delivery,
    Gate,
    PackageWork,
    TaskOptions,
    TaskState,
    TimerDue,
)

ANSWERS = (
    "good",
    "good",
    "good",
    "good",
    "FAIL1",
    "FAIL2",
    "FAIL",
    "ENVIRONMENT",
    "needs_input",
    "refused",
    "failed",
    "nonsense",
)
ROUTES = st.sampled_from(("feature", "fix", "review", "design", "question"))


class World:
    """A task and everything that was ever said about it; the shell's part is done as the shell does it."""

    def __init__(
        self,
        samples: Any,
        route: str,
        max_rounds: int,
        approve: tuple[Gate, ...] = (),
        deliver: Delivery | None = None,
        plan: dict[str, str] | None = None,
    ) -> None:
        """`plan`: the packages of the design, each with those that it builds on; without: one piece."""
        self.samples = samples
        self.now: datetime = samples.t0
        self.timers: set[TimerDue] = set()
        """Every timer that was ever put: any may run out, in any order and more than once."""
        options = TaskOptions(max_rounds=max_rounds, approve=approve, deliver=deliver)
        submitted = samples.submission(route=route, options=options)
        self.submitted = submitted
        self.said = [Event("e0", samples.t0, submitted)]
        self.plan = plan or {}
        decided = explicit(submitted)
        assert decided
        decided = decided.model_copy(update={"difficulty": "hard" if plan else None})
        opened = open_task(self.said[0], submitted, decided)
        self.state: TaskState = opened.after
        self.commands: list[Command] = list(self.state.commands)
        self.taken_away: set[str] = set()
        self.put(opened)

    def say(self, message: TaskEvent) -> None:
        at = message.at if isinstance(message, TimerDue) else self.now
        self.said.append(Event(f"e{len(self.said)}", at, message))
        self.hear(self.said[-1])

    def put(self, transition: Transition) -> None:
        if timer := transition.timer:
            self.timers.add(self.samples.due(self.submitted, timer.at, timer.purpose))

    def hear(self, event: Event) -> None:
        if event.id in self.state.applied:
            return
        if transition := decide(self.state, event):
            self.state = transition.after
            self.commands += transition.after.commands
            self.taken_away |= set(transition.abandoned_steps)
            self.put(transition)

    def command_of(self, step: str) -> Command:
        return next(command for command in self.commands if command.step == step)

    def answer(self, command: Command, kind: str) -> None:
        self.say(self.samples.result(command, *self._reply(command, kind)))

    def _reply(self, command: Command, kind: str) -> tuple[Any, Any]:
        if kind in {"refused", "failed"}:
            return self.samples.problem(), kind
        if kind == "needs_input":
            return self.samples.question(), kind
        if kind == "nonsense":
            return self.samples.question(), "ok"
        if command.type == "design_spec" and kind == "good":
            return self.samples.spec(**self.plan), "ok"
        if command.type == "build_change" and command.parts:
            return self.samples.changeset("1", "".join(self._left_out(command.parts, kind))), "ok"
        if command.type == "validate_change" and kind != "good":
            return self.samples.judgement(kind.rstrip("12"), kind[4:] or None if "FAIL" in kind else None), "ok"
        return None, "ok"

    def _left_out(self, parts: Sequence[PackageWork], kind: str) -> list[str]:
        """Of a merge: nothing, all but the first, or (what cannot be) all."""
        names = [part.package for part in parts]
        return {"good": [], "FAIL1": names[1:], "FAIL2": names[1:]}.get(kind, names)


@settings(max_examples=150, deadline=None)
@given(
    route=ROUTES,
    max_rounds=st.integers(1, 3),
    approve=st.sampled_from(((), ("design",), ("design", "deliver"), ("deliver",))),
    deliver=st.sampled_from((None, Delivery())),
    plan=st.sampled_from((None, None, {"a": "", "b": "", "c": ""}, {"a": "", "b": "a", "c": "a", "d": ""})),
    data=st.data(),
)
def test_no_order_of_events_commands_a_step_twice_or_leaves_a_task_without_an_end(
    samples: Any,
    route: str,
    max_rounds: int,
    approve: tuple[Gate, ...],
    deliver: Delivery | None,
    plan: dict[str, str] | None,
    data: st.DataObject,
) -> None:
    world = World(samples, route, max_rounds, approve, deliver, plan)
    for _ in range(data.draw(st.integers(0, 25))):
        world.now += timedelta(minutes=data.draw(st.integers(0, 5)))
        something_happens(world, data)
        check(world, max_rounds)

    if data.draw(st.booleans()):  # no agent and no approver ever says anything again
        timer = timer_of(world.state)
        assert (timer is None) == (world.state.status != "running" and world.state.approval is None)
        if timer:
            world.say(samples.due(world.submitted, timer.at, timer.purpose))
            assert world.state.status == "failed"
    while world.state.status == "running":  # every step that is in flight is answered at last
        step = data.draw(st.sampled_from(world.state.in_flight))
        world.answer(world.command_of(step), data.draw(st.sampled_from(ANSWERS)))
        check(world, max_rounds)
    assert world.state.status in TERMINAL | {"needs_input"}


def check(world: World, max_rounds: int) -> None:
    state = world.state
    steps = [command.step for command in world.commands]
    assert len(steps) == len(set(steps)) == state.steps_commanded
    assert state.round <= max_rounds
    assert (state.status == "running") == bool(state.in_flight)
    assert not state.step or state.in_flight == (state.step,) == (steps[-1],)
    check_packages(state)
    assert len(state.applied) == len(set(state.applied))
    assert (state.approval is None) or (state.status, state.question) == ("needs_input", None)
    approved = {e.message.gate for e in world.said if isinstance(e.message, ApprovalGiven) and e.id in state.applied}
    done = {s.split("-")[1] for s in steps}
    assert "design" in approved or "design" not in state.options.approve or not {"build", "validate"} & done
    assert "deliver" in approved or "deliver" not in state.options.approve or "deliver" not in done
    assert not world.taken_away.intersection(state.in_flight)
    passed = state.judgement is not None and state.judgement.verdict == "PASS"
    assert not passed or state.status == "completed" or state.options.deliver
    assert passed or "deliver" not in done or state.options.deliver is None or state.judgement is None
    assert TaskState.consume(state.to_json()) == state


def check_packages(state: TaskState) -> None:
    merged = {package.id for package in state.packages if package.merged}
    for package in state.packages:
        assert [package.merged, package.changeset is not None, package.step is not None].count(True) <= 1
        assert merged.issuperset(package.after) or not (package.merged or package.changeset or package.step)
    assert state.judgement is None or len(merged) == len(state.packages)
    assert len(state.packages) != 1


def something_happens(world: World, data: st.DataObject) -> None:
    match data.draw(st.sampled_from(("answer", "answer", "answer", "repeat", "cancel", "input", "word", "timer"))):
        case "answer" if world.commands:
            world.answer(data.draw(st.sampled_from(world.commands)), data.draw(st.sampled_from(ANSWERS)))
        case "repeat":
            world.hear(data.draw(st.sampled_from(world.said)))
        case "word":
            gate, right = data.draw(st.sampled_from((("design", "c"), ("deliver", "e"))))
            digest = data.draw(st.sampled_from((right, right, "0"))) * 64
            word = {"approved": data.draw(st.booleans()), "digest": digest, "gate": gate}
            world.say(world.samples.approval_given(world.submitted, **word))
        case "timer" if world.timers:
            world.say(data.draw(st.sampled_from(sorted(world.timers, key=str))))
        case "input":
            world.say(world.samples.input_given(world.submitted, route=data.draw(st.none() | ROUTES)))
        case _ if data.draw(st.integers(0, 9)) == 0:
            world.say(CancelRequested(task=world.state.task, tenant="acme", principal="ada"))
        case _:
            pass
