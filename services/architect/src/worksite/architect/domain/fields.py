"""Reads one field of a resource: "title", "an optional text nickname", "unit price (decimal)", "done:boolean?"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Literal

from worksite.architect.domain.attributes import CANONICAL, bears_article, is_doubtful, is_modifier, is_moment, type_of
from worksite.architect.domain.nouns import is_plural, numbers
from worksite.architect.domain.things import (
    ATTRIBUTES,
    DOINGS,
    OBJECTS,
    QUALIFIERS,
    SECRETS,
    THINGS,
    TOPICS,
    may_qualify,
    names_deed,
)
from worksite.architect.domain.words import Token, listed, tokenise
from worksite.common.blueprints import FieldType

FieldKind = Literal["field", "doubtful field", "open field"]

ARTICLES = frozenset(("a", "an", "the", "its", "their"))
OPTIONAL = frozenset(("optional", "optionally", "nullable"))
REQUIRED = frozenset(("required", "mandatory"))
_TYPES: Mapping[tuple[str, ...], FieldType] = {
    ("text",): "text", ("string",): "text", ("str",): "text",
    ("integer",): "integer", ("int",): "integer", ("whole", "number"): "integer",
    ("decimal",): "decimal", ("float",): "decimal", ("decimal", "number"): "decimal", ("number",): "decimal",
    ("boolean",): "boolean", ("bool",): "boolean",
    ("date",): "date", ("datetime",): "datetime", ("timestamp",): "datetime", ("date", "and", "time"): "datetime",
    ("date", "time"): "datetime",
    ("email",): "email", ("email", "address"): "email", ("e", "mail"): "email", ("url",): "url", ("uri",): "url",
}  # fmt: skip
_PREFIXES = tuple(
    tuple(phrase.split())
    for phrase in ("text", "string", "integer", "int", "whole number", "decimal", "float", "boolean", "bool")
)
"""Types that may stand before the name; "email", "date" or "url" there would begin a compound: "email alerts"."""
_SAID = tuple(tuple(phrase.split()) for phrase in (":", "as", "as a", "as an", "is", "is a", "is an", "of type"))
_VALUES: frozenset[FieldType] = frozenset(("integer", "decimal", "boolean"))
"""Nobody gives a numeric type to what a service does, as in "notifications: email"."""
_OPEN: frozenset[FieldType] = frozenset(("text", "integer", "decimal", "boolean", "date", "datetime"))
"""To type several open words as an address would be to say where something is sent: "order status: email"."""
_AMOUNTS = listed("amount, balance, fee, rate, score, sum, total, value")
_MAX_WORDS = 4
_MAX_TYPED = 3
_SMALL = listed(
    "a, all, also, an, and, any, anything, are, array, as, asap, at, attributes, be, best, better, but, by, can, "
    "cancel, clean, columns, con, continue, default, do, does, each, easy, eg, entries, entry, et, etc, every, "
    "everything, fast, few, field, fields, first, following, for, free, from, get, give, good, has, have, he, help, "
    "her, his, i, id, ie, if, in, into, is, it, item, items, its, last, list, lists, many, maybe, me, misc, modern, "
    "more, most, multiple, must, my, new, nice, no, none, not, nothing, null, oder, of, ok, okay, old, on, one, only, "
    "optional, or, others, our, own, per, please, pretty, print, prints, properties, quick, record, records, "
    "reliable, required, return, returns, robust, safe, same, scalable, secure, send, sends, set, several, shall, "
    "she, should, show, shows, simple, so, some, something, sort, standard, stop, stuff, sure, tbd, that, the, their, "
    "them, then, there, they, this, those, to, todo, two, type, und, unique, unknown, up, us, use, uses, usual, via, "
    "want, we, were, what, whatever, when, where, which, who, will, with, within, without, yes, you, your"
)
"""Words that are no name of a field."""


@dataclass(frozen=True, slots=True)
class Field:
    """`assumed`: the request does not say the type."""

    name: str
    type: FieldType
    optional: bool = False
    assumed: bool = False

    @property
    def written(self) -> str:
        """As blueprints take it."""
        return f"{self.name}:{self.type}{'?' if self.optional else ''}"


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the tokens up to `end`."""

    kind: FieldKind
    end: int
    field: Field


