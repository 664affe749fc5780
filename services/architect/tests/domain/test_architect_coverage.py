"""Whether one blueprint delivers all that is asked for: against the blueprint that ships, read by a hostile client."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import chain

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from worksite.architect.domain.coverage import Coverage, cover
from worksite.architect.domain.grammar import PHRASES
from worksite.architect.domain.parsing import MAX_TOKENS
from worksite.architect.domain.words import singular, tokenise
from worksite.architect.library import Library

COVERED = (
    "Create auth system",
    "create an auth system.",
    "CREATE AUTH SYSTEM",
    "Please build me a simple authentication service with registration, login, logout and refresh tokens.",
    "I need an auth service that supports account lockout and an audit log",
    "Can you make an auth system?",
    "Could you please set up a JWT-based auth system in Python, with sign-up and sign-in?",
    "Auth service with JWT, refresh token rotation, password hashing with argon2 and tests",
    "We want a FastAPI auth service. Users can register, log in and log out. It should support refresh tokens.",
    "Create an auth system:\n- registration\n- login\n- an audit log\n",
    "Create an auth system\n\nFeatures:\n* refresh tokens\n* audit logs",
    "Implement user authentication where users can sign up and sign in",
    "Develop an authentication API with login and refresh tokens in Python",
    "Create an auth system for my app, please. Thanks!",
    "I'd like a login and registration API with FastAPI, SQLAlchemy and SQLite",
    "Create an auth system that locks accounts after too many failed login attempts and hashes passwords with argon2id",
    "Can you build a user authentication API where users can sign up, log in, change their password and log out?",
    "Write a FastAPI auth backend: registration, login, logout, password change, refresh tokens with rotation",
    "Auth API using FastAPI and SQLite with tests and OpenAPI docs",
    "Set up an SQLite-based auth system using FastAPI and JWT with account lockout",
    "Create a simple Python REST API for user authentication with OpenAPI docs",
    "Build a service for authentication where users register, log in and log out",
    "We need a login service. It must hash passwords, rotate refresh tokens and have an audit log.",
    "Generate an auth microservice which provides registration, login & logout, plus lockout after 5 failed logins",
    "Hello, let's create an auth system. Users should be able to create an account and see their account; the service "
    "has a health check.",
    # lists in brackets and with a slash
    "Create an auth system with login/logout",
    "Create an auth system with signup/login and email/password login",
    "Create an auth system (register, login, logout)",
    "Create an auth system (register, log in & log out) with refresh tokens, in Python.",
    "Auth service (FastAPI, SQLite)",
    "Create a login API (tests)",
    # technologies
    "Create an auth system using FastAPI, including registration and login",
    "Build an auth system with FastAPI and SQLite, including registration, login, and token refresh.",
    "Create an auth system with SQLite as the database",
    "Create an auth system. Use SQLite for storage.",
    "Create an auth system. It uses an SQLite database and FastAPI.",
    "Create an auth service with a database and tests",
    "Create an auth service\n- FastAPI\n- SQLite database\n- tests",
    "Create an auth service. FastAPI, SQLAlchemy and SQLite.",
    "Create a FastAPI app for user authentication",
    "Write a FastAPI app with user registration and login",
    "Create a token-based authentication system",
    # sentences
    "Create an auth system. Passwords must be hashed with argon2.",
    "Create an auth system. Passwords should be hashed.",
    "Build an auth service: users can register and log in",
    "Build an auth service: users can register with email and password, log in, and change their password.",
    "Build an auth system:\n- users can register\n- users can log in\n- it should support refresh tokens",
    "Create an auth system. Users can:\n- register\n- log in\n- refresh their tokens\n\nIt uses SQLite. Add tests.",
    "Create an auth system. Users can register and log in. Add documentation.",
    "Create an auth system. Users can log in and we need documentation.",
    "Create an auth system. Users can log in and it supports refresh tokens.",
    "Create an auth system where users can log in, and users can log out",
    "Create an auth system. Users can see their login history and refresh tokens.",
    "Create an auth system. Users are locked out after failed logins. Add documentation.",
    "Create an auth system that locks accounts after 5 failed logins",
    "Create an auth system with account lockout after failed logins",
    "Create an auth system with short-lived access tokens",
)

NOT_COVERED = (
    # more than the blueprint does
    ("auth system with OAuth login", "OAuth login"),
    ("auth system with Google login", "Google login"),
    ("auth system with 2FA", "2FA"),
    ("auth system with login and password reset", "password reset"),
    ("Create auth system. Users can register, log in and reset passwords", "reset passwords"),
    ("create auth system and send welcome emails", "send welcome emails"),
    ("Create auth system. Deploy it to AWS.", "Deploy it to AWS"),
    ("multi-tenant auth system", "multi-tenant"),
    ("passwordless auth system", "passwordless"),
    ("auth system with roles and permissions", "roles"),
    ("auth system with registration with email verification", "email verification"),
    ("Create auth system with an admin dashboard", "admin dashboard"),
    ("auth system with GDPR compliant audit log", "GDPR compliant audit log"),
    ("production-ready auth system", "production-ready"),
    ("complete auth system", "complete"),
    ("secure auth system", "secure"),
    # another form of it
    ("auth system in Go", "in Go"),
    ("Node.js auth system", "Node.js"),
    ("auth system with PostgreSQL", "PostgreSQL"),
    ("a Django auth system", "Django"),
    ("auth over https", "over https"),
    ("basic auth system", "basic"),
    ("login by phone", "login by phone"),
    ("auth system with login using argon2", "login using argon2"),
    ("auth system with refresh banana tokens", "refresh banana tokens"),
    ("auth system with our database", "our database"),
    ("auth system and the rest", "the rest"),
    ("Create US auth system", "US"),
    ("IT auth system", "IT"),
    ("two auth systems", "two"),
    ("auth systems", "systems"),
    # less, limited or counted
    ("auth system without lockout", "without lockout"),
    ("auth system with no audit log", "no audit log"),
    ("auth system, not a login page", "not a login page"),
    ("auth system with logout only", "logout only"),
    ("auth system with everything except registration", "everything except registration"),
    ("auth system with JWT instead of refresh tokens", "instead of refresh tokens"),
    ("auth system with login but optional registration", "login but optional registration"),
    ("auth system -logout", "-logout"),
    ("auth system - logout", "- logout"),
    ("auth system for 10 million users", "for 10 million users"),
    ("Create auth system with lockout after 3 failed logins", "lockout after 3 failed logins"),
    ("auth system with login or registration", "or registration"),
    ("auth system with login, logout, ...", "..."),
    ("auth system with login, logout etc.", "etc"),
    ("Create auth system with at most 100 lines", "at most 100 lines"),
    # something else with it
    ("delete auth system", "delete"),
    ("explain auth system", "explain"),
    ("Test auth system", "Test"),
    ("Register auth system", "Register"),
    ("review the auth system", "review"),
    ("Make the auth system faster", "faster"),
    ("Our auth system. It should use FastAPI.", "Our"),
    ("Create an API for auth system", "API for"),
    ("Create a mobile app for authentication", "mobile app for"),
    ("Create a GraphQL API for authentication", "GraphQL"),
    ("Database authentication", "Database"),
    ("SQLite authentication", "SQLite"),
    ("Is there an auth system?", "Is there"),
    ("What is JWT authentication?", "What is"),
    ("Migrate our auth system", "Migrate"),
    ("Create auth system and log in", "log in"),
    ("Create an auth system and create an account", "create an account"),
    ("Create auth system and change password", "change password"),
    ("Create auth system. Log out.", "Log out"),
    ("Create auth system tests", "tests"),
    ("lock the audit log after login", "lock the audit log after login"),
    ("users can audit logs", "users can audit logs"),
    ("Create auth system. Users can audit logs.", "Users can audit logs"),
    ("Write a todo app with login", "todo app with login"),
    ("audit log", "audit log"),
    ("refresh tokens", "refresh tokens"),
    # a demand after what users can do, which could be theirs
    ("Create an auth system where users can sign up, log in and add documentation.", "add documentation"),
    ("Create an auth system. People can sign up and implement unit tests.", "implement unit tests"),
    ("Create an auth system where users can sign in and add test suites and SQLite databases", "add test suites"),
    ("Create an auth system. Users are locked out after failed logins and add documentation.", "add documentation"),
    ("Create an auth system where users can sign in and implement protected routes", "implement protected routes"),
    ("Create an auth system. Users can log in, offer REST endpoints and log out.", "offer REST endpoints"),
    ("Create an auth system that lets users log in and uses SQLite", "uses SQLite"),
    ("Create an auth system that lets users log in and use a database", "use a database"),
    ("Create an auth system. Users can log in and let users log out.", "let users log out"),
    ("Create an auth system. Users can log in and tests", "tests"),
    ("Create an auth system. Users can:\n- log in\n- add documentation", "add documentation"),
    ("Create an auth system. Users can:\n- log in\n- audit logs", "audit logs"),
    ("Create an auth system. Users can log in.\n- Add tests", "Add tests"),
    # nouns are not what users do
    ("Create an auth system where users can register endpoints", "register endpoints"),
    ("Create an auth system. Let users refresh endpoints.", "refresh endpoints"),
    ("Create an auth system. Let users refresh token families.", "refresh token families"),
    ("Create an auth system. Users can login history.", "login history"),
    ("Create an auth system. Users can signup endpoints.", "signup endpoints"),
    ("Create an auth system. Users can change the passwords.", "change the passwords"),
    ("Create an auth system. Users can see their accounts.", "see their accounts"),
    ("Create an auth system and refresh endpoints", "refresh endpoints"),
    ("Create an auth system and refresh access tokens", "refresh access tokens"),
    ("Create an auth system, and log in", "log in"),
    ("Create an auth system and test", "test"),
    # a second product
    ("Create an auth service and FastAPI services", "FastAPI services"),
    ("Create an auth service. We need FastAPI services.", "FastAPI services"),
    ("Create an auth service and a FastAPI app", "FastAPI app"),
    ("Create an auth system that supports FastAPI apps", "FastAPI apps"),
    ("Create an auth system that handles FastAPI applications", "FastAPI applications"),
    ("Create an auth service, a REST API and tests", "REST API"),
    ("Create an auth service with FastAPI services", "FastAPI services"),
    ("Create FastAPI services for authentication", "FastAPI services"),
    ("Create REST APIs for authentication", "REST APIs"),
    ("Create an API for FastAPI app with user registration and login", "API for"),
    ("Create an auth system and a SQLite backend", "SQLite backend"),
    ("Create an auth system that supports databases", "databases"),
    ("Create an auth system with databases", "databases"),
    ("Create an auth system using SQLite databases", "SQLite databases"),
    ("Create an auth service and a database", "database"),
    ("Create an auth service, tests and a database", "database"),
    ("Create an auth service. Add a database.", "database"),
    ("Create an auth service. We need a database.", "database"),
    # what is there already, or the client's own
    ("Create an auth system that keeps access tokens", "keeps access tokens"),
    ("Create an auth system. It should keep refresh tokens and access tokens.", "keep refresh tokens"),
    ("Add auth. Keep tests and documentation.", "Keep tests"),
    ("Implement auth. Keep a REST API.", "Keep a REST API"),
    ("Create an auth system that keeps an audit log", "keeps an audit log"),
    ("Create an auth service that handles REST endpoints", "handles REST endpoints"),
    ("Create an auth system that supports Python", "Python"),
    ("Create an auth system with support for SQLAlchemy", "SQLAlchemy"),
    ("Create an auth system. It should support login and SQLite", "SQLite"),
    ("Create an auth system. It should support:\n- login\n- SQLite", "SQLite"),
    ("Create an auth system. It should support:\nlogin\nSQLite", "SQLite"),
    ("Create an auth system. It supports:\n- login.\n- SQLite.", "SQLite"),
    ("Create an auth system. Add login and FastAPI.", "FastAPI"),
    # more than was proved
    ("Create an auth system. Lock account after failed login.", "Lock account after failed login"),
    ("Create an auth system with account lockout after failed login", "account lockout after failed login"),
    ("Create an auth system. People get locked out after failed login.", "locked out after failed login"),
    ("Create an auth system with short-lived tokens", "short-lived tokens"),
    ("Create an auth system with an audit log endpoint", "audit log endpoint"),
    ("Create an auth system with a security audit log", "security audit log"),
    ("Create an auth system with audit trails", "audit trails"),
    ("Create an auth system with login history", "login history"),
    # brackets and slashes
    ("Create an auth system (without lockout)", "without lockout"),
    ("Create an auth system (login, SSO)", "SSO"),
    ("Create an auth system (login only)", "login only"),
    ("Create an auth system (login", "login"),
    ("Create an auth system (login, logout, ...)", "..."),
    ("Create an auth system (e.g. login)", "e.g"),
    ("Create an auth system login)", "login"),
    ("Create an auth system ()", "auth system ()"),
    ("Create an auth system (a prototype)", "prototype"),
    ("Create an auth system with login (SAML)", "SAML"),
    ("Create an auth system with logout/everywhere", "logout/everywhere"),
    ("Create an auth system with and/or login", "and/or"),
    ("Create an auth/billing system", "billing"),
    # not plain words
    ('auth system with "login"', '"login"'),
    ("auth system with `login`", "`login`"),
    ("auth system with login/OAuth", "login/OAuth"),
    ("auth system https://example.com/spec", "https://example.com/spec"),
    ("auth system with login 😀", "😀"),
    ("创建 auth system", "创建"),
    ("Erstelle ein auth system", "Erstelle ein"),
    ("auth system with lоgin", "lоgin"),  # a Cyrillic o
    ("<script>auth system</script>", "<script>auth"),
    # nothing, or half a sentence
    ("create", "create"),
    ("auth system with", "auth system with"),
    ("Create auth system with and login", "and login"),
)  # fmt: skip


REFUSED = (
    # as above, where the residue that is named may be another part of the sentence
    "Create an auth system. It lets users sign up and add unit tests.",
    "Create an auth system. Users can log in\nand add user accounts",
    "Create an auth system. Users can:\nlog in\nadd documentation",
    "Create an auth system. Users can:\n- log in.\n- Add documentation.",
    "Create an auth system: users can log in\n- provide documentation",
    "Create an auth system, tests and change password",
    "Create an auth service and a user account",
    "Create an auth system supporting login and typed Python",
    "auth system with login and/or logout",
    "Create an auth system. Users can\nregister\ntests",
    "Create an auth system. Users can\nregister\nadd tests",
    "Create an auth system. Users can register,\nlog in\nadd tests",
    "Create an auth system. Users can: register, log in. Use SQLite.",
    "Create an auth system. Users can log in, and log out, and add tests",
    "Create an auth system. Users can log in & add docs",
    "Create an auth system. Users can log in plus documentation",
    "Create an auth system. Users can log in along with tests",
    "Create an auth system where users log in, audit logs",
    "Create an auth system where users log in: add tests",
    "Create an auth system. Users can: register, log in, use SQLite",
    "Create an auth system. Users can:\n* register\n* log in\n\nAdd documentation",
    "Create an auth system. Users can:\n- register\n- include tests",
    "Create an auth system. Users can\n- register\n- tests",
    "Create an auth system that lets users:\n- register\n- add tests",
    "Create an auth system that lets users register\n- add tests",
    "Create an auth system. Let users:\nregister\nlog in\nprovide docs",
    "Create an auth system. Users can register. And add tests",
    "Create an auth system. Users can register, please add tests",
    "Create an auth system. Users are locked out after failed logins, add docs",
    "Create an auth system. Users must be locked out after failed logins and tests",
    "Create an auth system. Users can register and have a database",
    "Create an auth system. Users can register and has a database",
    "Create an auth system. Users can register and can add tests",
    "Create an auth system. Users can register and users can add tests",
    "Create an auth system. Users can register and should add tests",
    "Create an auth system. It lets users log in and supports tests",
    "Create an auth system where users can log in and which supports tests",
    "Create an auth system where users can log in with tests",
    "Create an auth system where users can log in in Python",
    "Create an auth system where users can log in using FastAPI",
    "Create an auth system where users can test",
    "Create an auth system. Users can hash passwords",
    "Create an auth system. Users can lockout",
    "Create an auth system. Users can database",
    "Create an auth system. Users can registration",
    "Create an auth system. Users can refresh",
    "Create an auth system. Users can log ins",
    "Create an auth system. Users can sign up endpoints",
    "Create an auth system. Users can change password endpoint",
    "Create an auth system. Users can change password",
    "Create an auth system. Users can see their account lockouts",
    "Create an auth system. Users can see the audit log",
    "Create an auth system. Users can view audit logs",
    "Create an auth system. Admins can view their audit log",
    "Create an auth system. Users can create an account and accounts",
    "Create an auth system. Users can create account registrations",
    "Create an auth system. People can update password",
    "Create an auth system. Users can log in/out",
    "Create an auth system where users can sign up/log in",
    "Create auth services",
    "Create auth service and auth service",
    "Create an auth service and authentication",
    "Create an auth service and login APIs",
    "Create an auth service, FastAPI app",
    "Create an auth service with FastAPI app",
    "Create an auth service as well as FastAPI",
    "Create an auth service, SQLite database",
    "Create an auth service and SQLite",
    "Create an auth service and an SQLite database",
    "Create an auth service plus a SQLite database with tests",
    "Create an auth service\nFastAPI services",
    "Create an auth service.\nSQLite databases.",
    "Create an auth service\n- a REST API\n- tests",
    "Create an auth service:\n- a REST API",
    "Create an auth service with login, REST APIs",
    "Create an auth service. It has a REST API",
    "Create an auth service. It has databases",
    "Create an auth service. It uses databases",
    "Create an auth service. It uses FastAPI apps",
    "Create an auth service. Use a FastAPI app.",
    "Create an auth service. Use REST APIs.",
    "Create an auth service using our SQLite database",
    "Create an auth service using the SQLite database",
    "Create an auth service with the database",
    "Create an auth service for FastAPI",
    "Create an auth service for FastAPI apps",
    "Create an auth service for Python",
    "Create a FastAPI app for FastAPI app for authentication",
    "Create a REST API for auth and FastAPI app for auth",
    "Create an auth API for FastAPI app",
    "Create an SQLite database for authentication",
    "Create a database for authentication",
    "Create a server for auth services",
    "Create an auth system that can handle login",
    "Create an auth system handling login",
    "Create an auth system keeping audit logs",
    "Create auth and keep docs",
    "Create auth. It should keep an audit log",
    "Create an auth system with Python support",
    "Create an auth system with SQLite support",
    "Create an auth system with JWT support",
    "Create an auth system. Add support for SQLite",
    "Create an auth system. Support for FastAPI and login.",
    "Create an auth system. It should support login, tests and in Python",
    "Create an auth system. It should support over HTTP",
    "Create an auth system. It should come with SQLite",
    "Create an auth system. It should include SQLAlchemy",
    "Create an auth system. Include FastAPI",
    "Create an auth system. It should provide a database",
    "Create an auth system featuring Python",
    "Create an auth system including a database",
    "Create an auth system offering login and a database",
    "Create an auth system offering login & FastAPI",
    "Create an auth system offering login in Python and a database",
    "Create an auth system with login and supporting SQLite",
    "Create an auth system that supports login and that supports Python",
    "Create an auth system, supporting Python",
    "Create an auth system. Support:\n- Python",
    "Create an auth system. We need:\n- login\n- SQLAlchemy",
    "Create an auth system. We need login\n- Python",
    "Create an auth system supporting typed Python",
    "Create an auth system that supports sqlite3",
    "Create an auth system that supports SQLite via SQLAlchemy",
    "Create an auth system using FastAPI, supporting SQLite",
    "Create an auth system using FastAPI, including SQLite",
    "Create an auth system using FastAPI, that lets users log in and add tests",
    "Create an auth system using FastAPI and users can log in and add tests",
    "Create an auth system (users can log in)",
    "Create an auth system (users can log in and add tests)",
    "Create an auth system (in Python)",
    "Create an auth system (not in Python)",
    "Create an auth system (no lockout)",
    "Create an auth system (optional login)",
    "Create an auth system (login))",
    "Create an auth system ((login))",
    "Create an auth system (login and)",
    "Create an auth system (, login)",
    "Create an auth system (databases)",
    "Create an auth system (REST API)",
    "Create an auth system (FastAPI services)",
    "Create an auth system (login\nlogout)",
    "Create an auth system (login; logout)",
    "Create an (auth system)",
    "(Create an auth system)",
    "Create an auth system with (login)",
    "Create an auth system with login (and logout)",
    "Create an auth system with login()",
    "Create an auth system (login or logout)",
    "Create auth system (v2)",
    "Create auth system(s)",
    "Create an auth system with login(s)",
    "Create an auth system login/logout",
    "Create login/logout",
    "Create a login/logout system",
    "Create an auth system with logout/login",
    "Create an auth system with login/logout/refresh",
    "Create an auth system with login / logout",
    "Create an auth system with login-logout",
    "Create an auth system with FastAPI/SQLite",
    "Create an auth system in Python/FastAPI",
    "Create an auth system with JWT/OAuth",
    "Create an auth system with /login",
    "Create an auth system with email/password reset",
    "Create an auth system with email/phone login",
    "Create an auth/login system",
    "Create an auth system. Passwords must be hashed with bcrypt.",
    "Create an auth system. Passwords must be hashed with argon2 and bcrypt.",
    "Create an auth system. Passwords must be hashed with argon2 or bcrypt.",
    "Create an auth system. Passwords must be hashed twice.",
    "Create an auth system. Passwords must not be hashed.",
    "Create an auth system. Passwords are hashed on the client.",
    "Create an auth system. Passwords are hashed and rotated.",
    "Create an auth system. Passwords must be hashed and salted.",
    "Create an auth system. Password must be hashed.",
    "Create an auth system. Tokens must be hashed.",
    "Create an auth system. Use SQLite for testing.",
    "Create an auth system. Use SQLite for storage of files.",
    "Create an auth system with SQLite as the database and Redis as cache",
    "Create an auth system. Support SQLite for storage.",
    "Create an auth system. Use SQLite for storage and databases.",
    "Write a FastAPI app with user registration and login and todo lists",
    "Write FastAPI apps with user registration and login",
    "Write a FastAPI app with tests",
    "Write a FastAPI app with login",
    "Add a FastAPI app with registration and login to our site",
    "Write an API for a FastAPI app with registration and login",
    "Extend a FastAPI app with user registration and login",
    "Write a FastAPI app with user registration and login endpoints",
    "Write a FastAPI app with registration and login forms",
    "Write a FastAPI app with registration and login pages",
    "Create a session-based authentication system",
    "Create a cookie-based authentication system",
    "Create a token-based system",
    "Create a database-based auth system",
    "Create a token-based authentication systems",
    "Create an auth system with tokens",
    "Create an auth system with single token",
    "Create an auth system with short-lived JWTs",
    "Create an auth system with long-lived tokens",
    "Create an auth system: users can log in, tests",
    "Create an auth system: users can log in, use SQLite",
    "Create an auth system: supports Python",
    "Create an auth system. Requirements:\n- users can log in\n- tests",
    "Create an auth system. Requirements:\n- users can log in\n- add tests",
    "Create an auth system with lockout after failed logins and failed login",
    "Create an auth system that locks account after 1 failed login",
    "Create an auth system that locks accounts after five failed login",
    "Create an auth system with lockout after repeated failure",
    "Create an auth system with a unit test",
    "Create an auth system and run tests",
    "Create an auth system with own test",
    "Create an auth system with doc",
    "Create an auth system using Python and databases",
    "Create an auth system in Python and a database",
    "Create an auth system and tests in Python and a database",
    "Create an auth system in Python, add a database",
    "Create an auth system. It is in Python",
    "Create an auth system. It should be in Python and support SQLite",
    "Create an auth system backed by SQLite",
    "Create an auth system written in Python",
)


@pytest.fixture(scope="module")
def auth(shipped: Library) -> Callable[[str], Coverage]:
    template = shipped["auth-service"]
    return lambda request: cover(request, template.blueprint, template.lexicon)


@pytest.mark.parametrize("request_text", COVERED)
def test_a_request_in_the_words_of_the_blueprint_is_covered(auth: Callable[[str], Coverage], request_text: str):
    coverage = auth(request_text)
    assert coverage.missing == ()
    assert coverage.full
    assert coverage.names_product


@pytest.mark.parametrize(("request_text", "residue"), NOT_COVERED)
def test_a_request_for_anything_else_is_not_covered_and_the_residue_is_named(
    auth: Callable[[str], Coverage], request_text: str, residue: str
):
    coverage = auth(request_text)
    assert not coverage.full
    assert any(residue in missing for missing in coverage.missing), coverage.missing


@pytest.mark.parametrize("request_text", REFUSED)
def test_what_reads_in_two_ways_is_not_covered(auth: Callable[[str], Coverage], request_text: str):
    coverage = auth(request_text)
    assert not coverage.full
    assert coverage.missing


def test_what_is_covered_and_what_is_missing_is_said_in_the_words_of_the_client(auth: Callable[[str], Coverage]):
    coverage = auth("Make an Auth System with Audit-Logs, OAuth login and rotating refresh tokens")
    assert coverage.covered == ("Auth System", "Audit-Logs", "rotating refresh tokens")
    assert coverage.missing == ("OAuth login",)


def test_nothing_after_a_negation_is_reported_as_covered(auth: Callable[[str], Coverage]):
    coverage = auth("auth system without lockout and audit log. It supports refresh tokens")
    assert coverage.covered == ("auth system", "refresh tokens")
    assert coverage.missing == ("without lockout and audit log",)


def test_the_features_that_are_named_demand_their_criteria(library: Library):
    greeter = library["greeter"]
    assert cover("greeting service", greeter.blueprint, greeter.lexicon).criteria == ()
    assert cover("greeting service with nameplates", greeter.blueprint, greeter.lexicon).criteria == ("greets-by-name",)


def test_a_passive_sentence_needs_a_phrase_for_it(library: Library):
    greeter = library["greeter"]
    accepted = cover("Make a greeter. Users must be locked names.", greeter.blueprint, greeter.lexicon)
    assert accepted.full
    assert not cover("Make a greeter. Users must be nameplates.", greeter.blueprint, greeter.lexicon).full


def test_the_longest_product_is_what_is_asked_for(library: Library):
    greeter = library["greeter"]
    coverage = cover("greeting services", greeter.blueprint, greeter.lexicon)
    assert coverage.missing == ("services",)


@pytest.fixture(scope="module")
def vocabulary(shipped: Library) -> set[str]:
    """Every word that could be consumed, in the singular."""
    known = shipped["auth-service"].blueprint.vocabulary
    phrases = chain(known.product, *(feature.phrases for feature in known.features), *PHRASES.values())
    return {singular(token.word) for phrase in phrases for token in tokenise(phrase) if token.word} | {"based"}


@given(
    request_text=st.sampled_from(COVERED),
    word=st.from_regex(r"[a-z]{1,10}|[a-z]{2,5}[0-9]|[A-Z][a-z]{2,8}", fullmatch=True),
    place=st.floats(0, 1),
)
def test_any_word_outside_the_vocabulary_makes_a_covered_request_uncovered_and_is_named(
    shipped: Library, vocabulary: set[str], request_text: str, word: str, place: float
):
    template = shipped["auth-service"]
    assume(singular(word.lower()) not in vocabulary)
    chunks = request_text.split(" ")
    chunks.insert(round(place * len(chunks)), word)
    coverage = cover(" ".join(chunks), template.blueprint, template.lexicon)
    assert not coverage.full
    assert any(word in missing for missing in coverage.missing)


@given(st.data())
def test_only_words_of_the_vocabulary_are_ever_covered(shipped: Library, vocabulary: set[str], data: st.DataObject):
    template = shipped["auth-service"]
    words = data.draw(st.lists(st.sampled_from([*sorted(vocabulary), "without", "reset", "5", ".", ","]), max_size=12))
    coverage = cover(" ".join(words), template.blueprint, template.lexicon)
    assert not (coverage.full and {"without", "reset"} & set(words))
    assert coverage.full == (coverage.missing == ())
    assert coverage.full <= coverage.names_product


@given(st.text())
def test_no_text_breaks_the_reading_and_what_is_missing_stands_in_it(shipped: Library, text: str):
    template = shipped["auth-service"]
    coverage = cover(text, template.blueprint, template.lexicon)
    assert not coverage.full
    assert all(missing in text for missing in coverage.missing)


@pytest.mark.parametrize("filler", ["auth system with login and ", "users can the it a ", "😀 ", "- ", "a-", "aaaa"])
def test_a_very_long_request_is_residue_and_read_in_linear_time(auth: Callable[[str], Coverage], filler: str):
    started = time.process_time()
    assert not auth(f"Create auth system with login and {filler * (12_000 // len(filler))}").full
    assert time.process_time() - started < 2


def test_words_beyond_the_limit_are_never_covered(auth: Callable[[str], Coverage]):
    assert auth("Create auth system with login" + ", login" * (MAX_TOKENS // 2 - 4)).full
    assert not auth("Create auth system with login" + ", login" * MAX_TOKENS).full
