"""How fast is the RAG engine over a large index, and does its event loop ever stand still?

    python benchmarks/rag_speed.py [--chunks N] [--searches N] [--documents N]

Fills an embedded store in a temporary folder with made-up chunks, then asks it and indexes into it from this process,
with the shipped models: what gateway and bus add is not in these times. Every query is another one, so that nothing
comes from a cache. A client asks again as soon as it has its answer. A stall is by how much a timer of 5 ms was late.
Durability is the store's own: a write-ahead log that survives the death of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import itertools
import re
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from rag_synthetic import BATCH, CHUNKS_OF_A_DOCUMENT, Synthetic
from table import machine, milliseconds, print_table
from worksite.common.ids import SHARED_TENANT
from worksite.rag.backends.onnx import OnnxEmbedder, OnnxPairModel
from worksite.rag.domain.chunking import chunk
from worksite.rag.domain.documents import Document
from worksite.rag.domain.queries import Mode, Scope, SearchQuery, SearchResult
from worksite.rag.embedder import SHIPPED
from worksite.rag.index import Indexer
from worksite.rag.lane import Lane
from worksite.rag.reranker import SHIPPED as SHIPPED_RERANKER
from worksite.rag.reranker import CrossEncoder
from worksite.rag.reranking import Reranking
from worksite.rag.search import CANDIDATES, SearchEngine
from worksite.rag.store import VectorStore
from worksite.rag.stores.edge import open_edge_store
from worksite.rag.stores.sparse import SparseEncoder

CORES = 2
TICK_SECONDS = 0.005
SCOPE = Scope("bench")
LONG_CHARACTERS = 1 << 20
EXACT_QUERIES = 20
ROWS: Sequence[tuple[Mode, bool, int]] = (
    ("sparse", False, 1),
    ("sparse", False, 4),
    ("dense", False, 1),
    ("dense", False, 4),
    ("hybrid", False, 1),
    ("hybrid", False, 4),
    ("hybrid", True, 1),
)
T = TypeVar("T")


@dataclass
class Stall:
    """The longest one, in seconds."""

    longest: float = 0.0

    def __str__(self) -> str:
        return f"{self.longest * 1e3:.0f}"


@contextlib.asynccontextmanager
async def watched() -> AsyncGenerator[Stall]:
    """How late a timer is while this is open."""
    stall = Stall()

    async def tick() -> None:
        while True:
            due = time.perf_counter() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            stall.longest = max(stall.longest, time.perf_counter() - due)

    ticking = asyncio.create_task(tick())
    yield stall
    await asyncio.sleep(2 * TICK_SECONDS)
    ticking.cancel()


class Bench:
    """An engine over a store, and questions that nobody has asked before."""

    def __init__(self, store: VectorStore) -> None:
        lane = Lane(CORES)
        self.embedder, encoder = OnnxEmbedder(SHIPPED, threads=1), SparseEncoder()
        self.store = store
        self.synthetic = Synthetic(self.embedder, encoder)
        reranking = Reranking(CrossEncoder(OnnxPairModel(SHIPPED_RERANKER, CORES)))
        self.engine = SearchEngine(self.embedder, encoder, store, lane=lane, reranking=reranking)
        self.indexer = Indexer(self.embedder, encoder, store, "bench", lane)
        self._seeds = itertools.count(10_000)

    async def fill(self, chunks: int) -> None:
        for batch in range(chunks // BATCH):
            await self.store.upsert(SHARED_TENANT, await asyncio.to_thread(self.synthetic.points, batch))

    async def found_of_exact(self, chunks: int) -> float:
        """Of the chunks that are nearest by exact cosines, the share that the store's dense search finds."""
        asked = [self.embedder.embed(self.synthetic.query(seed)) for seed in range(EXACT_QUERIES)]
        vectors = np.array(asked, dtype=np.float32)
        cosines = np.hstack([vectors @ self.synthetic.vectors(batch).T for batch in range(chunks // BATCH)])
        found = [await self.store.dense(SCOPE, vector, CANDIDATES) for vector in asked]
        best = np.argsort(-cosines)[:, :CANDIDATES].tolist()
        right = sum(len({one.int for one in ours} & set(theirs)) for ours, theirs in zip(found, best, strict=True))
        return right / (CANDIDATES * EXACT_QUERIES)

    async def search(self, mode: Mode, rerank: bool) -> tuple[float, SearchResult]:
        query = SearchQuery(self.synthetic.query(next(self._seeds)), SCOPE, mode, rerank=rerank)
        started = time.perf_counter()
        result = await self.engine.search(query)
        return time.perf_counter() - started, result

    async def searches(self, mode: Mode, rerank: bool, clients: int, count: int) -> list[tuple[float, SearchResult]]:
        left, answers = iter(range(count)), list[tuple[float, SearchResult]]()

        async def client() -> None:
            for _ in left:
                answers.append(await self.search(mode, rerank))

        await asyncio.gather(*(client() for _ in range(clients)))
        return answers

    async def ingest(self, documents: Sequence[Document]) -> None:
        """As many side by side as cores, as those of a folder are."""
        left = iter(documents)

        async def settle() -> None:
            for document in left:
                await self.indexer.put(SHARED_TENANT, document)

        await asyncio.gather(*(settle() for _ in range(CORES)))


async def search_rows(bench: Bench, count: int) -> AsyncGenerator[list[str]]:
    for mode, rerank, clients in ROWS:
        await bench.searches(mode, rerank, clients, 20)
        async with watched() as stall:
            started, used = time.perf_counter(), time.process_time()
            answers = await bench.searches(mode, rerank, clients, count)
            seconds, used = time.perf_counter() - started, time.process_time() - used
        name = f"{mode}, reranked" if rerank else mode
        costs = [f"{count / seconds:.0f}", f"{used / count * 1e3:.1f}"]
        yield [name, str(clients), *percentiles(answers), *costs, in_time(answers, rerank), str(stall)]


def percentiles(answers: Sequence[tuple[float, SearchResult]]) -> list[str]:
    took = [seconds for seconds, _ in answers]
    return [f"{milliseconds(took, percentile):.1f}" for percentile in (50, 95)]


def in_time(answers: Sequence[tuple[float, SearchResult]], rerank: bool) -> str:
    reranked = sum(result.skipped is None for _, result in answers)
    return f"{reranked / len(answers):.1%}" if rerank else ""


def stages(answers: Sequence[tuple[float, SearchResult]]) -> str:
    """The median of each."""
    timings = [result.timings_ms for _, result in answers]
    return ", ".join(f"{stage} {statistics.median(one[stage] for one in timings):.1f}" for stage in timings[0])


async def ingest_rows(bench: Bench, documents: int) -> AsyncGenerator[list[str]]:
    chunks = documents * CHUNKS_OF_A_DOCUMENT
    for searching in (False, True):
        made = [bench.synthetic.document(documents * searching + n) for n in range(documents)]
        asking = asyncio.create_task(endless(bench)) if searching else None
        async with watched() as stall:
            started, used = time.perf_counter(), time.process_time()
            await bench.ingest(made)
            seconds, used = time.perf_counter() - started, time.process_time() - used
        if asking:
            asking.cancel()
        name = "chunks of 200 tokens, one client searching" if searching else "chunks of 200 tokens"
        yield [name, f"{chunks / seconds:.1f}", f"{used / chunks * 1e3:.1f}", str(stall)]
    long = bench.synthetic.long_document(LONG_CHARACTERS)
    async with watched() as stall:
        started, used = time.perf_counter(), time.process_time()
        cut = await asyncio.to_thread(chunk, long, bench.embedder.count)
        seconds, used = time.perf_counter() - started, time.process_time() - used
    yield ["1 MiB of Markdown, cut only", f"{len(cut) / seconds:.1f}", f"{used / len(cut) * 1e3:.1f}", str(stall)]


async def endless(bench: Bench) -> None:
    while True:
        await bench.search("hybrid", rerank=False)


def memory() -> str:
    """Of this process and those of its stores, now and at most."""
    started = "".join(file.read_text() for file in Path("/proc/self/task").glob("*/children")).split()
    said = [Path(f"/proc/{pid}/status").read_text() for pid in ("self", *started)]
    sums = (sum(int(re.findall(rf"{name}:\s+(\d+)", one)[0]) for one in said) for name in ("VmRSS", "VmHWM"))
    now, most = (kib / 1024 for kib in sums)
    return f"{now:.0f} MiB of memory, {most:.0f} at most"


async def upkeep_rows(folder: Path) -> AsyncGenerator[list[str]]:
    """What a start and a rebuild do with a whole index, while the service answers."""

    async def timed(what: str, work: Awaitable[T]) -> tuple[T, list[str]]:
        async with watched() as stall:
            started = time.perf_counter()
            done = await work
            seconds = time.perf_counter() - started
        return done, [what, f"{seconds:.2f}", str(stall)]

    store, row = await timed("open the index", asyncio.to_thread(open_edge_store, folder, "0" * 16))
    yield row
    works = {
        "count by path": store.counts(),
        "all revisions": store.revisions(SHARED_TENANT),
        "close the index": store.close(),
    }
    for what, work in works.items():
        yield (await timed(what, work))[1]


async def measure(folder: Path, chunks: int, searches: int, documents: int) -> None:
    store = open_edge_store(folder, "0" * 16)
    bench = Bench(store)
    started = time.perf_counter()
    await bench.fill(chunks)
    print(f"\nrag: {chunks} chunks, filled in {time.perf_counter() - started:.0f} s; {machine()}\n")
    costs = ["searches/s", "processor ms a search, without the store"]
    head = ["search", "clients", "p50 ms", "p95 ms", *costs, "reranked in time", "longest stall ms"]
    print_table(head, [row async for row in search_rows(bench, searches)])
    print(f"\nHybrid, medians in ms: {stages(await bench.searches('hybrid', False, 1, 50))}. {memory()}.")
    print(f"Of the nearest {CANDIDATES} by exact cosine found: {await bench.found_of_exact(chunks):.2%}.\n")
    head = ["ingest", "chunks/s", "processor ms a chunk, without the store", "longest stall ms"]
    print_table(head, [row async for row in ingest_rows(bench, documents)])
    print(f"\n{memory()}, some of it the benchmark's own.\n")
    await store.close()
    print_table(["upkeep", "s", "longest stall ms"], [row async for row in upkeep_rows(folder)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=100_000, help=f"in the index, a multiple of {BATCH}")
    parser.add_argument("--searches", type=int, default=200, help="of each kind")
    parser.add_argument("--documents", type=int, default=50, help=f"to ingest, of {CHUNKS_OF_A_DOCUMENT} chunks each")
    chosen = parser.parse_args()
    gc.freeze()  # as services do
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), chosen.chunks, chosen.searches, chosen.documents))


if __name__ == "__main__":
    main()
