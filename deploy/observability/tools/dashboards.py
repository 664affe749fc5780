"""Writes Grafana's dashboards from `boards.py`: `make manifests`; `--check` says which are out of date."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boards import BOARDS, Board, Panel

FOLDER = Path(__file__).parents[1] / "dashboards"
DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
_COLUMNS, _WIDTH, _HEIGHT = 2, 12, 8


def files() -> dict[Path, str]:
    """What is to be written, by path."""
    return {
        FOLDER / f"{name}.json": json.dumps(dashboard(name, board), indent=1) + "\n" for name, board in BOARDS.items()
    }


def dashboard(name: str, board: Board) -> dict[str, Any]:
    """In Grafana's own model, with nothing that it fills in by itself."""
    return {
        "uid": f"worksite-{name}",
        "title": f"Worksite: {board.title}",
        "description": board.description,
        "tags": ["worksite"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["worksite"], "title": "Worksite", "asDropdown": True}],
        "panels": [_panel(number, panel) for number, panel in enumerate(board.panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, _COLUMNS)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "noValue": "none"}, "overrides": []},
        "options": {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": DATASOURCE, "expr": expression, "legendFormat": legend}
            for n, (legend, expression) in enumerate(panel.queries.items())
        ],
    }


def main(arguments: Sequence[str]) -> int:
    """Write, or with `--check` compare; returns the exit status."""
    wanted = files()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    stray = sorted(set(FOLDER.glob("*.json")) - wanted.keys())
    if "--check" in arguments:
        for path in (*stale, *stray):
            print(f"{path.name} is out of date: make manifests")
        return 1 if stale or stray else 0
    FOLDER.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(wanted[path])
    for path in stray:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
