"""The shipped model, loaded once, and a corpus small enough to index in a moment."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from worksite.rag.domain.documents import Document, Vector
from worksite.rag.embedder import SHIPPED, Embedder
from worksite.rag.index import Indexer
from worksite.rag.sparse import SparseEncoder
from worksite.rag.stores.edge import EdgeStore, open_edge_store

FINGERPRINT = "0123456789abcdef"


class _RecordingEmbedder(Embedder):
    """The shipped model, remembering what it was asked to embed."""

    def __init__(self) -> None:
        super().__init__(SHIPPED, threads=1)
        self.embedded: list[str] = []

    def embed(self, text: str) -> Vector:
        self.embedded.append(text)
        return super().embed(text)


@pytest.fixture(scope="session")
def _loaded() -> _RecordingEmbedder:
    return _RecordingEmbedder()


@pytest.fixture
def embedder(_loaded: _RecordingEmbedder) -> Embedder:
    _loaded.embedded.clear()
    return _loaded


@pytest.fixture
def embedded(embedder: Embedder, _loaded: _RecordingEmbedder) -> list[str]:
    """The texts embedded so far in this test."""
    return _loaded.embedded


@pytest.fixture
def encoder() -> SparseEncoder:
    return SparseEncoder()


@pytest_asyncio.fixture
async def edge_store(tmp_path: Path) -> AsyncGenerator[EdgeStore, None]:
    store = open_edge_store(tmp_path / "worksite", FINGERPRINT)
    yield store
    await store.close()


@pytest.fixture
def indexer(embedder: Embedder, encoder: SparseEncoder, edge_store: EdgeStore) -> Indexer:
    return Indexer(embedder, encoder, edge_store, f"worksite-{FINGERPRINT}")


@pytest.fixture
def corpus() -> list[Document]:
    texts = {
        "docs/tokens.md": "# Tokens\n\nRefresh tokens are rotated on every use.\n\n## Lifetime\n\nFifteen minutes.\n",
        "docs/passwords.md": "# Passwords\n\nPasswords are hashed with argon2 before they are stored.\n",
        "docs/kitchen.md": "# Kitchen\n\nThe coffee machine is cleaned on Fridays.\n",
    }
    return [Document(path, text, "markdown") for path, text in texts.items()]
