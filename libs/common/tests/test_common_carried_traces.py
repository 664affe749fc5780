"""Traces without an exporter: carried on, not recorded."""

from __future__ import annotations

from opentelemetry import propagate, trace
from worksite.common.carried_traces import CarryingTracerProvider

TRACER = CarryingTracerProvider().get_tracer("test")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_that_came_with_a_message_goes_on_with_what_is_published():
    with TRACER.start_as_current_span("handle", context=propagate.extract({"traceparent": TRACEPARENT})):
        headers: dict[str, str] = {}
        with TRACER.start_as_current_span("publish"):
            propagate.inject(headers)
    assert headers["traceparent"] == TRACEPARENT


def test_what_comes_without_a_trace_begins_one_that_exporters_further_on_sample():
    with TRACER.start_as_current_span("request") as outer, TRACER.start_as_current_span("publish") as inner:
        assert inner.get_span_context() == outer.get_span_context()
        assert outer.get_span_context().is_valid
        assert outer.get_span_context().trace_flags.sampled
    assert not trace.get_current_span().get_span_context().is_valid


def test_each_trace_has_ids_of_its_own():
    begun = [TRACER.start_span("request").get_span_context() for _ in range(2)]
    assert begun[0].trace_id != begun[1].trace_id


def test_no_span_is_recorded():
    assert not TRACER.start_span("request").is_recording()
