"""The closed grammar of requests that a blueprint can serve (ADR 0006).

A finite automaton over a few kinds of phrases. All words outside PRODUCT and FEATURE phrases, which a blueprint's
manifest lists, stand in this file; a word that no transition consumes is residue. Words that take something away,
limit it, compare it or count it are missing on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

Kind = Literal[
    "filler",  # empty wherever it stands
    "polite",  # introduces the leading verb
    "lead",  # asks for the product
    "pronoun",
    "determiner",  # before the product
    "article",  # before a feature; "with our database" or "the rest" would mean something that exists
    "plain",  # an adjective that demands nothing
    "form",  # what the product comes as: "API for", "REST API for"
    "product",  # from the manifest; it may also be this:
    "activity",  # a product that is no form itself: "user authentication"
    "feature",  # from the manifest; it may also be one of these:
    "thing",  # a feature that does not read as a command: "login", not "log in"
    "action",  # a feature that users do: "log in", "refresh tokens"; marked in the manifest
    "duty",  # a feature that the service does: "hash passwords"
    "fate",  # a feature that befalls users: "locked out after failed logins"
    "modifier",  # a feature as an adjective of the product: "FastAPI", "JWT-based"
    "technology",  # what the product is built with; to "support" it would mean to work with the client's own
    "linked",  # a feature that brings its own preposition: "using argon2"
    "global",  # a linked feature that can only speak of the whole: "in Python"
    "with",
    "offering",  # "with" for what the product can do, not for what it is built with
    "and",
    "open",
    "close",
    "colon",
    "bullet",
    "audience",
    "demand",  # asks for a feature, in a later sentence
    "need",  # "demand" with its own subject: it never continues what users can do
    "header",
    "users",
    "can",
    "must be",
    "that",
    "lets",
    "system",
    "should",
    "support",
    "supports",
    "use",
    "uses",
    "let",
    "be",
    "end",
    "bearing",  # "with" for what is known of the resource; these last ones only where a blueprint has slots (ADR 0007)
    "bears",
    "bearer",  # a clause about one of them: "each book has"
    "announce",  # "the following fields"
    "field",
    "doubtful field",  # a field only in the company of others: "email"
    "own field",  # a field that every record has, whoever asks: "id"
    "purpose",  # the resource, said after what the product is built with: "with SQLite for managing books"
    "open field",  # a noun that no dictionary has; only after an announcement
]
State = Literal[
    "request", "asked", "object", "noun", "form", "product", "extended", "adding", "added",
    "item", "listed", "joined", "built", "combined", "offer", "offered", "offering more", "bracket", "bracketed",
    "sentence", "fresh line", "opening", "header",
    "users", "doing", "done", "doing more", "told", "enumerating", "enumerated", "recited", "suffering",
    "system", "serving", "should", "being",
    "itemised", "bearing", "having", "borne", "bearing more", "described", "told of", "telling", "next attribute",
    "announced", "named", "naming", "next field",
]  # fmt: skip

_MODALS = ("should", "must", "shall", "will", "needs to", "has to")
_SUPPORT = ("support", "offer", "provide", "include", "come with")
_SUPPORTS = ("supports", "offers", "provides", "includes", "comes with")
_USE = ("use", "have")
_USES = ("uses", "has")
_FORMS = ("api", "backend", "microservice", "server", "service", "system")
_RELATIVE = ("that", "which")
_LETS = ("lets users", "allows users to", "enables users to")


def _relative(present: tuple[str, ...], infinitive: tuple[str, ...]) -> Iterator[str]:
    for who in _RELATIVE:
        yield from (f"{who} {verb}" for verb in present)
        yield from (f"{who} {modal} {verb}" for modal in _MODALS for verb in infinitive)


PHRASES: Mapping[Kind, tuple[str, ...]] = {
    "filler": ("please", "kindly", "also", "too", "as well", ", please", "hi", "hello", "thanks", "thank you"),
    "polite": (
        "can you", "could you", "will you", "would you", "can we", "i want you to", "i need you to", "i'd like you to",
        "i would like you to", "i want to", "i need to", "i'd like to", "i would like to", "we want to", "we need to",
        "we'd like to", "we would like to", "help me", "help us", "help me to", "help us to", "let's", "let us",
    ),
    "lead": (
        "create", "build", "make", "write", "implement", "develop", "generate", "set up", "setup", "add", "code",
        "design", "scaffold", "produce", "provide", "give", "need", "want", "i need", "we need", "i want", "we want",
        "i'd like", "i would like", "we'd like", "we would like",
        "can i get", "can i have", "could i get", "could i have", "can we get", "can we have",
    ),
    "pronoun": ("me", "us"),
    "determiner": ("a", "an", "the"),
    "article": ("a", "an"),
    "plain": ("new", "brand new", "simple", "small", "little"),
    "form": tuple(f"{form} for" for form in _FORMS),
    "with": ("with", "using", "having", *_relative(_USES, _USE)),
    "offering": (
        "with support for", "support for", "supporting", "offering", "providing", "including", "featuring",
        *_relative(_SUPPORTS, _SUPPORT),
    ),
    "and": (",", "and", "&", "+", "plus", "as well as", "along with", "together with"),
    "open": ("(",),
    "close": (")",),
    "colon": (":",),
    "bullet": ("-",),
    "audience": tuple(
        f"for {whose} {what}" for whose in ("my", "our") for what in ("app", "application", "project", "users")
    ),
    "demand": ("add", "include", "support", "support for", "provide", "offer", "implement"),
    "need": ("we need", "i need", "we want", "i want"),
    "header": ("features", "requirements", "the features", "the requirements"),
    "users": ("users", "a user", "the user", "the users", "my users", "our users", "people"),
    "can": (
        "can", "are able to", "will be able to", "should be able to", "must be able to", "need to be able to",
        "have to be able to", "shall be able to",
    ),
    "must be": ("must be", "should be", "shall be", "will be", "have to be", "need to be", "are", "get"),
    "that": _RELATIVE,
    "lets": (
        *(f"{who} {lets}" for who in _RELATIVE for lets in _LETS), "where users", "where users can",
        "in which users can", "so users can", "so that users can", "letting users", "allowing users to",
        "enabling users to", "for users to",
    ),
    "system": ("it", "the system", "this system", "the service", "this service", "the api"),
    "should": _MODALS,
    "support": _SUPPORT,
    "let": ("let users", "allow users to", "enable users to", *_LETS),
    "supports": _SUPPORTS,
    "use": _USE,
    "uses": _USES,
    "be": ("be",),
    "end": (".", ";", "!"),
}  # fmt: skip

SLOT_PHRASES: Mapping[Kind, tuple[str, ...]] = {
    "bearing": (
        "with", "having", "containing", "with the following", "with these", "which contains", "including",
        "that has", "which has", "that have", "which have",
        "that contain", "that contains", "that should have", "consisting of",
    ),
    "bears": ("has", "have"),
    "announce": tuple(
        f"{opening}{noun}{verb}"
        for noun in ("fields", "columns", "attributes", "properties")
        for opening in ("", "the ", "these ", "the following ", "following ", "its ", "their ")
        for verb in ("", " are", " should be")
    ),
    "lets": (
        "that lets me", "that lets us", "that allows me to", "that allows us to", "where i can", "where we can",
        "so i can", "so that i can", "so we can", "so that we can",
    ),
    "users": ("i", "we", "clients"),
    "plain": ("basic", "minimal", "tiny"),  # "basic auth" is a scheme
}  # fmt: skip
"""Beside `PHRASES`, where a blueprint has slots."""

QUESTION_OPENERS = frozenset(
    {("can", "you"), ("could", "you"), ("will", "you"), ("would", "you"), ("can", "we"), ("can", "i"), ("could", "i")}
)
"""Only a sentence that begins like this is a wish although it ends with a question mark."""

FORMS = frozenset((*_FORMS, "app", "application"))
"""Last words of features that may only stand as a `form`: "and a FastAPI app" would be a second product. A product with
such a word is no `activity`: an API for an auth system is not an auth system."""

LINKERS = frozenset(("in", "on", "via", "through", "over", "configurable"))
"""First words of `linked` features."""

GLOBAL_LINKERS = frozenset(("in",))
"""First words of `global` features: "refresh tokens in Python" speaks of the whole, where "login via X" would be a
claim about the login that the criteria of X do not prove."""

ADJECTIVES = frozenset(("fastapi", "jwt", "python"))
"""Features of one word that may stand before the product. Most nouns must not: a "test auth system" is a trial, and
"database authentication" lets a database in."""

BASES = ADJECTIVES | {"sqlalchemy", "sqlite"}
"""Features of one word that may stand before the product with "-based"."""

TECHNOLOGIES = frozenset(("fastapi", "python", "sqlalchemy", "sqlite", "sqlite3", "database"))
"""A feature with one of these words is a `technology`: it may follow "with" or "use", not "support" or "add", and only
in the number that the manifest has. "using SQLite with refresh tokens" speaks of the product both times."""

DUTIES = frozenset(("hash", "lock", "rotate", "revoke", "detect", "limit"))
"""First words of `duty` features."""

COMMANDS = DUTIES | {"register", "log", "sign", "create", "change", "update"}
"""First words of features that are no `thing`: after "create an auth system and" they would be the next command."""

FATES = frozenset(("locked",))
"""First words of `fate` features."""

NEGATIONS = frozenset(
    ("without", "no", "not", "never", "except", "only", "unless", "but", "instead", "rather", "excluding", "exclude",
     "minus", "don't", "doesn't", "won't", "shouldn't", "mustn't", "can't", "cannot", "skip", "omit", "drop", "remove",
     "avoid", "lacking")
)  # fmt: skip
"""For explaining, not for deciding: whatever follows one in a sentence is not reported as covered."""

_NOUN: dict[Kind, State] = {"plain": "noun", "modifier": "noun", "form": "form", "product": "product"}
_ATTACHED: dict[Kind, State] = {
    "with": "item", "offering": "offer", "lets": "doing", "that": "serving", "bearing": "bearing",
}  # fmt: skip
"""What speaks of the product, also after what it is built with. After another feature it would relate two features to
each other, which nobody tested."""

_SUBJECT: dict[Kind, State] = {
    "users": "users", "system": "system", "need": "offer", "bearer": "described", "announce": "announced",
}  # fmt: skip
"""What begins a clause with a subject of its own."""
_CLAUSE: dict[Kind, State] = {
    **_SUBJECT, "demand": "offer", "supports": "offer", "use": "item", "uses": "item", "can": "doing", "let": "doing",
}  # fmt: skip
_ITEM: dict[Kind, State] = {
    "article": "item", "colon": "item", "bullet": "item", "technology": "built", "linked": "built", "feature": "listed",
}  # fmt: skip
_OFFER: dict[Kind, State] = {"article": "offer", "colon": "offer", "bullet": "offer", "feature": "offered"}
_ADDING: dict[Kind, State] = {**_CLAUSE, "article": "adding", "thing": "added", "duty": "added"}
_JOINED: dict[Kind, State] = {**_ITEM, **_CLAUSE, "bullet": "joined", "and": "joined"}
_KNOWN: tuple[Kind, ...] = ("field", "doubtful field", "own field")
_BORNE: dict[Kind, State] = {**dict.fromkeys(_KNOWN, "borne"), "announce": "announced"}
_TOLD: dict[Kind, State] = {**dict.fromkeys(_KNOWN, "told of"), "announce": "announced"}
_NAMED: dict[Kind, State] = dict.fromkeys((*_KNOWN, "open field"), "named")
_SENTENCE: dict[Kind, State] = {**_ADDING, **_ATTACHED, "determiner": "opening", "header": "header"}

TRANSITIONS: Mapping[State, Mapping[Kind, State]] = {
    "request": {
        **_NOUN, "polite": "asked", "lead": "object", "determiner": "noun", "bullet": "request", "and": "request",
        "end": "request",
    },
    "asked": {"lead": "object"},
    "object": {**_NOUN, "pronoun": "object", "determiner": "noun"},
    "noun": _NOUN,
    "form": {"activity": "product"},
    "product": {
        **_ATTACHED, "linked": "product", "audience": "product", "open": "bracket", "and": "extended",
        "bullet": "itemised", "colon": "itemised", "end": "sentence", "bearer": "described",
        "purpose": "product",
    },
    "itemised": {**_JOINED, **_BORNE, "bullet": "itemised"},
    "bracket": {
        "article": "bracket", "feature": "bracketed", "technology": "bracketed", "announce": "bracket",
        "colon": "bracket", **dict.fromkeys(_KNOWN, "bracketed"),
    },
    "bracketed": {"and": "bracket", "close": "product"},
    # The product and more: neither a second product nor the next command.
    "extended": {**_ADDING, **_ATTACHED, "linked": "product", "bullet": "adding", "colon": "adding", "and": "extended"},
    "adding": {**_ADDING, "and": "adding"},
    "added": {"and": "adding", "bullet": "adding", "global": "added", "end": "sentence"},
    # The product with this.
    "item": _ITEM,
    "listed": {"and": "joined", "bullet": "joined", "global": "built", "end": "sentence"},
    "joined": _JOINED,
    "built": {**_ATTACHED, "and": "combined", "bullet": "combined", "global": "built", "end": "sentence",
        "purpose": "product",
    },
    "combined": {**_JOINED, **_ATTACHED},
    # It supports this: no technology, not even further down the list.
    "offer": _OFFER,
    "offered": {"and": "offering more", "bullet": "offering more", "global": "offered", "end": "fresh line"},
    "offering more": {**_OFFER, **_CLAUSE, "and": "offering more"},
    "sentence": {**_SENTENCE, "technology": "built", "linked": "built", "bullet": "sentence", "end": "sentence"},
    "fresh line": {**_SENTENCE, "bullet": "fresh line", "end": "fresh line"},
    "opening": {"product": "system"},
    "header": {"colon": "joined", "bullet": "joined"},
    # Users can do this: what follows is theirs too, until a clause has another subject.
    "users": {"can": "doing", "must be": "suffering"},
    "doing": {"action": "done", "colon": "enumerating", "bullet": "enumerating"},
    "done": {"and": "doing more", "bullet": "doing more", "end": "told"},
    "doing more": {**_SUBJECT, "can": "doing", "action": "done", "and": "doing more"},
    "told": {**_SENTENCE, "bullet": "doing more", "end": "told"},
    "enumerating": {**_SUBJECT, "action": "enumerated", "bullet": "enumerating", "and": "enumerating"},
    "enumerated": {"and": "enumerating", "bullet": "enumerating", "end": "recited"},
    "recited": {
        **_SUBJECT, "determiner": "opening", "header": "header", "action": "enumerated", "bullet": "recited",
        "end": "recited",
    },
    "suffering": {"fate": "done"},
    "serving": {"duty": "listed"},
    "system": {
        "should": "should", "supports": "offer", "uses": "item", "let": "doing", "duty": "listed",
        "bears": "having",
    },
    "should": {"bears": "having", "support": "offer", "use": "item", "let": "doing", "duty": "listed", "be": "being"},
    "being": {"linked": "built"},
    # The resource has these fields. What a service "uses" or "supports" is none of them.
    "bearing": {**_BORNE, "colon": "bearing", "bullet": "bearing"},
    "having": {"field": "borne", "announce": "announced"},  # the service, so "it has email" would be in doubt
    "borne": {**_ATTACHED, "global": "built", "and": "bearing more", "bullet": "next attribute", "end": "sentence"},
    "bearing more": {**_JOINED, **_ATTACHED, **_BORNE, "and": "bearing more", "bullet": "bearing more"},
    "described": {**_TOLD, "colon": "described", "bullet": "described"},
    "told of": {"and": "telling", "bullet": "next attribute", "end": "sentence"},
    "telling": {**_SUBJECT, **_TOLD, "and": "telling", "bullet": "telling"},
    "next attribute": {**_SENTENCE, **_TOLD, "bullet": "next attribute", "end": "next attribute"},
    "announced": {**_NAMED, "colon": "announced", "bullet": "announced"},
    "named": {**_ATTACHED, "global": "built", "and": "naming", "bullet": "next field", "end": "sentence"},
    "naming": {**_SUBJECT, **_ATTACHED, **_NAMED, "global": "built", "and": "naming", "bullet": "naming"},
    "next field": {**_SENTENCE, **_NAMED, "bullet": "next field", "end": "next field"},
}  # fmt: skip

START: State = "request"
FINAL: frozenset[State] = frozenset(
    {
        "product",
        "added",
        "listed",
        "built",
        "offered",
        "done",
        "enumerated",
        "sentence",
        "fresh line",
        "told",
        "recited",
        "borne",
        "told of",
        "next attribute",
        "named",
        "next field",
    }
)
"""A request may end here."""
LINE_ENDS: Mapping[State, State] = {
    "doing": "enumerating", "doing more": "enumerating", **{state: TRANSITIONS[state]["end"] for state in FINAL},
    "borne": "next attribute", "told of": "next attribute", "named": "next field",
}  # fmt: skip
"""A line break may end a sentence, or mean nothing; in the midst of what users can do it begins a list of it."""
RESIDUE: Mapping[State, State] = {
    "extended": "added", "adding": "added", "offer": "offered", "offering more": "offered", "bracket": "bracketed",
    "bracketed": "bracketed", "users": "done", "suffering": "done", "doing": "done", "doing more": "done",
    "done": "done", "enumerating": "enumerated", "enumerated": "enumerated", "bearing": "borne", "having": "borne",
    "bearing more": "borne", "borne": "borne", "described": "told of", "telling": "told of", "told of": "told of",
    "next attribute": "told of", "announced": "named", "naming": "named", "named": "named", "next field": "named",
}  # fmt: skip
"""Where a residue stands for an item, what may follow is as after one that is known; elsewhere as after `listed`."""
BEFORE_PRODUCT: frozenset[State] = frozenset({"request", "asked", "object", "noun", "form"})
