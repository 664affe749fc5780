"""Requests as words: what a word is, and which spellings of it count as the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

_PLAIN = re.compile(r"[a-z0-9]+(?:['_-][a-z0-9]+)*")
_PIECE = re.compile(r"[^,()]+|[,()]")
_PAIR = re.compile(r"([A-Za-z]+)/([A-Za-z]+)")
_TYPED = re.compile(r"([A-Za-z][A-Za-z0-9_-]*):([A-Za-z]+)(\??)")
_CAMEL = re.compile(r"[a-z][a-z0-9]+(?:[A-Z][a-z0-9]+)+")
"""`dueDate`; not `FastAPI`, `iPhone` or `macOS`."""
_END = re.compile(r"(?<![.!?;:])(?:[.;:?]|!+)\Z")
"""One mark ends a sentence. An ellipsis stays part of its word: it stands for things that were left out."""
_BULLETS = {"-", "*", "•"}
_SIGNS = {"&", "+"}
_MARKS = {",", "(", ")"}
_ENDS_IN_ES = ("shes", "ches", "sses", "xes")
_NO_ENDING = ("ss", "us", "is")


@dataclass(frozen=True, slots=True)
class Token:
    """A word or mark of a request, and where it stands: `request[start:end]` is what the client wrote.

    `word` is how the grammar sees it; None for what no grammar may consume: quotes, code, addresses, other scripts.
    `shouted`: in capitals in a text that is not. `joined`: by a hyphen or underscore to the word before.
    """

    word: str | None
    start: int
    end: int
    starts_line: bool = False
    shouted: bool = False
    joined: bool = False


def tokenise(text: str) -> list[Token]:
    """Split into words, the marks `, . ; : ? ! & + ( )`, `/` between two words, and `-` for a bullet at the start of a
    line. Never fails."""
    tokens: list[Token] = []
    line_end = 0
    all_capitals = text.isupper()
    for chunk in re.finditer(r"\S+", text):
        starts_line = "\n" in text[line_end : chunk.start()] or not tokens
        line_end = chunk.end()
        if starts_line and chunk.group() in _BULLETS:
            tokens.append(Token("-", chunk.start(), chunk.end(), starts_line=True))
            continue
        for token in _tokens(chunk.group(), chunk.start()):
            shouted = token.shouted and not all_capitals
            tokens.append(replace(token, starts_line=starts_line, shouted=shouted))
            starts_line = False
    return tokens


def listed(phrases: str) -> frozenset[str]:
    """A word list, written with commas."""
    return frozenset(phrases.split(", "))


def same_word(vocabulary: str, written: str | None) -> bool:
    """Equal, or the plural of what the vocabulary has in the singular: "after failed logins" is not after one.

    Nothing stronger: stemming would merge words that mean different things.
    """
    return written is not None and (vocabulary == written or vocabulary == singular(written))


def singular(word: str) -> str:
    """`tokens` as `token`, `hashes` as `hash`; `access`, `status`, `redis`, `aws` and `https` as they are."""
    if len(word) <= 3 or not word.isalpha() or word == "https":
        return word
    if word.endswith(_ENDS_IN_ES):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(_NO_ENDING) else word


def _tokens(chunk: str, offset: int) -> Iterator[Token]:
    if chunk in _SIGNS:
        yield Token(chunk, offset, offset + 1)
        return
    mark = _END.search(chunk)
    body = chunk[: mark.start()] if mark else chunk
    for piece in _PIECE.finditer(body):
        yield from _words(piece.group(), offset + piece.start())
    if mark:
        yield Token(mark.group()[0], offset + mark.start(), offset + mark.end())


def _humps(piece: str) -> Iterator[tuple[int, str]]:
    for part in re.finditer(r"[A-Z]?[a-z0-9]+", piece):
        yield part.start(), part.group()


def _words(piece: str, offset: int) -> Iterator[Token]:
    """The parts of a hyphenated word are words: `log-in` is `log in`. `title:text?` is four of them."""
    word = piece.lower().replace("’", "'")
    if _CAMEL.fullmatch(piece):
        for start, part in _humps(piece):
            yield Token(part.lower(), offset + start, offset + start + len(part), joined=start > 0)
        return
    if piece in _MARKS:
        yield Token(piece, offset, offset + 1)
    elif pair := _PAIR.fullmatch(piece):
        yield from _words(pair[1], offset)
        yield Token("/", offset + pair.end(1), offset + pair.start(2))
        yield from _words(pair[2], offset + pair.start(2))
    elif typed := _TYPED.fullmatch(piece):
        yield from _words(typed[1], offset)
        yield Token(":", offset + typed.end(1), offset + typed.start(2))
        yield from _words(typed[2], offset + typed.start(2))
        if typed[3]:
            yield Token("?", offset + typed.start(3), offset + typed.end(3))
    elif not piece.replace("’", "'").isascii() or not _PLAIN.fullmatch(word):
        yield Token(None, offset, offset + len(piece))
    else:
        for part in re.finditer(r"[^-_]+", word):
            start, end = offset + part.start(), offset + part.end()
            shouted = len(part.group()) > 1 and piece.isupper()
            yield Token(part.group(), start, end, shouted=shouted, joined=part.start() > 0)
