"""The dashboards are those that the generator writes, and every query of theirs names what our processes export."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from promql import exported, left, selected

ROOT = Path(__file__).parents[2]
OBSERVABILITY = ROOT / "deploy" / "observability"
GENERATOR = OBSERVABILITY / "tools" / "dashboards.py"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((OBSERVABILITY / "dashboards").glob("*.json"))}
QUERIES = [
    pytest.param(target["expr"], target["legendFormat"], id=f"{name}:{panel['title']}:{target['refId']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel["targets"]
]
EXPORTED = exported()


def as_prometheus_gets_it(expression: str) -> str:
    return expression.replace("$__rate_interval", "1m")


def test_the_dashboards_are_up_to_date():
    checked = subprocess.run([sys.executable, GENERATOR, "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_there_is_one_for_each_thing_that_operators_ask():
    assert set(BOARDS) == {"overview", "pipeline", "bus", "search", "models", "security"}


@pytest.mark.parametrize(("expression", "_"), QUERIES)
def test_a_query_parses_and_names_metrics_and_labels_that_exist(expression, _):
    named = selected(as_prometheus_gets_it(expression))
    assert named
    for each in named:
        assert each.metric in EXPORTED
        assert each.labels <= EXPORTED[each.metric], each.metric


@pytest.mark.parametrize(("expression", "legend"), QUERIES)
def test_a_legend_shows_just_the_labels_that_its_query_leaves(expression, legend):
    shown = re.findall(r"\{\{(\w+)\}\}", legend)
    assert set(shown) == left(as_prometheus_gets_it(expression))


@pytest.mark.parametrize("name", BOARDS)
def test_grafana_can_tell_a_dashboards_panels_apart_and_they_do_not_overlap(name):
    panels = BOARDS[name]["panels"]
    assert BOARDS[name]["uid"] == f"worksite-{name}"
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)


def test_dashboards_ask_the_data_source_that_is_provisioned():
    (source,) = yaml.safe_load((OBSERVABILITY / "grafana-datasource.yaml").read_text())["datasources"]
    asked = {panel["datasource"]["uid"] for board in BOARDS.values() for panel in board["panels"]}
    assert asked == {source["uid"]}