@dataclass(frozen=True, slots=True)
class _Said:
    """What stands before or behind a name. `tight`: in the notation of code, `name:type`."""

    end: int
    type: FieldType | None = None
    optional: bool = False
    tight: bool = False


def fields_at(tokens: Sequence[Token], start: int) -> Iterator[Reading]:
    """Every way to read a field that begins here."""
    article = _word(tokens, start) in ARTICLES
    for before in _before(tokens, start + article):
        for end in range(before.end + 1, min(before.end + _MAX_WORDS, len(tokens)) + 1):
            words = [token.word for token in tokens[before.end : end]]
            if not all(word and word.isalnum() and not word[0].isdigit() for word in words):
                break
            for after in _behind(tokens, end):
                name = tokens[before.end : end]
                if reading := _reading(name, before, after, article=article):
                    yield reading


def _reading(name: Sequence[Token], before: _Said, after: _Said, *, article: bool) -> Reading | None:
    phrase = " ".join(str(token.word) for token in name)
    said = before.type or after.type
    if before.type and after.type:
        return None
    known = type_of(phrase)
    field = Field(_name(phrase), said or known or "text", before.optional or after.optional, said is None)
    if said:
        open_name = known is None and not _may_be_typed(name, said, before, after)
        return None if open_name else Reading("field", after.end, field)
    if known is None:
        return Reading("open field", after.end, field) if _may_be_open(phrase) else None
    if article and not bears_article(phrase):
        return None
    return Reading("doubtful field" if is_doubtful(phrase) else "field", after.end, field)


def _may_be_typed(name: Sequence[Token], said: FieldType, before: _Said, after: _Said) -> bool:
    """Is a noun that the dictionary has not an attribute, now that it has a type?"""
    words = [str(token.word) for token in name]
    first, head = words[0], _singular(words[-1])
    if _tells_secret(words):
        return False
    if not before.type and _is_phrase(words, said):
        return True
    if len(words) > _MAX_TYPED or set(words) & _SMALL or (len(words) > 1 and (first,) in _TYPES):
        return False
    if after.tight and all(token.joined for token in name[1:]):
        return True
    if len(words) > 1 and not (_is_compound(words) or (said in _OPEN and not before.type and _is_noun_phrase(words))):
        return False
    if said in _VALUES and not before.type:
        return len(words) == 1 or not names_deed(head)
    announced = len(words) == 1 and not before.type and head not in DOINGS
    harmless = announced or head in ATTRIBUTES | OBJECTS or not names_deed(head)
    return harmless and not (before.type and is_plural(words[-1]))


def named_type(words: str) -> FieldType | None:
    """The type that would make a field of words that are none yet, for an example; None where no type does."""
    name = tokenise(words)
    if not name or not all(token.word and token.word.isalnum() for token in name):
        return None
    kinds: tuple[FieldType, ...] = ("text", "boolean", "datetime") if len(name) > 1 else ("text",)
    if name[-1].word in _AMOUNTS:
        kinds = ("decimal",)
    return next((kind for kind in kinds if _may_be_typed(name, kind, _Said(0), _Said(0, kind))), None)


def typed_field(words: str) -> str | None:
    """The name that the words give a type, in the client's spelling; None unless they are exactly one typed field."""
    tokens = tokenise(words)
    whole = (reading for reading in fields_at(tokens, 0) if reading.end == len(tokens) and not reading.field.assumed)
    count = min((reading.field.name.count("_") + 1 for reading in whole), default=0)
    article = _word(tokens, 0) in ARTICLES
    return words[tokens[article].start : tokens[article + count - 1].end] if count else None


def _tells_secret(words: Sequence[str]) -> bool:
    stretches = (words[start:end] for start in range(len(words)) for end in range(start + 1, len(words) + 1))
    return any(_singular("_".join(stretch)) in SECRETS or "_".join(stretch) in SECRETS for stretch in stretches)


def _is_phrase(words: Sequence[str], said: FieldType) -> bool:
    """Small words that one type alone gives a meaning: "is vip", "issued at", "sensor id" as a label from elsewhere."""
    if said == "boolean" and len(words) == 2 and words[0] in {"is", "has"}:
        return words[1] not in DOINGS | _SMALL
    if said in {"date", "datetime"} and is_moment(words):
        return True
    return said == "text" and len(words) == 2 and words[1] == "id" and (words[0] in THINGS | TOPICS)


