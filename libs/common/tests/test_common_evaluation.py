"""Test collections and what is measured on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from worksite.common.retrieval.collections import CollectionError, read_collection
from worksite.common.retrieval.evaluation import Ranking, Way, evaluate, table

CORPUS = {
    "d1": "Refresh tokens are rotated on every use.",
    "d2": "Passwords are hashed with argon2.",
    "d3": "The coffee machine is cleaned on Fridays.",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "tiny"
    (root / "qrels").mkdir(parents=True)
    corpus = [{"_id": one, "title": "", "text": text} for one, text in CORPUS.items()]
    queries = [{"_id": "q1", "text": "how are passwords hashed?"}, {"_id": "q2", "text": "nobody judged this"}]
    (root / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (root / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (root / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t2\nq1\tgone\t1\n")
    return root


def test_collection_holds_judged_queries_and_judgements_of_documents_that_are_not_there_too(folder: Path) -> None:
    collection = read_collection(folder)
    assert (collection.name, collection.documents) == ("tiny", CORPUS)
    assert set(collection.queries) == {"q1"}
    assert collection.grades == {"q1": {"d2": 2, "gone": 1}}


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("corpus.jsonl", '{"_id": "a", "text": "x"}\n{"_id": "b"}', "corpus.jsonl:2: not an object with _id and text"),
        ("queries.jsonl", "[1]", "queries.jsonl:1: not an object"),
        ("qrels/test.tsv", "query\tdocument\tgrade\nq1 d1 1", "test.tsv:2: not query, document and grade"),
    ],
)
def test_broken_line_is_named(folder: Path, file: str, text: str, said: str) -> None:
    (folder / file).write_text(text)
    with pytest.raises(CollectionError, match=said):
        read_collection(folder)


def test_folder_that_is_no_collection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"corpus\.jsonl cannot be read"):
        read_collection(tmp_path)


def test_collection_without_a_usable_judgement_is_refused(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tgone\t1\n")
    with pytest.raises(CollectionError, match="no judgement names"):
        read_collection(folder)


@pytest.mark.asyncio
async def test_rows_are_means_of_the_measures_of_each_way(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t2\n")

    async def ask(text: str, way: Way) -> Ranking:
        return Ranking(["d1", "d2"] if way.mode == "sparse" else ["d2"], 1 + way.rerank)

    rows = {row.way: row for row in await evaluate(read_collection(folder), ask, depth=50)}
    assert list(rows) == ["dense", "sparse", "hybrid", "hybrid+rerank"]
    assert (rows["dense"].mrr_at_10, rows["sparse"].mrr_at_10, rows["sparse"].recall) == (1, 0.5, 1)
    printed = table(list(rows.values()))
    assert "| search | nDCG@10 | Recall@50 | MRR@10 | p50 ms |" in printed
    assert "| tiny | sparse | 0.631 | 1.000 | 0.500 | 1 | 1 |" in printed
    assert "| tiny | hybrid+rerank | 1.000 | 1.000 | 1.000 | 2 | 2 |" in printed


@pytest.mark.asyncio
async def test_a_judged_document_that_is_not_there_counts_as_not_found(folder: Path) -> None:
    async def ask(text: str, way: Way) -> Ranking:
        return Ranking(["d2", "d1", "d3"], 1)

    (row, *_) = await evaluate(read_collection(folder), ask, depth=50)
    assert row.recall == 0.5
