"""Which answers of a model are shown: those whose quotations stand where they say."""

from __future__ import annotations

from typing import Any

import pytest
from worksite.architect.domain.answering import Answered, QuestionAnswer, cited, opening, quotation_faults
from worksite.common.messages import Scores, SearchResult


def passage(path: str, text: str) -> SearchResult:
    return SearchResult(path=path, start_line=4, end_line=9, text=text, score=1, scores=Scores(), kind="document")


PASSAGES = (passage("a.md", "Refresh tokens\n  rotate on use."), passage("b.md", "Sessions end after a day."))
FOUND = {"type": "answered", "text": "They rotate.", "quotes": [{"passage": 1, "words": "tokens rotate on use"}]}


def answer(data: dict[str, Any], status: str = "ok") -> QuestionAnswer:
    return QuestionAnswer.model_validate({"action": "answer", "agent": "architect", "status": status, "data": data})


def test_the_opening_numbers_the_passages():
    text = opening("When?", PASSAGES)
    assert "<question>\nWhen?\n</question>" in text
    assert '<passage number="2" from="b.md">\nSessions end after a day.\n</passage>' in text


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({}, "ok", None),
        ({"quotes": []}, "ok", "nothing is quoted"),
        ({"quotes": [{"passage": 0, "words": "tokens rotate"}]}, "ok", "there is no passage 0"),
        ({"quotes": [{"passage": 2, "words": "tokens rotate"}]}, "ok", "passage 2 does not say"),
        ({}, "needs_input", "status needs_input does not go with data of type answered"),
    ],
)
def test_a_quotation_must_stand_in_its_passage_up_to_white_space(
    changes: dict[str, Any], status: str, told: str | None
):
    faults = list(quotation_faults(answer(FOUND | changes, status), PASSAGES))
    assert faults == [] if told is None else told in faults[0]


def test_a_question_in_return_quotes_nothing():
    assert (
        list(quotation_faults(answer({"type": "question", "reason": "x", "hint": "y"}, "needs_input"), PASSAGES)) == []
    )


def test_each_quoted_passage_is_cited_once_in_the_order_of_quotation():
    quotes = [{"passage": n, "words": "12345678"} for n in (2, 1, 2)]
    made = cited(Answered.model_validate(FOUND | {"quotes": quotes}), PASSAGES, "model:x")
    assert [(citation.path, citation.start_line) for citation in made.citations] == [("b.md", 4), ("a.md", 4)]
    assert (made.text, made.engine) == ("They rotate.", "model:x")
