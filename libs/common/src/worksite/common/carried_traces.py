"""Traces that nobody collects: their ids travel on and stand in the logs, but no span is recorded.

Recording costs a durable step more processor time than all its JSON. The `sampled` flag stays as it came, and is set
where a trace begins, so that a service further on which does export its spans still does.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, Tracer, TracerProvider

_ids = RandomIdGenerator()


class CarryingTracerProvider(TracerProvider):
    """In place of the SDK's where no exporter is set."""

    def get_tracer(self, *_: Any, **__: Any) -> Tracer:
        return _CarryingTracer()


class _CarryingTracer(Tracer):
    """Every span is the one that the trace came with."""

    def start_span(self, name: str, context: Context | None = None, *_: Any, **__: Any) -> Span:
        parent = trace.get_current_span(context).get_span_context()
        return NonRecordingSpan(parent if parent.is_valid else _begun())

    @contextmanager
    def start_as_current_span(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, name: str, context: Context | None = None, *_: Any, **__: Any
    ) -> Generator[Span]:
        with trace.use_span(self.start_span(name, context)) as span:
            yield span


def _begun() -> SpanContext:
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(_ids.generate_trace_id(), _ids.generate_span_id(), is_remote=False, trace_flags=sampled)
