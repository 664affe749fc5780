"""What must hold of the server's records after a schedule, whatever went wrong in it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from actors import TENANT, Clients
from server import Message, Server
from worksite.admin.domain.projection import entry_of
from worksite.admin.domain.routes import agent_of
from worksite.common import subjects
from worksite.common.messages import CancelRequested, InputGiven, SubmitTask, TaskState

Body = dict[str, Any]
_ENDED = ("completed", "failed", "cancelled")


def violations(server: Server, clients: Clients) -> Iterator[str]:
    """Each in one line; nothing when all is well."""
    yield from server.unfinished()
    yield from _dead_letters(server)
    for task in clients.accepted:
        for line in History(server, clients, task).violations():
            yield f"task {task.task[:8]}: {line}"


def _dead_letters(server: Server) -> Iterator[str]:
    """Nobody sent anything that cannot be handled: only handlers that fail again and again leave letters."""
    for message in server.streams["DEAD"].history:
        letter = json.loads(message.data)
        if letter["service"] == "admin" or "failures, last" not in letter["reason"]:
            yield f"dead letter of {letter['service']}: {letter['reason']}"


class History:
    """What the server knows of one task."""

    def __init__(self, server: Server, clients: Clients, task: SubmitTask) -> None:
        self._server = server
        self._clients = clients
        self._task = task
        events = [m for m in server.streams["EVENTS"].history if m.subject.split(".")[4] == task.task]
        self._state_messages = [m for m in events if m.subject == subjects.state_subject(TENANT, task.task)]
        self._states: list[Body] = [json.loads(m.data) for m in self._state_messages]
        self._results: dict[str, list[Message]] = defaultdict(list)
        for message in events:
            if message.subject.endswith(".result"):
                self._results[message.subject.split(".")[6]].append(message)

    def violations(self) -> Iterator[str]:
        if not self._states:
            yield "accepted, and never taken up"
            return
        yield from self._end()
        yield from self._chain()
        yield from self._commands()
        yield from self._steps()
        yield from self._rounds()
        yield from self._packages()
        yield from self._escalations()
        yield from self._read_model()
        yield from self._cancels()

    def _end(self) -> Iterator[str]:
        statuses = [state["status"] for state in self._states]
        if statuses[-1] not in (*_ENDED, "needs_input"):
            yield f"rests in {statuses[-1]}"
        if any(status in _ENDED for status in statuses[:-1]):
            yield f"went on after its end: {statuses}"
        if steps := _in_flight(self._states[-1]):
            yield f"rests with {steps} in flight"

    def _chain(self) -> Iterator[str]:
        """Each state applies exactly one more event than the one before."""
        applied: list[str] = []
        for state in self._states:
            applied = [*applied, state["cause"]]
            if state["applied"] != applied:
                yield f"the state caused by {state['cause']} does not follow on the one before"
        for event, times in Counter(applied).items():
            if times > 1:
                yield f"event {event} was applied {times} times"

    def _commands(self) -> Iterator[str]:
        """Only what a state holds is commanded, each time under the same ce-id and in the same words."""
        recorded = {c["step"]: c for state in self._states for c in state["commands"]}
        if sum(len(state["commands"]) for state in self._states) != len(recorded):
            yield "one step stands in the outbox of two states"
        said: dict[str, set[tuple[str, bytes]]] = defaultdict(set)
        for subject, headers, data in self._server.published:
            if subject.startswith(f"{subjects.ROOT}.work.") and headers["ws-task"] == self._task.task:
                said[json.loads(data)["step"]].add((headers["ce-id"], data))
        for step, versions in said.items():
            if len(versions) > 1:
                yield f"{step} was commanded in {len(versions)} versions"
            if any(json.loads(data) != recorded.get(step) for _, data in versions):
                yield f"{step} was commanded as no state says"

    def _steps(self) -> Iterator[str]:
        """One effect recorded and one result published per step; neither for a step that a cancel took away."""
        taken = [r["step"] for r in self._states[-1]["history"]]
        for step in (c["step"] for state in self._states for c in state["commands"]):
            entries = self._ledger(step)
            effects = [entry["result"] for entry in entries if entry["status"] == "done"]
            results = [json.loads(message.data) for message in self._results[step]]
            if len(effects) > 1:
                yield f"{step} has {len(effects)} effects recorded"
            if results != effects[:1]:
                yield f"{step} has {len(effects)} effects and {len(results)} results that do not agree"
            if not effects and not (entries and entries[-1]["status"] == "cancelled"):
                yield f"{step} was neither done nor cancelled"
            if taken.count(step) > 1 or (effects and not taken.count(step) and step not in self._abandoned()):
                yield f"{step} was taken up {taken.count(step)} times"

    def _abandoned(self) -> set[str]:
        """Steps that were in flight when something else ended the task, or made it wait."""
        return {
            step
            for before, after in pairwise(self._states)
            if after["status"] in ("cancelled", "failed", "needs_input")
            for step in _in_flight(before)
        }

    def _ledger(self, step: str) -> list[Body]:
        key = f"$KV.{subjects.LEDGER}.{agent_of(step)}.{self._task.task}.{step}"
        return [json.loads(m.data) for m in self._server.streams["KV_ledger"].history if m.subject == key]

    def _rounds(self) -> Iterator[str]:
        """One build of the whole and one judgement per round; an answer that names a route counts from 1 again."""
        made: Counter[tuple[int, int, str]] = Counter()
        restarts = 0
        for state in self._states:
            said = self._clients.sent.get(state["cause"])
            restarts += isinstance(said, InputGiven) and said.route is not None
            for command in state["commands"]:
                of_packages = command.get("package") or command.get("parts")
                for message in () if of_packages else self._results[command["step"]]:
                    result = json.loads(message.data)
                    made[restarts, result["round"], result["reply"]["data"]["type"]] += 1
        for (_, number, kind), times in made.items():
            if times > 1 and number > 0 and kind in ("changeset", "judgement"):
                yield f"round {number} has {times} results of the kind {kind}"

    def _packages(self) -> Iterator[str]:
        """Each is built on all that is merged, what it builds on included; nothing is judged before all are merged."""
        for state in self._states:
            merged = {package["id"] for package in state["packages"] if package["merged"]}
            after = {package["id"]: package["after"] for package in state["packages"]}
            for command in state["commands"]:
                name, parts = command.get("package"), [part["package"] for part in command.get("parts", ())]
                if name and (command["previous"] != state["changeset"] or not merged.issuperset(after[name])):
                    yield f"package {name} was not built on what is merged, or too early"
                if parts and (parts != [i for i in after if i in parts] or merged.intersection(parts)):
                    yield f"{parts} were merged out of order, or twice"
                if command["type"] == "validate_change" and len(merged) < len(after):
                    yield f"judged with only {merged} merged"
        yield from self._built_packages()

    def _built_packages(self) -> Iterator[str]:
        """Each once, and once more for each conflict that left it out."""
        last, commands = self._states[-1], {c["step"]: c for state in self._states for c in state["commands"]}
        first = next((i for i, state in enumerate(self._states) if state["packages"]), 0)
        counts: Counter[str] = Counter()
        for record in last["history"]:
            command = commands[record["step"]]
            if record["status"] != "ok" or command["type"] != "build_change":
                continue
            counts[command.get("package") or ""] += 1
            if command.get("parts"):
                result = json.loads(self._results[record["step"]][0].data)
                counts.subtract(conflict["package"] for conflict in result["reply"]["data"].get("conflicts", ()))
        rerouted = any(not state["packages"] for state in self._states[first:])
        for package in last["packages"]:
            done = bool(package["merged"] or package["changeset"])
            if not rerouted and last["status"] != "failed" and counts[package["id"]] != done:
                yield f"package {package['id']} was built {counts[package['id']] - done} times too often"

    def _escalations(self) -> Iterator[str]:
        """A build has the usual tier until a failure has repeated, and the next one from then on."""
        for state in self._states:
            repeated = len(set(state["signatures"])) < len(state["signatures"])
            largest = repeated or state["route"]["difficulty"] == "hard"
            for command in state["commands"]:
                if command["type"] == "build_change" and command["tier"] != ("large" if largest else "medium"):
                    yield f"{command['step']} is worth the tier {command['tier']} after {state['signatures']}"

    def _read_model(self) -> Iterator[str]:
        last = self._state_messages[-1]
        subject = f"$KV.{subjects.TASKS}.{TENANT}.{self._task.task}"
        rows = [m for m in self._server.streams["KV_tasks"].messages.values() if m.subject == subject]
        wanted = entry_of(TaskState.consume(last.data), last.sequence).to_json()
        if [row.data for row in rows] != [wanted]:
            yield "the read model does not show the last state"

    def _cancels(self) -> Iterator[str]:
        """Whoever called it off was heard, unless it had ended."""
        said = self._clients.sent.values()
        cancelled = any(isinstance(m, CancelRequested) and m.task == self._task.task for m in said)
        if cancelled and self._states[-1]["status"] not in _ENDED:
            yield "a cancel was acknowledged and had no effect"


def _in_flight(state: Body) -> list[str]:
    return [step for step in (state["step"], *(package["step"] for package in state["packages"])) if step]
