"""A stack under a kill, a stop and a reset with a fixed seed, and a checker that must find what is planted."""

import copy
import json
from datetime import UTC, datetime

import pytest
from clients import Followed
from history import violations
from nemesis import PROGRAMS, STEPS, Fault, Nemesis, Strike, tour
from proxy import proxied
from resuming import Step, resumed, steps
from running import running_stack
from runs import Plan, Runs
from worksite.admin.domain.projection import entry_of
from worksite.common.messages import TaskState
from worksite.common.testing import examples
from worksite.gateway.domain.views import task_view

SHORT = Plan(
    seed=7,
    faults=(Fault("kill", "architect", 0.5), Fault("stop", "admin", 1.0, 1.5), Fault("reset", "nats", 2.0)),
    tasks=6,
    whole=0,
)


@pytest.mark.proof
@pytest.mark.timeout(300)  # on a machine that does much else
@pytest.mark.asyncio
async def test_tasks_end_once_and_whole_under_a_kill_a_stop_and_a_reset(capsys):
    with running_stack() as stack:
        async with proxied(stack) as proxy:
            runs = Runs(stack, Nemesis(stack, proxy, None))
            await runs.play(SHORT)
            await runs.end()
    counts = runs.totals.counts
    assert counts["violations"] == 0, capsys.readouterr().out
    assert [counts[kind] for kind in ("tasks", "kill", "stop", "reset")] == [6, 1, 1, 1]


TASK = "0" * 32
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


def at(second):
    return f"2026-11-22T12:00:{second:02}+00:00"


def state(status, step, cause, **given):
    told = json.loads(examples.task_state().to_json())
    given = {"question": None, "approval": None, "problem": None, "answer": None, "inputs": []} | given
    return told | given | {"status": status, "step": step, "cause": cause}


def result(step, number, kind):
    data = {"type": kind, "base_sha": "b" * 40, "head_sha": "c" * 40}
    return {"round": number, "reply": {"data": data}, "started_at": at(2)}


def history():
    """Of a task that was designed, and is done."""
    told = [
        ("state", "task", state("running", "1-import", "a"), 1),
        ("result", "1-import", result("1-import", 0, "imported_project"), 2),
        ("state", "task", state("running", "2-design", "b"), 3),
        ("progress", "2-design", {"text": "searching"}, 4),
        ("result", "2-design", result("2-design", 0, "spec_written"), 20),
        ("state", "task", state("completed", None, "c"), 21),
    ]
    return [
        {"sequence": i, "time": at(second), "kind": kind, "step": step, "body": body}
        for i, (kind, step, body, second) in enumerate(told, 1)
    ]


def shown(events):
    last = next(event["body"] for event in reversed(events) if event["kind"] == "state")
    entry = entry_of(TaskState.consume(json.dumps(last).encode()), 0)
    return task_view(entry).model_dump(mode="json")


def found(events, view=None, ids=None, cancelled=False):
    seen = [event["sequence"] for event in events] if ids is None else ids
    return " / ".join(violations(Followed(TASK, seen, cancelled), events, view or shown(events)))


def again(events, number):
    """One event a second time, before the last."""
    doubled = copy.deepcopy(events[number])
    return [*events[:-1], doubled | {"sequence": 5.5}, events[-1]]


def test_a_sound_history_is_not_complained_about():
    assert found(history()) == ""


def test_a_doubled_result_is_found():
    assert "2-design has 2 results" in found(again(history(), 4))


def test_a_lost_result_is_found():
    assert "1-import was commanded and has no result" in found(history()[:1] + history()[2:])


def test_an_event_applied_twice_is_found():
    assert "an event was applied twice" in found(again(history(), 2))


def test_a_task_that_goes_on_after_its_end_is_found():
    late = history()[2] | {"sequence": 7, "body": state("completed", None, "d")}
    assert "went on after its end" in found([*history(), late])


def test_a_task_that_never_ends_is_found():
    assert "rests in running with 2-design in flight" in found(history()[:-1])


def test_a_cancel_without_effect_is_found():
    waiting = [*history()[:-1], history()[-1] | {"body": state("needs_input", None, "c")}]
    assert "a cancel was accepted and had no effect" in found(waiting, cancelled=True)


def test_two_changesets_of_one_round_are_found():
    events = history()
    for number, step in ((2, "3-build"), (3, "5-build")):
        built = {"kind": "result", "step": step, "body": result(step, 1, "changeset")}
        events.insert(-1, events[4] | built | {"sequence": 4 + number / 10})
    assert "round 1 has 2 of the kind changeset" in found(events)


@pytest.mark.parametrize("field", ["status", "round", "verdict", "steps", "updated_at"])
def test_a_read_model_that_differs_in_one_field_is_found(field):
    assert f"the read model shows {field} 'other'" in found(history(), view=shown(history()) | {field: "other"})


@pytest.mark.parametrize("ids", [[1, 2, 3, 5, 6], [1, 2, 3, 3, 4, 5, 6], [1, 3, 2, 4, 5, 6]])
def test_a_client_that_missed_saw_twice_or_out_of_order_is_found(ids):
    assert "its client saw" in found(history(), ids=ids)


def killed(program, second, until, kind="kill"):
    return Strike(Fault(kind, program, 0.0), NOON + second, NOON + until)


def measured(events, *strikes, others=()):
    return list(resumed([*steps(TASK, events), *others], [killed(*strike) for strike in strikes]))


def slow():
    """The design took until half a minute after a kill at 3.5 s."""
    events = [event for event in history() if event["kind"] != "progress"]
    for event in events[-2:]:
        event["time"] = at(45)
    return events


def test_the_time_until_work_goes_on_is_counted_from_the_kill_to_the_first_sign_of_it():
    (went_on,) = measured(history(), ("architect", 3.5, 4.0))
    assert went_on.step.startswith("2-design of")
    assert (went_on.seconds, went_on.allowed, went_on.late) == (0.5, 20.5, False)


def test_work_that_went_on_too_late_is_found():
    (went_on,) = measured(slow(), ("architect", 3.5, 5.5))
    assert (went_on.seconds, went_on.allowed, went_on.late) == (41.5, 22.0, True)


def test_what_a_worker_did_first_for_another_task_is_no_delay():
    (went_on, _) = measured(slow(), ("architect", 3.5, 5.5), others=[other_step(5.0, 35.0)])
    assert (went_on.allowed, went_on.late) == (52.0, False)


def test_a_fault_of_a_program_that_the_worker_does_not_need_is_no_excuse():
    (went_on,) = measured(slow(), ("architect", 3.5, 5.5), ("gateway", 3.6, 4.5))
    assert went_on.late


def other_step(begun, answered):
    since = NOON + begun
    return Step("1" * 32, "1-answer", NOON, (since, NOON + answered), since, NOON + answered)


@pytest.mark.parametrize(
    "strikes",
    [
        [("builder", 3.5, 4.0)],  # it holds another step
        [("architect", 22.0, 23.0)],  # it holds none any more
        [("architect", 3.5, 4.0), ("nats", 3.6, 4.5)],  # two faults
    ],
)
def test_a_kill_that_held_no_step_or_did_not_come_alone_is_not_measured(strikes):
    assert measured(history(), *strikes) == []


def test_the_same_seed_draws_the_same_faults():
    assert Plan.of(42, tasks=8) == Plan.of(42, tasks=8) != Plan.of(43, tasks=8)


def test_seven_tours_kill_every_program_at_every_step():
    faults = [fault for number in range(7) for fault in tour(number)]
    assert {(fault.program, fault.when) for fault in faults} == {(p, s) for p in PROGRAMS for s in STEPS}
