"""The failure signature: equal for two rounds that fail in the same way, so that admin can tell a stuck task."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from worksite.validator.domain.cases import LAST_WORDS

_VOLATILE = (
    (re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""), "<text>"),  # tests choose their inputs at random
    (re.compile(r"0x[0-9a-fA-F]+"), "<address>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:ms|s|seconds)\b"), "<duration>"),
    (re.compile(r"(?:/[\w.@+-]+)+/(?=[\w.@+-])"), ""),
    (re.compile(r"(?<=\.py:)\d+|(?<=\bline )\d+"), "?"),
    (re.compile(r"\b[A-Za-z0-9_-]{20,}"), "<token>"),
    (re.compile(r"-?\b\d+\.\d{3,}(?:e[+-]?\d+)?|-?\b\d{5,}\b"), "<number>"),
    (re.compile(r"\s+"), " "),
)
_LOCATION = re.compile(r"\.py:\d+|\bline \d+")


def normalised(text: str) -> str:
    """A line without what differs between two runs: addresses, times, directories, line numbers, random texts."""
    for pattern, replacement in _VOLATILE:
        text = pattern.sub(replacement, text)
    return text.strip()


def failure_signature(failures: Iterable[tuple[str, str]]) -> str | None:
    """SHA-256 over the sorted failing ids, each with its normalised traceback; None if nothing failed."""
    entries = sorted(f"{identity}\0{_skeleton(text)}" for identity, text in failures)
    return hashlib.sha256("\n".join(entries).encode()).hexdigest() if entries else None


def _skeleton(text: str) -> str:
    """Where it failed and with what: the lines that name a place, and pytest's `E` lines; else the last line."""
    lines = [line for line in text.partition(LAST_WORDS)[0].splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("E ") or _LOCATION.search(line)]
    return "\n".join(normalised(line) for line in (telling or lines[-1:]))
