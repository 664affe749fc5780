"""The figures of a run. Calibration: expected calibration error over ten bins (Naeini et al., 2015)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median, quantiles

from worksite.cli.routing.labelled import Labelled
from worksite.common.messages import Difficulty, Route, RouteStage

BINS = 10


@dataclass(frozen=True)
class Answer:
    """What was said about a labelled request. Stage `model`: a model would be asked; the route is the first guess."""

    row: Labelled
    route: Route
    stage: RouteStage
    confidence: float
    difficulty: Difficulty | None
    latency_ms: float
    prompt_tokens: int
    answer_tokens: int

    @property
    def right(self) -> bool:
        """The route."""
        return self.route == self.row.route

    @property
    def needs_model(self) -> bool:
        """Would one be asked?"""
        return self.stage == "model"


@dataclass(frozen=True)
class Bin:
    """Answers whose confidence lies between two tenths."""

    low: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Latency:
    """Milliseconds."""

    p50: float
    p95: float
    mean: float


@dataclass(frozen=True)
class Evaluation:
    """All of it. Accuracies are shares from 0 to 1; None where there was nothing to share."""

    answers: Sequence[Answer]
    accuracy: float | None
    """Of all, first guesses included: as it is where there is no model."""
    accuracy_decided: float | None
    """Of those that were decided without a model."""
    share_model: float
    difficulty: float | None
    """Share of exactly right difficulties, of those that were told."""
    difficulty_near: float | None
    """At most one step off."""
    calibration_error: float
    bins: Sequence[Bin]
    latency: Latency
    """Of those that were decided without a model."""

    def of_stage(self, stage: RouteStage) -> list[Answer]:
        """The answers that this stage decided, or would have to."""
        return [answer for answer in self.answers if answer.stage == stage]


def evaluation(answers: Sequence[Answer]) -> Evaluation:
    """Of at least one answer."""
    decided = [answer for answer in answers if not answer.needs_model]
    bins = _bins(answers)
    told = [answer for answer in answers if answer.difficulty]
    return Evaluation(
        answers=answers,
        accuracy=share(answers, lambda answer: answer.right),
        accuracy_decided=share(decided, lambda answer: answer.right),
        share_model=1 - len(decided) / len(answers),
        difficulty=share(told, lambda answer: _steps_off(answer) == 0),
        difficulty_near=share(told, lambda answer: _steps_off(answer) <= 1),
        calibration_error=sum(b.count * abs(b.confidence - b.accuracy) for b in bins) / len(answers),
        bins=bins,
        latency=_latency([answer.latency_ms for answer in decided] or [0.0]),
    )


def share(answers: Sequence[Answer], holds: Callable[[Answer], bool]) -> float | None:
    """None of nothing."""
    return fmean(map(holds, answers)) if answers else None


def _steps_off(answer: Answer) -> int:
    order: tuple[Difficulty, ...] = ("easy", "medium", "hard")
    assert answer.difficulty
    return abs(order.index(answer.difficulty) - order.index(answer.row.difficulty))


def _bins(answers: Sequence[Answer]) -> list[Bin]:
    """Without empty ones."""
    found: list[Bin] = []
    for i in range(BINS):
        members = [answer for answer in answers if min(int(answer.confidence * BINS), BINS - 1) == i]
        if members:
            confidence = fmean(answer.confidence for answer in members)
            found.append(Bin(i / BINS, len(members), confidence, fmean(answer.right for answer in members)))
    return found


def _latency(milliseconds: list[float]) -> Latency:
    if len(milliseconds) == 1:
        return Latency(milliseconds[0], milliseconds[0], milliseconds[0])
    return Latency(median(milliseconds), quantiles(milliseconds, n=20)[-1], fmean(milliseconds))
