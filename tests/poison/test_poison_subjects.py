"""Malformed messages on every subject of the table that somebody consumes or answers: each has an outcome.

The tests go by the table, so a new subject without an entry here fails.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import REGISTRY
from worksite.admin.handlers import Orchestrator
from worksite.admin.inbox import parse
from worksite.admin.redrive import Redriver
from worksite.admin.router import Router
from worksite.common import subjects
from worksite.common import worker as worker_module
from worksite.common.bus import Bus, Delivery, Envelope, announce, answer, consume
from worksite.common.dead_letters import Original
from worksite.common.messages import (
    AnswerQuestion,
    BuildChange,
    CandidateChecked,
    CheckCandidate,
    DeadLetter,
    DesignSpec,
    EmbedText,
    ExplainRoute,
    ImportProject,
    IndexDocuments,
    Message,
    RedriveLetter,
    RequestFailed,
    SearchRequest,
    StepProgress,
    TimerDue,
    ValidateChange,
    document_id,
)
from worksite.common.testing import examples
from worksite.common.testing.examples import NOW, TASK, TENANT
from worksite.common.worker import Reply, Worker
from worksite.rag import handlers as rag_handlers
from worksite.rag.backlog import Backlog
from worksite.rag.domain.queries import SearchResult
from worksite.rag.embedding import embed_endpoint
from worksite.rag.inbox import inbox
from worksite.rag.lane import Lane

pytestmark = pytest.mark.asyncio
SUBMISSION = examples.submit_task(submitted_at=datetime.now(UTC))
ADMIN_HEARS = "ws.v1.event.*.*.*.*"
FUTURE = "worksite.v9.from_the_future"
KEEPS_ONE = {s.name for s in subjects.STREAMS if s.max_msgs_per_subject == 1}
"""Streams in which a message replaces the one before it."""
JUNK = bytes(range(256)) * 256


@dataclass(frozen=True)
class Case:
    """A sound message of a subject, and the subject on which nobody may say it."""

    message: Message
    subject: str
    source: str
    not_here: str

    def headers(self, **changes: str | None) -> dict[str, str]:
        envelope = Envelope(self.message.ce_type(), self.source, TENANT, getattr(self.message, "task", "knowledge"))
        given = envelope.headers() | {name.replace("_", "-"): value for name, value in changes.items()}
        return {name: value for name, value in given.items() if value is not None}


def work(agent: str, message: Message, source: str = "admin") -> Case:
    return Case(message, subjects.work_subject(agent, TENANT), source, subjects.work_subject(agent, "other"))


def said(kind: Any, message: Message, producer: str = "gateway", step: str = "task", forger: str = "validator") -> Case:
    subject = subjects.event_subject(TENANT, TASK, producer, step, kind)
    return Case(message, subject, producer, subjects.event_subject(TENANT, TASK, forger, step, kind))


BY_TYPE = {type(command): command for command in examples.commands()}
SAMPLES = {type(message): message for message in examples.all_messages()}
CASES: dict[str, Case] = {
    "ws.v1.task.*": Case(SUBMISSION, "ws.v1.task.acme", "gateway", "ws.v1.task.other"),
    "ws.v1.work.architect.*": work("architect", BY_TYPE[DesignSpec]),
    "ws.v1.work.builder.*": work("builder", BY_TYPE[ImportProject]),
    "ws.v1.work.validator.*": work("validator", BY_TYPE[ValidateChange]),
    "ws.v1.work.rag.*": work("rag", IndexDocuments(tenant=TENANT, documents=(document_id("a.md"),)), "gateway"),
    f"{ADMIN_HEARS}.result": said(
        "result",
        examples.step_result(examples.imported_project(), step="1-import", agent="builder"),
        producer="builder",
        step="1-import",
    ),
    f"{ADMIN_HEARS}.input": said("input", next(m for m in SAMPLES.values() if m.type == "input_given")),
    f"{ADMIN_HEARS}.cancel": said("cancel", next(m for m in SAMPLES.values() if m.type == "cancel_requested")),
    f"{ADMIN_HEARS}.approval": said("approval", next(m for m in SAMPLES.values() if m.type == "approval_given")),
    "ws.v1.timer.due.*.*": Case(
        TimerDue(task=TASK, tenant=TENANT, purpose="deadline", at=NOW),
        subjects.timer_subject("due", TASK, "deadline"),
        "admin",
        subjects.timer_subject("due", "0" * 32, "deadline"),
    ),
}
CONSUMED = [
    pytest.param(consumer, pattern, id=f"{consumer.stream}-{consumer.service}-{pattern}")
    for consumer in subjects.CONSUMERS
    for pattern in consumer.filters
]


def poison(case: Case) -> dict[str, tuple[str, bytes, dict[str, str], str]]:
    """By name: subject, body, headers, and what the reason of the dead letter says."""
    body, headers, here = case.message.to_json(), case.headers(), case.subject
    other = case.message.model_copy(update={"tenant": "other"}).to_json()
    return {
        "not JSON": (here, b"{", headers, "JSON"),
        "nothing": (here, b"", headers, "JSON"),
        "a list": (here, b"[]", headers, "valid dictionary|object"),
        "without its fields": (here, b"{}", headers, "Field required"),
        "64 KiB of junk": (here, JUNK, headers, "JSON"),
        "junk without headers": (here, JUNK, {}, "missing|relayed|envelope"),
        "no id": (here, body, case.headers(ce_id=None), "ce-id is missing"),
        "no type": (here, body, case.headers(ce_type=None), "ce-type is missing"),
        "a time that is none": (here, body, case.headers(ce_time="yesterday"), "not a timestamp"),
        "a type for somebody else": (here, body, case.headers(ce_type="worksite.v1.report"), "is not|is nothing"),
        "an envelope of another tenant": (here, body, case.headers(ws_tenant="other"), "different"),
        "a body of another tenant": (here, other, headers, "different"),
        "on the subject of somebody else": (case.not_here, body, headers, "may not come on|different"),
    }


def handler(bus: Bus, service: str, done: list[str]) -> Callable[[Delivery], Awaitable[None]]:
    """The service's own entry, in front of work that only takes notes."""
    if service == "admin":
        return Orchestrator(bus).handle

    async def note(*given: Any) -> Any:
        done.append(service)
        return Reply(examples.imported_project())

    if service == "rag":
        backlog = Backlog(note, worker_module.Progress())
        return inbox(bus, backlog)
    takes = {"architect": (DesignSpec, AnswerQuestion), "builder": (ImportProject, BuildChange)}
    return Worker(bus, service, dict.fromkeys(takes.get(service, (ValidateChange,)), note)).handle


