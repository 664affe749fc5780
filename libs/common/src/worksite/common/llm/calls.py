"""Model calls of one step: journaled, within budget, at the fleet's pace, tried again, counted.

    known? -> claim -> reserve -> wait for a moment -> call -> write down -> settle -> use

In this order, so that whatever is cut off in between is neither paid twice nor forgotten.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import TypeVar

from pydantic import ValidationError
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus
from worksite.common.errors import MalformedMessage
from worksite.common.llm import genai
from worksite.common.llm.budgets import BudgetLimits, Budgets
from worksite.common.llm.conversation import Completion, ModelRequest, ToolResult, ToolUse
from worksite.common.llm.costs import Charge, Costs, JournaledCall
from worksite.common.llm.errors import BudgetExceeded, ModelRequestRefused, ModelUnavailable, UnknownPrice
from worksite.common.llm.governor import Governor, Pass
from worksite.common.llm.journal import Found, Journal, Place
from worksite.common.llm.port import Heard, LanguageModel
from worksite.common.llm.pricing import Prices, micro_usd
from worksite.common.llm.retrying import Retries
from worksite.common.llm.usage import Usage
from worksite.common.messages import Model, StepCommand
from worksite.common.worker import StepContext

_BYTES_PER_TOKEN = 3.0
"""A first guess; the provider's own count of the call before is better."""
_COUNT_MARGIN = Decimal("1.1")
_UNSENT = frozenset({"rate_limited", "overloaded", "server_error", "connection"})
"""Troubles that cost nothing unless the reply had begun."""
_WORTH_TELLING_SECONDS = 2.0
M = TypeVar("M", bound=Model)
Tell = Callable[[str], Awaitable[None]]
"""Takes a line for the person who waits."""


async def _nobody(_: str) -> None:
    """Listens."""


