"""The closed grammar of requests that a blueprint can serve (ADR 0006).

A finite automaton over a few kinds of phrases. All words outside PRODUCT and FEATURE phrases, which a blueprint's
manifest lists, stand in this file; a word that no transition consumes is residue. Words that take something away,
limit it, compare it or count it are missing on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    "action",  # a feature that users do: "log in", "refresh tokens"
    "duty",  # a feature that the service does: "hash passwords"
    "fate",  # a feature that befalls users: "locked out after failed logins"
    "modifier",  # a feature as an adjective of the product: "FastAPI", "JWT-based"
    "technology",  # a feature that the product is built with
    "linked",  # a feature that brings its own preposition: "using argon2"
    "global",  # a linked feature that can only speak of the whole: "in Python"
    "with",
    "and",
    "colon",
    "bullet",
    "audience",
    "demand",  # asks for a feature, in a later sentence
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
    "let",
    "be",
    "end",
]
State = Literal[
    "request", "asked", "object", "noun", "form", "product", "extended", "item", "joined", "listed", "built",
    "sentence", "opening", "header", "users", "doing", "done", "doing more", "suffering", "system", "serving",
    "should", "being",
]  # fmt: skip

_MODALS = ("should", "must", "shall", "will", "needs to", "has to")
_SUPPORT = ("support", "have", "offer", "provide", "include", "use", "handle", "keep", "come with")
_SUPPORTS = ("supports", "has", "offers", "provides", "includes", "uses", "handles", "keeps", "comes with")
_SUPPORTING = (
    "supporting", "having", "offering", "providing", "including", "using", "handling", "keeping", "featuring",
)  # fmt: skip
_FORMS = ("api", "backend", "microservice", "server", "service", "system")
_RELATIVE = ("that", "which")
_LETS = ("lets users", "allows users to", "enables users to")

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
    ),
    "pronoun": ("me", "us"),
    "determiner": ("a", "an", "the"),
    "article": ("a", "an"),
    "plain": ("new", "brand new", "simple", "small", "little"),
    "form": tuple(f"{form} for" for form in _FORMS),
    "with": (
        "with", "with support for", "support for", *_SUPPORTING,
        *(f"{who} {verb}" for who in _RELATIVE for verb in _SUPPORTS),
        *(f"{who} {modal} {verb}" for who in _RELATIVE for modal in _MODALS for verb in _SUPPORT),
    ),
    "and": (",", "and", "&", "+", "plus", "as well as", "along with", "together with"),
    "colon": (":",),
    "bullet": ("-",),
    "audience": tuple(
        f"for {whose} {what}" for whose in ("my", "our") for what in ("app", "application", "project", "users")
    ),
    "demand": (
        "add", "include", "support", "support for", "provide", "offer", "use", "keep", "implement", "we need",
        "i need", "we want", "i want",
    ),
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
    "be": ("be",),
    "end": (".", ";", "!"),
}  # fmt: skip

QUESTION_OPENERS = frozenset({("can", "you"), ("could", "you"), ("will", "you"), ("would", "you"), ("can", "we")})
"""Only a sentence that begins like this is a wish although it ends with a question mark."""

FORMS = frozenset((*_FORMS, "app", "application"))
"""Last words of features that may also stand as a `form`, and of products that are no `activity`: an API for an auth
system is not an auth system."""

LINKERS = frozenset(
    ("in", "on", "with", "using", "by", "via", "through", "over", "backed", "stored", "configurable", "written")
)
"""First words of `linked` features."""

GLOBAL_LINKERS = frozenset(("in", "written"))
"""First words of `global` features: "refresh tokens in Python" speaks of the whole, where "login using X" would be a
claim about the login that the criteria of X do not prove."""

ADJECTIVES = frozenset(("fastapi", "jwt", "python"))
"""Features of one word that may stand before the product. Most nouns must not: a "test auth system" is a trial, and
"database authentication" lets a database in."""

TECHNOLOGIES = ADJECTIVES | {"sqlalchemy", "sqlite"}
"""Features of one word that the product is built with. They may stand before it with "-based", and a "with" after one
speaks of the product: "using SQLite with refresh tokens"."""

DUTIES = frozenset(("hash", "lock", "rotate", "revoke", "detect", "limit"))
"""First words of `duty` features."""

COMMANDS = DUTIES | {"register", "log", "sign", "create", "change", "update", "see", "view"}
"""First words of features that are no `thing`: after "create an auth system and" they would be the next command."""

ACTIONS = frozenset(
    ("register", "log", "sign", "create", "change", "update", "see", "view", "login", "logout", "signup", "signin",
     "signout", "refresh")
)  # fmt: skip
"""First words of `action` features."""

FATES = frozenset(("locked",))
"""First words of `fate` features."""

NEGATIONS = frozenset(
    ("without", "no", "not", "never", "except", "only", "unless", "but", "instead", "rather", "excluding", "exclude",
     "minus", "don't", "doesn't", "won't", "shouldn't", "mustn't", "can't", "cannot", "skip", "omit", "drop", "remove",
     "avoid", "lacking")
)  # fmt: skip
"""For explaining, not for deciding: whatever follows one in a sentence is not reported as covered."""

_NOUN: dict[Kind, State] = {"plain": "noun", "modifier": "noun", "form": "form", "product": "product"}
_LINKS: dict[Kind, State] = {
    "article": "item", "technology": "built", "linked": "built", "colon": "item", "bullet": "item",
}  # fmt: skip
_ITEM: dict[Kind, State] = {**_LINKS, "feature": "listed"}
_CLAUSE: dict[Kind, State] = {
    "supports": "item", "demand": "item", "can": "doing", "let": "doing", "users": "users", "system": "system",
    "and": "joined",
}  # fmt: skip
_LIST: dict[Kind, State] = {"and": "joined", "bullet": "joined", "global": "built", "end": "sentence"}
_ATTACHED: dict[Kind, State] = {"with": "item", "lets": "doing", "that": "serving"}
"""What speaks of the product, also after what it is built with. After another feature it would relate two features to
each other, which nobody tested."""

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
        **_ATTACHED, "linked": "product", "audience": "product", "and": "extended", "bullet": "joined", "colon": "item",
        "end": "sentence",
    },
    "extended": {**_LINKS, **_CLAUSE, **_ATTACHED, "thing": "listed", "duty": "listed", "linked": "product"},
    "item": _ITEM,
    "joined": {**_ITEM, **_CLAUSE},
    "listed": _LIST,
    "built": {**_LIST, **_ATTACHED},
    "sentence": {
        **_LINKS, **_CLAUSE, **_ATTACHED, "thing": "listed", "duty": "listed", "determiner": "opening",
        "header": "header", "bullet": "sentence", "end": "sentence",
    },
    "opening": {"product": "system"},
    "header": {"colon": "item", "bullet": "item"},
    "users": {"can": "doing", "must be": "suffering"},
    "doing": {"action": "done", "colon": "doing", "bullet": "doing"},
    "done": {"and": "doing more", "bullet": "doing more", "end": "sentence"},
    "doing more": {**_CLAUSE, "action": "done", "and": "doing more"},
    "suffering": {"fate": "listed"},
    "serving": {"duty": "listed"},
    "system": {"should": "should", "supports": "item", "let": "doing", "duty": "listed"},
    "should": {"support": "item", "let": "doing", "duty": "listed", "be": "being"},
    "being": {"linked": "built"},
}  # fmt: skip

START: State = "request"
FINAL: frozenset[State] = frozenset({"product", "listed", "built", "done", "sentence"})
BEFORE_PRODUCT: frozenset[State] = frozenset({"request", "asked", "object", "noun", "form"})
