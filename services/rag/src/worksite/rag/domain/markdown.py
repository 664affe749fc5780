"""Markdown: its top-level blocks, of which headings open sections."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.token import Token
from worksite.rag.domain.sections import Block


def markdown_blocks(text: str) -> list[Block]:
    """The top-level blocks. What the parser leaves out (link definitions) belongs to the block before it."""
    tokens = MarkdownIt("commonmark").enable("table").disable("inline").parse(text)
    blocks = [_block(token, tokens[n + 1 : n + 2]) for n, token in enumerate(tokens) if _opens_block(token)]
    return blocks if blocks and blocks[0].line == 0 else [Block(0), *blocks]


def _opens_block(token: Token) -> bool:
    return token.level == 0 and token.nesting >= 0 and token.map is not None


def _block(token: Token, following: list[Token]) -> Block:
    line = token.map[0] if token.map else 0
    if token.type != "heading_open":
        return Block(line)
    return Block(line, " ".join(following[0].content.split()), int(token.tag[1:]))
