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
    assert "a language model, which this version cannot use yet" in hint
    assert "No blueprint is installed." in asked("Sing").hint


def test_what_the_hint_offers_is_understood(shipped: Library):
    for template in shipped.values():
        assert read(headline(template.blueprint), (), [template]).chosen, headline(template.blueprint)


def test_what_has_to_be_known_is_asked_for_with_an_example_of_an_answer(keeper: Template):
    question = asked("Make a recipe API", keeper)
    assert question.reason == "The request does not say which fields are known of recipes. Nothing was built."
    assert question.missing == ("which fields are known of recipes",)
    assert "worksite answer <task> “title, price and stock”" in question.hint
    assert "leave it out" not in question.hint
    assert "what is kept" in asked("a CRUD API with title", keeper).missing


@pytest.mark.parametrize("request_text", ["a book API with title and payments", "a book API with title, on Mars"])
def test_to_leave_it_out_is_offered_where_that_helps(keeper: Template, request_text: str):
    assert "worksite answer <task> “leave it out” builds the covered part alone" in asked(request_text, keeper).hint


@pytest.mark.parametrize(
    "request_text", ["a book API without title", "delete the book API with title", "a book API with payments"]
)
def test_to_leave_it_out_is_not_offered_where_it_would_not_do(keeper: Template, request_text: str):
    assert "leave it out" not in asked(request_text, keeper).hint


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
