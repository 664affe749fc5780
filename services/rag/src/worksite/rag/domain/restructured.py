"""reStructuredText: its sections, found by the lines under (and over) their titles.

Written here because docutils says only the line of a title, runs directives that read files, and gives no spans.
The rules are those of its specification, "Sections": a title is underlined, or underlined and overlined, by one
punctuation character at least as long; the styles rank in the order in which they first appear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from worksite.rag.domain.sections import Block, paragraphs

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*")


def restructured_blocks(text: str, starts: Sequence[int]) -> list[Block]:
    """Titles and paragraphs, in order."""
    lines = [text[start:end].rstrip() for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    blocks = {line: Block(line) for line in paragraphs(text, starts)}
    styles: list[tuple[str, bool]] = []
    for line, title, style, after in _titles(lines):
        if style not in styles:
            styles.append(style)
        blocks[line] = Block(line, title, styles.index(style) + 1)
        if after < len(lines) and lines[after]:
            blocks[after] = Block(after)
    return [blocks[line] for line in sorted(blocks)]


def _titles(lines: Sequence[str]) -> Iterator[tuple[int, str, tuple[str, bool], int]]:
    """First line, title, style (character, whether there is a line above) and the line after of each title."""
    line = 0
    while line + 1 < len(lines):
        over = _is_overlined(lines, line)
        title = line + over
        if over or _is_underlined(lines, line):
            yield line, " ".join(lines[title].split()), (lines[title + 1][0], over), title + 2
            line = title + 2
        else:
            line += 1


def _is_underlined(lines: Sequence[str], line: int) -> bool:
    """A title stands at the margin, below a blank line or the beginning."""
    title, under = lines[line], lines[line + 1]
    above = line == 0 or not lines[line - 1]
    return above and title[:1].strip() != "" and not _ADORNMENT.fullmatch(title) and _spans_title(under, title)


def _is_overlined(lines: Sequence[str], line: int) -> bool:
    if line + 2 >= len(lines) or lines[line] != lines[line + 2]:
        return False
    return bool(lines[line + 1]) and _spans_title(lines[line], lines[line + 1].strip())


def _spans_title(adornment: str, title: str) -> bool:
    return bool(_ADORNMENT.fullmatch(adornment)) and len(adornment) >= max(len(title), 2)
