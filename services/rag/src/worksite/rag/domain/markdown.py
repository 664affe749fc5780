"""Markdown: its top-level blocks, of which headings open sections."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from worksite.rag.domain.sections import Block

WINDOW = 64 * 1024
"""Characters parsed at a time: a garbage collection that looks at the tokens of a long text holds up every thread."""


def markdown_blocks(text: str, starts: Sequence[int], window: int = WINDOW) -> list[Block]:
    """The top-level blocks. What the parser leaves out (link definitions) belongs to the block before it.

    `starts` says where each line starts. A block depends on nothing before it, so that parsing can begin again at the
    last one that a window holds, of which the end may be missing.
    """
    blocks: list[Block] = []
    line, size = 0, window
    while line < len(starts):
        after = max(line + 1, bisect_left(starts, starts[line] + size))
        if after >= len(starts):
            blocks += _placed(_parsed(text[starts[line] :]), line)
            break
        found = _placed(_parsed(text[starts[line] : starts[after]]), line)
        if len(found) < 2:  # one that is larger than the window
            size *= 2
            continue
        blocks += found[:-1]
        line, size = found[-1].line, window
    return blocks if blocks and blocks[0].line == 0 else [Block(0), *blocks]


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table").disable("inline")


def _parsed(text: str) -> list[Block]:
    tokens = _parser().parse(text)
    return [_block(token, tokens[n + 1 : n + 2]) for n, token in enumerate(tokens) if _opens_block(token)]


def _placed(blocks: Sequence[Block], line: int) -> list[Block]:
    return [replace(block, line=block.line + line) for block in blocks]


def _opens_block(token: Token) -> bool:
    return token.level == 0 and token.nesting >= 0 and token.map is not None


def _block(token: Token, following: list[Token]) -> Block:
    line = token.map[0] if token.map else 0
    if token.type != "heading_open":
        return Block(line)
    return Block(line, " ".join(following[0].content.split()), int(token.tag[1:]))
