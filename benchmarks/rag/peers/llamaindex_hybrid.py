"""LlamaIndex: a vector index and BM25, fused by reciprocal ranks, as its documentation on hybrid retrieval shows.

Defaults but for two: passages of 256 tokens instead of 1,024, because the embedder reads no more, and no language model
that would write further queries (`num_queries=1`).
"""

from __future__ import annotations

from collections.abc import Mapping

from harness import DEPTH, Search, embedder, run
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.retrievers.bm25 import BM25Retriever


def ingest(documents: Mapping[str, str]) -> tuple[Search, int]:
    splitter = SentenceSplitter(chunk_size=256, chunk_overlap=20)
    nodes = splitter.get_nodes_from_documents([Document(text=text, id_=one) for one, text in documents.items()])
    index = VectorStoreIndex(nodes, embed_model=HuggingFaceEmbedding(model_name=embedder()))
    sides = [
        index.as_retriever(similarity_top_k=DEPTH),
        BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=DEPTH),
    ]
    fused = QueryFusionRetriever(
        sides, llm=MockLLM(), mode="reciprocal_rerank", similarity_top_k=DEPTH, num_queries=1, use_async=False
    )
    return lambda text: [str(found.node.ref_doc_id) for found in fused.retrieve(text)], len(nodes)


if __name__ == "__main__":
    run("LlamaIndex", "llama-index-core", ingest)
