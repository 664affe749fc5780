"""What every benchmark prints: the machine it ran on, and rows of a Markdown table."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence


def machine() -> str:
    """With the load, because figures of a busy machine compare only among themselves."""
    cores, load = os.cpu_count(), os.getloadavg()[0]
    return f"{platform.machine()}, {cores} cores, Python {platform.python_version()}, load {load:.1f}"


def milliseconds(seconds: Sequence[float], percentile: int) -> float:
    """The percentile of some durations."""
    return statistics.quantiles(seconds, n=100, method="inclusive")[percentile - 1] * 1e3


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """As Markdown."""
    for cells in (head, ["---"] * len(head), *rows):
        print_row(cells)


def print_row(cells: Sequence[str]) -> None:
    """One line of a table, for rows that take long."""
    print("| " + " | ".join(cells) + " |", flush=True)
