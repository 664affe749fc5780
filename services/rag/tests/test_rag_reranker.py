"""The shipped cross-encoder: what it reads, what it says, and that it can be stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from worksite.rag.inference import ModelError
from worksite.rag.reranker import QUERY_TOKENS, SHIPPED, Attempt, CrossEncoder, DeadlineExceeded

PLENTY = 100_000
HASHED = "Passwords are hashed with argon2 before they are stored."
QUESTION = "how are passwords hashed?"


def score(model: CrossEncoder, query: str, *texts: str, tokens: int = PLENTY) -> list[float]:
    return model.score(query, [("", text) for text in texts], tokens)


def test_passage_that_answers_scores_best(cross_encoder: CrossEncoder) -> None:
    kitchen = "The coffee machine is cleaned on Fridays."
    answer, other = score(cross_encoder, QUESTION, HASHED, kitchen)
    assert answer > other + 1


def test_answer_far_down_a_long_passage_is_read(cross_encoder: CrossEncoder) -> None:
    filler = "nothing of interest stands here " * 200
    found, missing = score(cross_encoder, QUESTION, filler + HASHED + filler, filler)
    assert found > missing + 1


def test_headings_above_a_passage_are_read(cross_encoder: CrossEncoder) -> None:
    passages = [("Tokens > Lifetime", "Fifteen minutes."), ("Kitchen > Breaks", "Fifteen minutes.")]
    tokens, kitchen = cross_encoder.score("how long do tokens live?", passages, PLENTY)
    assert tokens > kitchen


def test_budget_of_tokens_takes_the_first_passages_only(cross_encoder: CrossEncoder) -> None:
    assert len(score(cross_encoder, QUESTION, *[HASHED] * 20, tokens=200)) == 8
    assert score(cross_encoder, QUESTION, HASHED, tokens=1) == []


def test_beginning_of_an_endless_query_leaves_room_for_the_passage(cross_encoder: CrossEncoder) -> None:
    query = f"{QUESTION} " + "and so on " * 500
    answer, other = score(cross_encoder, query, HASHED, "The coffee machine is cleaned on Fridays.")
    assert answer > other
    assert len(query.split()) > QUERY_TOKENS


def test_texts_that_are_odd_get_a_score(cross_encoder: CrossEncoder) -> None:
    assert len(score(cross_encoder, "", "", "漢字 🧪", "\x00", " \n")) == 4


def test_scoring_that_was_ended_raises_instead_of_going_on(cross_encoder: CrossEncoder) -> None:
    attempt = Attempt()
    attempt.end()
    with pytest.raises(DeadlineExceeded):
        cross_encoder.score(QUESTION, [("", HASHED)], PLENTY, attempt)


def test_model_call_under_way_is_ended(cross_encoder: CrossEncoder) -> None:
    class EndedAfterItsFirstLook(Attempt):
        def check(self) -> None:
            super().check()
            self.end()

    with pytest.raises(DeadlineExceeded):
        cross_encoder.score(QUESTION, [("", HASHED)], PLENTY, EndedAfterItsFirstLook())


def test_folder_in_the_layout_of_the_hub_is_loaded(hub_folder: Path, cross_encoder: CrossEncoder) -> None:
    assert score(CrossEncoder(hub_folder, 1), QUESTION, HASHED) == score(cross_encoder, QUESTION, HASHED)


def test_embedder_is_refused_as_a_reranker(tmp_path: Path) -> None:
    embedder = SHIPPED.parent / "embedder-minilm-l6"
    shutil.copy(embedder / "tokenizer.json", tmp_path)
    (tmp_path / "model.onnx").symlink_to(next(embedder.glob("*.onnx")))
    with pytest.raises(ModelError, match="a reranker gives one score for each"):
        CrossEncoder(tmp_path, 1)


def test_folder_of_several_models_without_a_preferred_one_is_refused(tmp_path: Path) -> None:
    for name in ("model_O1.onnx", "model_O2.onnx"):
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match="found 2"):
        CrossEncoder(tmp_path, 1)
