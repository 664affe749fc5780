"""The alert rules stand on metrics, labels and commands that exist."""

import re
from pathlib import Path

import pytest
import typer.main
import worksite.admin.main
import worksite.gateway.main
import worksite.rag.main  # noqa: F401 (each registers its metrics)
import yaml
from prometheus_client import REGISTRY
from worksite.cli.main import app

ROOT = Path(__file__).parents[2]
RULES = yaml.safe_load((ROOT / "deploy" / "observability" / "alerts.yaml").read_text())["groups"][0]["rules"]
BY_NAME = {rule["alert"]: rule for rule in RULES}
OF_PROMETHEUS = {"up": {"job"}}


def exported() -> dict[str, set[str]]:
    """The labels of every sample that our processes may export, beside those that the scrape adds."""
    found = dict(OF_PROMETHEUS)
    for collector, names in REGISTRY._collector_to_names.items():
        labels = set(getattr(collector, "_labelnames", ()))
        found |= dict.fromkeys(names, labels | {"job", "instance"})
    return found


EXPORTED = exported()


@pytest.mark.parametrize("alert", BY_NAME)
def test_a_rule_names_only_metrics_and_labels_that_exist(alert):
    expression = BY_NAME[alert]["expr"]
    named = re.findall(r"\b(up|(?:worksite|rag)_\w+)(?:\{([^}]*)\})?", expression)
    assert named
    for metric, selectors in named:
        assert metric in EXPORTED
        grouped = re.findall(r"by \(([^)]*)\)", expression)
        labels = set(re.findall(r"(\w+)\s*[=!]~?", selectors)) | {
            label.strip() for group in grouped for label in group.split(",")
        }
        assert labels <= EXPORTED[metric], metric


@pytest.mark.parametrize("alert", BY_NAME)
def test_a_rule_says_how_bad_it_is_what_happened_and_what_to_do(alert):
    rule = BY_NAME[alert]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "action"}
    for command in re.findall(r"worksite ([a-z]+)", rule["annotations"]["action"]):
        assert command in typer.main.get_command(app).commands


@pytest.mark.parametrize("alert", BY_NAME)
def test_a_summary_shows_only_labels_that_its_expression_leaves(alert):
    rule = BY_NAME[alert]
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    groups = re.findall(r"by \(([^)]*)\)", rule["expr"])
    left = {label.strip() for label in groups[0].split(",")} if groups else None
    if left is None:
        metric = re.findall(r"\b(up|(?:worksite|rag)_\w+)", rule["expr"])[0]
        left = set() if "sum(" in rule["expr"] else EXPORTED[metric]
    assert shown <= left


def test_everything_that_an_operator_must_be_told_of_has_a_rule():
    text = " ".join(rule["expr"] for rule in RULES)
    for metric in (
        "dead_letters",
        "redeliveries",
        "handler_failures",
        "queue_refusals",
        "bus_disconnects",
        "probe_failing",
    ):
        assert f"worksite_{metric}" in text
