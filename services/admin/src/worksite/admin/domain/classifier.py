"""A linear classifier of requests: multinomial logistic regression on an embedding, cues of the wording and phrases.

Its weights were trained by `services/admin/tools/train_classifier.py` on the embeddings of one embedder; those of any
other mean nothing to it. Probabilities are calibrated: the weights have a temperature in them (Guo et al., "On
Calibration of Modern Neural Networks", 2017).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import mul
from typing import Self, TypeVar

from pydantic import Field, model_validator
from worksite.admin.domain import cues, phrases
from worksite.common.messages import Difficulty, Model, Route

T = TypeVar("T", bound=str)


@dataclass(frozen=True)
class Reading:
    """What the classifier makes of a request."""

    routes: Mapping[Route, float]
    difficulty: Difficulty


class Classifier(Model):
    """The trained file. Weights are one per dimension, one per cue, the constant and one per phrase, in this order."""

    embedder: str = Field(description="fingerprint of the embedder that it was trained with")
    dimensions: int
    cues: tuple[str, ...]
    phrases: tuple[str, ...]
    trained_on: str = Field(description="SHA-256 of the labelled requests")
    routes: dict[Route, tuple[float, ...]]
    difficulties: dict[Difficulty, tuple[float, ...]]

    @model_validator(mode="after")
    def _fits_the_code(self) -> Self:
        if self.cues != cues.NAMES:
            raise ValueError("the cues have changed since the classifier was trained: train it again")
        inputs = self.dimensions + len(self.cues) + 1 + len(self.phrases)
        if any(len(weights) != inputs for weights in (*self.routes.values(), *self.difficulties.values())):
            raise ValueError(f"every label needs {inputs} weights")
        return self

    def read(self, request: str, vector: Sequence[float]) -> Reading:
        """`vector` is of the embedder named."""
        inputs = (*vector, *cues.found(request), 1.0)
        known = [at for phrase in phrases.found(request) if (at := self._places.get(phrase)) is not None]
        known.sort()  # a sum must not depend on the order of a set
        difficulties = _softmax(self.difficulties, inputs, known)
        routes = _softmax(self.routes, inputs, known)
        return Reading(routes, max(difficulties, key=lambda level: difficulties[level]))

    @cached_property
    def _places(self) -> Mapping[str, int]:
        """Where each phrase's weight stands."""
        return {phrase: i for i, phrase in enumerate(self.phrases, self.dimensions + len(self.cues) + 1)}


def _softmax(weights: Mapping[T, Sequence[float]], inputs: Sequence[float], known: Iterable[int]) -> dict[T, float]:
    """`inputs` go with the first weights; those at `known` stand for phrases that are there."""
    scores = {label: sum(map(mul, row, inputs)) + sum(row[at] for at in known) for label, row in weights.items()}
    highest = max(scores.values())
    raised = {label: math.exp(score - highest) for label, score in scores.items()}
    total = sum(raised.values())
    return {label: value / total for label, value in raised.items()}
