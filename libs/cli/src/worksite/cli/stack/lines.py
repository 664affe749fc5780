"""A line of a program of the stack, for machines and for people."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any


def as_it_is(name: str, line: str) -> str:
    """With the program's name in front; the services write JSON."""
    return f"{name:9} | {line}"


def readable(name: str, line: str) -> str:
    """Time, name, level where it is not the usual one, message. What is no log entry of ours stays as it is."""
    try:
        entry: dict[str, Any] = json.loads(line)
        time = datetime.fromisoformat(entry["time"]).astimezone()
        level, message = str(entry["level"]), str(entry["message"])
    except (ValueError, TypeError, KeyError):
        return as_it_is(name, line)
    told = f"{time:%H:%M:%S} {name:9} {'' if level == 'info' else f'{level}: '}{_harmless(message)}"
    return "\n".join([told, *(f"{'':19}{_harmless(row)}" for row in str(entry.get("exception", "")).splitlines())])


def _harmless(text: str) -> str:
    """On one line, and nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)
