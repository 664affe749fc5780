"""Trains the router's classifier: `python services/admin/tools/train_classifier.py [--check | --cross-validate]`.

Reads the labelled requests beside this file, embeds each as rag would, and writes
`services/admin/src/worksite/admin/weights.json`.

- `requests.jsonl`: each row's split is fixed by a hash of its text. `train` and `dev` are fitted on; `test` is not:
  neither this tool nor whoever writes cues and rules looks at it; `worksite route eval` reports it.
- `requests_training.jsonl`: only ever fitted on.

How strongly weights are held down, what a cue and a phrase count, and the temperatures were chosen by
cross-validation on what is fitted on (`--cross-validate` prints it); requests that resemble each other are in one fold.

Multinomial logistic regression with an L2 penalty, by accelerated gradient descent (Nesterov, 1983).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from worksite.admin.domain import cues, phrases
from worksite.rag.embedder import SHIPPED, Embedder, fingerprint
from worksite.rag.loading import load_embedder

REQUESTS = Path(__file__).with_name("requests.jsonl")
TRAINING = Path(__file__).with_name("requests_training.jsonl")
WEIGHTS = Path(__file__).parents[1] / "src/worksite/admin/weights.json"
CUE_SCALE, CONSTANT, PHRASE_SCALE = 0.4, 0.5, 0.3
PENALTY = 1e-4
TEMPERATURES = {"route": 0.85, "difficulty": 0.8}
SEEN_OFTEN = 2
"""Requests that a phrase must occur in to be counted at all."""
STEPS = 200
DIGITS = 3
FOLDS, ALIKE = 5, 0.72
"""Requests whose vectors' cosine is above `ALIKE` are taken for one idea."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """A request and what it is."""

    request: str
    route: str
    difficulty: str
    split: str


@dataclass(frozen=True)
class Inputs:
    """What the classifier sees, a row for each request.

    `dense`: vector, cues, constant, scaled. `rows` and `columns`: which request has which of the `phrases` phrases.
    """

    dense: Matrix
    rows: NDArray[np.int_]
    columns: NDArray[np.int_]
    phrases: int

    def times(self, weights: Matrix) -> Matrix:
        """Scores, one column for each label."""
        width, height = self.dense.shape[1], len(self.dense)
        said = weights[width:][self.columns]
        of_phrases = [np.bincount(self.rows, column, height) for column in said.T]
        return np.asarray(self.dense @ weights[:width] + PHRASE_SCALE * np.array(of_phrases).T)

    def transposed_times(self, errors: Matrix) -> Matrix:
        """The other way round."""
        sums = [np.bincount(self.columns, column, self.phrases) for column in errors[self.rows].T]
        return np.vstack([self.dense.T @ errors, PHRASE_SCALE * np.array(sums, dtype=np.float64).T])

    def stretch(self) -> float:
        """The largest singular value, squared, by power iteration."""
        direction, size = np.ones((self.dense.shape[1] + self.phrases, 1)), 0.0
        for _ in range(30):
            direction = self.transposed_times(self.times(direction / np.linalg.norm(direction)))
            size = float(np.linalg.norm(direction))
        return size


def split_of(request: str) -> str:
    """Fixed for ever by the text alone."""
    number = int(hashlib.sha256(request.encode()).hexdigest()[:8], 16) % 100
    return "train" if number < 60 else "dev" if number < 75 else "test"


def read_requests(file: Path = REQUESTS) -> list[Labelled]:
    """Raises ValueError for a row whose split is not that of its text."""
    rows = read_rows(file)
    for row in rows:
        if row.split != split_of(row.request):
            raise ValueError(f"{row.request!r} belongs to the split {split_of(row.request)}")
    return rows


def fitted_on() -> list[Labelled]:
    """All that may be learnt from."""
    return [row for row in (*read_requests(), *read_rows(TRAINING)) if row.split != "test"]


def read_rows(file: Path) -> list[Labelled]:
    """Whatever their splits."""
    return [Labelled(**json.loads(line)) for line in file.read_text().splitlines()]


def vocabulary(rows: Sequence[Labelled]) -> tuple[str, ...]:
    """The phrases that occur often enough."""
    counted = Counter(phrase for row in rows for phrase in phrases.found(row.request))
    return tuple(sorted(phrase for phrase, times in counted.items() if times >= SEEN_OFTEN))


def inputs_of(rows: Sequence[Labelled], known: Sequence[str], embedder: Embedder) -> Inputs:
    """`known`: the phrases that are counted."""
    vectors = [embedder.embed_query(" ".join(row.request.split())) for row in rows]
    found = np.array([cues.found(row.request) for row in rows]) * CUE_SCALE
    dense = np.hstack([np.array(vectors), found, np.full((len(rows), 1), CONSTANT)])
    number = {phrase: i for i, phrase in enumerate(known)}
    said = [(i, number[p]) for i, row in enumerate(rows) for p in phrases.found(row.request) if p in number]
    where = np.array(sorted(said))
    return Inputs(dense, where[:, 0], where[:, 1], len(known))


