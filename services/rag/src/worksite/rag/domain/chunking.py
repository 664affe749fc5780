"""Structure-aware chunking with exact spans, measured in model tokens.

Blocks (a Markdown paragraph, list, table or code fence; a definition or statement of code; elsewhere a paragraph)
are joined while they fit the limit and share a heading. A block that does not fit is cut into lines, a line into
words, a word into halves. Nothing is rewritten: each chunk is a slice of the text, and whatever is not white space is
in exactly one chunk.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from worksite.rag.domain.code import code_sections
from worksite.rag.domain.documents import Chunk, Document
from worksite.rag.domain.sections import Span, line_starts, lines_of
from worksite.rag.domain.structure import CodeSections, sections_of

VERSION = "3"
"""Part of the index fingerprint: change it whenever the same text would be cut or embedded differently."""

MAX_TOKENS = 254
"""What all-MiniLM-L6-v2 reads (256) less the two special tokens that frame every input."""

CHARACTERS_PER_TOKEN = 8
"""Bounds a chunk where tokens do not: WordPiece skips white space and takes any very long word as one."""

MAX_HEADING, MAX_TITLE = 400, 200
"""Characters of a heading path and of one title in it: both are stored with every chunk below."""

TokenCounter = Callable[[str], int]
"""Tokens of a text, special tokens left out. Must not grow when texts are joined at white space."""

_Splitter = Callable[[Span], Iterator[Span]]


@dataclass(frozen=True, slots=True)
class _Text:
    """A text being cut, with what it takes to measure and place a piece of it. No chunk is larger than `limit`."""

    text: str
    count: TokenCounter
    limit: int

    def size(self, span: Span) -> int:
        """The tokens of the piece, or what its characters stand for where they are more.

        Tokens are not counted where the characters alone are too many for a chunk.
        """
        start, end = span
        least = -(-(end - start) // CHARACTERS_PER_TOKEN)
        return least if least > self.limit else max(self.count(self.text[start:end]), least)


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where a chunk is, its heading path, and as much of that as goes in front of the embedded text."""

    span: Span
    heading: tuple[str, ...]
    prefix: str


def chunk(
    document: Document, count: TokenCounter, limit: int = MAX_TOKENS, code: CodeSections = code_sections
) -> list[Chunk]:
    """Cut a document into chunks of at most `limit` tokens, the heading path in front of each included.

    Empty for a text without a visible character. A single character that alone exceeds the limit stays whole.
    """
    source = _Text(document.text, count, limit)
    return list(_placed(document.text, _cuts(document, source, limit, code)))


def _cuts(document: Document, source: _Text, limit: int, code: CodeSections) -> Iterator[_Cut]:
    for section in sections_of(document, code):
        heading = _shown((*document.heading, *section.heading))
        prefix = _prefix(heading, source.count, limit // 4)
        for span in _pieces(source, section.blocks, limit - source.count(prefix)):
            if (visible := _trim(document.text, span)) is not None:
                yield _Cut(visible, heading, prefix)


def _pieces(source: _Text, blocks: Iterable[Span], budget: int) -> Iterator[Span]:
    halves = partial(_halve, source, budget)
    words = partial(_join_words, source, budget, halves)
    lines = partial(_join_lines, source, budget, words)
    return _join(blocks, source.size, budget, lines)


def _join_lines(source: _Text, budget: int, finer: _Splitter, span: Span) -> Iterator[Span]:
    return _join(lines_of(source.text, span), source.size, budget, finer)


def _join_words(source: _Text, budget: int, finer: _Splitter, span: Span) -> Iterator[Span]:
    return _join(_words_of(source.text, span), source.size, budget, finer)


def _join(spans: Iterable[Span], size: Callable[[Span], int], budget: int, finer: _Splitter) -> Iterator[Span]:
    """Join neighbours while their sizes add up to the budget at most; cut finer what is too large."""
    open_span: Span | None = None
    used = 0
    for span in spans:
        needed = size(span)
        if open_span is not None and used + needed <= budget:
            open_span, used = (open_span[0], span[1]), used + needed
            continue
        if open_span is not None:
            yield open_span
        open_span, used = (span, needed) if needed <= budget else (None, 0)
        if open_span is None:
            yield from finer(span)
    if open_span is not None:
        yield open_span


def _halve(source: _Text, budget: int, span: Span) -> Iterator[Span]:
    """Halves are never joined again: inside a word, the tokens of two parts do not add up."""
    start, end = span
    if end - start == 1 or source.size(span) <= budget:
        yield span
        return
    middle = (start + end) // 2
    yield from _halve(source, budget, (start, middle))
    yield from _halve(source, budget, (middle, end))


def _words_of(text: str, span: Span) -> Iterator[Span]:
    """Words with the white space behind them; only white space that every tokenizer takes for a boundary."""
    start, end = span
    while start < end:
        stop = start
        while stop < end and text[stop] not in " \t\r\n":
            stop += 1
        while stop < end and text[stop] in " \t\r\n":
            stop += 1
        yield start, stop
        start = stop


def _trim(text: str, span: Span) -> Span | None:
    """Leave out blank lines in front (the first line keeps its indentation) and white space behind."""
    piece = text[span[0] : span[1]]
    visible = piece.lstrip()
    if not visible:
        return None
    indent = len(piece) - len(visible)
    first_line = max(piece.rfind("\n", 0, indent), piece.rfind("\r", 0, indent)) + 1
    return span[0] + first_line, span[0] + len(piece.rstrip())


def _shown(heading: Sequence[str]) -> tuple[str, ...]:
    """The innermost headings, as many as there is room for."""
    shown: list[str] = []
    room = MAX_HEADING
    for title in reversed(heading):
        shown.append(title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1]}…")
        if (room := room - len(shown[-1])) < 0:
            return tuple(reversed(shown[:-1]))
    return tuple(reversed(shown))


def _prefix(heading: Sequence[str], count: TokenCounter, budget: int) -> str:
    """What goes in front of the embedded text: as many of the innermost headings as the budget takes."""
    for first in range(len(heading)):
        if count(path := " > ".join(heading[first:]) + "\n") <= budget:
            return path
    return ""


def _placed(text: str, cuts: Iterable[_Cut]) -> Iterator[Chunk]:
    """Chunks in order; bytes are counted from one cut to the next, so that a long text is encoded once."""
    starts = line_starts(text)
    at, at_byte = 0, 0
    for cut in cuts:
        start, end = cut.span
        piece = text[start:end]
        start_byte = at_byte + len(text[at:start].encode())
        at, at_byte = end, start_byte + len(piece.encode())
        yield Chunk(
            text=piece,
            start=start,
            end=end,
            start_byte=start_byte,
            end_byte=at_byte,
            start_line=bisect_right(starts, start),
            end_line=bisect_right(starts, end - 1),
            heading=cut.heading,
            embedded=cut.prefix + piece,
        )
