"""Chunks are exact slices within the token limit, whatever the text."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from worksite.rag.backends.onnx import OnnxEmbedder
from worksite.rag.domain.chunking import CHARACTERS_PER_TOKEN, TokenCounter, chunk
from worksite.rag.domain.documents import Document, Format
from worksite.rag.embedder import SHIPPED

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\n\r\n", ""])
PIECES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "# Heading",
            "### Deep heading `code`",
            "Setext\n===",
            "====\nOver\n====",
            "- item one\n- item two",
            "```python\ndef f():\n\n    return 1\n```",
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "> quoted\n> # not a heading",
            "[link]: https://example.org",
            "word " * 60,
            "x" * 700,
            "漢字" * 90,
            "e\u0301\u200d🧪\x0c\u2028\x85",
            " " * 900,
            "---\ntitle: front matter\n---",
        ]
    ),
)
TEXTS = st.lists(st.tuples(PIECES, LINE_ENDS), max_size=12).map(lambda parts: "".join(a + b for a, b in parts))
FORMATS: st.SearchStrategy[Format] = st.sampled_from(["markdown", "restructuredtext", "text", "manifest"])


@cache
def model_tokens() -> TokenCounter:
    return OnnxEmbedder(SHIPPED, threads=1).count


def words(text: str) -> int:
    return len(text.split())


def markdown(text: str) -> Document:
    return Document("a.md", text, "markdown")


@given(TEXTS, FORMATS)
@settings(deadline=None)
@example("# A\r\n\r\ntext without a last line end", "markdown")
@example("\ufeff# A\n\ntext", "markdown")
def test_every_chunk_is_the_slice_its_spans_say(text: str, text_format: Format) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for piece in chunk(Document("a", text, text_format), words, limit=40):
        assert text[piece.start : piece.end] == piece.text
        assert text.encode()[piece.start_byte : piece.end_byte].decode() == piece.text
        shown = "\n".join(lines[piece.start_line - 1 : piece.end_line])
        assert piece.text.replace("\r\n", "\n").replace("\r", "\n") in shown


@given(TEXTS, st.sampled_from(["markdown", "restructuredtext", "text"]))
@settings(deadline=None)
def test_chunks_never_overlap_and_leave_out_nothing_but_white_space(text: str, text_format: Format) -> None:
    at = 0
    for piece in chunk(Document("a", text, text_format), words, limit=40):
        assert not text[at : piece.start].strip()
        assert piece.text.strip()
        at = piece.end
    assert not text[at:].strip()


@given(TEXTS, FORMATS)
@settings(max_examples=60, deadline=None)
def test_embedded_text_stays_within_the_model_tokens(text: str, text_format: Format) -> None:
    for piece in chunk(Document("a", text, text_format, heading=("A title",)), model_tokens(), limit=64):
        assert model_tokens()(piece.embedded) <= 64 or len(piece.text) == 1
        assert len(piece.text) <= 64 * CHARACTERS_PER_TOKEN


def test_heading_path_is_beside_the_text_and_in_front_of_the_embedded_text_only() -> None:
    _, lifetime = chunk(markdown("# Tokens\n\nAll of them.\n\n## Lifetime\n\nShort.\n"), words)
    assert lifetime.heading == ("Tokens", "Lifetime")
    assert lifetime.text == "## Lifetime\n\nShort."
    assert lifetime.embedded == "Tokens > Lifetime\n## Lifetime\n\nShort."
    assert (lifetime.start_line, lifetime.end_line) == (5, 7)


def test_heading_without_text_goes_with_the_section_that_follows() -> None:
    (only,) = chunk(markdown("# Title\n\n## First\n\ntext\n"), words)
    assert only.text == "# Title\n\n## First\n\ntext"
    assert only.heading == ("Title", "First")


def test_heading_level_that_returns_leaves_the_deeper_path() -> None:
    pieces = chunk(markdown("# A\n\na\n\n## B\n\nb\n\n# C\n\nc\n"), words)
    assert [piece.heading for piece in pieces] == [("A",), ("A", "B"), ("C",)]


def test_hash_inside_a_code_fence_or_quote_is_no_heading() -> None:
    pieces = chunk(markdown("# A\n\n```\n# comment\n```\n\n> # quoted\n"), words)
    assert [piece.heading for piece in pieces] == [("A",)]


def test_blocks_that_fit_together_stay_together_and_a_fence_is_cut_only_between_lines() -> None:
    code = "\n".join(f"line {n} of the listing" for n in range(30))
    pieces = chunk(markdown(f"# A\n\nintro\n\nmore\n\n```\n{code}\n```\n"), words, limit=40)
    assert pieces[0].text == "# A\n\nintro\n\nmore"
    assert all(piece.text.splitlines()[-1].startswith(("line", "```")) for piece in pieces[1:])


def test_first_line_of_a_chunk_keeps_its_indentation() -> None:
    text = "def f():\n" + "\n".join(f"    x{n} = {n}" for n in range(40))
    pieces = chunk(Document("a.py", text, "text"), words, limit=40)
    assert len(pieces) > 1
    assert all(piece.text.startswith(("def", "    x")) for piece in pieces)


def test_innermost_headings_win_when_the_path_is_longer_than_its_share() -> None:
    (piece,) = chunk(markdown(f"# {'long ' * 50}\n## Short\n\ntext\n"), words, limit=100)
    assert piece.embedded.startswith("Short\n")
    assert len(piece.heading) == 2


def test_plain_text_is_cut_at_paragraphs() -> None:
    text = "one two three\n\nfour five six\n\n\nseven eight"
    pieces = chunk(Document("a.txt", text, "text"), words, limit=4)
    assert [piece.text for piece in pieces] == ["one two three", "four five six", "seven eight"]


def test_manifest_gives_only_its_prose_each_under_the_title() -> None:
    text = (
        'name = "auth"\ntitle = "Auth"\nsummary = """\nLog in = easy.\nAnd out."""\n\n[parameters.package]\n'
        'default = "x"\n\n[vocabulary]\nproduct = ["auth system"]\n[[vocabulary.features]]\nid = "login"\n'
        'phrases = [\n  "log in",\n  "sign in",\n]\ncriteria = ["AC-1"]\n'
    )
    pieces = chunk(Document("blueprint.toml", text, "manifest", heading=("Auth",)), words)
    assert [piece.text for piece in pieces] == [
        'summary = """\nLog in = easy.\nAnd out."""',
        'product = ["auth system"]',
        'phrases = [\n  "log in",\n  "sign in",\n]',
    ]
    assert pieces[2].embedded.startswith("Auth\nphrases")
    assert (pieces[2].start_line, pieces[2].end_line) == (14, 17)


@pytest.mark.parametrize("text", ["", "\n", " \r\n\t\n", "\u2028"])
def test_text_without_a_visible_character_has_no_chunk(text: str) -> None:
    assert chunk(markdown(text), words) == []


def test_restructured_text_is_cut_at_its_titles_whose_styles_rank_as_they_appear() -> None:
    text = (
        "=====\nTitle\n=====\n\nintro\n\nFirst\n=====\n\none\n\nDeep\n----\nright below\n\n"
        "Second\n======\n\n.. code:: text\n\n   Not a title\n   -----------\n\nneither\n--\n"
    )
    pieces = chunk(Document("a.rst", text, "restructuredtext"), words)
    assert [(piece.heading, piece.start_line) for piece in pieces] == [
        (("Title",), 1),
        (("Title", "First"), 7),
        (("Title", "First", "Deep"), 12),
        (("Title", "Second"), 16),
    ]
    assert pieces[2].text == "Deep\n----\nright below"


def test_headings_of_a_chunk_are_bounded_however_long_a_line_is_and_the_innermost_are_kept() -> None:
    titles = [f"{'#' * level} {level}{'x' * 300}" for level in range(1, 6)]
    text = "\n\n".join(["# " + "x" * 100_000, "one", *titles, "two", "###### last", "three"])
    headings = [piece.heading for piece in chunk(Document("a.md", text, "markdown"), len, 1000)]
    assert max(sum(map(len, heading)) for heading in headings) == 400
    assert headings[0] == ("x" * 199 + "…",)
    assert [len(title) for title in headings[-1]] == [200, 4]
    assert headings[-1][-1] == "last"
