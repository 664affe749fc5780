"""The one table of subjects, streams, consumers, buckets and permissions.

Nothing else in Worksite spells out a subject. `worksite provision` creates what stands here, the NATS users are
generated from it, and each service can touch only what its row grants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Service = Literal["gateway", "admin", "architect", "builder", "validator", "rag"]
SERVICES: tuple[Service, ...] = ("gateway", "admin", "architect", "builder", "validator", "rag")
EventKind = Literal["result", "progress", "state", "input", "cancel", "approval"]
TimerPurpose = Literal["deadline", "approval"]

ROOT = "ws.v1"
EVENT = f"{ROOT}.event"
TASK_LEVEL_STEP = "task"
"""The step token of events that concern the whole task."""

DAY = 24 * 3600.0
ACK_WAIT_SECONDS = 15.0
HEARTBEAT_SECONDS = 5.0
NO_LIMIT = -1
"""Deliveries are not counted by the server: the ledger counts handler failures, a deadline ends the rest (ADR 0001)."""


def task_subject(tenant: str) -> str:
    """Intake of one tenant."""
    return f"{ROOT}.task.{tenant}"


def work_subject(service: str, tenant: str) -> str:
    """Commands of one tenant to one agent."""
    return f"{ROOT}.work.{service}.{tenant}"


def event_subject(tenant: str, task: str, producer: str, step: str, kind: EventKind) -> str:
    """One event; the producer's name is part of it, so that no service can speak for another."""
    return f"{EVENT}.{tenant}.{task}.{producer}.{step}.{kind}"


def state_subject(tenant: str, task: str) -> str:
    """Admin's state events of one task."""
    return event_subject(tenant, task, "admin", TASK_LEVEL_STEP, "state")


def task_events_filter(tenant: str, task: str) -> str:
    """Every event of one task."""
    return f"{EVENT}.{tenant}.{task}.>"


def journal_subject(tenant: str, task: str, service: str, step: str, number: int) -> str:
    """One model call or tool result of a step."""
    return f"{ROOT}.journal.{tenant}.{task}.{service}.{step}.{number}"


def timer_subject(kind: Literal["set", "due"], task: str, purpose: TimerPurpose) -> str:
    """A timer of one task: on `set` it is put (a later one replaces it), on `due` the server says when."""
    return f"{ROOT}.timer.{kind}.{task}.{purpose}"


def audit_subject(tenant: str, kind: str) -> str:
    """The audit trail of one tenant."""
    return f"{ROOT}.audit.{tenant}.{kind}"


def dead_subject(service: str, tenant: str) -> str:
    """What one service could not handle."""
    return f"{ROOT}.dead.{service}.{tenant}"


def rate_subject(tenant: str, key: str, window: int) -> str:
    """The counter of what all gateways let through under one key in one window of time."""
    return f"{ROOT}.rate.{tenant}.{key}.{window}"


def rpc_subject(service: str, verb: str) -> str:
    """A request/reply endpoint."""
    return f"{ROOT}.rpc.{service}.{verb}"


@dataclass(frozen=True)
class StreamSpec:
    """A stream as `provision` creates it. `disk_share` is its part of the space JetStream may use."""

    name: str
    subjects: tuple[str, ...]
    retention: Literal["limits", "workqueue"]
    max_age_seconds: float
    disk_share: float
    max_msgs_per_subject: int = -1
    refuse_new: bool = False
    """At a cap it refuses what comes (ADR 0010); else it drops the oldest."""
    description: str = ""
    schedules: bool = False
    """Holds messages that the server publishes later. It cannot refuse new ones then, only drop the oldest."""
    counts: bool = False
    """Each subject is a counter (ADR-49 of NATS). On a single server its writes are not synced to the disk."""


@dataclass(frozen=True)
class ConsumerSpec:
    """A durable pull consumer; one per service and stream."""

    stream: str
    service: Service
    filters: tuple[str, ...]


