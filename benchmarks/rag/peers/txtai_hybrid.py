"""txtai: `hybrid=True`, which is BM25 and embeddings in one index, weighted half and half.

Defaults throughout. It does not cut texts by itself: its own `Segmentation` does, by paragraphs, as its examples show.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness import DEPTH, Search, embedder, run
from txtai import Embeddings
from txtai.pipeline import Segmentation


def ingest(documents: Mapping[str, str]) -> tuple[Search, int]:
    cut = Segmentation(paragraphs=True)
    passages = [(one, passage) for one, text in documents.items() for passage in cut(text)]
    index = Embeddings(path=embedder(), hybrid=True)
    index.index((at, passage) for at, (_, passage) in enumerate(passages))
    return lambda text: [passages[at][0] for at, _ in index.search(text, DEPTH)], len(passages)


if __name__ == "__main__":
    run("txtai", "txtai", ingest)
