"""What the dashboards show. A query's key is its legend; `{{label}}` is Grafana's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """One graph. `unit` is one of Grafana's: s, percentunit, reqps, bytes, currencyUSD, short."""

    title: str
    unit: str
    queries: dict[str, str]
    description: str = ""


@dataclass(frozen=True)
class Board:
    """One dashboard, its panels two abreast."""

    title: str
    description: str
    panels: tuple[Panel, ...]


def _quantiles(histogram: str, by: str = "", where: str = "") -> dict[str, str]:
    """Median and 95th percentile, of each value of a label where one is given."""
    legend, group = (f"{{{{{by}}}}} ", f"{by}, ") if by else ("", "")
    return {
        f"{legend}p{round(quantile * 100)}": f"histogram_quantile({quantile}, "
        f"sum by ({group}le) (rate({histogram}_bucket{where}[$__rate_interval])))"
        for quantile in (0.5, 0.95)
    }


def _rate(counter: str, by: str, where: str = "") -> dict[str, str]:
    """A second, by a label or several."""
    return {_legend(by): f"sum by ({by}) (rate({counter}{where}[$__rate_interval]))"}


def _events(counter: str, by: str) -> dict[str, str]:
    """An hour, of what should not happen: only where it did."""
    return {_legend(by): f"sum by ({by}) (increase({counter}[1h])) > 0"}


def _legend(by: str) -> str:
    return " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(","))


_OVERVIEW = Board(
    "overview",
    "Rate, errors and duration of what people and agents ask; is everything well?",
    (
        Panel("Requests by route", "reqps", _rate("worksite_http_requests_total", "route")),
        Panel(
            "Answers that are no success",
            "reqps",
            _rate("worksite_http_requests_total", "status", '{status!~"[23].."}'),
            "5xx is ours, 4xx the client's",
        ),
        Panel(
            "Duration of requests",
            "s",
            _quantiles("worksite_http_request_seconds", "route", '{route!~".*/events|/mcp"}'),
            "without event streams, which are as long as somebody listens",
        ),
        Panel(
            "Part of requests answered with an error of ours",
            "percentunit",
            {
                "5xx": 'sum(rate(worksite_http_requests_total{status=~"5.."}[$__rate_interval]))'
                " / sum(rate(worksite_http_requests_total[$__rate_interval]))"
            },
        ),
        Panel("Requests between services", "reqps", _rate("worksite_rpc_seconds_count", "job, verb, outcome")),
        Panel("Duration of requests between services", "s", _quantiles("worksite_rpc_seconds", "verb")),
        Panel("Processes that answer", "short", {"{{job}}": "sum by (job) (up)"}),
        Panel("Probes that fail", "short", {"{{job}} {{probe}}": "max by (job, probe) (worksite_probe_failing) > 0"}),
    ),
)

_PIPELINE = Board(
    "pipeline",
    "Tasks and their steps",
    (
        Panel(
            "Tasks that ended or wait, an hour",
            "short",
            {"{{route}} {{outcome}}": "sum by (route, outcome) (increase(worksite_tasks_total[1h]))"},
        ),
        Panel("From acceptance to the end", "s", _quantiles("worksite_task_seconds")),
        Panel("Duration of steps", "s", _quantiles("worksite_step_seconds", "step")),
        Panel(
            "Deliveries of steps by how they ended, an hour",
            "short",
            {"{{step}} {{outcome}}": "sum by (step, outcome) (increase(worksite_step_seconds_count[1h]))"},
            "retried: a fault of the agent's; interrupted: taken away, or what it needs is away",
        ),
        Panel(
            "Commands that wait for agents",
            "short",
            {"{{consumer}}": 'max by (consumer) (worksite_consumer_pending{stream="WORK"})'},
        ),
        Panel("Faults of handlers, an hour", "short", _events("worksite_handler_failures_total", "job, kind")),
        Panel("How routes are chosen", "short", _rate("worksite_route_decisions_total", "stage, route")),
        Panel("Time to choose a route", "s", _quantiles("worksite_route_seconds", "stage")),
    ),
)

_BUS = Board(
    "bus",
    "NATS as the services see it",
    (
        Panel(
            "Messages that wait for a consumer",
            "short",
            {"{{stream}} {{consumer}}": "max by (stream, consumer) (worksite_consumer_pending)"},
        ),
        Panel(
            "Messages in hand",
            "short",
            {
                "{{stream}} {{consumer}}": "max by (stream, consumer) (worksite_consumer_in_hand)",
                "{{stream}} {{consumer}} again": "max by (stream, consumer) (worksite_consumer_redelivered)",
            },
        ),
        Panel("Messages published", "reqps", _rate("worksite_messages_published_total", "kind")),
        Panel("Time to handle a message", "s", _quantiles("worksite_message_handling_seconds", "kind")),
        Panel("Redeliveries, an hour", "short", _events("worksite_redeliveries_total", "job, kind")),
        Panel(
            "Dead letters, an hour",
            "short",
            _events("worksite_dead_letters_total", "job, kind"),
        ),
        Panel(
            "Publications without an acknowledgement, an hour",
            "short",
            _events("worksite_publish_failures_total", "job, kind"),
        ),
        Panel("Refused by full queues, an hour", "short", _events("worksite_queue_refusals_total", "kind")),
        Panel("How full the stores are", "percentunit", {"{{stream}}": "max by (stream) (worksite_stream_fill_ratio)"}),
        Panel("Size of the stores", "bytes", {"{{stream}}": "max by (stream) (worksite_stream_bytes)"}),
        Panel("Connections lost, an hour", "short", _events("worksite_bus_disconnects_total", "job")),
    ),
)