@dataclass(frozen=True)
class BucketSpec:
    """A key-value bucket; `history` is 1 everywhere, EVENTS keeps the past."""

    name: str
    max_age_seconds: float
    disk_share: float
    per_key_ttl: bool = False


LONGEST_TIMER_DAYS = 29
"""Timers are kept a day longer than the longest may run."""
TASK_CAP_PER_TENANT = 100
WORK_CAP_PER_TENANT = 32

STREAMS: tuple[StreamSpec, ...] = (
    StreamSpec("TASKS", (f"{ROOT}.task.*",), "workqueue", 7 * DAY, 0.05, TASK_CAP_PER_TENANT, True, "intake"),
    StreamSpec(
        "WORK", (f"{ROOT}.work.*.*",), "workqueue", 7 * DAY, 0.05, WORK_CAP_PER_TENANT, True, "commands to agents"
    ),
    StreamSpec(
        "EVENTS",
        (f"{ROOT}.event.>",),
        "limits",
        30 * DAY,
        0.20,
        refuse_new=True,
        description="the truth: state, cost, replay",
    ),
    StreamSpec(
        "JOURNAL",
        (f"{ROOT}.journal.*.*.*.*.*",),
        "limits",
        8 * DAY,  # a step is over before its command, which WORK keeps for 7 days
        0.06,
        refuse_new=True,
        description="model calls and tool results, turn by turn",
    ),
    StreamSpec("AUDIT", (f"{ROOT}.audit.*.*",), "limits", 365 * DAY, 0.05, description="denials, privileged actions"),
    StreamSpec(
        "DEAD",
        (f"{ROOT}.dead.*.*",),
        "limits",
        30 * DAY,
        0.03,
        refuse_new=True,
        description="dead letters, with the reason",
    ),
    StreamSpec(
        "TIMERS",
        (f"{ROOT}.timer.set.*.*", f"{ROOT}.timer.due.*.*"),
        "limits",
        (LONGEST_TIMER_DAYS + 1) * DAY,
        0.02,
        max_msgs_per_subject=1,
        description="deadlines",
        schedules=True,
    ),
    StreamSpec(
        "RATE", (f"{ROOT}.rate.*.*.*",), "limits", 60, 0.005, 1, description="fleet-wide rate totals", counts=True
    ),
)

CONSUMERS: tuple[ConsumerSpec, ...] = (
    ConsumerSpec("TASKS", "admin", (f"{ROOT}.task.*",)),
    ConsumerSpec("WORK", "architect", (f"{ROOT}.work.architect.*",)),
    ConsumerSpec("WORK", "builder", (f"{ROOT}.work.builder.*",)),
    ConsumerSpec("WORK", "validator", (f"{ROOT}.work.validator.*",)),
    ConsumerSpec("WORK", "rag", (f"{ROOT}.work.rag.*",)),
    # Admin's own state events and everybody's progress are left out: they must not wake it.
    ConsumerSpec(
        "EVENTS", "admin", tuple(f"{ROOT}.event.*.*.*.*.{k}" for k in ("result", "input", "cancel", "approval"))
    ),
    ConsumerSpec("TIMERS", "admin", (f"{ROOT}.timer.due.*.*",)),
)

