"""The alert rules stand on metrics, labels and commands that exist; each is tested, and explained in the runbook."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from promql import exported, left, selected
from worksite.gateway.room import FULL, WRITTEN_BY_TASKS

ROOT = Path(__file__).parents[2]
OBSERVABILITY = ROOT / "deploy" / "observability"
ALERTS = OBSERVABILITY / "alerts.yaml"
TESTS = sorted((OBSERVABILITY / "tests").glob("*.yaml"))
GROUPS = yaml.safe_load(ALERTS.read_text())["groups"]
BY_NAME = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
EXPORTED = exported()
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian and Ubuntu: apt install prometheus)"
)


def cases() -> dict[str, list[dict]]:
    """What promtool evaluates, by alert."""
    return {
        test["name"]: test["promql_expr_test"] for path in TESTS for test in yaml.safe_load(path.read_text())["tests"]
    }


def runbook() -> dict[str, str]:
    """The entries, by heading."""
    parts = re.split(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@needs_promtool
def test_prometheus_takes_the_rules():
    checked = subprocess.run(["promtool", "check", "rules", ALERTS], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@needs_promtool
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_every_alert_fires_when_it_should_and_not_before(path):
    tested = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@needs_promtool
def test_prometheus_takes_its_configuration():
    config = ["promtool", "check", "config", OBSERVABILITY / "prometheus.yaml"]
    checked = subprocess.run(config, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@needs_promtool
def test_an_alert_that_does_not_fire_fails_its_test(tmp_path):
    (tmp_path / "tests").mkdir()
    shutil.copy(OBSERVABILITY / "tests" / "search.yaml", tmp_path / "tests")
    (tmp_path / "alerts.yaml").write_text(ALERTS.read_text().replace("> 0.5\n", "> 5\n"))
    command = ["promtool", "test", "rules", tmp_path / "tests" / "search.yaml"]
    assert "HighSearchLatency" in subprocess.run(command, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("alert", BY_NAME)
def test_a_rule_has_a_test_in_which_it_fires_and_moments_in_which_it_does_not(alert):
    expression = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
    assert {case["expr"] for case in cases()[alert]} == {expression}
    assert {bool(case["exp_samples"]) for case in cases()[alert]} == {True, False}


def test_no_test_is_of_an_alert_that_is_gone():
    assert cases().keys() == BY_NAME.keys()


@pytest.mark.parametrize("alert", BY_NAME)
def test_a_rule_names_only_metrics_and_labels_that_exist(alert):
    named = selected(BY_NAME[alert]["expr"])
    assert named
    for each in named:
        assert each.metric in EXPORTED
        assert each.labels <= EXPORTED[each.metric], each.metric


@pytest.mark.parametrize("alert", BY_NAME)
def test_a_rule_says_how_bad_it_is_what_happened_and_where_to_read_on(alert):
    rule = BY_NAME[alert]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{alert.lower()}"


@pytest.mark.parametrize("alert", BY_NAME)
def test_an_annotation_shows_only_labels_that_the_expression_leaves(alert):
    rule = BY_NAME[alert]
    shown = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    assert shown <= left(rule["expr"])


def test_the_runbook_has_an_entry_for_each_alert_and_no_other():
    assert list(runbook()) == list(BY_NAME)


@pytest.mark.parametrize("alert", BY_NAME)
def test_an_entry_says_what_it_means_how_to_see_it_and_what_to_do(alert):
    entry = runbook()[alert]
    assert re.findall(r"^\*\*(.+?)\*\*", entry, re.M) == ["Means.", "See.", "Do."]


@pytest.mark.parametrize(
    "topic",
    ["dead_letters", "redeliveries", "handler_failures", "queue_refusals", "bus_disconnects", "probe_failing",
     "publish_failures", "consumer_pending", "secret_age", "foreign_messages", "sandbox", "model_budget"],
)  # fmt: skip
def test_everything_that_an_operator_must_be_told_of_has_a_rule(topic):
    assert any(f"worksite_{topic}" in rule["expr"] for rule in BY_NAME.values())


def test_intake_is_called_refused_just_when_the_gateway_refuses_it():
    expression = BY_NAME["WorksiteIntakeRefused"]["expr"]
    assert re.search(r'stream=~"([^"]*)"', expression).group(1).split("|") == list(WRITTEN_BY_TASKS)
    assert expression.endswith(f">= {FULL}")


def test_alertmanager_inhibits_only_by_alerts_that_exist_and_labels_that_both_have():
    config = yaml.safe_load((OBSERVABILITY / "alertmanager.yaml").read_text())
    for rule in config["inhibit_rules"]:
        named = re.findall(r"\b(?:Worksite|High)\w+", " ".join(rule["source_matchers"] + rule["target_matchers"]))
        assert set(named) <= BY_NAME.keys()
        assert all({*rule.get("equal", ())} <= left(BY_NAME[alert]["expr"]) for alert in named)
