"""Sections of a text, each a heading path and blocks, as spans of characters; and the lines they are found by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

Span = tuple[int, int]

_LINE_END = re.compile(r"\r\n|\r|\n")
"""The line ends of CommonMark; `str.splitlines` knows more, and would number lines as no editor does."""


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under one heading path, outermost heading first; nothing is left out between the blocks."""

    heading: tuple[str, ...]
    blocks: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """The first line of a block, counted from 0, and its title and level where it is a heading."""

    line: int
    title: str = ""
    level: int = 0


def line_starts(text: str) -> list[int]:
    """Where each line starts, in characters."""
    return [0, *(match.end() for match in _LINE_END.finditer(text))]


def lines_of(text: str, span: Span) -> Iterator[Span]:
    """The lines inside a span, each with its line end."""
    start, stop = span
    for match in _LINE_END.finditer(text, start, stop):
        yield start, match.end()
        start = match.end()
    if start < stop:
        yield start, stop


def paragraphs(text: str, starts: Sequence[int]) -> list[int]:
    """The lines at which a run of text begins after a blank line; the first line always begins one."""
    blank = [not text[start:end].strip() for start, end in pairwise([*starts, len(text)])]
    return [0, *(n for n in range(1, len(blank)) if blank[n - 1] and not blank[n])]


def spans(first_lines: Sequence[int], starts: Sequence[int], end: int) -> tuple[Span, ...]:
    """The blocks that begin at these lines, the last of which reaches to `end`."""
    edges = [*(starts[line] for line in first_lines), end]
    return tuple((start, stop) for start, stop in pairwise(edges) if start < stop)


def by_heading(blocks: Sequence[Block], starts: Sequence[int], end: int) -> list[Section]:
    """A heading opens a section; headings without text of their own go with the section that follows them."""
    sections: list[Section] = []
    path: list[Block] = []
    opened = 0
    for n, block in enumerate(blocks):
        if block.level and n > opened and not blocks[n - 1].level:
            sections.append(_section(path, blocks[opened:n], starts, starts[block.line]))
            opened = n
        if block.level:
            path = [*(above for above in path if above.level < block.level), block]
    sections.append(_section(path, blocks[opened:], starts, end))
    return sections


def _section(path: Sequence[Block], blocks: Sequence[Block], starts: Sequence[int], end: int) -> Section:
    heading = tuple(block.title for block in path if block.title)
    return Section(heading, spans([block.line for block in blocks], starts, end))
