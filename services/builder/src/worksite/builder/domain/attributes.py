"""Filters that a tree's .gitattributes ask for (gitattributes(5))."""

from __future__ import annotations

import re

_LINE = re.compile(r'\s*(?!#)(?:"(?:\\.|[^"\\])*"|\S+)(?P<attributes>.*)')


def line_with_filter(text: str) -> int | None:
    """The number of the first line that gives paths, or a macro, a filter driver; None where no line does."""
    lines = text.removeprefix("\ufeff").split("\n")
    return next((number for number, line in enumerate(lines, 1) if _sets_filter(line)), None)


def _sets_filter(line: str) -> bool:
    found = _LINE.match(line)
    return bool(found) and any(attribute.startswith("filter=") for attribute in found["attributes"].split())