@dataclass(frozen=True)
class Terms:
    """What holds for all calls of a process. `provider`: its name in traces."""

    model: LanguageModel
    prices: Prices
    governor: Governor
    retries: Retries = field(default_factory=Retries)
    patience_seconds: float = 120.0
    """How long a call waits for its moment before the step is handed back."""
    provider: str = "anthropic"
    server: str = "an unnamed address"
    """Where it is, as people are told."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: random.Random = field(default_factory=random.Random)


@dataclass(frozen=True)
class _Try:
    """One try at a call. `name` is that of its reservation, and no other holder's: one that was taken over may still
    settle its own. `charges` are those of all tries at the call."""

    request: ModelRequest
    name: str
    reserved_at: datetime
    charges: list[Charge]


class StepCalls:
    """The calls of one step, in order. Make it anew whenever the step is taken up, and `open` it first."""

    def __init__(
        self, terms: Terms, journal: Journal, budgets: Budgets, costs: Costs, task: str, tell: Tell = _nobody
    ) -> None:
        """Fills in `costs`, for the step's result. `tell`: what a call waits for, whenever that changes."""
        self._terms, self._journal, self._budgets, self._task = terms, journal, budgets, task
        self._costs = costs
        self._last: tuple[int, Usage] | None = None
        self._tell, self._waits_for = tell, ""

    @property
    def server(self) -> str:
        """Where the models are, for people."""
        return self._terms.server

    async def open(self) -> None:
        """Read the journal; settle what an earlier holder did not, at its worst where nobody knows what came of it.

        Raises BusUnavailable, MalformedMessage.
        """
        await self._journal.load()
        if last := await self._journal.last_call():
            await self._settle(_read(JournaledCall, last))
        await self._budgets.forsake(self._terms.now())

    async def ask(self, request: ModelRequest, heard: Heard | None = None) -> Completion:
        """The reply, from the journal where it is known.

        Raises UnknownPrice, BudgetExceeded, ModelRequestRefused; ModelUnavailable when the provider is not to be had
        (the step is best handed back); Fenced, BusUnavailable, MalformedMessage.
        """
        request = self._within(request)
        if found := await self._journal.begin(request.digest):
            call = _read(JournaledCall, found)
            genai.replayed(request.model)
        else:
            call, given = await self._made(request, heard)
            try:
                await self._journal.complete(request.digest, call.model_dump_json())
            finally:  # it was paid, also where it came too late to be written down
                await asyncio.gather(self._terms.governor.settle(given, call.completion.usage), self._settle(call))
        for charge in call.charges:
            self._costs.add(charge)
        self._last = len(request.canonical()), call.completion.usage
        return call.completion

    def knows(self, request: ModelRequest) -> bool:
        """Would the journal answer this now? Where one of several requests will do, another one would lose its reply.

        Raises UnknownPrice.
        """
        return self._journal.knows(self._within(request).digest)

    def _within(self, request: ModelRequest) -> ModelRequest:
        return request.within(self._terms.prices.row(request.model).max_output_tokens)

    async def _settle(self, call: JournaledCall) -> None:
        await self._budgets.settle(call.reservation, call.charges[-1].micro_usd, call.reserved_at)

    async def use(self, tool: ToolUse, run: Callable[[], Awaitable[ToolResult]], *, repeat: bool = False) -> ToolResult:
        """A tool's result, from the journal where it is known. `repeat`: run it again all the same, because it changes
        what later ones build on and does so in the same way each time, as an edit of a file; its result stays.
        """
        digest = hashlib.sha256(tool.model_dump_json().encode()).hexdigest()
        if found := await self._journal.ran(digest):
            if repeat:
                await run()
            return _read(ToolResult, found)
        result = await run()
        await self._journal.record(digest, result.model_dump_json())
        return result

    async def _made(self, request: ModelRequest, heard: Heard | None) -> tuple[JournaledCall, Pass]:
        """With as many tries as it takes, or as there are."""
        charges: list[Charge] = []
        for tried in range(1, self._terms.retries.tries + 1):
            name = f"{self._journal.holder}.{self._journal.position}.{tried}"
            attempt = _Try(request, name, self._terms.now(), charges)
            try:
                made = await self._tried(attempt, heard)
            except ModelUnavailable as error:
                wait = self._terms.retries.wait_after(error, tried, self._terms.chance)
                await self._told(error, tried, wait)
                if wait is None:
                    for charge in charges:
                        self._costs.add(charge)
                    raise
                await self._terms.sleep(wait)
            else:
                await self._waits("")
                return made
        raise AssertionError("the last try ends in a reply or in an error")

    async def _told(self, error: ModelUnavailable, tried: int, wait: float | None) -> None:
        reason = f"waiting for the model's provider at {self.server}: {error.reason}"
        tries = f"tried {tried} times; the step is taken up again in a while"
        await self._waits(reason, f"; {tries if wait is None else 'trying again'}", again=wait is None)

    async def _waits(self, reason: str, more: str = "", *, again: bool = False) -> None:
        """Told once per change."""
        if reason != self._waits_for or again:
            await self._tell(f"{reason}{more}" if reason else f"the model's provider at {self.server} answers again")
        self._waits_for = reason

    async def _tried(self, attempt: _Try, heard: Heard | None) -> tuple[JournaledCall, Pass]:
        """A call that is cancelled counts at its worst: nobody knows whether it is billed."""
        terms, request = self._terms, attempt.request
        try:
            worst = await self._reserved(attempt)
            given = await self._admitted(request)
        except BaseException:  # cancelled too: nothing was sent
            await self._free(attempt)
            raise
        with genai.calling(request, terms.provider, self._task) as call:
            try:
                completion = await terms.model.reply(request, heard)
            except ModelUnavailable as error:
                call.failed(error.trouble)
                await self._without_reply(attempt, given, worst, error)
                raise
            except ModelRequestRefused as error:
                call.failed(error.kind)
                await terms.governor.settle(given, None)
                await self._free(attempt)
                raise
            except asyncio.CancelledError:
                call.failed("cancelled")
                await self._budgets.settle(attempt.name, worst, attempt.reserved_at, in_doubt=True)
                raise
            call.answered(completion)
        self._charge(attempt, completion.id, completion.usage, self._cost(request.model, completion.usage, worst))
        return JournaledCall(
            completion=completion,
            charges=tuple(attempt.charges),
            reservation=attempt.name,
            reserved_at=attempt.reserved_at,
        ), given

    async def _admitted(self, request: ModelRequest) -> Pass:
        started = time.monotonic()
        try:
            return await self._terms.governor.admit(
                request.model,
                self._expected_input(request),
                request.max_tokens,
                self._terms.patience_seconds,
                partial(self._held_back, request.model),
            )
        finally:
            genai.waited(request.model, time.monotonic() - started)

    async def _held_back(self, model: str, seconds: float) -> None:
        if seconds >= _WORTH_TELLING_SECONDS:
            await self._tell(f"waiting {seconds:.0f} s: {model} at {self.server} is kept to its pace")

    async def _without_reply(self, attempt: _Try, given: Pass, worst: int, error: ModelUnavailable) -> None:
        """Free; or its prompt is known and its output is not; or nothing is known, and it counts at its worst."""
        governor, model = self._terms.governor, attempt.request.model
        await governor.settle(given, error.usage)
        if error.trouble == "rate_limited" and error.retry_after_seconds:
            await governor.pause(model, error.retry_after_seconds)
        if error.usage is None and error.trouble in _UNSENT:
            await self._free(attempt)
            return
        cost = Decimal(worst) / 1_000_000
        if error.usage:
            most = error.usage.model_copy(update={"output_tokens": attempt.request.max_tokens})
            cost = self._cost(model, most, worst)
        charge = self._charge(attempt, error.response_id, error.usage or Usage(complete=False), cost, doubtful=True)
        await self._budgets.settle(attempt.name, charge.micro_usd, attempt.reserved_at, in_doubt=True)

    def _charge(
        self, attempt: _Try, response_id: str | None, usage: Usage, cost: Decimal, *, doubtful: bool = False
    ) -> Charge:
        model, amount = attempt.request.model, micro_usd(cost)
        charge = Charge(
            response_id=response_id,
            model=model,
            usage=usage,
            micro_usd=amount,
            used=not doubtful,
            doubtful=doubtful,
        )
        attempt.charges.append(charge)
        genai.charged(model, usage, amount)
        return charge

    def _cost(self, model: str, usage: Usage, worst: int) -> Decimal:
        """A reply is never lost because it came in a tier or from a place that has no price: it costs the worst."""
        try:
            return self._terms.prices.cost(model, usage)
        except UnknownPrice:
            return Decimal(worst) / 1_000_000

    async def _free(self, attempt: _Try) -> None:
        await self._budgets.settle(attempt.name, 0, attempt.reserved_at)

    async def _reserved(self, attempt: _Try) -> int:
        """What this call can cost at worst. A token is at least a byte, so that is what is reserved; only where the
        budget has no room for that is the provider asked to count, which takes a round trip."""
        request = attempt.request
        worst = self._worst(request, len(request.canonical()))
        try:
            await self._budgets.reserve(attempt.name, worst, attempt.reserved_at)
        except BudgetExceeded:
            worst = self._worst(request, int(await self._terms.model.count_tokens(request) * _COUNT_MARGIN))
            try:
                await self._budgets.reserve(attempt.name, worst, attempt.reserved_at)
            except BudgetExceeded as error:
                genai.overdrawn(error.scope)
                raise
        return worst

    def _worst(self, request: ModelRequest, prompt_tokens: int) -> int:
        return micro_usd(self._terms.prices.at_most(request.model, prompt_tokens, request.max_tokens))

    def _expected_input(self, request: ModelRequest) -> int:
        """What will not come from the cache: of a conversation that goes on, what is new."""
        size = len(request.canonical())
        if self._last is None:
            return round(size / _BYTES_PER_TOKEN)
        before, used = self._last
        ratio = before / max(1, used.prompt_tokens)
        cached = used.prompt_tokens if used.cache_read_tokens + used.cache_write_tokens else 0
        return max(1, round(size / ratio) - cached)