def fitted(inputs: Inputs, wanted: Matrix, penalty: float, kept: NDArray[np.bool_]) -> Matrix:
    """The weights, one column for each label; `wanted` has a 1 for each row's. Rows not `kept` do not count."""
    step = 1 / (0.5 * inputs.stretch() / kept.sum() + penalty)
    weights = ahead = np.zeros((inputs.dense.shape[1] + inputs.phrases, wanted.shape[1]))
    momentum = 1.0
    for _ in range(STEPS):
        errors = (softmax(inputs.times(ahead)) - wanted) * kept[:, None]
        moved = ahead - step * (inputs.transposed_times(errors) / kept.sum() + penalty * ahead)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = moved + (momentum - 1) / following * (moved - weights)
        weights, momentum = moved, following
    return weights


def softmax(scores: Matrix) -> Matrix:
    """Row by row."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def numbered(rows: Sequence[Labelled], label: str) -> tuple[list[str], NDArray[np.int_]]:
    """The labels, and which of them each row has."""
    labels = sorted({getattr(row, label) for row in rows})
    return labels, np.array([labels.index(getattr(row, label)) for row in rows])


def trained(rows: Sequence[Labelled], inputs: Inputs, label: str) -> dict[str, list[float]]:
    """The rounded weights of each label, in terms of unscaled inputs."""
    labels, targets = numbered(rows, label)
    vector = inputs.dense.shape[1] - len(cues.NAMES) - 1
    sizes = (1.0, vector), (CUE_SCALE, len(cues.NAMES)), (CONSTANT, 1), (PHRASE_SCALE, inputs.phrases)
    scale = np.concatenate([np.full(count, size) for size, count in sizes])
    everything = np.ones(len(rows), dtype=np.bool_)
    weights = fitted(inputs, np.eye(len(labels))[targets], PENALTY, everything) * scale[:, None] / TEMPERATURES[label]
    return {name: np.round(weights[:, i], DIGITS).tolist() for i, name in enumerate(labels)}


def train(rows: Sequence[Labelled], embedder: Embedder) -> dict[str, Any]:
    """What belongs into the file of weights."""
    known = vocabulary(rows)
    inputs = inputs_of(rows, known, embedder)
    return {
        "embedder": fingerprint(embedder),
        "dimensions": embedder.dimensions,
        "cues": list(cues.NAMES),
        "phrases": known,
        "trained_on": hashlib.sha256("\n".join(sorted(row.request for row in rows)).encode()).hexdigest(),
        "routes": trained(rows, inputs, "route"),
        "difficulties": trained(rows, inputs, "difficulty"),
    }


def folds_of(vectors: Matrix) -> NDArray[np.int_]:
    """Each row goes where the first row is that it is like."""
    first: list[int] = []
    fold = np.zeros(len(vectors), dtype=np.int_)
    for i, vector in enumerate(vectors):
        alike = vectors[first] @ vector if first else np.zeros(0)
        if len(alike) and alike.max() > ALIKE:
            fold[i] = fold[first[int(alike.argmax())]]
        else:
            fold[i] = len(first) % FOLDS
            first.append(i)
    return fold


def held_out(inputs: Inputs, wanted: Matrix, penalty: float, fold: NDArray[np.int_]) -> Matrix:
    """Scores of each row by weights that were fitted without its fold."""
    scores = np.zeros_like(wanted)
    for out in range(FOLDS):
        scores[fold == out] = inputs.times(fitted(inputs, wanted, penalty, fold != out))[fold == out]
    return scores


def cross_validate(rows: Sequence[Labelled], embedder: Embedder) -> None:
    """Print what the classifier alone reaches, for the penalty in use and its neighbours."""
    inputs = inputs_of(rows, vocabulary(rows), embedder)
    fold = folds_of(inputs.dense[:, : embedder.dimensions])
    for label, temperature in TEMPERATURES.items():
        labels, targets = numbered(rows, label)
        for penalty in (PENALTY / 2, PENALTY, PENALTY * 2):
            scores = held_out(inputs, np.eye(len(labels))[targets], penalty, fold)
            right = (scores.argmax(axis=1) == targets).mean()
            told = softmax(scores / temperature)[np.arange(len(targets)), targets]
            print(f"{label}, penalty {penalty:.0e}: {right:.1%} right, surprise {-np.log(told + 1e-12).mean():.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail where the file would change, instead of writing it")
    parser.add_argument("--cross-validate", action="store_true", help="tell how well it does, instead of writing it")
    arguments = parser.parse_args()
    rows, embedder = fitted_on(), load_embedder(str(SHIPPED), 1)
    if arguments.cross_validate:
        cross_validate(rows, embedder)
        return
    text = json.dumps(train(rows, embedder), separators=(",", ":")) + "\n"
    if arguments.check:
        sys.exit("weights.json is out of date: train again" if text != WEIGHTS.read_text() else 0)
    WEIGHTS.write_text(text)
    print(f"{WEIGHTS}: {len(text)} bytes")


if __name__ == "__main__":
    main()
