"""Reads the thing that is kept: "bookshop API", "a service to manage books", "each book has"."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from worksite.architect.domain.nouns import is_plural, numbers
from worksite.architect.domain.things import (
    APPS,
    COLLECTIONS,
    COMPOUNDS,
    FOLLOWED,
    PLACES,
    RECORDED,
    SHOPS,
    THINGS,
    TOPICS,
    TYPED_TOPICS,
    VENUES,
    WARES,
    names_deed,
)
from worksite.architect.domain.words import Token, listed


def _purposes(*verbs: tuple[str, str, str]) -> frozenset[tuple[str, ...]]:
    return frozenset(
        tuple(phrase.split())
        for verb, doing, does in verbs
        for phrase in (
            f"for {doing}",
            *(f"{to} {verb}" for to in ("to", "to help me", "to help us", "where i can", "where we can")),
            *(f"{which} {does}" for which in ("that", "which")),
        )
    )


_KEEPING = _purposes(
    ("manage", "managing", "manages"),
    ("store", "storing", "stores"),
    ("keep", "keeping", "keeps"),
    ("keep track of", "keeping track of", "keeps track of"),
    ("save", "saving", "saves"),
    ("maintain", "maintaining", "maintains"),
    ("catalog", "cataloging", "catalogs"),
    ("catalogue", "cataloguing", "catalogues"),
    ("organise", "organising", "organises"),
    ("organize", "organizing", "organizes"),
)
_TRACKING = _purposes(("track", "tracking", "tracks"), ("log", "logging", "logs"))
_LONGEST = 6
"""Words of the longest of these phrases."""
_TRACKERS = frozenset(("tracker", "tracking"))
_OWNERS = frozenset(("my", "our", "the"))
_LISTS = tuple(
    (whose, kind, "of") for whose in ("a", "the", "my", "our") for kind in ("list", "collection", "library", "catalog")
)
_DEEDS = listed(
    "create, add, insert, read, get, fetch, view, see, show, retrieve, list, browse, update, edit, change, "
    "modify, replace, delete, remove"
)
_CREATING = frozenset(("create", "add", "insert"))
"""To "get quotes" or "delete books" alone would mean records that are made elsewhere."""
_DOERS = (
    ("to",),
    *(
        (*opening.split(), *who.split(), *closing.split())
        for who in ("users", "people", "clients", "i", "we", "my team", "our team")
        for opening, closing in (("where", "can"), ("so", "can"), ("so that", "can"), ("with which", "can"))
    ),
    *(("that", verb, who) for verb in ("lets", "let") for who in ("users", "people", "clients", "me", "us")),
    *(
        ("that", verb, who, "to")
        for verb in ("allows", "enables")
        for who in ("users", "people", "clients", "me", "us")
    ),
)
"""Who does what stands behind; nobody whose doing it would have to be told from that of others."""
_GENERIC = frozenset(("one", "entry", "record", "item"))
_EVERY = (("each",), ("every",), ("a",), ("an",), ("one",), ("each", "single"))
_HAS = tuple(
    tuple(phrase.split())
    for phrase in (
        "has", "should have", "must have", "will have", "needs", "consists of", "contains", "is described by", "having",
        "shall have", "needs to have", "has to have", "with", "includes",
    )
)  # fmt: skip
_HAVE = frozenset(
    tuple(phrase.split())
    for phrase in ("have", "should have", "must have", "will have", "need to have", "consist of", "contain")
)
_WITH = frozenset((("with",), ("having",)))
"""Verbs in effect, where a clause begins: "a pet shop API: pets with name"."""
_NO_KIND = listed("attribute, entity, feature, model, object, property, requirement, resource, thing")
"""What stands behind "API:" like a thing and is none."""


@dataclass(frozen=True, slots=True)
class Resource:
    """What records are kept of, in snake_case. `place` is the word that it was derived from, if that is another;
    `open`: a record only where one of its fields has a type, as in "readings with value (decimal)"."""

    singular: str
    plural: str
    place: str | None = None
    open: bool = False

    def same_as(self, other: Resource) -> bool:
        """Do both name the same thing, one of them perhaps in short: "ticket" for "support ticket"?"""
        one, another = sorted((self.singular, other.singular), key=len)
        return another in {one, f"{one}_item", f"{one}_record"} or another.endswith(f"_{one}")


@dataclass(frozen=True, slots=True)
class Found:
    """A phrase up to `end`; `resource` is None where it does not say which."""

    end: int
    resource: Resource | None


def products_at(tokens: Sequence[Token], start: int, heads: Collection[tuple[str, ...]]) -> Iterator[Found]:
    """Phrases that name the whole product: what is kept, and what kind of service keeps it."""
    for noun in (*_nouns(tokens, start, known=True), *_nouns(tokens, start, known=False, plural_only=True)):
        for end in _ends(tokens, noun):
            yield from (Found(head, noun.resource) for head in _heads(tokens, end, heads))
    for head in _heads(tokens, start, heads):
        yield from _kept(tokens, head)
        if {"crud", "rest", "restful"} & set(words_of(tokens, start, head)):
            yield Found(head, None)


def purposes_at(tokens: Sequence[Token], start: int) -> Iterator[Found]:
    """What the product is for, said later: "a CRUD API with SQLite for managing books"."""
    yield from _kept(tokens, start)


def bearers_at(tokens: Sequence[Token], start: int) -> Iterator[Found]:
    """Subject and verb of a clause that says what is known of one of them."""
    for place in dict.fromkeys((start, start + _length(tokens, start, (("where",), ("in", "which"), ("with",))))):
        one = _length(tokens, place, _EVERY)
        if one:
            yield from _bearing(tokens, place + one, _HAS, plural=False)
        verbs = _HAVE | _WITH if start == 0 or _word(tokens, start - 1) in {":", ".", ";", ","} else _HAVE
        yield from _bearing(tokens, place + _length(tokens, place, (("the",), ("all",))), verbs, plural=True)


def deeds_at(tokens: Sequence[Token], start: int, *, creating: bool = False) -> Iterator[Found]:
    """What a client does to records: "create, read, update and delete books". `creating`: that has to be among it."""
    place, verbs = start, 0
    while _word(tokens, place) in _DEEDS:
        place, verbs = place + 1, verbs + 1
        while _word(tokens, place) in {",", "and", "/", "&"}:
            place += 1
    if not verbs or _word(tokens, place - 1) in {",", "and", "/", "&"}:
        return
    if creating and not _CREATING & set(words_of(tokens, start, place)):
        return
    place += _length(tokens, place, (("my",), ("our",), ("the",)))
    yield from _nouns(tokens, place, known=False, plural_only=True)
    if _word(tokens, place) in {"them", "records", "entries"}:
        yield Found(place + 1, None)


def words_of(tokens: Sequence[Token], start: int, end: int) -> list[str | None]:
    """The words of a stretch."""
    return [token.word for token in tokens[start:end]]


def _kept(tokens: Sequence[Token], head: int) -> Iterator[Found]:
    """What stands behind "API" or "service"."""
    if place := _length(tokens, head, _KEEPING):
        yield from _owned(tokens, head + place)
    if place := _length(tokens, head, _TRACKING):
        yield from filter(_lies_still, _owned(tokens, head + place))
    if _word(tokens, head) == ":":
        yield from _declared(tokens, head + 1)
    if _word(tokens, head) == "for":
        yield from _owned(tokens, head + 1)
        yield from _places(tokens, head + 1 + (_word(tokens, head + 1) in {"a", "an", "my", "our", "the"}))
        if _word(tokens, head + 2) in VENUES and _word(tokens, head + 3) == ":":
            yield from _declared(tokens, head + 4)
    if place := _length(tokens, head, _DOERS):
        yield from (found for found in deeds_at(tokens, head + place, creating=True) if found.resource)


def _declared(tokens: Sequence[Token], start: int) -> Iterator[Found]:
    """What stands behind a colon: "REST API: books (title, price)"."""
    for found in _nouns(tokens, start, known=False, plural_only=True):
        if (
            found.resource
            and found.resource.singular not in _NO_KIND
            and _word(tokens, found.end) in {"(", "with", ":"}
        ):
            yield found


def _lies_still(found: Found) -> bool:
    """Does to track it mean no more than to keep a record of it?"""
    name = found.resource.singular if found.resource else ""
    head = name.rpartition("_")[2]
    return name in COMPOUNDS or (head in THINGS and head not in FOLLOWED)


def _owned(tokens: Sequence[Token], start: int) -> Iterator[Found]:
    place = start + (_length(tokens, start, _LISTS) or (_word(tokens, start) in _OWNERS))
    yield from _nouns(tokens, place, known=False, plural_only=True)
    owned = start + (_word(tokens, start) in {"my", "our", "a", "the"})
    for noun in _nouns(tokens, owned, known=True):
        yield from (Found(end, noun.resource) for end in _behind_collection(tokens, noun.end) if end > noun.end)


def _bearing(
    tokens: Sequence[Token], place: int, verbs: Collection[tuple[str, ...]], *, plural: bool
) -> Iterator[Found]:
    subjects = list(_nouns(tokens, place, known=False, plural_only=plural, singular_only=not plural))
    if not plural and (_word(tokens, place) in _GENERIC or _length(tokens, place, verbs)):
        subjects.append(Found(place + (_word(tokens, place) in _GENERIC), None))
    for subject in subjects:
        if verb := _length(tokens, subject.end, verbs):
            yield Found(subject.end + verb, subject.resource)


def _heads(tokens: Sequence[Token], start: int, heads: Collection[tuple[str, ...]]) -> Iterator[int]:
    yield from (start + len(head) for head in heads if words_of(tokens, start, start + len(head)) == list(head))


def _ends(tokens: Sequence[Token], noun: Found) -> Iterator[int]:
    """With what may stand between a noun and "API": "movie collection", "expense tracker", "todo app"."""
    for end in _behind_collection(tokens, noun.end):
        yield end
        if noun.resource and _word(tokens, end) == "app" and noun.resource.singular in APPS:
            yield end + 1
    if _word(tokens, noun.end) in _TRACKERS and _lies_still(noun):
        yield noun.end + 1


def _behind_collection(tokens: Sequence[Token], end: int) -> Iterator[int]:
    """A collection is named after one of its things: a "movie collection"."""
    yield end
    if _word(tokens, end) in COLLECTIONS and not is_plural(_word(tokens, end - 1) or ""):
        yield end + 1
        if _word(tokens, end) == "management" and _word(tokens, end + 1) == "system":
            yield end + 2


def _nouns(
    tokens: Sequence[Token], start: int, *, known: bool, plural_only: bool = False, singular_only: bool = False
) -> Iterator[Found]:
    """Nouns that may name the thing, with at most one topic before them. `known`: open nouns do not count."""
    yield from _places(tokens, start)
    topic = _topic(tokens, start)
    for prefix, place in (("", start), *([topic] if topic else [])):
        word = _word(tokens, place)
        both = numbers(word) if word else None
        if both is None or (plural_only and word == both[0]) or (singular_only and word == both[1]):
            continue
        if prefix + both[0] in COMPOUNDS or (both[0] in THINGS if known else not names_deed(both[0])):
            yield Found(place + 1, Resource(prefix + both[0], prefix + both[1], open=_is_open(prefix)))
        elif both[0] in RECORDED:
            yield Found(place + 1, Resource(prefix + both[0], prefix + both[1], open=True))


def _topic(tokens: Sequence[Token], start: int) -> tuple[str, int] | None:
    if words_of(tokens, start, start + 2) == ["to", "do"]:
        return "todo_", start + 2
    word = _word(tokens, start)
    return (f"{word}_", start + 1) if word in TOPICS | TYPED_TOPICS else None


def _is_open(prefix: str) -> bool:
    return prefix.removesuffix("_") in TYPED_TOPICS


def _places(tokens: Sequence[Token], start: int) -> Iterator[Found]:
    word = _word(tokens, start)
    if word in PLACES:
        yield Found(start + 1, _resource(PLACES[word], word))
    if (place := f"{word} {_word(tokens, start + 1)}") in PLACES:
        yield Found(start + 2, _resource(PLACES[place], place))
    if word in WARES and _word(tokens, start + 1) in SHOPS:
        yield Found(start + 2, _resource(word, f"{word} {_word(tokens, start + 1)}"))
    if words_of(tokens, start, start + 2) == ["to", "do"]:
        yield Found(start + 2, _resource("todo", None))


def _resource(singular: str, place: str | None) -> Resource:
    both = numbers(singular)
    assert both, singular
    return Resource(*both, place)


def _length(tokens: Sequence[Token], start: int, phrases: Collection[tuple[str | None, ...]]) -> int:
    """Words of the longest of the phrases that stands here; 0 for none."""
    lengths = range(_LONGEST, 0, -1)
    return next((n for n in lengths if tuple(words_of(tokens, start, start + n)) in phrases), 0)


def _word(tokens: Sequence[Token], place: int) -> str | None:
    return tokens[place].word if place < len(tokens) else None
