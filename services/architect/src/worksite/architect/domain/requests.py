"""What a client asks for: the request, read together with the answers to our questions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from worksite.architect.domain.consent import left_out_by
from worksite.architect.domain.coverage import Coverage, cover
from worksite.architect.domain.fields import typed_field
from worksite.architect.domain.filling import NOTHING, Filling
from worksite.architect.domain.templates import Template
from worksite.architect.domain.words import listed, tokenise
from worksite.common.blueprints import Blueprint

_JOINTS = (". Fields: ", " for ", ". ", " with ", ", ", ". Fields:\n", " ")
"""How an answer may continue a request; the first is how we ask for fields."""
_PART = re.compile(r"(?:[^,;\n()]|\([^()]*\))+")
_AND = re.compile(r"\s+and\s+(?!time\b)|^\s*(?:and|-|\*)\s+")
_ONE_TYPE = re.compile(
    r"(?:(?:it|this|that)(?:'s| is) |(?P<all>(?:they(?:'re| are)|all|both)(?: all| both| of them)?(?: are)? ))?"
    r"(?:as )?(?:an? )?(?P<type>text|string|number|whole number|integer|decimal|boolean|date|datetime|url)s?"
    r"(?:,? please)?[.!]?",
    re.IGNORECASE,
)
"""One type for what is not known."""
_EMPTY = listed(
    "answer, cancel, continue, default, done, exit, fine, go, great, hello, help, hi, no, nope, ok, okay, please, "
    "proceed, quit, right, standard, start, stop, sure, thank, thanks, true, yeah, yep, yes, you, ,, ., !, ?"
)
"""Words that say nothing of a product."""


@dataclass(frozen=True)
class Commission:
    """What is to be built: the words that stand for it, which of them were understood, what they fill in, and what the
    client gave up."""

    request: str
    covered: tuple[str, ...] = ()
    filling: Filling = NOTHING
    left_out: tuple[str, ...] = ()

    @property
    def understood(self) -> str:
        """What is built, in one line: every type that was inferred is seen at once."""
        resource, fields = self.filling.resource, self.filling.fields
        if resource is None:
            return ", ".join(self.covered)
        return f"{resource.plural.replace('_', ' ')} with {', '.join(field.written for field in fields)}"

    @property
    def constraints(self) -> tuple[str, ...]:
        """For the Spec: nothing is left out silently."""
        return tuple(f"Left out at the client's word: “{part}”." for part in self.left_out)


@dataclass(frozen=True)
class Reading:
    """`words` as every candidate covers them, best match first; `told` is what the client wrote for it. `anchor` is the
    reading that the last answer tried in vain to complete, `unread` the last answer if nothing became of it."""

    words: str
    told: str
    coverages: tuple[tuple[Template, Coverage], ...]
    left_out: tuple[str, ...] = ()
    anchor: Reading | None = None
    unread: str | None = None

    @property
    def chosen(self) -> tuple[Template, Commission] | None:
        """The first candidate that delivers all that is asked for, but what the client gave up."""
        for template, coverage in self.coverages:
            if coverage.full:
                return template, Commission(self.told, coverage.covered, coverage.filling)
            if coverage.left_out_are(self.left_out):
                return template, Commission(self.told, coverage.covered, coverage.filling, coverage.missing)
        return None

    @property
    def best(self) -> Coverage | None:
        """Of the candidates whose product is asked for, the one with the least residue."""
        fitting = [coverage for _, coverage in self.coverages if coverage.names_product]
        return min(fitting, key=lambda coverage: (len(coverage.missing), len(coverage.unfilled)), default=None)

    def blueprint(self, coverage: Coverage) -> Blueprint:
        """The blueprint that a coverage is of."""
        return next(template.blueprint for template, found in self.coverages if found is coverage)


def read(request: str, inputs: Sequence[str], candidates: Sequence[Template]) -> Reading:
    """The request, and then every answer, oldest first: a new wording, words that complete it, or consent."""
    reading = _read(request, request, candidates)
    for text in inputs:
        reading = _answered(reading, text, candidates)
    return reading


def _read(words: str, told: str, candidates: Sequence[Template], left_out: tuple[str, ...] = ()) -> Reading:
    covered = tuple((template, cover(words, template.blueprint, template.lexicon)) for template in candidates)
    return Reading(words, told, covered, left_out)


def _answered(before: Reading, text: str, candidates: Sequence[Template]) -> Reading:
    best = before.best
    if best and (given_up := left_out_by(text, best.residue_after_product)):
        told = f"{before.told}\n\n{text}"
        return replace(before, told=told, left_out=(*before.left_out, *given_up), unread=None)
    alone = _read(text, text, candidates)
    if alone.chosen:
        return alone
    tries = [
        _read(words, f"{base.told}\n\n{text}", candidates, base.left_out)
        for base in (before.anchor, before)
        if base
        for words in _completions(base, text)
    ]
    if whole := next((reading for reading in tries if reading.chosen), None):
        return whole
    nearest = alone if alone.best else min(tries, key=_open_points, default=before)
    if alone.best or _open_points(nearest) < _open_points(before):
        return replace(nearest, anchor=before)
    return replace(before, unread=text)


def _completions(base: Reading, text: str) -> Iterator[str]:
    """The answer in the place of what it repeats, or behind the request."""
    if set(_plain(text)) <= _EMPTY:
        return
    gaps = _gaps(base)
    if gaps and (kind := _ONE_TYPE.fullmatch(text.strip())) and (len(gaps) == 1 or kind["all"]):
        yield _replaced(base.words, {gap: f"{base.words[slice(*gap)]} ({kind['type']})" for gap in gaps})
    if parts := _repeating(base, text):
        yield _replaced(base.words, parts)
    if typed := _typed(base.words, text):
        yield typed
    for joint in _JOINTS:
        yield f"{base.words.rstrip().rstrip('.!')}{joint}{text}"


def _gaps(base: Reading) -> tuple[tuple[int, int], ...]:
    """Where the missing stands, less the mark that ends its sentence."""
    residue = base.best.residue if base.best else ()
    return tuple((start, start + len(base.words[start:end].rstrip(".!; "))) for start, end in residue)


def _repeating(base: Reading, text: str) -> dict[tuple[int, int], str]:
    """For every missing part that the answer repeats, what the answer says of it; nothing if it says more."""
    parts = (part.strip() for piece in _PART.findall(text) for part in _AND.split(piece))
    said = [(part.rstrip(".!"), _plain(part)) for part in parts if part]
    found: dict[tuple[int, int], str] = {}
    for gap in _gaps(base):
        missing = _plain(base.words[slice(*gap)])
        if part := next((part for part in said if _holds(part[1], missing)), None):
            said.remove(part)
            found[gap] = part[0]
    return {} if said else found


def _typed(words: str, answer: str) -> str | None:
    """The request with the types that an answer of nothing but typed fields gives: to those that it names already, in
    their place, and to new ones behind it."""
    parts = [part.strip().rstrip(".!") for piece in _PART.findall(answer) for part in _AND.split(piece) if part.strip()]
    names = [typed_field(part) for part in parts]
    if not parts or None in names:
        return None
    found: dict[tuple[int, int], str] = {}
    added: list[str] = []
    for name, part in zip(names, parts, strict=True):
        if place := _last_place(words, name or ""):
            found[place] = part
        else:
            added.append(part)
    return ", ".join((_replaced(words, found).rstrip().rstrip(".!"), *added))


def _last_place(words: str, name: str) -> tuple[int, int] | None:
    tokens, wanted = tokenise(words), [token.word for token in tokenise(name)]
    last = len(tokens) - len(wanted)
    for place in range(last, -1, -1):
        stretch = tokens[place : place + len(wanted)]
        if [token.word for token in stretch] == wanted:
            return stretch[0].start, stretch[-1].end
    return None


def _holds(words: Sequence[str | None], part: Sequence[str | None]) -> bool:
    return any(words[place : place + len(part)] == part for place in range(len(words)))


def _replaced(words: str, parts: Mapping[tuple[int, int], str]) -> str:
    for (start, end), text in sorted(parts.items(), reverse=True):
        words = words[:start] + text + words[end:]
    return words


def _open_points(reading: Reading) -> tuple[bool, int, int]:
    """How far it is from being covered."""
    best = reading.best
    return (False, len(best.unfilled), len(best.missing)) if best else (True, 0, 0)


def _plain(text: str) -> list[str | None]:
    words = [token.word for token in tokenise(text)]
    return words[1:] if words[:1] in (["a"], ["an"], ["the"]) else words
