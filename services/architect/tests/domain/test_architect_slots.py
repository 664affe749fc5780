"""Slots: what a request may fill in with words of its own, read by a hostile client of the blueprint that ships."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from worksite.architect.domain.coverage import Coverage, cover
from worksite.architect.domain.templates import Template
from worksite.architect.library import Library

WORDINGS = Path(__file__).parents[4] / "tests" / "wordings" / "crud-service.toml"

COVERED = (
    ("A recipe API with title and steps", "recipe", "title:text,steps:text"),
    ("inventory service with integer quantity and unit price", "item", "quantity:integer,unit_price:decimal"),
    ("BOOKSHOP API WITH TITLE", "book", "title:text"),
    ("CRUD API for gizmos with the fields name, colour and shape", "gizmo", "name:text,colour:text,shape:text"),
    ("contacts API (name, phone, email)", "contact", "name:text,phone:text,email:email"),
    ("REST API for cars: make:text, year:integer, electric:boolean?", "car",
     "make:text,year:integer,electric:boolean?"),
    ("An API to create, read, update and delete songs with title and duration:integer", "song",
     "title:text,duration:integer"),
    ("Todo API.\nFields:\n- title: text\n- done: boolean\n- due_date: date (optional)", "todo",
     "title:text,done:boolean,due_date:date?"),
    ("CRUD service for invoices with amount (decimal), due date and paid (boolean), plus tests and OpenAPI docs",
     "invoice", "amount:decimal,due_date:date,paid:boolean"),
    ("Pet shop API where I can create and delete pets. A pet has a name and an age.", "pet", "name:text,age:integer"),
    ("HTTP API for my wine collection with the fields name, grape and colour, in Python.", "wine",
     "name:text,grape:text,colour:text"),
    ("A service that stores events. Each event has a name, starts at and ends at. It should support sorting.", "event",
     "name:text,starts_at:datetime,ends_at:datetime"),
    ("API for people with name (required) and nickname (text, optional)", "person", "name:text,nickname:text?"),
    ("We need a microservice for support tickets with subject. A ticket has a due date.", "support_ticket",
     "subject:text,due_date:date"),
    ("API for todo items with title. Each item has a due date.", "todo_item", "title:text,due_date:date"),
    ("An API to create and delete movies with title. Users can list them.", "movie", "title:text"),
    ("To-do API with title and done", "todo", "title:text,done:boolean"),
    ("API for to-do entries with title and done", "todo_entry", "title:text,done:boolean"),
    ("movie database API with title. It should have a release year.", "movie", "title:text,release_year:integer"),
    ("API for sensors with name, unit value as a decimal and homepage (url)", "sensor",
     "name:text,unit_value:decimal,homepage:url"),
    ("CRUD API for books with id, title, created_at", "book", "title:text"),
    ("Book API. Fields: id: int, title: string", "book", "title:text"),
    ("API for books with title, each with an author", "book", "title:text,author:text"),
    ("CRUD API with SQLite for managing books with title", "book", "title:text"),
    ("API for tracking job applications with company and date applied", "job_application",
     "company:text,date_applied:date"),
    ("Create a book API with pagination and the fields title and rating: optional integer", "book",
     "title:text,rating:integer?"),
)  # fmt: skip

HOSTILE = (
    "authentication", "payments", "shopping carts", "search", "an admin panel", "image upload", "photos", "webhooks",
    "email notifications", "users", "roles", "per-user ownership", "a unique name", "many authors", "a list of tags",
    "rating from 1 to 5", "price > 0", "at least one author", "OAuth login", "rate limiting", "caching", "Redis",
    "PostgreSQL", "a React frontend", "a mobile app", "GraphQL", "gRPC", "websockets", "live updates", "charts",
    "reports", "PDF export", "CSV import", "bulk delete", "soft delete", "an audit log", "versioning", "translations",
    "full-text search", "recommendations", "comments by visitors", "likes", "a shopping list printer", "reminders",
    "a calendar view", "file attachments", "encrypted notes", "two-factor login", "without delete", "no paging",
    "only admins may delete", "it sends mails", "that prints shopping lists", "in Go", "on Kubernetes",
    "for 1000 users", "etc.", "and so on", "more fields", "the usual fields", "a status that is open or closed",
    "total price", "average rating", "deploy it", "then add payments", "each user sees their own records",
    "belongs to an owner", "as a single page app", "with a dark theme", "billing", "geolocation", "barcode scanning",
    "a chat", "an owner id",
)  # fmt: skip

HARMLESS_WITHIN = {"users", "billing", "with a dark theme"}
"""Before what follows: "book users" are users, a "billing amount" is an amount, a "dark theme (text)" is a text."""

REFUSED = (
    "API for books with pages, each with a title",
    "API for books with chapters, each with a title",
    "API for books with title, last updated",
    "API for books with title and id:text",
    "API for users with name:text and password:text",
    "API for books with title and authorId:integer",
    "API to track vehicles with name",
    "API for a chat: users with name",
    "API for a school: students with name, teachers with name",
    "package tracker API with name",
    "REST API: books, authors (name)",
    "REST API: properties (name, price)",
    "game app backend with title",
    "basic auth API for books with title",
    "a book API with authentication and title",
    "a bookshop API with title and payments",
    "a bookshop API with title, price and search",
    "a bookshop API with title, price and shopping carts",
    "a book API with title and images",
    "a book API with title, price and photo",
    "a book API with title and webhooks",
    "a book API with title, email notifications",
    "a book API with title and text search",
    "a book API with email",
    "a book API with a website",
    "a customer API with name and a website",
    "chat API with name and message",
    "email API with subject and body",
    "search API with title",
    "auth API with name and email",
    "user API with name, email and password",
    "user API with name and email address and login",
    "news API with title and body",
    "weather API with city and temperature",
    "stock API with name and price",
    "quote API with text and author",
    "random quote API with author",
    "stripe API with amount",
    "stripe customers API with name",
    "PDF API with title",
    "file service with name and description",
    "image API with title and url",
    "notes API with title, body and tags",
    "private notes API with title and body",
    "shared notes API with title and body",
    "recipe API with title and steps and users",
    "recipe API with title for each user",
    "recipe API with title in German",
    "recipe API with title in Go",
    "recipe API with title, price in euros",
    "recipe API with unique title",
    "recipe API with title (unique)",
    "recipe API with title (max 100 characters)",
    "recipe API with rating from 1 to 5",
    "recipe API with title and rating: integer from 1 to 5",
    "recipe API with title and price > 0",
    "recipe API with title, price and more",
    "recipe API with title, price, etc.",
    "recipe API with title or name",
    "recipe API without title",
    "recipe API with only title and price",
    "recipe API with at least title and price",
    "recipe API with two titles",
    "recipe API with titles",
    "recipe API with title and title",
    "recipe API with class and title",
    "recipe API with title and an owner",
    "recipe API with title and author's name",
    "recipe API with title and the author's name",
    "recipe API with fields title, search",
    "recipe API with the fields title and authentication",
    "recipe API with the fields title, payments and colour",
    "recipe API with the fields title and print",
    "recipe API with the fields title, export to PDF",
    "recipe API with the fields title, fast",
    "recipe API with title. Fast.",
    "recipe API with title. Secure.",
    "recipe API with title. Each user has a name.",
    "recipe API with title. Each recipe has steps. Each ingredient has a name.",
    "recipe API. Users have a name and email.",
    "recipe API with title. Users can create their recipes",
    "recipe API with title. Users can create recipes and users",
    "recipe API with title. Users can print recipes",
    "recipe API with title. Only admins can delete recipes",
    "recipe API with title. Users can search recipes",
    "recipe app with title and steps",
    "recipe website with title and steps",
    "recipe CLI with title",
    "recipe library with title and steps",
    "recipe SDK with title",
    "recipe GraphQL API with title",
    "recipe API client with title",
    "recipe and book API with title",
    "books and authors API with title",
    "API for books, authors with title",
    "API for books with title and authors with name",
    "API for recipes and their ingredients with title",
    "API for recipes with title and for books with title",
    "CRUD API for books with title with PostgreSQL",
    "CRUD API for books using email and title",
    "CRUD API for books using title",
    "It is a book API with title",
    "Explain the book API with title",
    "Test a book API with title",
    "Delete book API with title",
    "my book API with title",
    "Fix my book API with title",
    "two book APIs with title",
    "book APIs with title",
    "service for restaurants with name and table bookings",
    "restaurant API with name and reservations",
    "hotel API with name and booking date",
    "booking API with name and date",
    "order API with order number and total",
    "invoice API with number and PDF",
    "invoice API with amount and pdf url",
    "game API with name and score",
    "chess game API with title",
    "leaderboard API with name and score",
    "poll API with question and votes",
    "quiz API with question and answer",
    "URL shortener API with url and code",
    "link API with url and title",
    "calendar API with title and date",
    "reminder API with title and due date",
    "alarm API with title and start time",
    "timer API with name",
    "currency API with name and code",
    "translation API with text and language",
    "map API with name and latitude and longitude",
    "route API with name and distance",
    "taxi API with name and price",
    "delivery API with address and date",
    "event API with title, starts at and reminders",
    "event API with title, starts at and email reminders",
    "event API with title, starts at, reminders: email",
    "event API with title (text) and notifications (email)",
    "event API with title and login (email)",
    "event API with title and search: text",
    "event API with title and validation: email",
    "event API with title and picker (date)",
    "event API with title, text formatting",
    "event API with title and integer overflow",
    "event API with title and boolean search",
    "event API with title and boolean queries",
    "event API with title and optional authentication",
    "event API with title and optional text search",
    "event API with title and number of visitors",
    "event API with title and total price",
    "event API with title and average rating",
    "event API with title and live price",
    "event API with title, date picker",
    "event API with title, date validation",
    "event API with title and name lookup",
    "event API with title and price comparison",
    "event API with title and price calculation",
    "event API with title and price: computed",
    "event API with title and price as text file",
    "event API with title in many languages",
    "event API with location",
    "event API with title and status (open, closed)",
    "event API with title and status: open/closed",
    "event API with title and priority (high, low)",
    "event API with title and list of guests",
    "event API with title and guests",
    "event API with title and guest",
    "event API with title and organizer",
    "event API with title, default price",
    "event API with title and price by default",
    "event API with title and price, sorted by price",
    "event API with title and price, both required",
    "event API with title and all fields",
    "event API with the usual fields",
    "event API with fields",
    "event API with the fields",
    "event API with the same fields",
    "event API with title and fields",
    "event API with title and filtering by price",
    "event API with title. Filter by price.",
    "event API with title, soft delete",
    "event API with title and bulk import",
    "event API with title, audit log",
    "event API with title and history",
    "event API with title, price and rate limiting",
    "event API with title, price and caching",
    "event API with title and price, deployed to AWS",
    "event API with title and docker",
    "event API with title on Kubernetes",
    "event API with title for 1000 users",
    "event API with title for my mobile app",
    "event API with title for my app",
    "sports API with name",
    "space API with name",
    "event API with title; payment",
    "event API with title\nPayments",
    "event API with title\n- payments",
    "event API with title\n- charts",
    "event API with fields:\ntitle\nsearch",
    "event API with fields:\ntitle\nimport",
    "event API with fields:\ntitle\nFast",
    "event API with fields:\n- title\n- sends mails",
    "event API with fields: title, mail sending",
    "event API with title and admin",
    "event API with title and parent event",
    "event API with title and event",
    "event API with title and a school",
    "event API with title and an editor",
    "event API with title and editor",
    "event API with title and a quote",
    "event API with title and a building",
    "event API with title and a room",
    "event API with title and a plot",
    "event API with title and a series",
    "event API with name and weather",
    "event API with name and quote",
    "event API with name and a link",
    "event API with name and player",
    "event API with name and players",
    "event API with name and rooms",
    "event API with name and doors",
    "event API with name and sets",
    "event API with name and floors",
    "API for weather with title",
    "API for payments with title and amount",
    "API for emails with subject",
    "API for developers with title",
    "API for mobile apps with title",
    "API for the web with title",
    "API for machine learning with title",
    "service for notifications with title",
    "service for reports with title",
    "service for images with title",
    "service for docker containers with name",
    "service to manage kubernetes clusters with name",
    "service to manage servers with name",
    "service to manage files with name",
    "service to manage backups with name",
    "service to manage users and roles with name",
    "service to manage duplicates with name",
    "service to manage random quotes with author",
    "service to manage recurring events with title",
    "service to manage shared documents with title",
    "service to manage encrypted notes with title",
    "service to manage nested categories with title",
    "service that manages bookings with name and date",
    "service that stores passwords with name",
    "service that stores sessions with name",
    "service that stores video streams with title",
    "service that stores books and lends them, with title",
    "API to create, read and print books with title",
    "API to create and send invoices with title and amount",
    "API to create invoices with amount and send them",
    "API to search books with title",
    "API to create books with title and sell them",
    "API to create books for users with title",
    "service where users can create their books with title",
    "service where only admins can create books with title",
    "service where admins can create books with title",
    "API for books with title where users can rate them",
    "API for books with title where users can create, rate and delete books",
    "API for books with title where users can see their own books",
    "API for books with title. Users can log in",
    "API for books with title. It sends emails",
    "API for books with title. It uses Redis",
    "API for books with title. It has an admin panel",
    "API for books with title. It has users",
    "API for books with title. It has email",
    "API for books with title. Each one has an author.",
    "API for books with title. Each author has a name.",
    "API for books with title. Authors have a name.",
    "API for books with title. Each book belongs to an author.",
    "API for books with title. Each book has one author.",
    "API for books with title. Each book has at least one author.",
    "API for books with title. A book can have an author.",
    "API for books with title. A book may have an author.",
    "API for books with title. A book has authors.",
    "API for books with title. A book has an author with a name.",
    "API for books: title, author. API for authors: name.",
    "API for books: title, author; authors: name",
    "API for books:\n- title\n- author\nAPI for authors:\n- name",
    "Books:\n- title\nAuthors:\n- name",
    "API for books\n\nbook: title, author",
    "API for books (title, price) and authors (name)",
    "API for books (title, price, ...)",
    "API for books (title, login)",
    "API for books (only title)",
    "API for books (title or isbn)",
    "API for books [title, isbn]",
    'API for books {"title": "text"}',
    'API for books with "title"',
    "API for books with title/author",
    "API for books with title, author - and price",
    "API for books with price: 10",
    'API for books with title: "Untitled"',
    "API for books with title:text:unique",
    "API for books with title:varchar",
    "API for books with title:text=none",
    "API for books with title as PDF",
    "API for books with title as a date picker",
    "API for books with title of type enum",
    "API for books with title of any type",
    "API for books with title of each chapter",
    "API for books with title (list of text)",
    "API for books with title (text or integer)",
    "API for books with title (text, unique)",
    "API for books with title (optional, text, searchable)",
    "API for books with title (translated)",
    "API for books with an array of title",
    "API for books with list of chapters (text)",
    "API for books with password (text)",
    "API for books with secret token (text)",
    "API for books with encrypted title",
    "API for books with hashed title",
    "API for books with automatic title",
    "API for books with generated title (text)",
    "API for books with computed price (decimal)",
    "API for books with unique code (text)",
    "API for books with random number (integer)",
    "API for books with cached price (decimal)",
    "API for books with foreign key (integer)",
    "API for books with author id (integer)",
    "API for books with translations (text)",
    "API for books with validation (text)",
    "API for books with recommendations (text)",
    "API for books with payment method (text)",
    "API for books with credit card number",
    "API for books with cover upload (url)",
    "API for books with file upload: url",
    "API for books with web scraping: url",
    "API for books with title, web hook: url",
    "API for gadgetzzz with title",
    "API for a banana with title",
    "API for a web shop with title",
    "API for an online store with title",
    "API for a barber shop with name",
    "API for many bananas with name",
    "API for 10 bananas with name",
    "API for any bananas with name",
    "API for ripe bananas with name",
    "API for bananas in JSON with name",
    "API for bananas from CSV with name",
    "API for bananas with name from CSV",
    "API for bananas backed by MongoDB with name",
    "API for bananas, with name, without delete",
    "API for bananas with name but no delete",
    "API for bananas with name, read-only",
    "read-only API for bananas with name",
    "public API for bananas with name",
    "secure API for bananas with name",
    "async API for bananas with name",
    "versioned API for bananas with name",
    "CRUD API for bananas with name in TypeScript",
    "CRUD web app for bananas with name",
    "banana CRUD with name",
    "banana service with name",
    "service with name and price",
    "API with title",
    "REST API with fields title and price",
    "crud service with fields title and price",
    "microservices for bananas with name",
    "banana microservice architecture with name",
    "frontend for banana API with name",
    "client for banana API with name",
    "tests for the banana API with name",
    "docs for a bananas API with name",
    "deploy bananas API with name",
    "a bananas API with name and deploy it",
    "a bananas API with name, then deploy",
    "a bananas API with name. Next, add payments.",
    "a bananas API with name. Later payments.",
    "a bananas API with name, thanks",
    "a bananas API with name???",
    "a bananas API with name?",
    "Is there a bananas API with name?",
    "a bananas API with name 😀",
    "a bananas API with name and name2",
    "a bananas API with name1",
    "a US bananas API with name",
    "fish API with name",
    "sheep API with name",
    "docs API with name",
    "API for docs with name",
    "API for series with name",
    "API for news with title",
    "API for data with title",
    "API for things with created_at:datetime and name",
    "API for imports with name",
    "API for sqlite_things with name",
    "API for persons with name",
)


@pytest.fixture(scope="module")
def crud(shipped: Library) -> Callable[[str], Coverage]:
    template = shipped["crud-service"]
    return lambda request: cover(request, template.blueprint, template.lexicon)


@pytest.mark.parametrize(("request_text", "resource", "fields"), COVERED)
def test_resource_and_fields_are_read_from_the_request(
    crud: Callable[[str], Coverage], request_text: str, resource: str, fields: str
):
    coverage = crud(request_text)
    assert coverage.missing == ()
    assert coverage.full
    assert coverage.filling.parameters["resource"] == resource
    assert coverage.filling.parameters["fields"] == fields


@pytest.mark.parametrize("request_text", REFUSED)
def test_what_no_criterion_proves_is_not_covered(crud: Callable[[str], Coverage], request_text: str):
    assert not crud(request_text).full


def test_what_is_covered_and_what_is_missing_is_said_in_the_words_of_the_client(crud: Callable[[str], Coverage]):
    coverage = crud("a recipe API with title and steps that also prints shopping lists")
    assert coverage.covered == ("recipe API", "title", "steps")
    assert coverage.missing == ("prints shopping lists",)


def test_what_has_to_be_known_and_is_not_said_is_asked_for(crud: Callable[[str], Coverage]):
    assert crud("a movie API").unfilled == ("fields",)
    assert crud("a CRUD API with title").unfilled == ("resource",)
    assert crud("a CRUD API").unfilled == ("resource", "fields")
    assert not crud("a movie API").full


def test_a_type_that_the_request_does_not_say_is_marked_as_assumed(crud: Callable[[str], Coverage]):
    fields = crud("a book API with title, price and rating (integer)").filling.fields
    assert [(field.name, field.assumed) for field in fields] == [("title", True), ("price", True), ("rating", False)]


def test_a_resource_that_is_derived_from_a_place_says_so(crud: Callable[[str], Coverage]):
    resource = crud("a pet shop API with name").filling.resource
    assert resource is not None
    assert (resource.singular, resource.plural, resource.place) == ("pet", "pets", "pet shop")


def test_an_attribute_that_could_be_a_deed_counts_only_in_the_company_of_others(crud: Callable[[str], Coverage]):
    assert not crud("a customer API with email").full
    assert crud("a customer API with email and name").full
    assert crud("a customer API with email (text)").full


def test_a_feature_of_fields_that_there_are_none_of_is_missing(keeper: Template):
    emails = "with name, email and a validated address"
    assert cover(f"customer API {emails}", keeper.blueprint, keeper.lexicon).full
    coverage = cover("customer API with name and a validated address", keeper.blueprint, keeper.lexicon)
    assert coverage.missing == ("validated address",)


def test_names_that_the_blueprint_refuses_are_missing(keeper: Template):
    def missing(request: str) -> tuple[str, ...]:
        return cover(request, keeper.blueprint, keeper.lexicon).missing

    assert missing("book API with title and key:integer, id:integer")[0] == "id"
    assert missing("API for docs with title") == ("API for docs",)
    assert missing("book API with title, name, price, cost, year and age") == ("age",)


def served() -> list[str]:
    return [entry["request"] for entry in tomllib.loads(WORDINGS.read_text())["wordings"]] + [c[0] for c in COVERED]


@settings(deadline=None)
@given(
    request_text=st.sampled_from(served()),
    clause=st.sampled_from(HOSTILE),
    joint=st.sampled_from(
        (" and ", ", ", ", and ", ". ", " with ", "\n- ", "\n", " that supports ", ". It has ", " plus ")
    ),
)
def test_a_hostile_clause_makes_any_request_uncovered(shipped: Library, request_text: str, clause: str, joint: str):
    template = shipped["crud-service"]
    coverage = cover(f"{request_text.rstrip('.')}{joint}{clause}", template.blueprint, template.lexicon)
    assert not coverage.full
    assert coverage.missing


@settings(deadline=None)
@given(
    request_text=st.sampled_from(served()),
    place=st.integers(0, 200),
    word=st.sampled_from([clause for clause in HOSTILE if clause not in HARMLESS_WITHIN]),
)
def test_a_hostile_clause_within_a_request_makes_it_uncovered(
    shipped: Library, request_text: str, place: int, word: str
):
    template = shipped["crud-service"]
    assume(cover(request_text, template.blueprint, template.lexicon).full)
    chunks = request_text.split(" ")
    chunks.insert(place % (len(chunks) + 1), word)
    assert not cover(" ".join(chunks), template.blueprint, template.lexicon).full


@given(st.text())
def test_no_text_breaks_the_reading(shipped: Library, text: str):
    template = shipped["crud-service"]
    assert not cover(text, template.blueprint, template.lexicon).full


@pytest.mark.parametrize("filler", ["title, price, ", "optional text ( ", "create, read, ", "each book has ", "a "])
def test_a_very_long_list_is_read_in_linear_time(crud: Callable[[str], Coverage], filler: str):
    started = time.process_time()
    assert not crud(f"Create a book API with {filler * (12_000 // len(filler))}").full
    assert time.process_time() - started < 2
