"""A request read together with the answers to our questions."""

from __future__ import annotations

import pytest
from worksite.architect.domain.consent import left_out_by
from worksite.architect.domain.requests import Commission, read
from worksite.architect.library import Library

RECIPES = "a recipe API with title and steps that also prints shopping lists"
TITLE_AND_STEPS = "title:text,steps:text"


@pytest.fixture
def commission(shipped: Library):
    def commissioned(request: str, *inputs: str) -> Commission | None:
        chosen = read(request, inputs, tuple(shipped.values())).chosen
        return chosen[1] if chosen else None

    return commissioned


def fields(commission: Commission | None) -> str | None:
    return commission.filling.parameters.get("fields") if commission else None


def test_a_new_wording_that_is_covered_stands_for_the_request(commission):
    found = commission(RECIPES, "a recipe API with title and steps")
    assert fields(found) == TITLE_AND_STEPS
    assert (found.request, found.left_out) == ("a recipe API with title and steps", ())


def test_what_is_built_is_said_in_one_line_with_every_type(commission):
    assert commission("API for songs: title, artist, duration").understood == (
        "songs with title:text, artist:text, duration:decimal"
    )
    assert commission("Create an auth system").understood == "auth system"


def test_a_new_wording_may_ask_for_another_product(shipped: Library):
    chosen = read(RECIPES, ("Create an auth system",), tuple(shipped.values())).chosen
    assert chosen is not None
    assert chosen[0].blueprint.name == "auth-service"


@pytest.mark.parametrize(
    ("request_text", "answer", "expected"),
    [
        ("recipe API", "title and steps", "title:text,steps:text"),
        ("recipe API.", "with title and price, please", "title:text,price:decimal"),
        ("recipe API", "title, colour", "title:text,colour:text"),
        ("recipe API", "each recipe has a title", "title:text"),
        ("CRUD API", "books with title and price", "title:text,price:decimal"),
        ("API for paints with name and finish", "finish (text)", "name:text,finish:text"),
        ("API for paints with name and finish", "finish is text", "name:text,finish:text"),
        ("API for cars (zang, model, zing)", "zang: text and zing (integer)", "zang:text,model:text,zing:integer"),
        ("API for cars (zang, name, zing)", "they are all text", "zang:text,name:text,zing:text"),
        ("API for cars with name and zing", "a whole number", "name:text,zing:integer"),
        ("todo API", "- title\n- done", "title:text,done:boolean"),
        ("CRUD API", "for books with title", "title:text"),
        ("A parking ticket API with plate, fine amount, issued at and paid",
         "fine amount (decimal), plate (text), issued at (datetime)",
         "plate:text,fine_amount:decimal,issued_at:datetime,paid:boolean"),
        ("API for patients with name and insurance number", "insurance number (text)",
         "name:text,insurance_number:text"),
        ("API for patients with name", "insurance_number:text", "name:text,insurance_number:text"),
        ("API for tasks with title and priority", "priority is text", "title:text,priority:text"),
        ("API for films with title, rating", "rating as integer", "title:text,rating:integer"),
        ("recipe API", "rating as integer", "rating:integer"),
    ],
)  # fmt: skip
def test_an_answer_may_complete_the_request(commission, request_text: str, answer: str, expected: str):
    found = commission(request_text, answer)
    assert fields(found) == expected
    assert found.request == f"{request_text}\n\n{answer}"


@pytest.mark.parametrize(
    "answer",
    ["leave it out", "Leave it out, please.", "without it", "skip that", "OK, go on without the shopping lists",
     "only what is covered", "build what's covered", "leave the shopping lists out", "drop the rest",
     "without that", "just the covered part", "ignore the shopping lists too"],
)  # fmt: skip
def test_what_is_missing_is_left_out_at_the_clients_word_and_said(commission, answer: str):
    found = commission(RECIPES, answer)
    assert fields(found) == TITLE_AND_STEPS
    assert found.left_out == ("prints shopping lists",)
    assert found.constraints == ("Left out at the client's word: “prints shopping lists”.",)


