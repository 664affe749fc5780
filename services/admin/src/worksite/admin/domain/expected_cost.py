"""When is it worth asking a model? By what mistakes are expected to cost.

Losses are assumptions in dollars, coarse on purpose: the order of magnitude decides. Work that nobody asked for costs
the model calls of a small design and build; work that was asked for and not done costs a person's time to ask again.
`feature` and `fix` take the same steps, so confusing them costs little; so does `design` for `feature`, whose design
comes first and can be built on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worksite.common.messages import Route

WRONG = 0.30
ALIKE = 0.10
_ALIKE: frozenset[frozenset[Route]] = frozenset({frozenset({"feature", "fix"}), frozenset({"feature", "design"})})

MODEL_ERROR = 0.20
"""Share of the requests that the classifier is unsure of which a small model is taken to get wrong, too. An assumption,
as large as it may be for the cascade to be right about 97 % of what it decides itself, in cross-validation on the train
and dev splits of the labelled requests."""
WAITING = 0.002
"""Dollars that the seconds of a model call cost whoever waits."""


def loss(wanted: Route, taken: Route) -> float:
    """Dollars lost where a request for one route takes another."""
    if wanted == taken:
        return 0.0
    return ALIKE if frozenset({wanted, taken}) in _ALIKE else WRONG


@dataclass(frozen=True)
class Choice:
    """The route of the least expected loss, in dollars, and how probable it is."""

    route: Route
    confidence: float
    expected_loss: float

    def is_worth_asking(self, call_usd: float) -> bool:
        """Is a model's answer, with its price, its time and its own mistakes, cheaper than this choice?"""
        return self.expected_loss > call_usd + WAITING + MODEL_ERROR * WRONG


def choice(probabilities: Mapping[Route, float]) -> Choice:
    """Of the routes, given how probable it is that each is wanted."""

    def expected(taken: Route) -> float:
        return sum(probability * loss(wanted, taken) for wanted, probability in probabilities.items())

    best = min(probabilities, key=lambda route: (expected(route), -probabilities[route]))
    return Choice(best, probabilities[best], expected(best))
