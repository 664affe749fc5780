"""Does an answer consent to leaving something out, and what?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from worksite.architect.domain.grammar import NEGATIONS
from worksite.architect.domain.words import singular, tokenise

_ALL = (
    r"(?:it|that|this|them|those|these|both|all of (?:it|that|them)|(?:that|this|the missing|the other) parts?"
    r"|those parts|(?:all )?the rest|everything else|everything missing|what is missing|what's missing)"
)
_LEAVE = r"(?:skip|drop|omit|ignore|forget|forget about|remove|never mind|i do(?:n't| not) need|we do(?:n't| not) need)"
_OPENING = r"(?:(?:ok|okay|yes|fine|please|then|just|go on|go ahead|continue|proceed|build it|make it|do it)[, ]+)*"
_CLOSING = r"(?:[, ]+(?:please|then|too|as well|thanks|thank you|for now))*[.!]?"
_EVERYTHING = re.compile(
    rf"{_OPENING}(?:(?:leave|let) {_ALL} out|leave out {_ALL}|{_LEAVE} {_ALL}|without {_ALL}"
    rf"|(?:just |only )?(?:build|do|make) what (?:you can|is possible|is covered)"
    rf"|(?:only|just|build|build only|go on with|go on with only)? ?(?:what is covered|what's covered|the covered part)"
    rf"(?: only| alone)?){_CLOSING}"
)
_SOMETHING = re.compile(
    rf"{_OPENING}(?:leave (?P<a>.+?) out|leave out (?P<b>.+?)|{_LEAVE} (?P<c>.+?)"
    rf"|without (?P<d>.+?)){_CLOSING}"
)
_WHO = re.compile(r"^only (?=(?:\w+ ){1,3}(?:may|can|should|must) )")
_EITHER = re.compile(r"\byes ?(?:or|/) ?no\b")
_SMALL = frozenset(
    (
        "the",
        "a",
        "an",
        "and",
        ",",
        "part",
        "that",
        "with",
        "to",
        "of",
        "for",
        "it",
        "also",
        "about",
        "any",
        "feature",
        "field",
    )
)


def left_out_by(answer: str, missing: Sequence[str]) -> tuple[str, ...]:
    """Which of the missing parts the answer gives up. None where it names anything else, and never a part that takes
    something away itself: to leave out "without lockout" would be to build the lockout."""
    text = " ".join(answer.lower().replace("’", "'").split())
    if _EVERYTHING.fullmatch(text):
        named = tuple(missing)
    elif found := _SOMETHING.fullmatch(text):
        named = _named(next(part for part in found.groups() if part), missing)
    else:
        return ()
    return () if any(_takes_away(part) for part in named) else named


def _takes_away(part: str) -> bool:
    """Not so a rule about who may do what, which adds to what is built: "only admins may delete"; nor the two values of
    a field: "vegetarian as yes or no"."""
    rest = _EITHER.sub("", _WHO.sub("", part.lower()))
    return bool(_content(rest) & NEGATIONS)


def _named(words: str, missing: Sequence[str]) -> tuple[str, ...]:
    content = _content(words)
    chosen = tuple(part for part in missing if content & _content(part))
    known = {word for part in chosen for word in _content(part)}
    return chosen if content and content <= known else ()


def _content(text: str) -> set[str]:
    words = {token.word for token in tokenise(text) if token.word}
    return {singular(word) for word in words - _SMALL}
