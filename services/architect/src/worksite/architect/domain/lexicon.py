"""Which phrases of the grammar stand at a place in a request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from worksite.architect.domain.fields import Field, fields_at
from worksite.architect.domain.grammar import (
    ADJECTIVES,
    BASES,
    COMMANDS,
    DUTIES,
    FATES,
    FORMS,
    GLOBAL_LINKERS,
    LINKERS,
    PHRASES,
    QUESTION_OPENERS,
    SLOT_PHRASES,
    TECHNOLOGIES,
    Kind,
)
from worksite.architect.domain.resources import Resource, bearers_at, deeds_at, products_at, purposes_at
from worksite.architect.domain.words import Token, same_word, singular, tokenise
from worksite.common.blueprints import Vocabulary

_SENTENCE_ENDS = {".", "!", "?", ";"}
_PRODUCTS = {"product", "activity"}
_NOUNS = _PRODUCTS | {"form"}
_BY_FIRST_WORD: dict[Kind, frozenset[str]] = {
    "duty": DUTIES,
    "fate": FATES,
    "linked": LINKERS,
    "global": GLOBAL_LINKERS,
}
_EXACT: set[Kind] = {"action", "own field", "form", "modifier", "technology"}


@dataclass(frozen=True, slots=True)
class Symbol:
    """A phrase found at a place: the tokens `start` to `end` (exclusive), and the feature or the content of a slot that
    it names."""

    kind: Kind
    start: int
    end: int
    feature: str | None = None
    slot: Field | Resource | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    words: tuple[str, ...]
    kind: Kind
    feature: str | None = None

    def stands_at(self, tokens: Sequence[Token], start: int) -> bool:
        found = tokens[start : start + len(self.words)]
        return len(found) == len(self.words) and all(map(self._is, self.words, found))

    def _is(self, word: str, token: Token) -> bool:
        """Features match in the plural too. Products, and what they are made of, do not: two auth services are not
        one. Our own words do not even match in capitals: `US` and `IT` are not pronouns."""
        if self.feature and self.kind not in _EXACT:
            return same_word(word, token.word)
        return word == token.word and (self.feature is not None or self.kind in _NOUNS or not token.shouted)


class Lexicon:
    """The closed words of the grammar and one blueprint's own phrases.

    Raises ValueError for a phrase that no request could contain.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._entries: defaultdict[str, list[_Entry]] = defaultdict(list)
        self._slots = vocabulary.slots
        self._heads = tuple(map(_words, vocabulary.product))
        for entry in (*_closed(), *(_slotted() if self._slots else _products(vocabulary)), *_features(vocabulary)):
            self._entries[singular(entry.words[0])].append(entry)

    def at(self, tokens: Sequence[Token], start: int) -> list[Symbol]:
        """Every phrase that begins at a token; they may overlap and differ in length. Only the longest product:
        "auth" is not what "auth system" asks for."""
        word = tokens[start].word
        if word == "?":
            return [Symbol("end", start, start + 1)] if _is_wish(tokens, start) else []
        entries = self._entries.get(singular(word), []) if word else []
        found = [entry for entry in entries if entry.stands_at(tokens, start)]
        product = max((len(entry.words) for entry in found if entry.kind in _PRODUCTS), default=0)
        closed = [
            Symbol(entry.kind, start, start + len(entry.words), entry.feature)
            for entry in found
            if entry.kind not in _PRODUCTS or len(entry.words) == product
        ]
        return [*closed, *self._fillings(tokens, start, {symbol.end for symbol in closed if symbol.feature})]

    def _fillings(self, tokens: Sequence[Token], start: int, features: set[int]) -> Iterator[Symbol]:
        """What may fill a slot. An open noun that is also a feature is none."""
        if "resource" in self._slots:
            for found in products_at(tokens, start, self._heads):
                yield Symbol("product", start, found.end, slot=found.resource)
            for found in purposes_at(tokens, start):
                yield Symbol("purpose", start, found.end, slot=found.resource)
            for found in deeds_at(tokens, start):
                yield Symbol("action", start, found.end, slot=found.resource)
        if "fields" in self._slots:
            for found in bearers_at(tokens, start):
                yield Symbol("bearer", start, found.end, slot=found.resource)
            for reading in fields_at(tokens, start):
                if reading.kind != "open field" or reading.end not in features:
                    yield Symbol(reading.kind, start, reading.end, slot=reading.field)


def _closed() -> Iterator[_Entry]:
    for kind, phrases in PHRASES.items():
        for phrase in phrases:
            yield _Entry(_words(phrase), kind)


def _slotted() -> Iterator[_Entry]:
    for kind, phrases in SLOT_PHRASES.items():
        for phrase in phrases:
            yield _Entry(_words(phrase), kind)


def _products(vocabulary: Vocabulary) -> Iterator[_Entry]:
    for words in map(_words, vocabulary.product):
        yield _Entry(words, "product")
        if not FORMS & set(words):
            yield _Entry(words, "activity")


def _features(vocabulary: Vocabulary) -> Iterator[_Entry]:
    for feature in vocabulary.features:
        for action in feature.actions:
            yield _Entry(_words(action), "action", feature.id)
        for attribute in feature.attributes:
            yield _Entry(_words(attribute), "own field", feature.id)
        for phrase in feature.phrases:
            words = _words(phrase)
            for kind in _kinds(words):
                yield _Entry(words, kind, feature.id)
            if set(words) <= BASES:
                yield _Entry((*words, "based"), "modifier", feature.id)
            if words[-1] in FORMS:
                yield _Entry((*words, "for"), "form", feature.id)


def _kinds(words: tuple[str, ...]) -> list[Kind]:
    """Everything that a feature phrase can be, a `form` apart."""
    kinds: list[Kind] = [kind for kind, firsts in _BY_FIRST_WORD.items() if words[0] in firsts]
    if words[0] not in LINKERS and words[-1] not in FORMS:
        kinds.extend(_names(words))
    if set(words) <= ADJECTIVES:
        kinds.append("modifier")
    if set(words) <= BASES - TECHNOLOGIES:
        kinds.append("technology")
    return kinds


def _names(words: tuple[str, ...]) -> list[Kind]:
    """What a noun phrase, or a command, can be."""
    if TECHNOLOGIES & set(words):
        return ["technology"]
    return ["feature"] if words[0] in COMMANDS else ["feature", "thing"]


def _words(phrase: str) -> tuple[str, ...]:
    words = [token.word for token in tokenise(phrase)]
    if not words or None in words:
        raise ValueError(f"{phrase!r} is not made of plain words")
    return tuple(word for word in words if word)


def _is_wish(tokens: Sequence[Token], mark: int) -> bool:
    """Does the sentence that a question mark ends begin with `can you` or its like?"""
    first = mark
    while first > 0 and tokens[first - 1].word not in _SENTENCE_ENDS:
        first -= 1
    opening = [token.word for token in tokens[first:mark] if token.word not in {"please", "hi", "hello", ","}]
    return tuple(opening[:2]) in QUESTION_OPENERS
