"""What a PromQL expression asks for, and what our processes export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser
import worksite.admin.main
import worksite.architect.main
import worksite.builder.main
import worksite.gateway.main
import worksite.rag.main
import worksite.validator.main  # noqa: F401 (each registers its metrics)
from prometheus_client import REGISTRY

OF_THE_SCRAPE = {"job", "instance"}
LABELS = {"up": OF_THE_SCRAPE, "ALERTS": {"alertname", "alertstate", "severity"}}
"""Of what Prometheus itself makes."""


@dataclass(frozen=True)
class Selected:
    """A metric that an expression reads, and the labels by which it chooses and groups."""

    metric: str
    labels: frozenset[str]


def exported() -> dict[str, set[str]]:
    """The labels of every sample that our processes may export, with those that the scrape adds."""
    found = dict(LABELS)
    for collector, names in REGISTRY._collector_to_names.items():
        labels = {*getattr(collector, "_labelnames", ()), *OF_THE_SCRAPE}
        found |= {name: labels | ({"le"} if name.endswith("_bucket") else set()) for name in names}
    return found


def selected(expression: str) -> list[Selected]:
    """Raises ValueError for what is no PromQL."""
    return list(_selected(promql_parser.parse(expression), frozenset()))


def _selected(node: Any, grouped: frozenset[str]) -> Iterator[Selected]:
    if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
        grouped |= {*node.modifier.labels}
    if isinstance(node, promql_parser.MatrixSelector):
        node = node.vector_selector
    if isinstance(node, promql_parser.VectorSelector):
        yield Selected(node.name, grouped | {each.name for each in node.matchers.matchers})
    for part in (*(getattr(node, "args", None) or ()), *(getattr(node, name, None) for name in ("lhs", "rhs", "expr"))):
        if isinstance(part, promql_parser.Expr):
            yield from _selected(part, grouped)


def left(expression: str) -> set[str]:
    """The labels of what the expression yields."""
    return _left(promql_parser.parse(expression))


def _left(node: Any) -> set[str]:
    if isinstance(node, promql_parser.AggregateExpr):
        return {*node.modifier.labels} if node.modifier else set()
    if isinstance(node, promql_parser.BinaryExpr):
        return _left(node.lhs)
    if isinstance(node, promql_parser.Call):
        vectors = [part for part in node.args if not isinstance(part, promql_parser.NumberLiteral)]
        return _left(vectors[0]) - ({"le"} if node.func.name == "histogram_quantile" else set())
    if isinstance(node, promql_parser.ParenExpr):
        return _left(node.expr)
    selector = node.vector_selector if isinstance(node, promql_parser.MatrixSelector) else node
    return exported()[selector.name]
