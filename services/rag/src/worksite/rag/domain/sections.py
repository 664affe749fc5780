"""The structure of a text: its sections, each a heading path and blocks, as spans of characters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token
from worksite.rag.domain.documents import Document

Span = tuple[int, int]

_LINE_END = re.compile(r"\r\n|\r|\n")
"""The line ends of CommonMark; `str.splitlines` knows more, and would number lines as no editor does."""

_PROSE_STATEMENT = re.compile(
    r"^(?:summary|product|phrases)[ \t]*=.*?(?=^[ \t]*(?:#|\[\[?[A-Za-z]|[\w.-]+[ \t]*=)|\Z)",
    re.MULTILINE | re.DOTALL,
)
"""A TOML statement that says what a blueprint is for, up to the next statement, table or comment.

Found by its lines, because the standard parser gives values without their place in the file. Titles are left out: the
blueprint's stands above every chunk as its heading, and those of decisions say nothing alone.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under one heading path, outermost heading first; nothing is left out between the blocks."""

    heading: tuple[str, ...]
    blocks: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """The first line of a block, and its title and level where it is a heading."""

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


def sections_of(document: Document) -> list[Section]:
    """The sections in order. They cover all of a text, and of a manifest the statements that hold prose."""
    text = document.text
    starts = line_starts(text)
    match document.format:
        case "markdown":
            return _markdown_sections(text, starts)
        case "manifest":
            return [Section((), (match.span(),)) for match in _PROSE_STATEMENT.finditer(text)]
        case "text":
            return [Section((), _spans(_paragraphs(text, starts), starts, len(text)))]


def _paragraphs(text: str, starts: list[int]) -> list[int]:
    """The lines at which a run of text begins after a blank line; the first line always begins one."""
    blank = [not text[start:end].strip() for start, end in pairwise([*starts, len(text)])]
    return [0, *(n for n in range(1, len(blank)) if blank[n - 1] and not blank[n])]


def _spans(first_lines: list[int], starts: list[int], end: int) -> tuple[Span, ...]:
    edges = [*(starts[line] for line in first_lines), end]
    return tuple((start, stop) for start, stop in pairwise(edges) if start < stop)


def _markdown_sections(text: str, starts: list[int]) -> list[Section]:
    """A heading opens a section; headings without text of their own go with the section that follows them."""
    blocks = _markdown_blocks(text)
    sections: list[Section] = []
    path: list[_Block] = []
    opened = 0
    for n, block in enumerate(blocks):
        if block.level and n > opened and not blocks[n - 1].level:
            sections.append(_section(path, blocks[opened:n], starts, starts[block.line]))
            opened = n
        if block.level:
            path = [*(above for above in path if above.level < block.level), block]
    sections.append(_section(path, blocks[opened:], starts, len(text)))
    return sections


def _section(path: list[_Block], blocks: list[_Block], starts: list[int], end: int) -> Section:
    heading = tuple(block.title for block in path if block.title)
    return Section(heading, _spans([block.line for block in blocks], starts, end))


def _markdown_blocks(text: str) -> list[_Block]:
    """The top-level blocks. What the parser leaves out (link definitions) belongs to the block before it."""
    tokens = MarkdownIt("commonmark").enable("table").disable("inline").parse(text)
    blocks = [_block(token, tokens[n + 1 : n + 2]) for n, token in enumerate(tokens) if _opens_block(token)]
    return blocks if blocks and blocks[0].line == 0 else [_Block(0), *blocks]


def _opens_block(token: Token) -> bool:
    return token.level == 0 and token.nesting >= 0 and token.map is not None


def _block(token: Token, following: list[Token]) -> _Block:
    line = token.map[0] if token.map else 0
    if token.type != "heading_open":
        return _Block(line)
    return _Block(line, " ".join(following[0].content.split()), int(token.tag[1:]))
