"""Specs from a blueprint and for a review, and how people read them."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from worksite.architect.domain.documents import escape, spec_markdown
from worksite.architect.domain.specification import OWN_TESTS, spec_for_review, spec_from_blueprint
from worksite.architect.domain.templates import purpose
from worksite.architect.library import Library
from worksite.common.messages import Criterion, Spec


@pytest.fixture
def spec(library: Library) -> Spec:
    return spec_from_blueprint("Make a greeter", library["greeter"])


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
    assert spec_from_blueprint("Make a greeter", library["greeter"]).to_json() == spec.to_json()


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
