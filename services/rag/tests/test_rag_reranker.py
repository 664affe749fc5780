"""What the shipped cross-encoder reads of long passages, headings and queries."""

from __future__ import annotations

from worksite.rag.reranker import QUERY_TOKENS, CrossEncoder

PLENTY = 100_000
HASHED = "Passwords are hashed with argon2 before they are stored."
QUESTION = "how are passwords hashed?"


def score(model: CrossEncoder, query: str, *texts: str) -> list[float]:
    return model.score(query, [("", text) for text in texts], PLENTY)


def test_answer_far_down_a_long_passage_is_read(cross_encoder: CrossEncoder) -> None:
    filler = "nothing of interest stands here " * 200
    found, missing = score(cross_encoder, QUESTION, filler + HASHED + filler, filler)
    assert found > missing + 1


def test_headings_above_a_passage_are_read(cross_encoder: CrossEncoder) -> None:
    passages = [("Tokens > Lifetime", "Fifteen minutes."), ("Kitchen > Breaks", "Fifteen minutes.")]
    tokens, kitchen = cross_encoder.score("how long do tokens live?", passages, PLENTY)
    assert tokens > kitchen


def test_beginning_of_an_endless_query_leaves_room_for_the_passage(cross_encoder: CrossEncoder) -> None:
    query = f"{QUESTION} " + "and so on " * 500
    answer, other = score(cross_encoder, query, HASHED, "The coffee machine is cleaned on Fridays.")
    assert answer > other
    assert len(query.split()) > QUERY_TOKENS
