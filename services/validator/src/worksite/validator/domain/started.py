"""Which programs a command line starts, as far as one can tell without running a shell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import dropwhile, takewhile

from worksite.validator.domain.runners import BEFORE_A_PROGRAM

_SHELLS = frozenset(("sh", "bash", "dash", "ksh", "zsh"))
_TAKES_A_LINE = re.compile(r"-[A-Za-z]*c[A-Za-z]*")
_REDIRECTION = re.compile(r"&?\d*[<>]+(?:&[\d-]+)?")
_SEPARATORS = re.compile(r"[;&|()`\n]+")
_NO_PROGRAMS = frozenset((*BEFORE_A_PROGRAM, "fi", "done", "}", "env", "command"))
_ASSIGNMENT = re.compile(r"\w+=.*", re.DOTALL)


def programs(argv: Sequence[str]) -> Iterator[str]:
    """The program of a command line, or, of a shell's `-c`, those of its line.

    The line is not parsed: separators within quotes part it too, so that nothing in `"$(...)"` is missed, and what
    follows one there is taken for a program that nobody knows.
    """
    words = _from_program(argv)
    line = _line_for_a_shell(words)
    if line is None:
        yield from words[:1]
        return
    for simple in _SEPARATORS.split(_REDIRECTION.sub(" ", line)):
        yield from _from_program([word.strip("\"'") for word in simple.split()])[:1]


def _from_program(words: Sequence[str]) -> list[str]:
    return list(dropwhile(_is_before, words))


def _is_before(word: str) -> bool:
    return word in _NO_PROGRAMS or word.startswith("-") or _ASSIGNMENT.fullmatch(word) is not None


def _line_for_a_shell(words: Sequence[str]) -> str | None:
    """The argument of `-c`, unless a script comes first, whose option it then is."""
    if not words or words[0].rpartition("/")[2] not in _SHELLS:
        return None
    options = list(takewhile(lambda word: word.startswith("-"), words[1:]))
    rest = words[1 + len(options) :]
    return rest[0] if rest and any(_TAKES_A_LINE.fullmatch(option) for option in options) else None
