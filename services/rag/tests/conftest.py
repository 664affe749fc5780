"""The shipped model, loaded once, a corpus small enough to index in a moment, and a client that sends documents."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, Envelope, KeyValue
from worksite.common.messages import (
    ArtifactRef,
    DocumentEntry,
    DocumentFile,
    DocumentText,
    IndexDocuments,
    TaskEntry,
    document_id,
)
from worksite.common.messages.sources import ProjectSource
from worksite.common.testing import examples
from worksite.rag.backends.onnx import OnnxEmbedder, OnnxPairModel
from worksite.rag.domain.documents import Document, Vector
from worksite.rag.embedder import SHIPPED, Embedder
from worksite.rag.index import Indexer
from worksite.rag.keeper import Keeper
from worksite.rag.reranker import SHIPPED as SHIPPED_RERANKER
from worksite.rag.reranker import CrossEncoder
from worksite.rag.stores.edge import EdgeStore, open_edge_store
from worksite.rag.stores.sparse import SparseEncoder

FINGERPRINT = "0123456789abcdef"
RERANKER_WEIGHTS = Path(__file__).parents[1] / "tools" / "reranker-minilm-l6" / "model.safetensors"


class _RecordingEmbedder(OnnxEmbedder):
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


@pytest.fixture(scope="session")
def cross_encoder() -> CrossEncoder:
    """The shipped reranker."""
    return CrossEncoder(OnnxPairModel(SHIPPED_RERANKER, threads=1))


@pytest.fixture(scope="session")
def hub_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped reranker in the layout of `cross-encoder/ms-marco-MiniLM-L-6-v2`, which has more than one file."""
    folder = tmp_path_factory.mktemp("ms-marco")
    (folder / "onnx").mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).symlink_to(SHIPPED_RERANKER / name)
    (folder / "model.safetensors").symlink_to(RERANKER_WEIGHTS)
    (folder / "onnx" / "model_quint8_avx2.onnx").symlink_to(next(SHIPPED_RERANKER.glob("*.onnx")))
    for name in ("", "_O1", "_O2", "_O3", "_O4", "_qint8_arm64", "_qint8_avx512", "_qint8_avx512_vnni"):
        (folder / "onnx" / f"model{name}.onnx").write_bytes(b"another one")
    return folder


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


@pytest.fixture
def keeper(bus: Bus, indexer: Indexer) -> Keeper:
    return Keeper(KeyValue(bus, subjects.DOCUMENTS), Artifacts(bus, store=subjects.KNOWLEDGE), indexer)


def zipped(files: Mapping[str, str]) -> bytes:
    """An archive of these files."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return whole.getvalue()


@dataclass
class Client:
    """Does to the bus what the gateway does for a client: text, then row, then hint."""

    bus: Bus
    tenant: str = "acme"
    clock: datetime = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    @property
    def rows(self) -> KeyValue:
        return KeyValue(self.bus, subjects.DOCUMENTS)

    @property
    def texts(self) -> Artifacts:
        return Artifacts(self.bus, store=subjects.KNOWLEDGE)

    async def send(self, path: str, text: str, *tags: str, blob: bytes | None = None) -> str:
        """Write text and row, as sent a second after whatever was sent before; returns the id."""
        self.clock += timedelta(seconds=1)
        whole = DocumentText(tenant=self.tenant, path=path, text=text, submitted_at=self.clock).to_json()
        ref = await self.texts.put(whole if blob is None else blob, "application/json")
        await self.write(path, ref, *tags)
        return document_id(path)

    async def send_file(self, path: str, content: bytes) -> str:
        """The same for a file to convert."""
        whole = DocumentFile.of(self.tenant, path, content, self.clock + timedelta(seconds=1))
        return await self.send(path, "", blob=whole.to_json())

    async def write(self, path: str, text: ArtifactRef, *tags: str) -> None:
        """The row alone."""
        row = DocumentEntry(
            tenant=self.tenant,
            id=document_id(path),
            path=path,
            tags=tags,
            text=text,
            state="queued",
            submitted_at=self.clock,
        )
        found = await self.rows.get(f"{self.tenant}.{row.id}")
        if found:
            await self.rows.update(found.key, row.to_json(), found.revision)
        else:
            await self.rows.create(f"{self.tenant}.{row.id}", row.to_json())

    async def finish(self, task: str, files: Mapping[str, str], project: ProjectSource, **changes: Any) -> str:
        """What a task leaves that was completed a second after whatever happened before; returns its id."""
        self.clock += timedelta(seconds=1)
        artifacts, state = Artifacts(self.bus), examples.task_state()
        assert state.spec
        assert state.changeset
        assert state.judgement
        spec, report = [await artifacts.put(f"# {what} of {task}\n".encode(), "text/markdown") for what in "SR"]
        branch = await artifacts.put(zipped(files), "application/zip")
        state = state.model_copy(
            update={
                "task": task,
                "tenant": self.tenant,
                "project": project,
                "updated_at": self.clock,
                "spec": state.spec.model_copy(update={"document": spec, "title": f"Task {task}"}),
                "judgement": state.judgement.model_copy(update={"verdict": "PASS", "document": report}),
                "changeset": state.changeset.model_copy(update={"archive": branch}),
            }
            | changes
        )
        row = TaskEntry(state=state, submitted=examples.submit_task(), sequence=7)
        await KeyValue(self.bus, subjects.TASKS).create(f"{self.tenant}.{task}", row.to_json())
        return task

    async def delete(self, path: str) -> str:
        found = await self.rows.get(f"{self.tenant}.{document_id(path)}")
        assert found
        row = DocumentEntry.consume(found.value).model_copy(update={"state": "deleting"})
        await self.rows.update(found.key, row.to_json(), found.revision)
        return row.id

    async def row(self, path: str) -> DocumentEntry | None:
        found = await self.rows.get(f"{self.tenant}.{document_id(path)}")
        return DocumentEntry.consume(found.value) if found else None

    async def hint(self, *ids: str) -> None:
        message = IndexDocuments(tenant=self.tenant, documents=ids)
        envelope = Envelope(message.ce_type(), "gateway", self.tenant, "knowledge")
        await self.bus.publish(subjects.work_subject("rag", self.tenant), message, envelope)

    async def blobs(self) -> int:
        """Messages in the object store: two of each small text."""
        return (await self.bus.jetstream.stream_info("OBJ_knowledge")).state.messages


@pytest.fixture
def client(bus: Bus) -> Client:
    return Client(bus)
