"""BM25 sparse vectors without a model: term ids and weights as a Qdrant server's `Qdrant/bm25` gives them.

A document's vector holds the saturated term frequencies; the store multiplies by the inverse document
frequency when it searches, so that adding documents recomputes nothing.
"""

from __future__ import annotations

from qdrant_edge import Bm25, Bm25Config, TokenizerType
from worksite.rag.domain.documents import SparseVector

AVERAGE_TERMS = 64.0
"""The length that BM25 normalises by, in terms; baked into stored weights, hence part of the fingerprint.

The best round value over the collections of `domain/fusion.py`, whose means lie between 25 and 95 terms.
"""

VERSION = f"bm25 code english k=1.2 b=0.75 avg={AVERAGE_TERMS:g}"
"""Part of the index fingerprint."""


class SparseEncoder:
    """BM25 over the code tokenizer, which splits camelCase and snake_case: a gain on code, level on prose."""

    def __init__(self) -> None:
        self._bm25 = Bm25(
            Bm25Config(language="english", tokenizer=TokenizerType.Code, k=1.2, b=0.75, avg_len=AVERAGE_TERMS)
        )

    def document(self, text: str) -> SparseVector:
        """The terms of a text, weighted for the index."""
        vector = self._bm25.embed_document(text)
        return SparseVector(tuple(vector.indices), tuple(vector.values))

    def query(self, text: str) -> SparseVector:
        """The terms of a question, each weighing 1; empty where only stop words are left."""
        vector = self._bm25.embed_query(text)
        return SparseVector(tuple(vector.indices), tuple(vector.values))
