"""The shipped model loads, is deterministic and agrees with the published one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from worksite.rag.domain.documents import DIMENSIONS, Vector
from worksite.rag.embedder import SHIPPED, Embedder
from worksite.rag.inference import ModelError

WEATHER, SUNNY, STADIUM = "The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."
PUBLISHED = {(WEATHER, SUNNY): 0.6660, (WEATHER, STADIUM): 0.1046, (SUNNY, STADIUM): 0.1411}
"""Cosines that the documentation of sentence-transformers prints for the unquantised model."""


def cosine(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(("a", "b"), PUBLISHED)
def test_cosines_agree_with_the_published_unquantised_model(embedder: Embedder, a: str, b: str) -> None:
    assert cosine(embedder.embed(a), embedder.embed(b)) == pytest.approx(PUBLISHED[a, b], abs=0.04)


@pytest.mark.parametrize("text", ["a", "", "word " * 1000, "漢字 🧪"])
def test_vectors_are_of_unit_length(embedder: Embedder, text: str) -> None:
    vector = embedder.embed(text)
    assert len(vector) == DIMENSIONS
    assert math.isclose(cosine(vector, vector), 1, abs_tol=1e-5)


def test_vector_of_a_text_does_not_depend_on_what_was_embedded_before(embedder: Embedder) -> None:
    alone = embedder.embed(WEATHER)
    embedder.embed("word " * 300)
    assert embedder.embed(WEATHER) == alone


def test_tokens_are_counted_beyond_the_models_limit_and_without_special_tokens(embedder: Embedder) -> None:
    assert embedder.count("token " * 400) == 400
    assert embedder.count("") == 0


def test_folder_without_a_model_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"must hold exactly one \*\.onnx file, found 0"):
        Embedder(tmp_path, threads=1)


def test_folder_without_a_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").symlink_to(next(SHIPPED.glob("*.onnx")))
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        Embedder(tmp_path, threads=1)


def test_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    (tmp_path / "tokenizer.json").symlink_to(SHIPPED / "tokenizer.json")
    with pytest.raises(ModelError, match="cannot be loaded"):
        Embedder(tmp_path, threads=1)
