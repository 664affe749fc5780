"""One request's way through the stages of the cascade."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from worksite.admin.domain import routing
from worksite.admin.domain.classifier import Reading
from worksite.admin.domain.routes import lacks_repository
from worksite.admin.domain.rules import by_rules
from worksite.admin.reader import Reader, Trouble
from worksite.admin.route_model import Answered
from worksite.common.llm.costs import Costs
from worksite.common.messages import RouteDecision, RouteStage, StageReport, SubmitTask

Clock = Callable[[], float]
"""Seconds; only serves to record what a decision took."""


@dataclass(frozen=True)
class _Passed:
    """A stage that does not decide, and why."""

    reason: str
    outcome: Literal["passed", "stepped_aside", "would_be_asked"] = "passed"


@dataclass
class Cascade:
    """`asking_usd`: what asking a model would cost; None where there is none. `ask`: asks it; None: do not."""

    task: SubmitTask
    reader: Reader | None
    asking_usd: float | None
    ask: Callable[[SubmitTask], Awaitable[Answered]] | None
    clock: Clock
    reports: list[StageReport] = field(default_factory=list[StageReport])
    _costs: Costs = field(default_factory=Costs)
    _reading: Reading | Trouble | None = None

    async def decided(self, *, with_difficulty: bool) -> RouteDecision:
        """By the first stage that is sure; never raises."""
        started = self.clock()
        decision = await self._first()
        difficulty = decision.difficulty
        if difficulty is None and with_difficulty and isinstance(reading := await self._read(), Reading):
            difficulty = reading.difficulty
        uses = self._costs.uses
        lacking = "; the task would ask for a repository" if lacks_repository(decision.route, self.task.project) else ""
        return decision.model_copy(
            update={
                "reason": decision.reason + lacking,
                "difficulty": difficulty,
                "latency_ms": round((self.clock() - started) * 1000, 3),
                "cost_usd": sum(use.cost_micro_usd for use in uses) / 1e6,
                "model_use": uses,
            }
        )

    async def _first(self) -> RouteDecision:
        stages: tuple[tuple[RouteStage, Callable[[], Awaitable[RouteDecision | _Passed]]], ...] = (
            ("explicit", self._explicit),
            ("rules", self._rules),
            ("classifier", self._classifier),
            ("model", self._model),
        )
        for stage, decide in stages:
            started = self.clock()
            found = await decide()
            self._note(stage, found, self.clock() - started)
            if isinstance(found, RouteDecision):
                return found
        return self._undecided()

    def _undecided(self) -> RouteDecision:
        """Nobody is sure, and nobody is left to ask: the classifier's first guess, if there is one."""
        guess = routing.guess(self._reading) if isinstance(self._reading, Reading) else routing.default()
        if self.reports[-1].outcome == "would_be_asked":
            return guess.model_copy(update={"stage": "model", "reason": self.reports[-1].reason})
        return guess

    async def _explicit(self) -> RouteDecision | _Passed:
        return routing.explicit(self.task) or _Passed("the request names no route")

    async def _rules(self) -> RouteDecision | _Passed:
        return by_rules(self.task) or _Passed("no rule fits")

    async def _classifier(self) -> RouteDecision | _Passed:
        reading = await self._read()
        if not isinstance(reading, Reading):
            return _Passed(reading or "there is none", "stepped_aside")
        return routing.by_classifier(reading, self.asking_usd) or _Passed("not sure enough")

    async def _model(self) -> RouteDecision | _Passed:
        if self.asking_usd is None:
            return _Passed("there is none", "stepped_aside")
        if self.ask is None:
            return _Passed("a model would be asked", "would_be_asked")
        answered = await self.ask(self.task)
        self._costs = answered.costs
        return answered.decision or _Passed(answered.reason, "stepped_aside")

    async def _read(self) -> Reading | Trouble | None:
        """Asked for once."""
        if self._reading is None and self.reader:
            self._reading = await self.reader.read(self.task.request)
        return self._reading

    def _note(self, stage: RouteStage, found: RouteDecision | _Passed, seconds: float) -> None:
        outcome = found.outcome if isinstance(found, _Passed) else "decided"
        probabilities = dict(self._reading.routes) if isinstance(self._reading, Reading) else {}
        self.reports.append(
            StageReport(
                stage=stage,
                outcome=outcome,
                reason=found.reason,
                latency_ms=round(seconds * 1000, 3),
                probabilities=probabilities if stage == "classifier" else {},
            )
        )
