"""The stage of the cascade that asks a language model. Its call is journaled under the task's step `0-route`.

A delivery that comes again after a crash gets the reply from the journal and pays nothing. No ledger tells an admin
whether another one is at the call; so it waits until the reply is there, or the claim older than any call may take.
A task is never held up: what takes too long, is not within the budgets or answers nonsense leaves the decision to the
next stage.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import Field
from worksite.admin.domain.expected_cost import MODEL_ERROR
from worksite.common.artifacts import Artifacts
from worksite.common.errors import Fenced, WorksiteError
from worksite.common.ids import new_id
from worksite.common.llm import Completion, ModelRequest, Prices, parsed, schema_of, user
from worksite.common.llm.calls import ModelCalls, StepCalls
from worksite.common.llm.costs import Costs
from worksite.common.llm.errors import ModelRequestRefused, UnknownPrice
from worksite.common.llm.journal import Place, under_way
from worksite.common.messages import Difficulty, Model, ModelCallSize, Route, RouteDecision, SubmitTask
from worksite.common.messages.base import ROUTE_STEP

log = logging.getLogger(__name__)

_MAX_TOKENS, _THINKING_TOKENS = 300, 2000
"""Of an answer, without thinking and with."""
_BAD_REQUEST = 400
_CHARACTERS_PER_TOKEN = 3
_ANSWER_TOKENS = 60
"""Of a reply in the form asked for, with a reason of twelve words: 170 to 180 characters."""
_LOOK_SECONDS = 0.2
"""Between two looks at a call that another admin makes."""
_CONFIDENCE = 1 - MODEL_ERROR
"""An assumption (`expected_cost.MODEL_ERROR`): what models say of their own certainty is not calibrated."""


class _Routed(Model):
    route: Route
    difficulty: Difficulty
    reason: str = Field(description="at most twelve words")


class _Reply(Model):
    """The four fields of every agent's answer."""

    action: Literal["route"]
    agent: Literal["admin"]
    status: Literal["ok"]
    data: _Routed


def instructions() -> str:
    """The system prompt of this version."""
    return (resources.files("worksite.admin") / "prompts" / "router.md").read_text()


def asked(text: str, model: str, system: str, *, thinking: bool = False) -> ModelRequest:
    """The call for one request: short, and without thinking where the model can do without."""
    return ModelRequest(
        model=model,
        max_tokens=_THINKING_TOKENS if thinking else _MAX_TOKENS,
        system=system,
        turns=(user(text),),
        output=schema_of(_Reply),
        effort="low",
        thinking=None if thinking else "disabled",
    )


def size_of(text: str) -> ModelCallSize:
    """Of a call, estimated; with the schema of the answer, which is part of the prompt."""
    prompt = f"{instructions()}{json.dumps(schema_of(_Reply))}{text}"
    return ModelCallSize(prompt_tokens=len(prompt) // _CHARACTERS_PER_TOKEN, answer_tokens=_ANSWER_TOKENS)


def call_usd(model: str, own_prices: Path | None) -> float:
    """What asking is expected to cost; 0 where no price is known, with which no model is called anyway."""
    prices = Prices.shipped(datetime.now(UTC).date(), own_prices)
    size = size_of("")
    try:
        return float(prices.at_most(model, size.prompt_tokens, size.answer_tokens))
    except UnknownPrice:
        return 0.0


@dataclass(frozen=True)
class Answered:
    """What came of asking: a decision or why there is none, and in either case what it cost."""

    decision: RouteDecision | None
    reason: str
    costs: Costs


class RouteModel:
    """Asks the model of the small tier."""

    def __init__(self, calls: ModelCalls, model: str, seconds: float) -> None:
        self.calls, self._model, self._seconds = calls, model, seconds
        self._system, self._has_to_think = instructions(), False

    async def decide(self, task: SubmitTask) -> Answered:
        """Never raises: there are other stages."""
        costs = Costs()
        try:
            return Answered(await self._asked(task, costs), "", costs)
        except TimeoutError:
            reason = f"no answer within {self._seconds:g} s"
        except WorksiteError as error:
            reason = str(error)
        log.warning("task %s is routed without a model: %s", task.task, reason)
        return Answered(None, reason, costs)

    async def _asked(self, task: SubmitTask, costs: Costs) -> RouteDecision:
        place, clock = Place(task.tenant, task.task, "admin", ROUTE_STEP), asyncio.get_running_loop().time
        patience_ends = clock() + self._seconds
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(patience_ends):
                    await self._until_free(place)
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._decided(task, place, costs)
            except Fenced:
                if clock() >= patience_ends:
                    raise
                log.info("task %s is being routed by another admin", task.task)

    async def _until_free(self, place: Place) -> None:
        """Return when nobody else is at the call: it is not begun, done, or its admin has given up or died.
        The caller bounds how long: the claim has the server's time, and our clock may be wrong."""
        terms = self.calls.terms
        while (since := await under_way(self.calls.bus, place)) and terms.now() - since < timedelta(
            seconds=self._seconds
        ):
            await terms.sleep(_LOOK_SECONDS)

    async def _decided(self, task: SubmitTask, place: Place, costs: Costs) -> RouteDecision:
        calls = await self.calls.at(place, Artifacts(self.calls.bus), costs, new_id(), _not_any_more)
        reply = parsed(await self._reply(calls, task.request), _Reply).data
        return RouteDecision(
            route=reply.route,
            stage="model",
            reason=reply.reason,
            confidence=_CONFIDENCE,
            latency_ms=0.0,
            difficulty=reply.difficulty,
        )

    async def _reply(self, calls: StepCalls, text: str) -> Completion:
        """Some models always think, and refuse a request that forbids it: they are not asked to twice, nor is one whose
        answer with thinking an admin before us has paid."""
        thinking = asked(text, self._model, self._system, thinking=True)
        if not (self._has_to_think or calls.knows(thinking)):
            try:
                return await calls.ask(asked(text, self._model, self._system))
            except ModelRequestRefused as error:
                if error.status != _BAD_REQUEST:
                    raise
                log.info("%s is asked for routes with thinking: %s", self._model, error)
        reply = await calls.ask(thinking)
        self._has_to_think = True
        return reply


async def _not_any_more() -> bool:
    """Asked when another admin has written to the journal: then the call is that one's."""
    return False
