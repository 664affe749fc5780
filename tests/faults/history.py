"""Reads the recorded events of a task and says what must not have happened."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from clients import ENDED, RESTING, Followed
from worksite.admin.domain.projection import entry_of
from worksite.common.messages import TaskState
from worksite.gateway.domain.views import task_view

Event = dict[str, Any]


def violations(followed: Followed, events: list[Event], view: dict[str, Any]) -> Iterator[str]:
    """Each in one line; nothing when all is well. `view` is what GET /v1/tasks answers."""
    states = [event["body"] for event in events if event["kind"] == "state"]
    if not states:
        yield "accepted, and never taken up"
        return
    yield from _end(followed, states)
    yield from _steps(events, states)
    yield from _read_model(states[-1], view)
    if (ids := seen_by_clients(events)) != followed.ids:
        yield f"its client saw {followed.ids} of the events {ids}; last {followed.last_answer}"


def seen_by_clients(events: list[Event]) -> list[int]:
    """The sequences that a client is sent: a stream of events ends with the task, whatever is said after."""
    ids: list[int] = []
    for event in events:
        ids.append(event["sequence"])
        if event["kind"] == "state" and event["body"]["status"] in ENDED:
            break
    return ids


def _read_model(last: dict[str, Any], view: dict[str, Any]) -> Iterator[str]:
    """Field by field: what clients are shown is what EVENTS alone tells."""
    rebuilt = task_view(entry_of(TaskState.consume(json.dumps(last).encode()), 0)).model_dump(mode="json")
    for name in rebuilt.keys() | view.keys():
        if rebuilt.get(name) != view.get(name):
            yield f"the read model shows {name} {view.get(name)!r}, the last state {rebuilt.get(name)!r}"


def _end(followed: Followed, states: list[Event]) -> Iterator[str]:
    statuses = [state["status"] for state in states]
    if statuses[-1] not in RESTING or states[-1]["step"]:
        yield f"rests in {statuses[-1]} with {states[-1]['step']} in flight"
    if any(status in ENDED for status in statuses[:-1]):
        yield f"went on after its end: {statuses}"
    if followed.cancelled and statuses[-1] not in ENDED:
        yield "a cancel was accepted and had no effect"
    if Counter(state["cause"] for state in states).most_common(1)[0][1] > 1:
        yield "an event was applied twice"


def _steps(events: list[Event], states: list[Event]) -> Iterator[str]:
    """One result per step; none is missing but that of a step which was taken away; one of a kind per round."""
    results = [event for event in events if event["kind"] == "result"]
    for step, times in Counter(event["step"] for event in results).items():
        if times > 1:
            yield f"{step} has {times} results"
    taken_away = [state["step"] for state in states[-2:-1] if states[-1]["status"] in ("cancelled", "failed")]
    answered = {event["step"] for event in results}
    for step in {state["step"] for state in states if state["step"]} - answered - set(taken_away):
        yield f"{step} was commanded and has no result"
    rounds = Counter((event["body"]["round"], event["body"]["reply"]["data"]["type"]) for event in results)
    for (number, kind), times in rounds.items():
        if times > 1 and number > 0:
            yield f"round {number} has {times} of the kind {kind}"