_SEARCH = Board(
    "search",
    "What rag is asked, and what it knows",
    (
        Panel(
            "Duration of searches",
            "s",
            _quantiles("rag_search_duration_seconds", where='{stage="total"}'),
            "HighSearchLatency fires above 500 ms",
        ),
        Panel("Duration by stage", "s", _quantiles("rag_search_duration_seconds", "stage", '{stage!="total"}')),
        Panel("Searches", "reqps", _rate("rag_searches_total", "mode, outcome")),
        Panel(
            "Answered before the reranker was done",
            "reqps",
            {"deadline": "sum(rate(rag_rerank_deadline_total[$__rate_interval]))"},
        ),
        Panel("Documents that wait", "short", {"documents": "max(rag_ingest_queue_depth)"}),
        Panel("The oldest of them waits for", "s", {"age": "max(rag_ingest_lag_seconds)"}),
        Panel("Chunks written and removed", "short", _rate("rag_ingest_chunks_total", "change")),
        Panel("What could not be indexed", "short", _rate("rag_ingest_errors_total", "source")),
        Panel(
            "Chunks that can be searched",
            "short",
            {"answering": "max(rag_index_chunks)", "rebuild: {{index}}": "max by (index) (rag_rebuild_chunks)"},
        ),
        Panel("Vectors for other services", "s", _quantiles("rag_embed_duration_seconds")),
    ),
)

_MODEL = "gen_ai_request_model"
_MODELS = Board(
    "models and cost",
    "Language models: calls, tokens, dollars, budgets",
    (
        Panel(
            "Dollars, an hour",
            "currencyUSD",
            {
                f"{{{{{_MODEL}}}}}": f"sum by ({_MODEL}) (increase(worksite_model_cost_usd_total[1h]))",
                "choosing routes": "sum(increase(worksite_route_cost_usd_total[1h]))",
            },
        ),
        Panel("Tokens a second", "short", _rate("worksite_model_tokens_total", "gen_ai_token_type")),
        Panel(
            "Part of the prompts that came from the cache",
            "percentunit",
            {
                f"{{{{{_MODEL}}}}}": f"sum by ({_MODEL}) "
                '(rate(worksite_model_tokens_total{gen_ai_token_type="cache_read"}[$__rate_interval]))'
                f" / sum by ({_MODEL}) "
                '(rate(worksite_model_tokens_total{gen_ai_token_type!="output"}[$__rate_interval]))'
            },
        ),
        Panel("Duration of tries", "s", _quantiles("gen_ai_client_operation_duration_seconds", _MODEL)),
        Panel(
            "Tries without a reply",
            "reqps",
            _rate("gen_ai_client_operation_duration_seconds_count", f"{_MODEL}, error_type", '{error_type!=""}'),
        ),
        Panel(
            "Time spent waiting for limits, a second",
            "s",
            _rate("worksite_model_wait_seconds_total", _MODEL),
            "of all steps together",
        ),
        Panel("Calls answered by the journal", "reqps", _rate("worksite_model_replays_total", _MODEL)),
        Panel(
            "Used up of budgets, at reservations",
            "percentunit",
            _quantiles("worksite_model_budget_ratio", "scope"),
            "whose it is, the metric does not say",
        ),
        Panel(
            "Calls that a budget did not allow, an hour",
            "short",
            _events("worksite_model_budget_refusals_total", "scope"),
        ),
    ),
)

_SECURITY = Board(
    "security",
    "Who is refused, how candidates are confined, how fresh secrets are",
    (
        Panel(
            "Requests refused",
            "reqps",
            _rate("worksite_http_requests_total", "route, status", '{status=~"401|403|413|429"}'),
            "401 no valid token, 403 a policy says no, 413 too large, 429 too many",
        ),
        Panel(
            "Audit records",
            "reqps",
            _rate("worksite_messages_published_total", "job", '{kind="audit"}'),
            "repeated denials are summed up in one",
        ),
        Panel(
            "Messages that no service published, an hour",
            "short",
            _events("worksite_foreign_messages_total", "stream"),
            "any is an attack from inside",
        ),
        Panel("Age of secrets", "s", {"{{job}}": "max by (job) (worksite_secret_age_seconds)"}),
        Panel("Isolation of candidates", "short", {"{{level}}": "sum by (level) (worksite_sandbox_isolation)"}),
        Panel("Programs run, by what stopped them", "short", _rate("worksite_sandbox_runs_total", "stopped")),
        Panel(
            "Programs that the sandbox could not run, an hour",
            "short",
            _events("worksite_sandbox_failures_total", "step"),
        ),
        Panel(
            "Policies",
            "short",
            {"{{instance}} goes on with older ones": "max by (instance) (worksite_gateway_policies_refused)"},
        ),
        Panel("Fetches of the issuer's keys", "short", _rate("worksite_gateway_jwks_refreshes_total", "result")),
    ),
)

BOARDS = {
    "overview": _OVERVIEW,
    "pipeline": _PIPELINE,
    "bus": _BUS,
    "search": _SEARCH,
    "models": _MODELS,
    "security": _SECURITY,
}
