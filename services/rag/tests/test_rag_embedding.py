"""The `embed` endpoint: a text's vector, with the fingerprint of what made it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from worksite.common.bus import Bus, announce, answer, request
from worksite.common.messages import Embedding, EmbedText
from worksite.rag.embedder import fingerprint
from worksite.rag.embedding import embed_endpoint
from worksite.rag.lane import Lane


@dataclasses.dataclass
class Lengths:
    """Tells passages and questions apart, as some models do."""

    backend: str = "fake"
    model_hash: str = "m1"
    tokenizer_hash: str = "t1"
    dimensions: int = 2

    def count(self, text: str) -> int:
        return len(text.split())

    def embed(self, text: str) -> tuple[float, ...]:
        return (1.0, float(len(text)))

    def embed_query(self, text: str) -> tuple[float, ...]:
        return (0.0, float(len(text)))


@pytest.mark.asyncio
async def test_a_text_gets_the_vector_of_a_question_and_the_fingerprint_of_the_embedder(bus: Bus) -> None:
    micro = await announce(bus, "rag", "0.1.0")
    try:
        await answer(micro, "embed", EmbedText, embed_endpoint(Lengths(), Lane()))
        found = await request(bus, "rag", "embed", EmbedText(text="Create\n  auth system"), Embedding)
    finally:
        await micro.stop()

    assert found.vector == (0.0, float(len("Create auth system")))
    assert found.embedder == fingerprint(Lengths())


@pytest.mark.parametrize("change", [{"backend": "other"}, {"model_hash": "m2"}, {"tokenizer_hash": "t2"}])
def test_whatever_decides_about_vectors_changes_the_fingerprint(change: Any) -> None:
    assert fingerprint(dataclasses.replace(Lengths(), **change)) != fingerprint(Lengths())