LEDGER, TASKS, IDEMPOTENCY, REVOKED = "ledger", "tasks", "idempotency", "revoked"
UPLOADS, DOCUMENTS, LETTERS = "uploads", "documents", "letters"
MODELS = "models"
FOR_EVER = 0.0
BUCKETS: tuple[BucketSpec, ...] = (
    BucketSpec(LEDGER, 30 * DAY, 0.10),
    BucketSpec(TASKS, 30 * DAY, 0.10),
    BucketSpec(IDEMPOTENCY, 1 * DAY, 0.02),
    BucketSpec(REVOKED, 1 * DAY, 0.01, per_key_ttl=True),
    BucketSpec(UPLOADS, 7 * DAY, 0.01),
    BucketSpec(DOCUMENTS, FOR_EVER, 0.03, per_key_ttl=True),
    BucketSpec(LETTERS, 31 * DAY, 0.01),  # outlives the letters that it marks
    BucketSpec(MODELS, 40 * DAY, 0.01),  # budgets count by the month
)
ARTIFACTS, KNOWLEDGE = "artifacts", "knowledge"
OBJECT_STORES: tuple[BucketSpec, ...] = (
    BucketSpec(ARTIFACTS, FOR_EVER, 0.155),  # admin's collector removes what no task names
    BucketSpec(KNOWLEDGE, FOR_EVER, 0.09),
)
STORES: tuple[str, ...] = (
    *(spec.name for spec in STREAMS),
    *(f"KV_{spec.name}" for spec in BUCKETS),
    *(f"OBJ_{spec.name}" for spec in OBJECT_STORES),
)
"""Every stream, by the name that the server knows it by."""


@dataclass(frozen=True)
class Permissions:
    """What one NATS user may publish and subscribe; replies to requests it received are always allowed."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def inbox_prefix(service: str) -> str:
    """Replies to one service; nobody else may listen there."""
    return f"_INBOX_{service}"


def _consume(stream: str, service: str) -> tuple[str, ...]:
    return (
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{service}",
        f"$JS.API.CONSUMER.INFO.{stream}.{service}",
        f"$JS.ACK.{stream}.{service}.>",
    )


def _read_stream(stream: str, scope: str | None = None) -> tuple[str, ...]:
    """Direct gets, of one subject tree where a scope is given."""
    base = f"$JS.API.DIRECT.GET.{stream}"
    return (f"{base}.{scope}",) if scope else (base, f"{base}.>")


def _info(*streams: str) -> tuple[str, ...]:
    """What streams are, hold, and under which subjects."""
    return tuple(f"$JS.API.STREAM.INFO.{stream}" for stream in streams)


def _newest(*streams: str) -> tuple[str, ...]:
    """To ask leaders, beside the replicas, of streams that may be read whole."""
    return tuple(f"$JS.API.STREAM.MSG.GET.{stream}" for stream in streams)


def _bucket(bucket: str, keys: str = ">", write: bool = True) -> tuple[str, ...]:
    read = _read_stream(f"KV_{bucket}", f"$KV.{bucket}.{keys}")
    return (*read, f"$KV.{bucket}.{keys}") if write else read


def _objects(store: str, write: bool) -> tuple[str, ...]:
    """Reads of the object store's stream; writers also put chunks and metadata."""
    read = _read_stream(f"OBJ_{store}") + _newest(f"OBJ_{store}")
    return (*read, f"$O.{store}.>") if write else read


def _own(service: Service) -> tuple[str, ...]:
    """What every service may publish in its own name."""
    return (f"{ROOT}.event.*.*.{service}.>", f"{ROOT}.dead.{service}.*")


def _models(service: Service) -> tuple[str, ...]:
    """What calling language models takes: its own journal, record by record, and the fleet's budgets and limits."""
    journal = journal_subject("*", "*", service, "*", 0).removesuffix("0") + "*"
    return (journal, *_read_stream("JOURNAL", journal), *_bucket(MODELS))


def _agent(service: Service, *asks: str) -> Permissions:
    return Permissions(
        publish=(
            *_own(service),
            *_models(service),
            *_consume("WORK", service),
            *_bucket(LEDGER, f"{service}.>"),
            *_read_stream("EVENTS", event_subject("*", "*", service, "*", "result")),  # is what is there its own?
            *_objects(ARTIFACTS, write=True),
            *asks,
        ),
        subscribe=(f"{inbox_prefix(service)}.>", "$SRV.>", f"{ROOT}.rpc.{service}.>"),
    )


