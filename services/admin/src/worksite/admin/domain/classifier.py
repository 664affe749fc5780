"""A linear classifier of requests: multinomial logistic regression on an embedding and the cues of the wording.

Its weights were trained by `services/admin/tools/train_classifier.py` on the embeddings of one embedder; those of any
other mean nothing to it. Probabilities are calibrated: the weights have a temperature in them (Guo et al., "On
Calibration of Modern Neural Networks", 2017).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Self, TypeVar

from pydantic import Field, model_validator
from worksite.admin.domain import cues
from worksite.admin.domain.routes import NEEDS_CONTENT
from worksite.common.messages import Difficulty, Model, Route

T = TypeVar("T", bound=str)


@dataclass(frozen=True)
class Reading:
    """What the classifier makes of a request."""

    routes: Mapping[Route, float]
    difficulty: Difficulty


class Classifier(Model):
    """The trained file. Weights are one per dimension, one per cue and the constant, in this order."""

    embedder: str = Field(description="fingerprint of the embedder that it was trained with")
    dimensions: int
    cues: tuple[str, ...]
    trained_on: str = Field(description="SHA-256 of the labelled requests")
    routes: dict[Route, tuple[float, ...]]
    difficulties: dict[Difficulty, tuple[float, ...]]

    @model_validator(mode="after")
    def _fits_the_code(self) -> Self:
        if self.cues != cues.NAMES:
            raise ValueError("the cues have changed since the classifier was trained: train it again")
        inputs = self.dimensions + len(self.cues) + 1
        if any(len(weights) != inputs for weights in (*self.routes.values(), *self.difficulties.values())):
            raise ValueError(f"every label needs {inputs} weights")
        return self

    def read(self, request: str, vector: Sequence[float], *, new_project: bool) -> Reading:
        """`vector` is of the embedder named. A new project has nothing to review or fix."""
        inputs = (*vector, *cues.found(request), 1.0)
        possible: dict[Route, tuple[float, ...]] = {
            r: w for r, w in self.routes.items() if not (new_project and r in NEEDS_CONTENT)
        }
        difficulties = _softmax(self.difficulties, inputs)
        return Reading(_softmax(possible, inputs), max(difficulties, key=lambda level: difficulties[level]))


def _softmax(weights: Mapping[T, Sequence[float]], inputs: Sequence[float]) -> dict[T, float]:
    scores = {label: sum(map(mul, row, inputs)) for label, row in weights.items()}
    highest = max(scores.values())
    raised = {label: math.exp(score - highest) for label, score in scores.items()}
    total = sum(raised.values())
    return {label: value / total for label, value in raised.items()}
