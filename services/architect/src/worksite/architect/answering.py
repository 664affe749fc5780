"""Answers by a language model, from passages of the knowledge base and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from worksite.architect.domain.answering import (
    MAX_PASSAGES,
    Answered,
    QuestionAnswer,
    cited,
    opening,
    quotation_faults,
)
from worksite.architect.domain.answers import is_relevant
from worksite.architect.knowledge import Knowledge
from worksite.common.llm import ModelRequest, user
from worksite.common.llm.agents import Agent, found_once
from worksite.common.llm.calls import ModelCalls
from worksite.common.llm.prompts import Prompt
from worksite.common.messages import Answer, AnswerQuestion, Question, SearchResponse, SearchResult, Tier
from worksite.common.worker import StepContext

MAX_TOKENS = 4000
USUAL_TIER: Tier = "small"
"""Reading a few passages is no difficult work."""


@dataclass(frozen=True)
class Answerer:
    """The model of each tier, and how it is prompted."""

    models: ModelCalls
    model_of: Callable[[Tier], str]
    prompt: Prompt
    knowledge: Knowledge

    async def answer(self, command: AnswerQuestion, question: str, context: StepContext) -> Answer | Question | None:
        """None where no passage is about the question: then no model is asked.

        Raises StepRefused; ModelUnavailable and ServiceUnavailable when it is to be tried again later.
        """
        calls, model = await self.models.of(command, context), self.model_of(command.tier or USUAL_TIER)

        async def find() -> str:
            found = await self.knowledge.passages(command.tenant, question)
            relevant = tuple(result for result in found if is_relevant(result))[:MAX_PASSAGES]
            return SearchResponse(results=relevant, reranked=False, timings_ms={}).model_dump_json()

        passages = SearchResponse.model_validate_json(await found_once(calls, "passages", find)).results
        if not passages:
            return None

        async def faults(answer: QuestionAnswer) -> tuple[str, ...]:
            return tuple(quotation_faults(answer, passages))

        agent = Agent(calls, QuestionAnswer, faults=faults)
        answer = await agent.work(self._request(model, question, passages))
        if isinstance(answer.data, Answered):
            return cited(answer.data, passages, self.prompt.engine(model))
        return answer.data

    def _request(self, model: str, question: str, passages: tuple[SearchResult, ...]) -> ModelRequest:
        turn = user(opening(question, passages))
        return ModelRequest(model=model, max_tokens=MAX_TOKENS, system=self.prompt.text, turns=(turn,))
