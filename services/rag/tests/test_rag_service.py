"""The process itself: on a real bus, from a folder of files to an answer."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from worksite.common.bus import Bus, request
from worksite.common.errors import Permanent
from worksite.common.ids import SHARED_TENANT
from worksite.common.messages import SearchFilters, SearchRequest, SearchResponse
from worksite.common.service import CANNOT_START
from worksite.common.testing import NatsServer
from worksite.common.testing.nats import free_port
from worksite.rag.backends.onnx import OnnxEmbedder
from worksite.rag.embedder import SHIPPED
from worksite.rag.index import fingerprint_of
from worksite.rag.stores.edge import open_edge_store

LONG = "".join(f"# Heading {n}\n\n{'Some words on the matter. ' * 30}\n\n" for n in range(400))
BLUEPRINTS = Path(__file__).parents[3] / "blueprints"


@asynccontextmanager
async def running(nats: NatsServer, state: Path, **environment: str) -> AsyncGenerator[int, None]:
    """The service as a process; yields its operations port once it is ready."""
    async with started(nats, state, **environment) as port:
        await _answers(port, "/readyz")
        yield port


@asynccontextmanager
async def started(nats: NatsServer, state: Path, **environment: str) -> AsyncGenerator[int, None]:
    """The process with its operations port, ready or not; SIGTERM must end it cleanly."""
    process, port = await _process(nats, state, **environment)
    try:
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def _process(nats: NatsServer, state: Path, **environment: str) -> tuple[asyncio.subprocess.Process, int]:
    port = free_port()
    settings = {"NATS_URL": nats.url, "STATE_DIR": str(state), "OPS_PORT": str(port)} | environment
    command = [sys.executable, "-m", "worksite.rag.main"]
    return await asyncio.create_subprocess_exec(*command, env=os.environ | settings), port


async def _answers(port: int, path: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError):  # urllib raises it both for a closed port and for 503
                await _get(port, path)
                return
            await asyncio.sleep(0.05)


async def _get(port: int, path: str) -> str:
    def fetch() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return reply.read().decode()

    return await asyncio.to_thread(fetch)


async def search(bus: Bus, query: str, **more: object) -> SearchResponse:
    question = SearchRequest.model_construct(tenant="acme", query=query, **more)
    return await request(bus, "rag", "search", question, SearchResponse)


@pytest.mark.asyncio
async def test_files_are_found_over_the_bus_with_citations_and_counted(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "tokens.md").write_text("# Tokens\n\nRefresh tokens are rotated on every use.\n")
    async with running(nats_server, tmp_path / "state", KNOWLEDGE_DIRS=str(notes)) as port:
        answer = await search(bus, "when are refresh tokens rotated?", top_k=1)
        with pytest.raises(Permanent, match="top_k"):
            await search(bus, "x", top_k=1000)
        metrics, state = await _get(port, "/metrics"), await _get(port, "/readyz")
    (result,) = answer.results
    assert (result.path, result.start_line, result.end_line) == ("notes/tokens.md", 1, 3)
    assert (result.kind, result.name, result.heading) == ("document", None, "Tokens")
    assert answer.reranked or answer.rerank_skipped == "deadline"  # a busy machine may be late
    assert answer.timings_ms["total"] > 0
    assert 'rag_searches_total{mode="hybrid",outcome="answered"} 1.0' in metrics
    assert 'rag_search_duration_seconds_count{mode="hybrid",stage="total"} 1.0' in metrics
    assert '"reranker":"shipped"' in state


@pytest.mark.asyncio
async def test_file_saved_while_the_service_runs_is_found_and_a_deleted_one_is_not(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "tokens.md").write_text("# Tokens\n\nRefresh tokens are rotated on every use.\n")

    async def found(*paths: str) -> None:
        async with asyncio.timeout(60):
            while {result.path for result in (await search(bus, "tokens")).results} != set(paths):
                await asyncio.sleep(0.02)

    async with running(nats_server, tmp_path / "state", KNOWLEDGE_DIRS=str(notes)) as port:
        (notes / "rotate.py").write_text("def rotate(tokens):\n    return tokens[::-1]\n")
        await found("notes/tokens.md", "notes/rotate.py")
        (notes / "tokens.md").unlink()
        (notes / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
        await found("notes/rotate.py")
        async with asyncio.timeout(60):
            while "1 files, 1 refused: notes/broken.pdf" not in await _get(port, "/readyz"):
                await asyncio.sleep(0.05)


@pytest.mark.asyncio
async def test_backend_that_is_not_installed_ends_the_start_with_a_line_that_says_how_to_install_it(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('No module named torch')")
    environment = os.environ | {
        "NATS_URL": nats_server.url,
        "STATE_DIR": str(tmp_path / "state"),
        "RAG_BACKEND": "sentence-transformers",
        "PYTHONPATH": str(tmp_path),
    }
    command = [sys.executable, "-m", "worksite.rag.main"]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == CANNOT_START
    assert b"RAG_BACKEND: sentence-transformers is not installed (No module named torch)" in said.splitlines()[-1]
    assert b"pip install --constraint constraints.txt 'services/rag[sentence-transformers]'" in said.splitlines()[-1]


@pytest.mark.asyncio
async def test_stop_while_indexing_ends_the_process_cleanly_before_all_is_indexed(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "long.md").write_text(LONG)
    async with started(nats_server, tmp_path / "state", KNOWLEDGE_DIRS=str(notes)) as port:
        await _answers(port, "/healthz")
        with pytest.raises(OSError, match="503"):
            await _get(port, "/readyz")
    store = open_edge_store(tmp_path / "state" / "worksite", fingerprint_of(OnnxEmbedder(SHIPPED, 1)).digest())
    assert len((await store.revisions(SHARED_TENANT)).get("notes/long.md", {})) < 400
    await store.close()


@pytest.mark.asyncio
async def test_requests_are_matched_to_our_blueprint(nats_server: NatsServer, bus: Bus, tmp_path: Path) -> None:
    async with running(nats_server, tmp_path / "state", BLUEPRINTS_DIR=str(BLUEPRINTS)):
        for asked in ("Create auth system", "user registration with login and logout"):
            answer = await search(bus, asked, filters=SearchFilters(kind="blueprint"), top_k=3)
            assert answer.results[0].name == "auth-service"
            assert answer.results[0].path.startswith("blueprints/auth-service/")


@pytest.mark.asyncio
async def test_killed_while_indexing_a_tenants_document_it_goes_on_at_the_next_start(
    nats_server: NatsServer, bus: Bus, client: Any, tmp_path: Path
) -> None:
    notes, state = tmp_path / "notes", tmp_path / "state"
    notes.mkdir()
    (notes / "tokens.md").write_text("# Tokens\n\nRefresh tokens are rotated on every use.\n")
    text = "".join(f"# Heading {n}\n\n{'Some words on the matter. ' * 20}\n\n" for n in range(40))

    async def some_chunks_can_be_found(least: int) -> None:
        filters = SearchFilters(path_prefix="long.md")
        async with asyncio.timeout(60):
            while len((await search(bus, "matter", filters=filters, top_k=50)).results) < least:
                await asyncio.sleep(0.02)

    process, port = await _process(nats_server, state, KNOWLEDGE_DIRS=str(notes))
    await _answers(port, "/readyz")
    await client.hint(await client.send("long.md", text))
    await some_chunks_can_be_found(1)
    process.kill()
    await process.wait()
    row = await client.row("long.md")
    assert row
    assert row.state == "queued"

    async with running(nats_server, state, KNOWLEDGE_DIRS=str(notes)) as port:
        answer = await search(bus, "when are refresh tokens rotated?", top_k=1)
        assert answer.results[0].path == "notes/tokens.md"
        async with asyncio.timeout(60):
            while row is None or row.state != "indexed":
                await asyncio.sleep(0.05)
                row = await client.row("long.md")
        assert row.chunks == 40
        assert 'rag_ingest_documents_total{outcome="indexed"} 1.0' in await _get(port, "/metrics")
    store = open_edge_store(state / "worksite", fingerprint_of(OnnxEmbedder(SHIPPED, 1)).digest())
    assert (await store.counts())["acme"] == {"long.md": 40}
    await store.close()


@pytest.mark.asyncio
async def test_killed_while_an_index_of_another_model_is_made_the_former_answers_at_once_and_the_rest_is_made(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    notes, state, model = tmp_path / "notes", tmp_path / "state", tmp_path / "model"
    notes.mkdir()
    (notes / "long.md").write_text("".join(f"# Heading {n}\n\nTokens of paragraph {n}.\n\n" for n in range(300)))
    shutil.copytree(SHIPPED, model)
    tokenizer = model / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")  # the same model, under another fingerprint
    settings = {"KNOWLEDGE_DIRS": str(notes), "RAG_RERANKER": "none"}

    async def made(port: int, says: str) -> None:
        async with asyncio.timeout(60):
            while says not in await _get(port, "/readyz"):
                assert (await search(bus, "tokens", rerank=False)).results

    async with running(nats_server, state, **settings):
        pass
    process, port = await _process(nats_server, state, **settings, RAG_EMBEDDER_PATH=str(model))
    await _answers(port, "/readyz")
    await made(port, "rebuilding: ")
    process.kill()
    await process.wait()
    assert len(_shards(state)) == 2
    async with running(nats_server, state, **settings, RAG_EMBEDDER_PATH=str(model)) as port:
        await made(port, '"index":"complete"')
        assert (await search(bus, "tokens", rerank=False)).results
    assert _shards(state) == [fingerprint_of(OnnxEmbedder(model, 1)).digest()]


def _shards(state: Path) -> list[str]:
    return sorted(path.name for path in (state / "worksite").iterdir() if path.is_dir())
