"""Spans and metrics of model calls, by the names of OpenTelemetry's GenAI conventions (status: development)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from prometheus_client import Counter, Histogram
from worksite.common.llm.conversation import Completion, ModelRequest
from worksite.common.llm.usage import Usage
from worksite.common.telemetry import from_zero

_tracer = trace.get_tracer("worksite")
_SECONDS = Histogram(
    "gen_ai_client_operation_duration_seconds",
    "Time of one try at a model call",
    ["gen_ai_request_model", "error_type"],
    buckets=(0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600),
)
_TOKENS = Counter(
    "worksite_model_tokens_total",
    "Tokens that providers bill, by class; the cache's hit rate is cache_read of all but output",
    ["gen_ai_request_model", "gen_ai_token_type"],
)
_COST = Counter("worksite_model_cost_usd_total", "Dollars that model calls cost", ["gen_ai_request_model"])
_REPLAYED = Counter("worksite_model_replays_total", "Model calls answered by the journal", ["gen_ai_request_model"])
_WAITED = Counter("worksite_model_wait_seconds_total", "Time spent waiting for limits", ["gen_ai_request_model"])

_DRAWN = Histogram(
    "worksite_model_budget_ratio",
    "What is spent and reserved of a budget, of what it allows, after each reservation",
    ["scope"],
    buckets=(0.1, 0.25, 0.5, 0.8, 0.9, 1.0),
)
_OVERDRAWN = from_zero(
    Counter("worksite_model_budget_refusals_total", "Model calls that a budget did not allow", ["scope"]),
    ("step", "task", "tenant"),
)


@dataclass
class Call:
    """One try, told to the span as it goes on."""

    model: str
    span: Span
    error_type: str = field(default="")

    def answered(self, completion: Completion) -> None:
        """It brought a reply."""
        used = completion.usage
        self.span.set_attributes(
            {
                "gen_ai.response.id": completion.id,
                "gen_ai.response.model": completion.model,
                "gen_ai.response.finish_reasons": [completion.stop_reason],
                "gen_ai.usage.input_tokens": used.prompt_tokens,
                "gen_ai.usage.output_tokens": used.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": used.cache_read_tokens,
                "gen_ai.usage.cache_write.input_tokens": used.cache_write_tokens,
                "gen_ai.usage.reasoning.output_tokens": used.thinking_tokens,
            }
        )

    def failed(self, error_type: str) -> None:
        """It did not."""
        self.error_type = error_type
        self.span.set_attribute("error.type", error_type)
        self.span.set_status(Status(StatusCode.ERROR))


@contextlib.contextmanager
def calling(request: ModelRequest, provider: str, task: str) -> Generator[Call]:
    """Around one try: a client span, and its duration."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": request.model,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.stream": True,
        "gen_ai.conversation.id": task,
    }
    started = time.perf_counter()
    with _tracer.start_as_current_span(f"chat {request.model}", kind=SpanKind.CLIENT, attributes=attributes) as span:
        call = Call(request.model, span)
        try:
            yield call
        finally:
            _SECONDS.labels(request.model, call.error_type).observe(time.perf_counter() - started)


def charged(model: str, usage: Usage, micro_usd: int) -> None:
    """A response was billed."""
    for kind, tokens in (
        ("input", usage.input_tokens),
        ("cache_read", usage.cache_read_tokens),
        ("cache_write", usage.cache_write_tokens),
        ("output", usage.output_tokens),
    ):
        _TOKENS.labels(model, kind).inc(tokens)
    _COST.labels(model).inc(micro_usd / 1e6)


def replayed(model: str) -> None:
    """A call was answered by the journal."""
    _REPLAYED.labels(model).inc()


def waited(model: str, seconds: float) -> None:
    """A call waited for the fleet's limits."""
    _WAITED.labels(model).inc(seconds)


def drawn(scope: str, ratio: float) -> None:
    """A call's worst was reserved: the budget is used up to this part."""
    _DRAWN.labels(scope).observe(ratio)


def overdrawn(scope: str) -> None:
    """A call was not made, for want of budget."""
    _OVERDRAWN.labels(scope).inc()
