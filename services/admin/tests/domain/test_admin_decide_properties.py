"""Whatever comes, in whatever order and however often: the promises of the decision hold."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from worksite.admin.domain.decide import decide, open_task
from worksite.admin.domain.events import Event, TaskEvent
from worksite.admin.domain.routing import STAGES, choose_route
from worksite.common.messages import TERMINAL, CancelRequested, Command, TaskOptions, TaskState

ANSWERS = ("good", "FAIL1", "FAIL2", "FAIL", "ENVIRONMENT", "needs_input", "refused", "failed", "nonsense")
ROUTES = st.sampled_from(("feature", "fix", "review", "design", "question"))


class World:
    """A task and everything that was ever said about it; the shell's part is done as the shell does it."""

    def __init__(self, samples: Any, route: str, max_rounds: int) -> None:
        self.samples = samples
        submitted = samples.submission(route=route, options=TaskOptions(max_rounds=max_rounds))
        self.submitted = submitted
        self.said = [Event("e0", samples.t0, submitted)]
        self.state: TaskState = open_task(self.said[0], submitted, choose_route(submitted, STAGES, lambda: 0.0)).after
        self.commands: list[Command] = list(self.state.commands)

    def say(self, message: TaskEvent) -> None:
        self.said.append(Event(f"e{len(self.said)}", self.samples.t0, message))
        self.hear(self.said[-1])

    def hear(self, event: Event) -> None:
        if event.id in self.state.applied:
            return
        if transition := decide(self.state, event):
            self.state = transition.after
            self.commands += transition.after.commands

    def answer(self, command: Command, kind: str) -> None:
        self.say(self.samples.result(command, *self._reply(command, kind)))

    def _reply(self, command: Command, kind: str) -> tuple[Any, Any]:
        if kind in {"refused", "failed"}:
            return self.samples.problem(), kind
        if kind == "needs_input":
            return self.samples.question(), kind
        if kind == "nonsense":
            return self.samples.question(), "ok"
        if command.type == "validate_change" and kind != "good":
            return self.samples.judgement(kind.rstrip("12"), kind[4:] or None if "FAIL" in kind else None), "ok"
        return None, "ok"


@settings(max_examples=150, deadline=None)
@given(route=ROUTES, max_rounds=st.integers(1, 3), data=st.data())
def test_no_order_of_events_commands_a_step_twice_or_leaves_a_task_without_an_end(
    samples: Any, route: str, max_rounds: int, data: st.DataObject
) -> None:
    world = World(samples, route, max_rounds)
    for _ in range(data.draw(st.integers(0, 25))):
        match data.draw(st.sampled_from(("answer", "answer", "answer", "repeat", "cancel", "input"))):
            case "answer":
                world.answer(data.draw(st.sampled_from(world.commands)), data.draw(st.sampled_from(ANSWERS)))
            case "repeat":
                world.hear(data.draw(st.sampled_from(world.said)))
            case "input":
                world.say(samples.input_given(world.submitted, route=data.draw(st.none() | ROUTES)))
            case _ if data.draw(st.integers(0, 9)) == 0:
                world.say(CancelRequested(task=world.state.task, tenant="acme", principal="ada"))
            case _:
                pass
        check(world, max_rounds)

    while world.state.status == "running":  # every step that is in flight is answered at last
        world.answer(world.commands[-1], data.draw(st.sampled_from(ANSWERS)))
        check(world, max_rounds)
    assert world.state.status in TERMINAL | {"needs_input"}


def check(world: World, max_rounds: int) -> None:
    state = world.state
    steps = [command.step for command in world.commands]
    assert len(steps) == len(set(steps)) == state.steps_commanded
    assert state.round <= max_rounds
    assert (state.status == "running") == (state.step is not None) == bool(state.step and steps[-1] == state.step)
    assert len(state.applied) == len(set(state.applied))
    passed = state.judgement is not None and state.judgement.verdict == "PASS"
    assert not passed or state.status == "completed"
    assert TaskState.consume(state.to_json()) == state
