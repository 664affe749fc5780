"""Writes test collections in the layout that `worksite.common.retrieval.collections` reads."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path


def write_collection(
    folder: Path, documents: Mapping[str, str], queries: Mapping[str, str], relevant: Mapping[str, Collection[str]]
) -> None:
    """Texts by document, questions by query, and the documents that answer each; what is there is written over."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    (folder / "corpus.jsonl").write_text(_lines(documents))
    (folder / "queries.jsonl").write_text(_lines(queries))
    rows = (f"{query}\t{one}\t1\n" for query, found in relevant.items() for one in sorted(set(found)))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(rows))
    print(
        f"{folder}: {len(documents)} documents, {len(queries)} queries, {sum(map(len, relevant.values()))} judgements"
    )


def _lines(texts: Mapping[str, str]) -> str:
    return "".join(json.dumps({"_id": one, "text": text}) + "\n" for one, text in texts.items())
