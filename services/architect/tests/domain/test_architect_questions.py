"""What a client is told when nothing covers the request."""

from __future__ import annotations

from worksite.architect.domain.coverage import Coverage, cover
from worksite.architect.domain.questions import no_fix, not_covered, not_empty, nothing_found
from worksite.architect.library import Library


def coverage(missing: tuple[str, ...], name: str = "greeter", *, names_product: bool = True) -> Coverage:
    return Coverage(name, ("greeter",), missing, (), names_product)


def test_the_candidate_with_the_least_residue_is_reported(library: Library):
    templates = tuple(library.values())
    question = not_covered([coverage(("a", "b"), "first"), coverage(("c",), "second")], templates)
    assert "blueprint second covers a part" in question.reason
    assert question.covered == ("greeter",)
    assert question.missing == ("c",)


def test_a_blueprint_whose_product_is_not_asked_for_is_not_offered_as_part_of_the_answer(library: Library):
    question = not_covered([coverage(("todo app",), names_product=False)], tuple(library.values()))
    assert question.reason == "No blueprint makes what this request asks for."
    assert question.covered == ()
    assert question.missing == ("todo app",)


def test_the_hint_says_what_blueprints_do_and_that_no_setting_helps_yet(library: Library):
    hint = not_covered([], tuple(library.values())).hint
    assert "The blueprint greeter (Greeting service) understands: greeting by name, hello page." in hint
    assert "a language model, which this version cannot use yet" in hint
    assert "No blueprint is installed." in not_covered([], ()).hint


def test_what_the_hint_offers_is_understood(shipped: Library):
    for template in shipped.values():
        product = template.blueprint.vocabulary.product[0]
        for feature in template.blueprint.vocabulary.features:
            request = f"{product} with: {feature.phrases[0]}"
            assert cover(request, template.blueprint, template.lexicon).full, request


def test_a_long_request_makes_a_short_question(library: Library):
    question = not_covered([coverage(tuple("x" * 1000 + str(n) for n in range(100)))], tuple(library.values()))
    assert len(question.missing) == 21
    assert question.missing[-1] == "and 80 more"
    assert max(map(len, question.missing)) == 301


def test_every_question_says_what_to_do():
    assert all(question.reason and question.hint for question in (no_fix(), not_empty(), nothing_found()))
