"""Logs, traces and metrics as middleware: no handler imports OpenTelemetry or Prometheus for the bus."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Generator, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind
from prometheus_client import Counter, Gauge, Histogram
from worksite.common.carried_traces import CarryingTracerProvider
from worksite.common.errors import BusUnavailable, PermissionDenied, QueueFull, ServiceUnavailable
from worksite.common.subjects import STORES

KINDS = ("task", "work", "event", "timer", "journal", "audit", "dead", "rate", "rpc", "kv", "o")
"""Of subjects, as metrics tell them apart; `kv` and `o` are NATS's buckets and object stores."""


def from_zero(counter: Counter, labels: Iterable[str]) -> Counter:
    """The counter, with a series for each value of its label: Prometheus sees no increase in a series that begins
    at 1, and an alert would miss whatever happens once."""
    for label in labels:
        counter.labels(label)
    return counter


_tracer = trace.get_tracer("worksite")
_PUBLISHED = Counter("worksite_messages_published_total", "Messages published and acknowledged", ["kind"])
_HANDLED = Histogram("worksite_message_handling_seconds", "Time to handle one delivery", ["kind", "outcome"])
_STEPS = Histogram(
    "worksite_step_seconds",
    "Time that an agent had a step in hand, delivery by delivery",
    ["step", "outcome"],
    buckets=(0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600),
)
_ANSWERED = Histogram(
    "worksite_rpc_seconds",
    "Time to answer a request of another service",
    ["verb", "outcome"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


def _by_kind(name: str, documentation: str) -> Counter:
    return from_zero(Counter(name, documentation, ["kind"]), KINDS)


_REDELIVERED = _by_kind("worksite_redeliveries_total", "Deliveries that were not the first of their message")
_FAILED = _by_kind("worksite_handler_failures_total", "Deliveries that ended in a fault of the handler's own")
_BURIED = _by_kind("worksite_dead_letters_total", "Messages put aside because they cannot be handled")
_REFUSED = _by_kind("worksite_queue_refusals_total", "Publications that a full stream refused")
_UNPUBLISHED = _by_kind("worksite_publish_failures_total", "Publications that the bus did not acknowledge, or forbids")
_DISCONNECTED = Counter("worksite_bus_disconnects_total", "Connections to NATS that were lost, not closed")
_FOREIGN = from_zero(
    Counter("worksite_foreign_messages_total", "Stored messages that no service has published", ["stream"]), STORES
)
_WRONG = Gauge(
    "worksite_probe_failing", "1 while a probe of /healthz or /readyz says that something is wrong", ["probe"]
)


def setup(service: str, level: str, otlp_endpoint: str | None) -> None:
    """Called once per process. Without an endpoint traces are carried on (logs have their ids) but not recorded."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for client in ("httpx", "httpx2", "httpcore2", "anthropic"):  # at lower levels they tell of prompts and addresses
        logging.getLogger(client).setLevel(logging.WARNING)
    trace.set_tracer_provider(_exporting(service, otlp_endpoint) if otlp_endpoint else CarryingTracerProvider())


def _exporting(service: str, otlp_endpoint: str) -> TracerProvider:
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: f"worksite-{service}"}))
    exporter = OTLPSpanExporter(endpoint=f"{otlp_endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def flush() -> None:
    """Export what is left; called while draining."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the trace it belongs to."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            entry["trace_id"] = f"{context.trace_id:032x}"
            entry["span_id"] = f"{context.span_id:016x}"
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def current_trace_id() -> str | None:
    """For error documents: the id an operator can search the logs for."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


@dataclass
class Handling:
    """How the handling of one message ended, for the metric."""

    outcome: str = "error"


@contextlib.contextmanager
def published(subject: str, headers: MutableMapping[str, str]) -> Generator[None]:
    """Around a publish: a producer span whose context travels in the headers. A write to one of NATS's stores is only
    counted: nobody goes on from it, and a step has two of them."""
    kind = _kind(subject)
    try:
        with contextlib.nullcontext() if subject.startswith("$") else _producing(subject, headers):
            yield
    except QueueFull:
        _REFUSED.labels(kind).inc()
        raise
    except (BusUnavailable, ServiceUnavailable, PermissionDenied):
        _UNPUBLISHED.labels(kind).inc()
        raise
    _PUBLISHED.labels(kind).inc()


@contextlib.contextmanager
def _producing(subject: str, headers: MutableMapping[str, str]) -> Generator[None]:
    name, told = f"publish {_kind(subject)}", _attributes(subject, headers)
    with _tracer.start_as_current_span(name, kind=SpanKind.PRODUCER, attributes=told):
        propagate.inject(headers)
        yield


@contextlib.contextmanager
def consumed(subject: str, headers: MutableMapping[str, str]) -> Generator[Handling]:
    """Around the handling of a message: a consumer span that continues the producer's trace.

    Whoever handles it says how it ended; what is left by an exception counts as an error.
    """
    kind, started, handling = _kind(subject), time.perf_counter(), Handling()
    context, told = propagate.extract(headers), _attributes(subject, headers)
    try:
        with _tracer.start_as_current_span(
            f"handle {kind}", context=context, kind=SpanKind.CONSUMER, attributes=told
        ) as span:
            yield handling
            span.set_attribute("worksite.outcome", handling.outcome)
    finally:
        seconds = time.perf_counter() - started
        _HANDLED.labels(kind, handling.outcome).observe(seconds)
        if kind == "rpc":
            _ANSWERED.labels(subject.rpartition(".")[2], handling.outcome).observe(seconds)


@contextlib.contextmanager
def worked(task: str, step: str) -> Generator[Handling]:
    """Around an agent's work on a step, `<n>-<action>`: its span, and its duration by action.

    Whoever works says how it ended; what is left by an exception was interrupted.
    """
    started, handling = time.perf_counter(), Handling("interrupted")
    told = {"worksite.task": task, "worksite.step": step}
    try:
        with _tracer.start_as_current_span(f"step {step}", attributes=told) as span:
            yield handling
            span.set_attribute("worksite.outcome", handling.outcome)
    finally:
        _STEPS.labels(step.partition("-")[2], handling.outcome).observe(time.perf_counter() - started)


def redelivered(subject: str) -> None:
    """A delivery that is not the first: it was handed back, or whoever had it is gone."""
    _REDELIVERED.labels(_kind(subject)).inc()


def handler_failed(subject: str) -> None:
    """A handler broke on a message; what it hands back on purpose is no failure."""
    _FAILED.labels(_kind(subject)).inc()


def buried(subject: str) -> None:
    """A dead letter has been stored."""
    _BURIED.labels(_kind(subject)).inc()


def disconnected() -> None:
    """The connection to the bus broke."""
    _DISCONNECTED.inc()


def foreign(stream: str) -> None:
    """A stream holds what no service has published: somebody abuses the server."""
    _FOREIGN.labels(stream).inc()


def probed(name: str, wrong: bool) -> None:
    """What a probe said just now."""
    _WRONG.labels(name).set(wrong)


@contextlib.contextmanager
def server_request(name: str, headers: MutableMapping[str, str]) -> Generator[Span]:
    """Around an HTTP request: a server span that continues the client's trace."""
    with _tracer.start_as_current_span(name, context=propagate.extract(headers), kind=SpanKind.SERVER) as span:
        yield span


def _attributes(subject: str, headers: Mapping[str, str]) -> dict[str, str]:
    """What a message's spans are found by; traces, unlike metrics, may name each task."""
    told = {"messaging.system": "nats", "messaging.destination.name": subject}
    task = headers.get("ws-task", "-")
    return told if task == "-" else told | {"worksite.task": task}


def _kind(subject: str) -> str:
    """A label of bounded cardinality: the third token of our subjects, or the first of NATS's own."""
    tokens = subject.split(".")
    return tokens[2] if tokens[0] == "ws" and len(tokens) > 2 else tokens[0].strip("$").lower()
