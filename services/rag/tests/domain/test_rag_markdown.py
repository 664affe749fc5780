"""Markdown parsed in windows has the blocks of Markdown parsed at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from worksite.rag.domain.markdown import WINDOW, markdown_blocks
from worksite.rag.domain.sections import Block, line_starts

# fmt: off
LINES = [
    "text", "# Title", "## Two #", "===", "---", "- item", "  more", "\t- deep", "    code", "1. one", "3) three",
    "> quote", "```", "~~~ py", "<!-- open", "close -->", "<div>", "</div>", "<pre>", "| a | b |", "|---|---|",
    "[x]: /url", '"title"', "[y]:", "/there", "", "",
]
# fmt: on


def blocks(text: str, window: int) -> list[Block]:
    return markdown_blocks(text, line_starts(text), window)


@given(st.lists(st.sampled_from(LINES), max_size=30), st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 60))
def test_windows_change_no_block(lines: list[str], end: str, window: int) -> None:
    text = end.join(lines)
    assert blocks(text, window) == blocks(text, len(text) + 1)


def test_long_text_is_parsed_in_pieces_of_the_window() -> None:
    text = "# Title\n\nSome text.\n\n" * (3 * WINDOW // 20)
    assert len(blocks(text, WINDOW)) == 2 * (3 * WINDOW // 20)
