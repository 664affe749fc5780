"""Logs that can be searched, and traces that go on across the bus."""

import json
import logging
import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from worksite.common import telemetry


def record(exc_info=None):
    return logging.LogRecord("worksite.demo", logging.ERROR, __file__, 1, "broke %s", ("here",), exc_info)


def test_a_log_line_is_one_json_object_with_its_trace_and_its_exception():
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("work") as span:
        try:
            raise ValueError("no\nway")
        except ValueError:
            line = telemetry.JsonFormatter("builder").format(record(sys.exc_info()))
        entry = json.loads(line)
        assert telemetry.current_trace_id() == entry["trace_id"]
    assert "\n" not in line
    assert (entry["level"], entry["service"], entry["message"]) == ("error", "builder", "broke here")
    assert entry["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert "ValueError" in entry["exception"]


def test_a_log_line_outside_of_a_trace_has_none():
    assert "trace_id" not in json.loads(telemetry.JsonFormatter("builder").format(record()))
    assert telemetry.current_trace_id() is None


def test_a_request_goes_on_in_its_clients_trace():
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    with telemetry.server_request("GET /", {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}):
        assert trace.get_current_span().get_span_context().trace_id == int(trace_id, 16)
