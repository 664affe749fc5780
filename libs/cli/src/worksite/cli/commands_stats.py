"""What `worksite stats` prints; `groups/stats.py` only parses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from worksite.cli.session import Session

_GROUPS = ("routes", "engines", "tiers", "models")
_HEAD = ("tasks", "passed", "usd", "usd/PASS", "calls", "in", "cached", "out")


async def show(since: datetime | None, as_json: bool, session: Session) -> None:
    """Print the figures as tables, or as they came."""
    async with session.gateway() as gateway:
        found = await gateway.stats(since)
    for line in [json.dumps(found, indent=2)] if as_json else _lines(found):
        session.screen.tell(line)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    per_pass = _usd(found["usd_per_pass"])
    yield f"{found['tasks']} tasks, {found['passed']} passed, ${found['spent']['usd']:.4f}, per PASS {per_pass}"
    if not found["complete"]:
        yield "(there are more tasks: these are the ones that moved last)"
    if not found["tasks"]:
        return
    yield ""
    yield from _table(_rounds(found["rounds"]))
    yield ""
    yield from _table(
        [("stopped because", "tasks"), *((each["reason"], str(each["tasks"])) for each in found["stops"])]
    )
    for name in _GROUPS:
        if groups := found[name]:
            yield ""
            yield from _table([(name.removesuffix("s"), *_HEAD), *(_group(group) for group in groups)])


def _rounds(rounds: Sequence[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    yield ("round", "entered", "passed", "failed", "undecided", *_HEAD[2:])
    for one in rounds:
        counts = [str(one[name]) for name in ("entered", "passed", "failed", "undecided")]
        name = str(one["round"]) if one["round"] else "before the first"
        yield (name, *(counts if one["round"] else [counts[0], "", "", ""]), *_spent(one["spent"], one["usd_per_pass"]))


def _group(group: dict[str, Any]) -> tuple[str, ...]:
    usd, passed = group["spent"]["usd"], group["passed"]
    return (group["name"], str(group["tasks"]), str(passed), *_spent(group["spent"], usd / passed if passed else None))


def _spent(spent: dict[str, Any], per_pass: float | None) -> tuple[str, ...]:
    """Tokens that were written to the cache were paid for as input, too."""
    tokens = spent["tokens"]
    counts = spent["calls"], tokens["uncached"] + tokens["written"], tokens["cached"], tokens["output"]
    return _usd(spent["usd"]), _usd(per_pass), *map(str, counts)


def _usd(value: float | None) -> str:
    return "-" if value is None else f"${value:.4f}"


def _table(rows: Iterator[tuple[str, ...]] | Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The first column to the left, figures to the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        figures = "".join(f"  {text:>{width}}" for text, width in zip(others, widths[1:], strict=True))
        yield f"{first:<{widths[0]}}{figures}".rstrip()
