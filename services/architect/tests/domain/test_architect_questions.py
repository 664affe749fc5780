"""What a client is told when nothing covers the request."""

from __future__ import annotations

import pytest
from worksite.architect.domain.coverage import Coverage
from worksite.architect.domain.questions import headline, no_fix, not_covered, not_empty, nothing_found
from worksite.architect.domain.requests import Reading, read
from worksite.architect.domain.templates import Template
from worksite.architect.library import Library
from worksite.common.messages import Question


def reading(library: Library, *coverages: Coverage) -> Reading:
    return Reading("words", "words", tuple((library["greeter"], coverage) for coverage in coverages))


def coverage(missing: tuple[str, ...], name: str = "greeter", *, names_product: bool = True) -> Coverage:
    return Coverage(name, ("greeter",), missing, (), names_product)


def asked(request: str, *templates: Template, inputs: tuple[str, ...] = ()) -> Question:
    return not_covered(read(request, inputs, templates), templates)


def test_the_candidate_with_the_least_residue_is_reported(library: Library):
    templates = tuple(library.values())
    question = not_covered(reading(library, coverage(("a", "b"), "first"), coverage(("c",), "second")), templates)
    assert "blueprint second covers a part" in question.reason
    assert question.covered == ("greeter",)
    assert question.missing == ("c",)


def test_a_blueprint_whose_product_is_not_asked_for_is_not_offered_as_part_of_the_answer(library: Library):
    question = asked("Write a todo app", library["greeter"])
    assert question.reason == "No blueprint makes what this request asks for."
    assert question.covered == ()
    assert question.missing == ("todo app",)


def test_the_hint_says_what_blueprints_do_and_that_no_setting_helps_yet(library: Library):
    hint = asked("Sing", library["greeter"]).hint
    assert "greeter makes “greeting service with greeting by name, hello page”" in hint
    assert "a language model: whoever runs this system can set ANTHROPIC_API_KEY" in hint
    assert "No blueprint is installed." in asked("Sing").hint


def test_what_the_hint_offers_is_understood(shipped: Library):
    for template in shipped.values():
        assert read(headline(template.blueprint), (), [template]).chosen, headline(template.blueprint)


def test_what_has_to_be_known_is_asked_for_with_an_example_of_an_answer(keeper: Template):
    question = asked("Make a recipe API", keeper)
    assert question.reason == "The request does not say which fields are known of recipes. Nothing was built."
    assert question.missing == ("which fields are known of recipes",)
    assert question.hint.startswith("Answer in the manner of “title, price and stock”; or repeat the whole request")
    assert "leave it out" not in question.hint
    assert "what is kept" in asked("a CRUD API with title", keeper).missing


@pytest.mark.parametrize("request_text", ["a book API with title and payments", "a book API with title, on Mars"])
def test_to_leave_it_out_is_offered_where_that_helps(keeper: Template, request_text: str):
    assert "Answer “leave it out” to build the covered part alone; or" in asked(request_text, keeper).hint


@pytest.mark.parametrize(
    "request_text", ["a book API without title", "delete the book API with title", "a book API with payments"]
)
def test_to_leave_it_out_is_not_offered_where_it_would_not_do(keeper: Template, request_text: str):
    assert "leave it out" not in asked(request_text, keeper).hint


@pytest.mark.parametrize(
    ("request_text", "example"),
    [
        ("A parking ticket API with plate, fine amount, issued at and paid",
         "plate (text), fine amount (decimal), issued at (datetime), paid (boolean)"),
        ("API for readings with sensor id, value", "sensor id (text), value (decimal)"),
        ("API for customers with name and is VIP", "is VIP (boolean)"),
        ("API for orders with name and total", "total (decimal)"),
        ("API for books with title, zing and search", "zing (text)"),
    ],
)  # fmt: skip
def test_fields_that_are_not_known_are_asked_for_in_words_that_settle_it(
    shipped: Library, request_text: str, example: str
):
    question = asked(request_text, *shipped.values())
    assert f"ive a field that is not known its type: answer “{example}”" in question.hint
    left = () if "search" not in request_text else ("leave it out",)
    assert read(request_text, (example, *left), tuple(shipped.values())).chosen


def test_no_type_is_offered_for_what_is_no_field(shipped: Library):
    for missing in ("search", "payments", "shopping carts", "prints labels", "password"):
        assert "its type" not in asked(f"API for books with title, {missing}", *shipped.values()).hint, missing


def test_where_nothing_else_helps_the_whole_request_is_to_be_repeated(keeper: Template):
    hint = asked("a book API with title, without price", keeper).hint
    assert hint.startswith("Repeat the whole request in other words.")


def test_what_was_not_understood_at_all_is_reported_part_by_part(shipped: Library):
    question = asked("API for my den: name, zing and price", *shipped.values())
    assert question.missing == ("my den", "name", "zing", "price")


def test_a_rule_about_who_may_do_what_can_be_left_out(shipped: Library):
    request = "API for users with name and email, only admins may delete"
    assert "“leave it out”" in asked(request, *shipped.values()).hint
    chosen = read(request, ("leave it out",), tuple(shipped.values())).chosen
    assert chosen is not None
    assert chosen[1].constraints == ("Left out at the client's word: “only admins may delete”.",)


def test_a_name_that_the_service_needs_for_itself_is_explained(keeper: Template):
    question = asked("a book API with title and id", keeper)
    assert "“id” cannot be a field: the service has that name for itself." in question.reason


def test_an_answer_that_does_not_help_is_quoted(keeper: Template):
    question = asked("Make a recipe API", keeper, inputs=("no idea",))
    assert question.reason.startswith("The answer “no idea” does not settle it. ")


def test_a_long_request_makes_a_short_question(library: Library):
    found = reading(library, coverage(tuple("x" * 1000 + str(n) for n in range(100))))
    question = not_covered(found, tuple(library.values()))
    assert len(question.missing) == 21
    assert question.missing[-1] == "and 80 more"
    assert max(map(len, question.missing)) == 301


def test_every_question_says_what_to_do():
    assert all(question.reason and question.hint for question in (no_fix(), not_empty(), nothing_found()))