@dataclass(frozen=True)
class ModelCalls:
    """What a service needs to open the calls of its steps."""

    bus: Bus
    service: str
    terms: Terms
    limits: BudgetLimits

    async def of(self, command: StepCommand, context: StepContext) -> StepCalls:
        """The calls of the step that is being handled. Raises BusUnavailable, MalformedMessage."""
        place = Place(command.tenant, command.task, self.service, command.step)
        return await self.at(place, context.artifacts, context.costs, context.holder, context.holds, context.progress)

    async def at(
        self,
        place: Place,
        artifacts: Artifacts,
        costs: Costs,
        holder: str,
        holds: Callable[[], Awaitable[bool]],
        tell: Tell = _nobody,
    ) -> StepCalls:
        """The calls of a step that is no agent's. Raises BusUnavailable, MalformedMessage."""
        journal = Journal(self.bus, artifacts, place, holder, holds)
        budgets = Budgets(self.bus, self.limits, place.tenant, place.task, place.step)
        calls = StepCalls(self.terms, journal, budgets, costs, place.task, tell)
        await calls.open()
        return calls


def _read(model: type[M], found: Found) -> M:
    """What the journal keeps of a call or a tool. Raises MalformedMessage."""
    try:
        return model.model_validate_json(found.body)
    except ValidationError as error:
        raise MalformedMessage(f"what the journal knows of this step cannot be read: {error}") from error
