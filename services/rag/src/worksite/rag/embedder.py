"""The embedder port: texts to unit vectors. `backends/` holds what computes them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

from worksite.rag.domain.documents import Vector

SHIPPED = Path(__file__).parent / "models" / "embedder-minilm-l6"
"""The model that comes with the engine, for ONNX Runtime."""


def fingerprint(embedder: Embedder) -> str:
    """By which others know whose vectors they have: all that decides about them, and nothing about indexes."""
    parts = f"{embedder.backend}\n{embedder.model_hash}\n{embedder.tokenizer_hash}"
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


class Embedder(Protocol):
    """A loaded model. Blocking, and safe to call from several threads; the same text always gets the same vector.

    `backend`, `model_hash` and `tokenizer_hash` say which vectors it makes, `dimensions` how long they are.
    """

    backend: str
    model_hash: str
    tokenizer_hash: str
    dimensions: int

    def count(self, text: str) -> int:
        """Model tokens of a text, without the special tokens that frame an input."""
        ...

    def embed(self, text: str) -> Vector:
        """The unit vector of a passage, cut at the model's limit."""
        ...

    def embed_query(self, text: str) -> Vector:
        """The unit vector of a question; another one than a passage's where the model tells them apart."""
        ...
