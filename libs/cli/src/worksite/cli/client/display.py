"""Live progress: a table of steps on a terminal, one line per event elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from worksite.cli.client.events import Event

_COLUMNS = ("step", "agent", "round", "engine", "status", "seconds", "cost")


@dataclass
class Row:
    """One step as far as it has come."""

    step: str
    agent: str
    started: float
    round: int = 0
    engine: str = ""
    status: str = "running"
    seconds: float | None = None
    cost_usd: float = 0
    note: str = ""
    package: str = ""

    @property
    def name(self) -> str:
        """The step, with the work package that it builds."""
        return f"{self.step} {self.package}".rstrip()


@dataclass
class Progress:
    """What the events so far say; `apply` is the whole logic."""

    rows: dict[str, Row] = field(default_factory=dict[str, Row])

    def apply(self, event: Event, now: float) -> str | None:
        """Take in one event; returns the line to print where there is no live table."""
        if event.kind == "state":
            return self._state(event, now)
        if event.kind != "progress":
            return None
        row = self.rows.setdefault(event.step, Row(event.step, event.producer, now))
        row.note = str(event.body["text"])
        return f"{row.name}: {row.note}"

    def _state(self, event: Event, now: float) -> str | None:
        body = event.body
        lines: list[str] = []
        for record in body["history"]:
            row = self.rows.setdefault(record["step"], Row(record["step"], record["agent"], now))
            if row.seconds is None:
                _finish(row, record)
                lines.append(f"{row.name}: {row.status} ({row.engine or row.agent}, {row.seconds:.1f} s) {row.note}")
        in_flight = dict(_in_flight(body))
        for step, package in in_flight.items():
            row = self.rows.setdefault(step, Row(step, "", now))
            row.round, row.package = body["round"], package
        for row in self.rows.values():
            if row.seconds is None and row.step not in in_flight:  # nobody waits for its result any more
                row.status, row.seconds = "taken away", now - row.started
        return "\n".join(lines) or None


def _in_flight(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The steps of a state that are under way, each with its package, if it builds one."""
    if step := body.get("step"):
        yield step, ""
    for package in body.get("packages", ()):
        if step := package["step"]:
            yield step, package["id"]


def _finish(row: Row, record: dict[str, object]) -> None:
    from datetime import datetime

    took = datetime.fromisoformat(str(record["finished_at"])) - datetime.fromisoformat(str(record["started_at"]))
    row.agent, row.status = str(record["agent"]), str(record["status"])
    row.seconds, row.engine = took.total_seconds(), str(record["engine"] or "")
    row.round, row.cost_usd = int(str(record["round"])), float(str(record["cost_usd"]))
    row.note = str(record["summary"])


class Display:
    """Shows a task's progress until the block ends."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._progress = Progress()
        self._stack = ExitStack()
        self._live: Live | None = None

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live = self._stack.enter_context(
                Live(get_renderable=self._render, console=self._console, refresh_per_second=8)
            )
        else:
            self._console.print(self._title, highlight=False, soft_wrap=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def show(self, event: Event) -> None:
        """Take in and show one event."""
        line = self._progress.apply(event, time.monotonic())
        if self._live is None and line:
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _render(self) -> Group:
        table = Table(*_COLUMNS, title=self._title, title_justify="left", box=None, pad_edge=False)
        rows = self._progress.rows.values()
        for row in rows:
            seconds = row.seconds if row.seconds is not None else time.monotonic() - row.started
            table.add_row(
                Text(row.name), row.agent, str(row.round or ""), Text(row.engine), _styled(row.status),
                f"{seconds:.1f}", f"${row.cost_usd:.4f}",
            )  # fmt: skip
        return Group(table, *(_spinner(row) for row in rows if row.seconds is None))


def _spinner(row: Row) -> Spinner:
    return Spinner("dots", Text(f" {row.name}: {row.note or 'working'}", style="dim"))


def _styled(status: str) -> Text:
    styles = {"ok": "green", "running": "cyan", "needs_input": "yellow"}
    return Text(status, style=styles.get(status, "red"))