def _is_compound(words: Sequence[str]) -> bool:
    first, head = words[0], words[-1]
    known = is_modifier(first) or first in THINGS | TOPICS
    return len(words) == 2 and first not in QUALIFIERS and known and not is_plural(head)


def _is_noun_phrase(words: Sequence[str]) -> bool:
    *before, head = words
    return all(may_qualify(word, head) for word in before) and not is_plural(head)


def _may_be_open(phrase: str) -> bool:
    """One noun that names neither several things nor anything that is done."""
    if " " in phrase or phrase in _SMALL or (phrase,) in _TYPES or len(phrase) < 3:
        return False
    return not is_plural(phrase) and (phrase in ATTRIBUTES or not names_deed(phrase))


def _singular(word: str) -> str:
    both = numbers(word)
    return both[0] if both else word


def _name(phrase: str) -> str:
    return CANONICAL.get(phrase, phrase).replace(" ", "_")


def _before(tokens: Sequence[Token], start: int) -> Iterator[_Said]:
    """Nothing, "optional", a type, or both."""
    said = _Said(start)
    if (word := _word(tokens, start)) in OPTIONAL | REQUIRED:
        said = _Said(start + 1, optional=word in OPTIONAL)
    yield said
    for words, kind in _TYPES.items():
        if words in _PREFIXES and _stand(tokens, said.end, words):
            yield replace(said, end=said.end + len(words), type=kind)


def _behind(tokens: Sequence[Token], end: int) -> Iterator[_Said]:
    """Nothing, `: text`, `is a text`, `of type text`, `(optional text)`, `: text (optional)`."""
    said = [_Said(end), *_typed(tokens, end)]
    for one in said:
        yield one
        bracket = _bracket(tokens, one.end)
        if bracket and not (one.type and bracket.type):
            yield replace(bracket, type=one.type or bracket.type)


def _typed(tokens: Sequence[Token], end: int) -> Iterator[_Said]:
    for opening in _SAID:
        if _stand(tokens, end, opening):
            yield from _type_behind(tokens, end, end + len(opening))


def _type_behind(tokens: Sequence[Token], end: int, start: int) -> Iterator[_Said]:
    optional = _word(tokens, start) in OPTIONAL
    start += _word(tokens, start) in OPTIONAL | REQUIRED
    for words, kind in _TYPES.items():
        if _stand(tokens, start, words):
            after = start + len(words)
            tight = tokens[end].start == tokens[end - 1].end and tokens[end + 1].start == tokens[end].end
            said = _Said(after, kind, optional, tight)
            yield said
            if _word(tokens, after) == "?" and tight and tokens[after].start == tokens[after - 1].end:
                yield replace(said, end=after + 1, optional=True)


def _bracket(tokens: Sequence[Token], start: int) -> _Said | None:
    """`(text)`, `(optional)`, `(optional text)`, `(text, optional)`; None for anything else in brackets."""
    if _word(tokens, start) != "(":
        return None
    said, place = _Said(start), start + 1
    while (word := _word(tokens, place)) is not None and word != ")":
        if word in OPTIONAL | REQUIRED:
            said = replace(said, optional=word in OPTIONAL)
            place += 1
        elif word == "," and place > start + 1:
            place += 1
        elif (found := _longest_type(tokens, place)) and said.type is None:
            said = replace(said, type=found[1])
            place += found[0]
        else:
            return None
    closed = word == ")" and place > start + 1
    return replace(said, end=place + 1) if closed else None


def _longest_type(tokens: Sequence[Token], place: int) -> tuple[int, FieldType] | None:
    found: list[tuple[int, FieldType]] = [
        (len(words), kind) for words, kind in _TYPES.items() if _stand(tokens, place, words)
    ]
    return max(found, default=None, key=itemgetter(0))


def _word(tokens: Sequence[Token], place: int) -> str | None:
    return tokens[place].word if place < len(tokens) else None


def _stand(tokens: Sequence[Token], place: int, words: Sequence[str]) -> bool:
    found = tokens[place : place + len(words)]
    return [token.word for token in found] == list(words)
