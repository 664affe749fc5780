"""Compares the model backends on a test collection: do they rank alike, and how well?

    python services/rag/tools/parity.py COLLECTION EMBEDDER RERANKER

COLLECTION is a folder in the layout of BEIR, EMBEDDER and RERANKER are folders that sentence-transformers loads; ONNX
Runtime computes the shipped models. Dense search is exact, over whole documents; the reranker orders the first 20 that
the shipped embedder found, by itself. Needs the extra `sentence-transformers`; takes minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from worksite.common.retrieval.collections import Collection, read_collection
from worksite.common.retrieval.measures import ndcg
from worksite.rag.backend import Backend
from worksite.rag.embedder import SHIPPED, Embedder
from worksite.rag.loading import backend_named
from worksite.rag.reranker import SHIPPED as SHIPPED_RERANKER
from worksite.rag.reranker import CrossEncoder

RERANKED = 20
PLENTY = 1_000_000
THREADS = 1
ONNX, TORCH = backend_named("onnx"), backend_named("sentence-transformers")

Rankings = Mapping[str, Sequence[str]]
"""Query -> documents, best first."""
Vectors = NDArray[np.float32]


def main() -> None:
    """Embed, rank, rerank, report."""
    collection = read_collection(Path(sys.argv[1]))
    ours, queries = _vectors(ONNX.embedder(SHIPPED, THREADS), collection)
    theirs, their_queries = _vectors(TORCH.embedder(Path(sys.argv[2]), THREADS), collection)
    print(f"embedder: mean cosine {np.sum(ours * theirs, axis=1).mean():.4f} of {len(ours)} documents", flush=True)
    found = _nearest(collection, ours, queries)
    _report("dense", collection, found, _nearest(collection, theirs, their_queries))
    candidates = {query: documents[:RERANKED] for query, documents in found.items()}
    folders = {ONNX: SHIPPED_RERANKER, TORCH: Path(sys.argv[3])}
    reordered = [_reranked(backend, folder, collection, candidates) for backend, folder in folders.items()]
    _report("reranker", collection, *reordered)


def _vectors(embedder: Embedder, collection: Collection) -> tuple[Vectors, Vectors]:
    documents = [embedder.embed(text) for text in collection.documents.values()]
    queries = [embedder.embed_query(text) for text in collection.queries.values()]
    return np.array(documents, dtype=np.float32), np.array(queries, dtype=np.float32)


def _nearest(collection: Collection, documents: Vectors, queries: Vectors) -> Rankings:
    names = list(collection.documents)
    orders = np.argsort(-(queries @ documents.T), axis=1, kind="stable")[:, :100]
    return {query: [names[one] for one in order] for query, order in zip(collection.queries, orders, strict=True)}


def _reranked(backend: Backend, folder: Path, collection: Collection, candidates: Rankings) -> Rankings:
    model = CrossEncoder(backend.pair_model(folder, THREADS))
    return {query: _ordered(model, collection, query, documents) for query, documents in candidates.items()}


def _ordered(model: CrossEncoder, collection: Collection, query: str, documents: Sequence[str]) -> list[str]:
    passages = [("", collection.documents[one]) for one in documents]
    scores = dict(zip(documents, model.score(collection.queries[query], passages, PLENTY), strict=True))
    return sorted(documents, key=scores.__getitem__, reverse=True)


def _report(what: str, collection: Collection, ours: Rankings, theirs: Rankings) -> None:
    shared = fmean(len({*ours[one][:10]} & {*theirs[one][:10]}) / 10 for one in collection.queries)
    good, also = _ndcg(collection, ours), _ndcg(collection, theirs)
    print(f"{what}: nDCG@10 {ONNX.name} {good:.4f}, {TORCH.name} {also:.4f}; of the first 10 shared {shared:.3f}")


def _ndcg(collection: Collection, found: Rankings) -> float:
    return fmean(ndcg(found[query], grades) for query, grades in collection.grades.items())


if __name__ == "__main__":
    main()
