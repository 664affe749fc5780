"""Answers quote what is relevant and say nothing of their own."""

from __future__ import annotations

from worksite.architect.domain.answers import MAX_PASSAGES, MIN_COSINE, answer_from
from worksite.common.messages import Scores, SearchResult


def passage(text: str, cosine: float | None, path: str = "notes/ops.md") -> SearchResult:
    return SearchResult(
        path=path,
        start_line=3,
        end_line=4,
        text=text,
        score=0.9,
        scores=Scores(dense=cosine, sparse=7.5),
        kind="document",
    )


def test_an_answer_quotes_passages_with_their_place():
    answer = answer_from([passage("Run `make up`.\n\nThen wait.\n", 0.6), passage("Ports: 8000.", 0.5, "notes/p.md")])
    assert answer is not None
    assert answer.text == (
        "> Run `make up`.\n>\n> Then wait.\n>\n> — notes/ops.md:3-4\n\n> Ports: 8000.\n>\n> — notes/p.md:3-4"
    )
    assert [(c.path, c.start_line, c.end_line) for c in answer.citations] == [
        ("notes/ops.md", 3, 4),
        ("notes/p.md", 3, 4),
    ]
    assert answer.engine == "search"


def test_only_the_best_passages_are_quoted():
    answer = answer_from([passage(f"passage {n}", 0.6) for n in range(9)])
    assert answer is not None
    assert [citation.text for citation in answer.citations] == [f"passage {n}" for n in range(MAX_PASSAGES)]


def test_a_high_rank_alone_is_not_relevance():
    assert answer_from([passage("Sourdough.", MIN_COSINE - 0.01), passage("Unscored.", None)]) is None
    assert answer_from([]) is None


def test_the_phrase_lists_of_a_manifest_are_not_quoted():
    lists = passage('phrases = ["refresh token"]', 0.9, "blueprints/auth-service/blueprint.toml")
    prose = passage("Each refresh token is spent when it is used.", 0.5, "blueprints/auth-service/README.md")
    answer = answer_from([lists, prose])
    assert answer is not None
    assert [citation.path for citation in answer.citations] == ["blueprints/auth-service/README.md"]
    assert answer_from([lists]) is None
