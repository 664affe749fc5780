"""BM25 vectors: the ids of Qdrant's own model, and words found inside identifiers."""

from __future__ import annotations

import pytest
from worksite.rag.stores.sparse import AVERAGE_TERMS, SparseEncoder


def test_term_ids_are_those_of_the_servers_bm25_model(encoder: SparseEncoder) -> None:
    assert encoder.query("running").indices == (243905464,)  # as printed in Qdrant's course text


@pytest.mark.parametrize("identifier", ["refreshToken", "refresh_token", "REFRESH_TOKEN"])
def test_words_inside_identifiers_are_found(encoder: SparseEncoder, identifier: str) -> None:
    words = set(encoder.query("refresh token").indices)
    assert words <= set(encoder.document(identifier).indices)


def test_stop_words_alone_give_an_empty_query(encoder: SparseEncoder) -> None:
    assert encoder.query("the of and").indices == ()


def test_document_weights_follow_the_bm25_formula(encoder: SparseEncoder) -> None:
    k, b, terms, frequency = 1.2, 0.75, 3, 2
    vector = encoder.document("login login password")
    weights = dict(zip(vector.indices, vector.values, strict=True))
    (login,) = encoder.query("login").indices
    length = 1 - b + b * terms / AVERAGE_TERMS
    assert weights[login] == pytest.approx(frequency * (k + 1) / (frequency + k * length), rel=1e-5)
