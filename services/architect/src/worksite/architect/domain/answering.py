"""Answers of a model: it says and quotes, and every quotation is looked up before anybody sees the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field
from worksite.common.llm.sections import section
from worksite.common.messages import Answer, Citation, Model, Question, SearchResult

MAX_PASSAGES = 8


class Quote(Model):
    passage: int = Field(description="its number")
    words: str = Field(min_length=8, description="exactly as they stand there")


class Answered(Model):
    """What a model can know of an answer; places and texts of the citations are added."""

    type: Literal["answered"]
    text: str = Field(min_length=1, max_length=8000)
    quotes: tuple[Quote, ...]


class QuestionAnswer(Model):
    """The four fields of every agent's answer, in the form that a model gives them."""

    action: Literal["answer"]
    agent: Literal["architect"]
    status: Literal["ok", "needs_input"]
    data: Answered | Question


def opening(question: str, passages: Sequence[SearchResult]) -> str:
    """The question and the numbered passages."""
    shown = [f'<passage number="{n}" from="{p.path}">\n{p.text}\n</passage>' for n, p in enumerate(passages, 1)]
    return "\n\n".join(("Answer the question from the passages.", section("question", question), *shown))


def quotation_faults(answer: QuestionAnswer, passages: Sequence[SearchResult]) -> Iterator[str]:
    """What is not as it is cited, one sentence each."""
    if (answer.status == "ok") != isinstance(answer.data, Answered):
        yield f"status {answer.status} does not go with data of type {answer.data.type}"
    if not isinstance(answer.data, Answered):
        return
    if not answer.data.quotes:
        yield "nothing is quoted: an answer rests on passages"
    for quote in answer.data.quotes:
        if not 1 <= quote.passage <= len(passages):
            yield f"there is no passage {quote.passage}"
        elif _plain(quote.words) not in _plain(passages[quote.passage - 1].text):
            yield f"passage {quote.passage} does not say {quote.words!r}"


def cited(answered: Answered, passages: Sequence[SearchResult], engine: str) -> Answer:
    """The answer for the client: each passage that was quoted once, in the order of its first quotation."""
    numbers = dict.fromkeys(quote.passage for quote in answered.quotes)
    found = [passages[number - 1] for number in numbers]
    citations = tuple(Citation(path=r.path, start_line=r.start_line, end_line=r.end_line, text=r.text) for r in found)
    return Answer(text=answered.text, citations=citations, engine=engine)


def _plain(text: str) -> str:
    """Without differences of white space: passages break their lines anywhere."""
    return " ".join(text.split())
