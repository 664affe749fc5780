"""Questions that can be answered together are, as far as they wait: nobody waits for others to come.

While some are answered, those that arrive gather, and the next call takes all of a kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

MOST = 8
"""Questions in one call: a call cannot be interrupted, and others wait for its end."""
Question = TypeVar("Question")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, eq=False)
class _Asked(Generic[Question, Answer]):
    kind: Hashable
    question: Question
    answer: asyncio.Future[Answer]


class Batcher(Generic[Question, Answer]):
    """Asks `answered`, one call at a time, whose answers are in the order of the questions."""

    def __init__(self, answered: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]]) -> None:
        self._answered = answered
        self._waiting: list[_Asked[Question, Answer]] = []
        self._working: asyncio.Task[None] | None = None

    async def ask(self, kind: Hashable, question: Question) -> Answer:
        """The answer to this question, or its own error; it is taken together with none but those of its kind."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        asked = _Asked(kind, question, answer)
        self._waiting.append(asked)
        self._working = self._working or asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        try:
            while batch := self._next():
                await self._settle(batch)
        finally:
            self._working = None

    def _next(self) -> list[_Asked[Question, Answer]]:
        """Those of the kind that has waited for longest, less those whose askers have gone."""
        self._waiting = [one for one in self._waiting if not one.answer.done()]
        batch = [one for one in self._waiting if one.kind == self._waiting[0].kind][:MOST]
        self._waiting = [one for one in self._waiting if one not in batch]
        return batch

    async def _settle(self, batch: Sequence[_Asked[Question, Answer]]) -> None:
        try:
            answers = await self._answered([one.question for one in batch])
        except Exception as error:
            await self._failed(batch, error)
            return
        for one, answer in zip(batch, answers, strict=True):
            if not one.answer.done():
                one.answer.set_result(answer)

    async def _failed(self, batch: Sequence[_Asked[Question, Answer]], error: Exception) -> None:
        """A question that cannot be answered must not cost the others their answers, so each is asked by itself."""
        if len(batch) > 1:
            for one in batch:
                await self._settle([one])
        elif not batch[0].answer.done():
            batch[0].answer.set_exception(error)
