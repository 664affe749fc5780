"""A task is one trace: from the HTTP request over every hop through NATS to the last step, in all services."""

import time
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

pytestmark = [pytest.mark.proof, pytest.mark.timeout(400)]
TRACE, CLIENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STEPS = ["1-import", "2-design", "3-build", "4-validate"]
SERVICES = {f"worksite-{name}" for name in ("gateway", "admin", "architect", "builder", "validator", "rag")}


@dataclass(frozen=True)
class Seen:
    """A span, as a service exported it."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str]


def spans(exported: list[bytes]) -> list[Seen]:
    """Of all traces."""
    return [
        Seen(
            text(group.resource.attributes)["service.name"],
            span.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            text(span.attributes),
        )
        for body in list(exported)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def text(attributes: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in attributes}


def complete(found: list[Seen]) -> bool:
    """Services export by themselves every few seconds: a parent perhaps later than its children, and whoever was asked
    (rag, which nobody's span has as a parent) perhaps last of all."""
    ids = {CLIENT_SPAN, *(span.id for span in found)}
    done = {span.name.removeprefix("step ") for span in found}
    heard = {span.service for span in found}
    return heard == SERVICES and done >= {*STEPS} and all(span.parent in ids for span in found)


@pytest.fixture(scope="module")
def task_and_spans(delivering):
    """A whole task, whose client names the trace."""
    wanted = {"request": "A function that greets people", "route": "feature"}
    with delivering.stack.client() as http:
        headers = {"traceparent": f"00-{TRACE}-{CLIENT_SPAN}-01"}
        task = http.post("/v1/tasks", json=wanted, headers=headers).raise_for_status().json()["id"]
    watched = delivering.stack.watch(task)
    assert watched.returncode == 0, watched.stdout + watched.stderr
    deadline = time.monotonic() + 60
    while not complete(traced := [span for span in spans(delivering.traces) if span.trace == TRACE]):
        if time.monotonic() > deadline:
            break  # the tests say what is missing
        time.sleep(0.2)
    return task, traced


def test_every_service_and_every_step_is_in_the_trace_of_the_request(task_and_spans):
    _, traced = task_and_spans
    assert {span.service for span in traced} == SERVICES
    assert sorted(span.name.removeprefix("step ") for span in traced if span.name.startswith("step ")) == STEPS


def test_from_each_step_the_trace_leads_back_hop_by_hop_to_the_http_request(task_and_spans):
    _, traced = task_and_spans
    by_id = {span.id: span for span in traced}
    for step in STEPS:
        span = next(span for span in traced if span.name == f"step {step}")
        way = [span.name]
        while span.parent != CLIENT_SPAN:
            span = by_id[span.parent]
            way.append(span.name)
        hops = ["handle work", "publish work"] + ["handle event", "publish event", "handle work", "publish work"] * 9
        before = STEPS.index(step)
        assert [name for name in way if not name.startswith("step ")] == [
            *hops[: 2 + 4 * before],
            "handle task",
            "publish task",
            "POST /v1/tasks",
        ]


def test_what_an_agent_asks_of_rag_is_part_of_its_step(task_and_spans):
    _, traced = task_and_spans
    by_id = {span.id: span for span in traced}
    answered = [span for span in traced if (span.service, span.name) == ("worksite-rag", "handle rpc")]
    assert answered
    askers = {by_id[by_id[span.parent].parent].name for span in answered}
    assert "step 2-design" in askers


def test_no_span_of_the_task_is_in_another_trace(task_and_spans, delivering):
    task, _ = task_and_spans
    assert {span.trace for span in spans(delivering.traces) if span.attributes.get("worksite.task") == task} == {TRACE}
