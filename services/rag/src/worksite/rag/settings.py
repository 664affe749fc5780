"""Settings of the RAG engine, beside those that every service has."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode
from worksite.common.settings import ServiceSettings
from worksite.rag.domain.fusion import ALPHA, RERANK_WEIGHT
from worksite.rag.reranking import SECONDS, TOKENS

EMBEDDINGS = "embeddings.sqlite3"
"""The file of remembered embeddings, in STATE_DIR."""


class RagSettings(ServiceSettings):
    """Environment variables (upper case) or files of the same name in SECRETS_DIR."""

    state_dir: Path = Field(default=Path(".worksite/rag"), description="folder of the embedded index; private to rag")
    knowledge_dirs: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="folders whose files every tenant may search, separated by ':'"
    )
    blueprints_dir: Path | None = Field(default=None, description="folder of the blueprints; unset: none")
    rag_backend: Literal["onnx", "sentence-transformers"] = Field(
        default="onnx", description="what computes the models: onnx or sentence-transformers, an extra"
    )
    rag_embedder_path: str | None = Field(
        default=None,
        description="folder or hub name of an embedder; unset: the shipped one, or all-MiniLM-L6-v2 from a hub",
    )
    rag_embedder_threads: int = Field(default=2, ge=1, le=64, description="cores that the models may use")
    max_embedding_cache_bytes: int = Field(
        default=512 << 20,
        ge=1 << 20,
        description="disk that remembered embeddings may take; those unused for longest go first",
    )
    rag_alpha: float = Field(default=ALPHA, ge=0, le=1, description="weight of the cosine against BM25, hybrid mode")
    rag_reranker: str | None = Field(
        default=None,
        description="folder or hub name of a cross-encoder, or none to use no reranker; unset: the shipped model",
    )
    rag_rerank_weight: float = Field(
        default=RERANK_WEIGHT, ge=0, le=1, description="weight of the reranker against the first stage"
    )
    rag_rerank_seconds: float = Field(
        default=SECONDS, gt=0, le=60, description="age that a search may reach while it is reranked"
    )
    rag_rerank_tokens: int = Field(
        default=TOKENS, ge=256, le=100_000, description="tokens of query and passages that one reranking reads"
    )
    rag_task_results: int = Field(
        default=50,
        ge=0,
        le=1000,
        description="tasks of a tenant whose results are searched, the latest; 0: none",
    )
    rag_collection: str = Field(
        default="worksite",
        pattern="^[a-z0-9_]{1,40}$",
        description="name of the index, in STATE_DIR or on the server",
    )
    qdrant_host: str | None = Field(default=None, description="a Qdrant server; unset: the embedded Qdrant Edge")
    qdrant_port: int = Field(default=6333, ge=1, le=65535, description="its REST port")
    qdrant_api_key: SecretStr | None = Field(default=None, description="its key (a secret); with a key, TLS is used")

    @field_validator("knowledge_dirs", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _folders_have_names_of_their_own(self) -> RagSettings:
        """Paths in the index begin with the folder's name: two of one name would overwrite each other."""
        folders = [*self.knowledge_dirs, *([self.blueprints_dir] if self.blueprints_dir else [])]
        twice = [name for name, times in Counter(folder.resolve().name for folder in folders).items() if times > 1]
        if twice:
            raise ValueError(f"KNOWLEDGE_DIRS and BLUEPRINTS_DIR hold several folders named {', '.join(twice)}")
        return self