@asynccontextmanager
async def serving(bus: Bus, consumer: subjects.ConsumerSpec) -> AsyncIterator[None]:
    stop = asyncio.Event()
    handle = handler(bus, consumer.service, [])
    running = asyncio.create_task(consume(bus, consumer.stream, consumer.service, handle, concurrency=2, stop=stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)


async def at_rest(bus: Bus, consumer: subjects.ConsumerSpec, handed_back: int = 0) -> None:
    """Until nothing is before the consumer but what it has handed back."""
    async with asyncio.timeout(60):
        while True:
            info = await bus.jetstream.consumer_info(consumer.stream, consumer.service)
            if (info.num_pending, info.num_ack_pending) == (0, handed_back):
                return
            await asyncio.sleep(0.01)


async def known_task(bus: Bus, consumer: subjects.ConsumerSpec) -> None:
    """What admin is told of concerns a task that it knows."""
    if consumer.stream == "TASKS":
        return
    case = CASES["ws.v1.task.*"]
    await Orchestrator(bus).apply(parse(Original(case.subject, case.message.to_json(), case.headers())))


async def letters(bus: Bus, service: str) -> dict[int, DeadLetter]:
    found = await bus.read("DEAD", subjects.dead_subject(service, "*"), 0)
    return {letter.sequence: letter for letter in (DeadLetter.consume(stored.data) for stored in found)}


def counted(case: Case) -> float:
    kind = case.subject.split(".")[2]
    return REGISTRY.get_sample_value("worksite_dead_letters_total", {"kind": kind}) or 0.0


@pytest.mark.parametrize(("consumer", "pattern"), CONSUMED)
async def test_each_malformed_message_is_a_dead_letter_with_its_reason_and_the_good_one_behind_is_handled(
    bus, consumer, pattern
):
    case = CASES[pattern]
    await known_task(bus, consumer)
    before, sent = counted(case), dict[int, tuple[str, bytes, str]]()

    async with serving(bus, consumer):
        for name, (subject, body, headers, reason) in poison(case).items():
            sent[await bus.publish_raw(subject, body, headers)] = (name, body, reason)
            if consumer.stream in KEEPS_ONE:
                await at_rest(bus, consumer)
        good = await bus.publish_raw(case.subject, case.message.to_json(), case.headers())
        await at_rest(bus, consumer)

    found = await letters(bus, consumer.service)
    assert good not in found
    assert [name for sequence, (name, _, _) in sent.items() if sequence not in found] == []
    for sequence, (name, body, reason) in sent.items():
        assert found[sequence].body == body
        assert any(part in found[sequence].reason for part in reason.split("|")), (name, found[sequence].reason)
    assert counted(case) - before == len(sent)


@pytest.mark.parametrize(("consumer", "pattern"), CONSUMED)
async def test_a_type_of_a_newer_version_is_handed_back_and_the_good_one_behind_is_handled(bus, consumer, pattern):
    case = CASES[pattern]
    await known_task(bus, consumer)
    newer = await bus.publish_raw(case.subject, b"{}", case.headers(ce_type=FUTURE))
    if consumer.stream not in KEEPS_ONE:
        await bus.publish_raw(case.subject, case.message.to_json(), case.headers())

    async with serving(bus, consumer):
        await at_rest(bus, consumer, handed_back=1)

    assert await letters(bus, consumer.service) == {}
    assert [stored.sequence for stored in await bus.read(consumer.stream, case.subject, newer - 1, 1)] == [newer]


# -- who is asked


class Lengths:
    """Knows of a text how long it is."""

    backend, model_hash, tokenizer_hash, dimensions = "fake", "m1", "t1", 1

    def count(self, text: str) -> int:
        return len(text.split())

    def embed(self, text: str) -> tuple[float, ...]:
        return (float(len(text)),)

    embed_query = embed


class Engine:
    """Finds nothing."""

    async def search(self, query: Any) -> SearchResult:
        return SearchResult((), {}, "no_results")


async def check(_: CheckCandidate) -> CandidateChecked:
    """Without a sandbox."""
    return CandidateChecked(text="")


ENDPOINTS: dict[str, tuple[type[Message], Callable[[Bus], Any], Message]] = {
    "ws.v1.rpc.rag.search": (
        SearchRequest,
        lambda bus: rag_handlers.search_endpoint(Engine()),  # pyright: ignore[reportArgumentType]
        SAMPLES[SearchRequest],
    ),
    "ws.v1.rpc.admin.redrive": (
        RedriveLetter,
        lambda bus: Redriver(bus, Orchestrator(bus)).redrive,
        RedriveLetter(tenant=TENANT, sequence=999),
    ),
    "ws.v1.rpc.validator.check": (CheckCandidate, lambda bus: check, SAMPLES[CheckCandidate]),
    "ws.v1.rpc.admin.explain": (ExplainRoute, lambda bus: Router().explain, SAMPLES[ExplainRoute]),
    "ws.v1.rpc.rag.embed": (EmbedText, lambda bus: embed_endpoint(Lengths(), Lane()), SAMPLES[EmbedText]),
}
ASKED = sorted({s for granted in subjects.PERMISSIONS.values() for s in granted.publish if s.startswith("ws.v1.rpc.")})


@pytest.mark.parametrize("subject", ASKED)
async def test_each_malformed_question_is_answered_with_what_is_wrong_and_the_next_is_answered_too(bus, subject):
    accepts, answering, good = ENDPOINTS[subject]
    service, verb = subject.split(".")[-2:]
    micro = await announce(bus, service, "0.1.0")
    await answer(micro, verb, accepts, answering(bus))

    await bus.client.publish(subject, b"{")  # nobody waits for an answer
    for body in (b"{", b"", b"[]", b"{}", JUNK[: 60 * 1024], SAMPLES[StepProgress].to_json()):
        reply = await bus.request_raw(subject, body, {"ce-type": accepts.ce_type()})
        failed = RequestFailed.consume(reply.data)
        assert (failed.code, failed.retryable) == ("malformed", False), body[:20]
    reply = await bus.request_raw(subject, good.to_json(), {})
    await micro.stop()

    assert (reply.headers or {})["ce-type"] != RequestFailed.ce_type()
