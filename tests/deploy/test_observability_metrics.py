"""The table of metrics is what the services export: each of theirs, no other, with its labels."""

import re
from pathlib import Path

import promql  # noqa: F401 (has every service register its metrics)
from prometheus_client import REGISTRY

DOCUMENT = Path(__file__).parents[2] / "docs" / "observability.md"
OF_THE_RUNTIME = ("python_", "process_")
UNBOUNDED = {"tenant", "task", "task_id", "subject", "principal", "document", "path", "url", "user"}


def registered() -> dict[str, set[str]]:
    """Labels by name, as Prometheus shows it: a counter's ends in `_total`."""
    families = {collector for collector in REGISTRY._collector_to_names if hasattr(collector, "_labelnames")}
    return {
        family._name + ("_total" if family._type == "counter" else ""): {*family._labelnames}
        for family in families
        if not family._name.startswith(OF_THE_RUNTIME)
    }


def documented() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `((?:worksite|rag|gen_ai)_\w+)` \|([^|]*)\|", DOCUMENT.read_text(), re.M)
    return {metric: set(re.findall(r"`(\w+)`", labels)) for metric, labels in rows}


def test_the_table_has_each_metric_with_its_labels_and_no_other():
    assert documented() == registered()


def test_no_label_has_a_value_for_each_tenant_task_or_person():
    assert [name for name, labels in registered().items() if labels & UNBOUNDED] == []
