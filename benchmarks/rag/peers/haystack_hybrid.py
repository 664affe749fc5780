"""Haystack: the in-memory store, BM25 and embeddings, joined by reciprocal ranks, as its tutorial on hybrid retrieval.

Defaults throughout (passages of 200 words), but no ranker, whose default model is a hub's.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness import DEPTH, Search, embedder, run
from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)


def ingest(documents: Mapping[str, str]) -> tuple[Search, int]:
    store = InMemoryDocumentStore()
    splitter = DocumentSplitter()
    splitter.warm_up()
    texts = [Document(content=text, meta={"document": one}) for one, text in documents.items()]
    passages = splitter.run(documents=texts)["documents"]
    writer = SentenceTransformersDocumentEmbedder(model=embedder(), progress_bar=False)
    writer.warm_up()
    store.write_documents(writer.run(documents=passages)["documents"])
    pipeline = retrieval(store)

    def search(text: str) -> list[str]:
        found = pipeline.run({"embedder": {"text": text}, "sparse": {"query": text}})["joiner"]["documents"]
        return [passage.meta["document"] for passage in found]

    return search, len(passages)


def retrieval(store: InMemoryDocumentStore) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("embedder", SentenceTransformersTextEmbedder(model=embedder(), progress_bar=False))
    pipeline.add_component("dense", InMemoryEmbeddingRetriever(store, top_k=DEPTH))
    pipeline.add_component("sparse", InMemoryBM25Retriever(store, top_k=DEPTH))
    pipeline.add_component("joiner", DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=DEPTH))
    pipeline.connect("embedder", "dense")
    pipeline.connect("dense", "joiner")
    pipeline.connect("sparse", "joiner")
    return pipeline


if __name__ == "__main__":
    run("Haystack", "haystack-ai", ingest)