@pytest.mark.parametrize(
    "answer", ["yes", "leave out steps", "without the shopping lists and steps", "leave it", "?", ""]
)
def test_no_other_word_leaves_anything_out(commission, answer: str):
    assert commission(RECIPES, answer) is None


@pytest.mark.parametrize(
    "request_text",
    ["auth system without lockout", "auth system with no audit log", "delete auth system", "multi-tenant auth system",
     "Write a Discord bot", "movie API", "movie API with payments", "explain the recipe API with title",
     "API for recipes with title only"],
)  # fmt: skip
def test_what_would_turn_the_request_around_or_leave_nothing_of_it_is_not_left_out(commission, request_text: str):
    assert commission(request_text, "leave it out") is None


@pytest.mark.parametrize(
    ("flag", "left_out"),
    [("vegetarian as yes or no", ("vegetarian as yes or no",)), ("vegetarian: yes/no", ("vegetarian", "yes/no"))],
)
def test_the_no_of_yes_or_no_takes_nothing_away_so_that_the_flag_can_be_left_out(
    commission, flag: str, left_out: tuple[str, ...]
):
    found = commission(f"A recipe API with title and {flag}", "leave it out")
    assert fields(found) == "title:text"
    assert found.left_out == left_out


def test_parts_may_be_left_out_one_by_one(commission):
    request = "a recipe API with title that prints shopping lists and sends mails"
    assert commission(request, "without the shopping lists") is None
    found = commission(request, "without the shopping lists", "skip the mails too")
    assert found.left_out == ("prints shopping lists", "sends mails")


def test_the_fields_of_what_is_left_out_do_not_become_those_of_the_resource(commission):
    for request in (
        "API for books with title and authors with name and birthday",
        "API for books with title. Each author has a name and a birthday.",
    ):
        assert fields(commission(request, "leave it out")) == "title:text"


def test_what_an_answer_adds_is_not_dropped_by_a_later_one(commission):
    assert commission("recipe API", "title and shopping carts") is None
    found = commission("recipe API", "title and shopping carts", "leave it out")
    assert (fields(found), found.left_out) == ("title:text", ("shopping carts",))


def test_an_answer_after_one_that_did_not_help_completes_the_request_itself(commission):
    assert fields(commission("recipe API", "whatever you like", "title and steps")) == TITLE_AND_STEPS
    assert fields(commission("recipe API", "title and search", "title and steps")) == TITLE_AND_STEPS


def test_consent_may_come_before_the_fields(commission):
    found = commission("movie API with payments", "leave it out", "title and year")
    assert (fields(found), found.left_out) == ("title:text,year:integer", ("payments",))


def test_consent_to_one_wording_is_none_to_another(commission):
    assert commission(RECIPES, "a wine API with name and payments") is None
    found = commission(RECIPES, "leave it out", "a wine API with name and shopping carts")
    assert found is None


def test_a_part_that_takes_something_away_is_never_left_out():
    assert left_out_by("leave it out", ("without lockout",)) == ()
    assert left_out_by("leave it out", ("payments", "never twice")) == ()
    assert left_out_by("without payments", ("payments", "never twice")) == ("payments",)


@pytest.mark.parametrize("answer", ["yes", "ok", "done", "help", "cancel", "continue please", "Sure!", "thank you"])
def test_an_answer_that_says_nothing_becomes_no_field(commission, answer: str):
    assert commission("recipe API", answer) is None


def test_one_type_for_several_missing_parts_has_to_be_meant_for_all(commission):
    request = "API for cars (zang, name, zing)"
    assert commission(request, "a whole number") is None
    assert fields(commission(request, "both are integers")) == "zang:integer,name:text,zing:integer"


@pytest.mark.parametrize("answer", ["remove the shopping lists", "we don't need that", "just build what you can"])
def test_consent_has_many_words(commission, answer: str):
    found = commission(RECIPES, answer)
    assert found is not None
    assert found.left_out == ("prints shopping lists",)


def test_no_answer_makes_a_field_of_a_deed_or_a_secret(commission):
    assert commission("API for cars with name and payments", "payments (text)") is None
    assert commission("API for cars with name and password", "password:text") is None
