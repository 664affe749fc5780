"""Trains the router's classifier: `python services/admin/tools/train_classifier.py [--check]`.

Reads `requests.jsonl` beside this file, embeds each request as rag would, and writes
`services/admin/src/worksite/admin/weights.json`. Three splits, fixed by a hash of the request:

- `train` (60 %): fitted on, while the strength of regularisation and the temperature are chosen;
- `dev` (15 %): these two are chosen on it; then the weights are fitted once more on both;
- `test` (25 %): neither this tool nor whoever writes cues and rules looks at it; `worksite route eval` reports it.

Multinomial logistic regression with an L2 penalty, by accelerated gradient descent (Nesterov, 1983).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from worksite.admin.domain import cues
from worksite.rag.embedder import SHIPPED, Embedder, fingerprint
from worksite.rag.loading import load_embedder

REQUESTS = Path(__file__).with_name("requests.jsonl")
WEIGHTS = Path(__file__).parents[1] / "src/worksite/admin/weights.json"
CUE_SCALE, CONSTANT = 0.4, 0.5
PENALTIES = (5e-5, 1e-4, 5e-4)
TEMPERATURES = tuple(np.round(np.arange(0.2, 2.01, 0.05), 2).tolist())
STEPS = 300
DIGITS = 4

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """A request and what it is."""

    request: str
    route: str
    difficulty: str
    split: str


def split_of(request: str) -> str:
    """Fixed for ever by the text alone."""
    number = int(hashlib.sha256(request.encode()).hexdigest()[:8], 16) % 100
    return "train" if number < 60 else "dev" if number < 75 else "test"


def read_requests(file: Path = REQUESTS) -> list[Labelled]:
    """Raises ValueError for a row whose split is not that of its text."""
    rows = [Labelled(**json.loads(line)) for line in file.read_text().splitlines()]
    for row in rows:
        if row.split != split_of(row.request):
            raise ValueError(f"{row.request!r} belongs to the split {split_of(row.request)}")
    return rows


def inputs_of(rows: Sequence[Labelled], embedder: Embedder) -> Matrix:
    """One row each: the vector, the scaled cues, the constant."""
    vectors = [embedder.embed_query(" ".join(row.request.split())) for row in rows]
    found = np.array([cues.found(row.request) for row in rows]) * CUE_SCALE
    return np.hstack([np.array(vectors), found, np.full((len(rows), 1), CONSTANT)])


def fitted(inputs: Matrix, targets: NDArray[np.int_], labels: int, penalty: float) -> Matrix:
    """The weights, one column for each label."""
    wanted = np.eye(labels)[targets]
    step = 1 / (0.5 * np.linalg.norm(inputs, 2) ** 2 / len(inputs) + penalty)
    weights = ahead = np.zeros((inputs.shape[1], labels))
    momentum = 1.0
    for _ in range(STEPS):
        gradient = inputs.T @ (softmax(inputs @ ahead) - wanted) / len(inputs) + penalty * ahead
        moved = ahead - step * gradient
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = moved + (momentum - 1) / following * (moved - weights)
        weights, momentum = moved, following
    return weights


def softmax(scores: Matrix) -> Matrix:
    """Row by row."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def surprise(probabilities: Matrix, targets: NDArray[np.int_]) -> float:
    """Mean negative log likelihood."""
    return float(-np.log(probabilities[np.arange(len(targets)), targets] + 1e-12).mean())


def trained(rows: Sequence[Labelled], inputs: Matrix, label: str) -> tuple[dict[str, list[float]], dict[str, float]]:
    """The rounded weights of each label, in terms of unscaled inputs, and how they were found."""
    labels = sorted({getattr(row, label) for row in rows})
    targets = np.array([labels.index(getattr(row, label)) for row in rows])
    of = {name: np.array([row.split == name for row in rows]) for name in ("train", "dev")}

    def on_dev(penalty: float, temperature: float) -> float:
        weights = fits[penalty]
        return surprise(softmax(inputs[of["dev"]] @ weights / temperature), targets[of["dev"]])

    fits = {p: fitted(inputs[of["train"]], targets[of["train"]], len(labels), p) for p in PENALTIES}
    penalty, temperature = min(((p, t) for p in PENALTIES for t in TEMPERATURES), key=lambda chosen: on_dev(*chosen))
    both = of["train"] | of["dev"]
    scale = np.concatenate([np.ones(inputs.shape[1] - len(cues.NAMES) - 1), np.full(len(cues.NAMES), CUE_SCALE)])
    scale = np.append(scale, CONSTANT)
    weights = fitted(inputs[both], targets[both], len(labels), penalty) * scale[:, None] / temperature
    found = {"penalty": penalty, "temperature": temperature, "dev_surprise": round(on_dev(penalty, temperature), 3)}
    return {name: np.round(weights[:, i], DIGITS).tolist() for i, name in enumerate(labels)}, found


def train(rows: Sequence[Labelled], embedder: Embedder) -> dict[str, Any]:
    """What belongs into the file of weights. Rows of the test split are not looked at."""
    seen = [row for row in rows if row.split != "test"]
    inputs = inputs_of(seen, embedder)
    routes, how_routes = trained(seen, inputs, "route")
    difficulties, how_difficulties = trained(seen, inputs, "difficulty")
    print(f"routes: {how_routes}; difficulties: {how_difficulties}", file=sys.stderr)
    return {
        "embedder": fingerprint(embedder),
        "dimensions": embedder.dimensions,
        "cues": list(cues.NAMES),
        "trained_on": hashlib.sha256("\n".join(sorted(row.request for row in seen)).encode()).hexdigest(),
        "routes": routes,
        "difficulties": difficulties,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail where the file would change, instead of writing it")
    arguments = parser.parse_args()
    document = train(read_requests(), load_embedder(str(SHIPPED), 1))
    text = json.dumps(document, separators=(",", ":")) + "\n"
    if arguments.check:
        sys.exit("weights.json is out of date: train again" if text != WEIGHTS.read_text() else 0)
    WEIGHTS.write_text(text)
    print(f"{WEIGHTS}: {len(text)} bytes")


if __name__ == "__main__":
    main()
