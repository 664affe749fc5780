"""kill -9 at every model call of a step: the service's own process, a real bus, a provider that does the killing.

    submit -> start -> (killed as it asks for something new) -> submit -> start -> … -> the step's result

The command is sent anew for each start, which the step's claim allows for, because a redelivery takes `ack_wait`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping

from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, Envelope
from worksite.common.llm import Script
from worksite.common.llm.costs import JournaledCall
from worksite.common.messages import JournalRecord, StepCommand, StepResult
from worksite.common.testing.forking import Mould, mould
from worksite.common.testing.messages_api import MessagesApi, serving
from worksite.common.testing.messages_api.answers import Answer
from worksite.common.testing.messages_api.api import TEST_KEY

_PATIENCE_SECONDS = 280
_LOOK_SECONDS = 0.02


class KillingApi(MessagesApi):
    """Kills whoever asks for a reply that nobody has asked for before. `asked`: how far each conversation had come, in
    the order of the requests. `billed`: that and the id of what the books have for it, in their order."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.asked: list[int] = []
        self.billed: list[tuple[int, str]] = []
        self.victim: int | None = None

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Whether anything of the answer still arrives depends on which process is faster, as it does in life."""
        turns = len(json.loads(body)["messages"])
        new = turns not in self.asked
        self.asked.append(turns)
        answer = super().answer(method, path, headers, body)
        self.billed += [(turns, line.response_id) for line in self.ledger[len(self.billed) :]]
        if new and self.victim:
            os.kill(self.victim, signal.SIGKILL)
            self.victim = None
        return answer


async def killed_at_every_call(
    bus: Bus, service: str, command: StepCommand, api: KillingApi, environment: Mapping[str, str]
) -> tuple[StepResult, int]:
    """The result of the step, and how often its service was started."""
    starts = 0
    async with asyncio.timeout(_PATIENCE_SECONDS), serving(api) as url, mould(f"worksite.{service}.main") as origin:
        rich = {"BUDGET_STEP_USD": "100", "BUDGET_TASK_USD": "100"}  # a call in doubt counts at its worst
        provider = {"ANTHROPIC_API_KEY": TEST_KEY, "ANTHROPIC_BASE_URL": url, "WORKER_CONCURRENCY": "1", **rich}
        while True:
            starts += 1
            if result := await _lived(bus, service, command, origin, api, {**environment, **provider}):
                return result, starts


async def paid_again(bus: Bus, service: str, command: StepCommand, api: KillingApi) -> list[str]:
    """Ids of what the provider billed for calls of the step whose reply had been written down before.

    Raises AssertionError for a reply in its journal that the provider's books do not have.
    """
    journal = subjects.journal_subject(command.tenant, command.task, service, command.step, 0).removesuffix("0") + "*"
    found = [JournalRecord.consume(stored.data) for stored in await bus.read("JOURNAL", journal, 0)]
    bodies = [await _body(bus, record) for record in found if record.kind == "call"]
    complete = {JournaledCall.model_validate_json(body).completion.id for body in bodies}
    assert complete <= {billed for _, billed in api.billed}
    done, again = set[int](), list[str]()
    for turns, billed in api.billed:
        again += [billed] if turns in done else []
        done |= {turns} if billed in complete else set()
    return again


async def _body(bus: Bus, record: JournalRecord) -> str:
    return (await Artifacts(bus).get(record.artifact)).decode() if record.artifact else record.body or ""


async def _lived(
    bus: Bus, service: str, command: StepCommand, origin: Mould, api: KillingApi, environment: Mapping[str, str]
) -> StepResult | None:
    """One life of the service: the result that it ended with, or None where it was killed before."""
    envelope = Envelope(command.ce_type(), "admin", command.tenant, command.task)
    await bus.publish(subjects.work_subject(service, command.tenant), command, envelope)
    api.victim = victim = await origin.start(environment)
    ended = asyncio.create_task(origin.ended())
    subject = subjects.event_subject(command.tenant, command.task, service, command.step, "result")
    while not ended.done():
        if found := await bus.last("EVENTS", subject):
            os.kill(victim, signal.SIGTERM)
            await ended
            return StepResult.consume(found.data)
        await asyncio.sleep(_LOOK_SECONDS)
    assert await ended == -signal.SIGKILL, "it ended by itself"
    return None