PERMISSIONS: dict[Service, Permissions] = {
    "gateway": Permissions(
        publish=(
            *_own("gateway"),
            f"{ROOT}.task.*",
            f"{ROOT}.audit.*.*",
            f"{ROOT}.rate.*.*.*",
            *_read_stream("EVENTS"),
            *_bucket(TASKS),
            *_read_stream(f"KV_{TASKS}"),
            *_bucket(IDEMPOTENCY),
            *_bucket(REVOKED),
            *_bucket(UPLOADS),
            *_read_stream(f"KV_{UPLOADS}"),
            *_bucket(DOCUMENTS),
            *_read_stream(f"KV_{DOCUMENTS}"),
            *_objects(ARTIFACTS, write=True),
            *_objects(KNOWLEDGE, write=True),
            *_newest("EVENTS", *(f"KV_{bucket}" for bucket in (TASKS, IDEMPOTENCY, UPLOADS, DOCUMENTS))),
            *_read_stream("DEAD"),
            *_bucket(LETTERS),
            work_subject("rag", "*"),
            rpc_subject("rag", "search"),
            rpc_subject("admin", "redrive"),
            rpc_subject("admin", "explain"),
            *_info(*STORES),
        ),
        subscribe=(f"{inbox_prefix('gateway')}.>", "$SRV.>", f"{ROOT}.rpc.gateway.>", f"{ROOT}.event.>"),
    ),
    "admin": Permissions(
        publish=(
            *_own("admin"),
            *_models("admin"),
            *_consume("TASKS", "admin"),
            *_consume("EVENTS", "admin"),
            *_consume("TIMERS", "admin"),
            *_read_stream("EVENTS"),
            *_read_stream("DEAD"),
            *_read_stream("TASKS"),
            *_read_stream("WORK"),
            *_read_stream(f"KV_{TASKS}"),
            *_newest("EVENTS", f"KV_{TASKS}", f"OBJ_{ARTIFACTS}"),
            f"{ROOT}.work.*.*",
            f"{ROOT}.timer.set.*.*",
            rpc_subject("rag", "embed"),
            *_bucket(TASKS),
            *_bucket(LEDGER),
            *_read_stream(f"KV_{LEDGER}"),
            *_read_stream(f"KV_{UPLOADS}"),
            *_read_stream(f"OBJ_{ARTIFACTS}"),
            *_info("EVENTS", "TASKS", f"KV_{TASKS}", f"KV_{LEDGER}", f"KV_{UPLOADS}", f"OBJ_{ARTIFACTS}"),
            f"$JS.API.STREAM.PURGE.OBJ_{ARTIFACTS}",  # it alone removes artifacts that no task names
        ),
        subscribe=(f"{inbox_prefix('admin')}.>", "$SRV.>", f"{ROOT}.rpc.admin.>"),
    ),
    "architect": _agent("architect", rpc_subject("rag", "search")),
    # It runs nothing of a candidate's itself.
    "builder": _agent("builder", rpc_subject("rag", "search"), rpc_subject("validator", "check")),
    "validator": _agent("validator"),
    "rag": Permissions(
        publish=(
            *_own("rag"),
            *_consume("WORK", "rag"),
            *_bucket(DOCUMENTS),
            *_read_stream(f"KV_{DOCUMENTS}"),
            *_newest(f"KV_{DOCUMENTS}"),
            *_objects(KNOWLEDGE, write=True),
            *_info(f"OBJ_{KNOWLEDGE}"),
            f"$JS.API.STREAM.PURGE.OBJ_{KNOWLEDGE}",  # it alone removes the texts of deleted documents
            *_read_stream(f"KV_{TASKS}"),  # what tasks have produced becomes knowledge (ADR 0013)
            *_objects(ARTIFACTS, write=False),
            *_bucket(LEDGER, "rag.>"),
        ),
        subscribe=(f"{inbox_prefix('rag')}.>", "$SRV.>", f"{ROOT}.rpc.rag.>"),
    ),
}
