"""Specs from a blueprint and for a review, and how people read them."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from worksite.architect.domain.documents import escape, spec_markdown
from worksite.architect.domain.requests import Commission, read
from worksite.architect.domain.specification import OWN_TESTS, spec_for_review, spec_from_blueprint
from worksite.architect.domain.templates import Template, purpose
from worksite.architect.library import Library
from worksite.common.messages import Criterion, Spec


@pytest.fixture
def spec(library: Library) -> Spec:
    return spec_from_blueprint(Commission("Make a greeter"), library["greeter"])


def test_a_spec_names_the_blueprint_by_version_digest_and_parameters(spec: Spec, library: Library):
    assert spec.engine == "blueprint:greeter@2.1.0"
    assert spec.blueprint is not None
    assert spec.blueprint.digest == library["greeter"].digest
    assert spec.blueprint.parameters == {"package": "greeter"}


def test_a_spec_carries_every_criterion_with_its_test_whatever_the_request_names(spec: Spec):
    contents = {test.path: test.content for test in spec.tests}
    assert [criterion.id for criterion in spec.criteria] == ["says-hello", "greets-by-name"]
    for criterion in spec.criteria:
        path, function = str(criterion.test).split("::")
        assert f"def {function}(" in contents[path]


def test_parameters_are_filled_into_the_harness_and_random_values_are_left_to_the_judge(spec: Spec):
    assert spec.harness is not None
    assert spec.harness.target == "greeter.main:create_app"
    assert spec.harness.env == {"GREETER_KEY": "{random}", "GREETER_FILE": "greeter.db"}


def test_equal_requests_give_equal_specs(spec: Spec, library: Library):
    assert spec_from_blueprint(Commission("Make a greeter"), library["greeter"]).to_json() == spec.to_json()


def test_a_review_is_judged_by_the_criteria_of_the_client():
    criteria = (Criterion(id="fast", statement="It is fast.", grade="self_reported"),)
    spec = spec_for_review("Look at\nthis " + "very " * 40, criteria)
    assert spec.criteria == criteria
    assert (spec.engine, spec.blueprint) == ("rules", None)
    assert spec.title.startswith("Review: Look at this very")
    assert len(spec.title) <= 72


def test_a_review_without_criteria_is_judged_by_the_projects_own_tests():
    assert spec_for_review("Is it sound?", ()).criteria == (OWN_TESTS,)
    assert (OWN_TESTS.grade, OWN_TESTS.test) == ("self_reported", None)


def test_the_document_says_all_that_the_spec_says(spec: Spec):
    document = spec_markdown(spec)
    for expected in (
        "# Greeting service\n\n> Make a greeter\n\nDesigned by `blueprint:greeter@2.1.0`.",
        "### Storage\n\n**None.** Greetings need no memory.\n\nRejected:\n\n- SQLite: A file to look after.",
        "## Constraints\n\n- One process.",
        "| `GET /hello` | Say hello. |",
        "| `says-hello` | GET /hello answers hello. | `verified_io` | `acceptance/test_hello.py::test_says_hello` |",
        "- `self_reported`: the asserts run inside the candidate's process.",
        "| `src/greeter/main.py` | Wiring of greeter: settings in, app out. |",
    ):
        assert expected in document


def test_the_document_names_what_judges_the_project_and_may_go(spec: Spec):
    document = spec_markdown(spec.model_copy(update={"loosens": ("tests/test_old.py", "worksite.toml")}))

    assert "## What judges the project and may go or change\n\nChanges are judged by these" in document
    assert "- `tests/test_old.py`\n- `worksite.toml`" in document


def test_the_document_has_no_empty_sections():
    document = spec_markdown(spec_for_review("Is it sound?", ()))
    assert [line for line in document.splitlines() if line.startswith("#")] == [
        "# Review: Is it sound?",
        "## Acceptance criteria",
    ]


@pytest.mark.parametrize(
    "text", ["# no heading", "<b>bold</b>", "[a](javascript:x)", "- item", "1. item", "*x* _y_ `z`"]
)
def test_a_request_cannot_put_markup_into_the_document(text: str):
    page = MarkdownIt().render(spec_markdown(spec_for_review(text, ())))
    quoted = page.split("<blockquote>")[1].split("</blockquote>")[0]
    assert quoted.count("<") == 2  # one paragraph, opened and closed


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_escaped_text_is_shown_as_it_was(text: str):
    assert html.unescape(MarkdownIt().renderInline(escape(text))).strip() == text.strip()


def test_a_files_purpose_is_the_first_paragraph_of_its_docstring():
    assert purpose('# coding\n"""One ``line``\nand another.\n\nMore."""\n') == "One line and another."
    assert purpose("x = '''no docstring'''") is None


@pytest.fixture
def kept(keeper: Template) -> Spec:
    return spec_of("a bookshop API with title, name as text and stock", keeper)


def spec_of(request: str, template: Template, *inputs: str, project_name: str | None = None) -> Spec:
    chosen = read(request, inputs, [template]).chosen
    assert chosen is not None
    return spec_from_blueprint(chosen[1], chosen[0], project_name)


def test_parameters_from_the_request_are_filled_in_wherever_people_read(kept: Spec):
    assert kept.title == "Keeper of books"
    assert kept.constraints == ("Fields: title:text,name:text,stock:integer.",)
    assert (kept.interfaces[0].name, kept.interfaces[0].summary) == ("GET /books/{id}", "Show one book.")
    assert (kept.decisions[0].title, kept.decisions[0].reason) == ("Storage of books", "A book is flat.")
    assert kept.decisions[0].rejected[0].option == "A file per book"
    assert kept.criteria[0].statement == "A book that was created is shown at /books."
    assert (kept.files[0].path, kept.files[0].purpose) == ("src/keeper/main.py", "Keeps books.")


def test_parameters_are_filled_into_the_tests_of_a_spec_and_its_f_strings_are_left_alone(kept: Spec):
    assert 'FIELDS = "title:text,name:text,stock:integer"' in kept.tests[0].content
    assert 'plural = "books"' in kept.tests[0].content
    assert 'f"/{plural}"' in kept.tests[0].content


def test_the_choice_of_a_blueprint_carries_every_parameter(kept: Spec):
    assert kept.blueprint is not None
    assert kept.blueprint.parameters == {
        "project_name": "keeper",
        "package": "keeper",
        "resource": "book",
        "plural": "books",
        "fields": "title:text,name:text,stock:integer",
    }


def test_a_criterion_about_a_type_that_no_field_has_is_left_out_and_the_others_are_plain_criteria(
    kept: Spec, keeper: Template
):
    assert [criterion.id for criterion in kept.criteria] == ["keeps"]
    assert {type(criterion) for criterion in kept.criteria} == {Criterion}
    assert [c.id for c in spec_of("customer API with name and email", keeper).criteria] == ["keeps", "checks-emails"]


def test_what_was_assumed_is_a_decision_and_what_was_said_is_none(kept: Spec):
    assumed = {decision.title: decision.choice for decision in kept.decisions[1:]}
    assert assumed == {
        "What is kept": "Records of books.",
        "Type of title": "title is of type text.",
        "Type of stock": "stock is of type integer.",
    }


def test_what_is_left_out_is_a_constraint_in_the_words_of_the_client(keeper: Template):
    spec = spec_of("a book API with title and {plural} printing", keeper, "leave it out")
    assert spec.constraints[-1] == "Left out at the client's word: “{plural} printing”."
    assert spec.request == "a book API with title and {plural} printing\n\nleave it out"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("my-books", ("my-books", "my_books")),
        ("My Books", ("keeper", "keeper")),
        (None, ("keeper", "keeper")),
        ("json", ("json", "keeper")),
        ("class", ("class", "keeper")),
        ("fastapi", ("fastapi", "keeper")),
    ],
)
def test_a_project_name_that_fits_names_the_project_and_a_package_that_hides_nothing(
    keeper: Template, name: str | None, expected: tuple[str, str]
):
    spec = spec_of("a book API with title", keeper, project_name=name)
    assert spec.blueprint is not None
    assert (spec.blueprint.parameters["project_name"], spec.blueprint.parameters["package"]) == expected


def test_the_same_request_gives_the_same_bytes(keeper: Template):
    once, again = (spec_of("a book API with title, price and e-mail address", keeper) for _ in range(2))
    assert once.to_json() == again.to_json()
