"""What `worksite rag eval` does: a test collection through the public API, and what came of it as a table."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from worksite.cli.client.access import Access
from worksite.cli.client.counting import counting
from worksite.cli.client.gateway import Gateway
from worksite.cli.client.refusals import NotThere
from worksite.cli.commands_knowledge import send
from worksite.cli.knowledge.files import Text
from worksite.cli.session import Session
from worksite.common.messages import document_id
from worksite.common.retrieval.collections import Collection, read_collection
from worksite.common.retrieval.evaluation import WAYS, Ranking, Row, Way, evaluate, table

DEPTH = 100
"""As many passages as `POST /v1/search` gives; a document ranks as its best passage, so they may be of fewer."""
_LONGEST_QUERY = 2000
_FOLDER = "rag-eval"


@dataclass(frozen=True)
class Evaluation:
    """What the command was asked to do."""

    folder: Path
    keep: bool = False


@dataclass(frozen=True)
class Measured:
    """What came of a collection: how well each way to search did, and how long its documents took to be searchable."""

    rows: list[Row]
    chunks: int
    ingest_seconds: float
    asked: int
    reranked: int
    cached: int


@dataclass
class _Asking:
    """Asks the gateway; a document ranks as its best passage."""

    gateway: Gateway
    prefix: str
    asked: int = 0
    cached: int = 0
    reranked: int = 0

    async def ask(self, text: str, way: Way) -> Ranking:
        query = {
            "query": text[:_LONGEST_QUERY],
            "mode": way.mode,
            "rerank": way.rerank,
            "top_k": DEPTH,
            "filters": {"path_prefix": f"{self.prefix}/"},
        }
        answer, milliseconds = await self.gateway.timed_search(query)
        self.asked += 1
        self.cached += answer["cached"]
        self.reranked += answer["reranked"]
        found = dict.fromkeys(str(hit["path"]) for hit in answer["results"])
        return Ranking([_id(path) for path in found], milliseconds)


async def run(evaluation: Evaluation, session: Session) -> None:
    """Ingest, ask every query in every way, print a table, and remove again what was ingested."""
    collection = read_collection(evaluation.folder.resolve())
    measured = await measure(collection, session, evaluation.keep)
    session.screen.tell(table(measured.rows))
    session.screen.tell(
        f"{len(collection.documents)} documents, {len(collection.queries)} queries; "
        f"{measured.reranked} of {len(collection.queries)} reranked in time, "
        f"{measured.cached} of {measured.asked} from the cache. "
        f"Ingested {measured.chunks} chunks in {measured.ingest_seconds:.1f} s."
    )


async def measure(collection: Collection, session: Session, keep: bool = False) -> Measured:
    """Ingest and ask every query in every way, over HTTP. Documents that cannot be indexed are said and left out."""
    prefix = f"{_FOLDER}/{quote(collection.name, safe='')}"
    # Pauses that the rate limit asks for are made quietly: they are part of every longer run.
    async with Gateway(Access.find(session.state), session.tenant) as gateway:
        try:
            began = time.monotonic()
            await _ingest(gateway, collection, prefix, session)
            seconds = time.monotonic() - began
            chunks = await _chunks(gateway, prefix)
            rows, asking = await _asked(gateway, collection, prefix, session)
            return Measured(rows, chunks, seconds, asking.asked, asking.reranked, asking.cached)
        finally:
            if not keep:
                await _remove(gateway, collection, prefix, session)


async def _ingest(gateway: Gateway, collection: Collection, prefix: str, session: Session) -> None:
    texts = [Text(_path(prefix, one), text) for one, text in collection.documents.items() if text.strip()]
    outcome = await send(gateway, texts, (), session)
    for path, reason in sorted(outcome.failed.items()):
        session.screen.say(f"failed   {path}: {reason}")


async def _chunks(gateway: Gateway, prefix: str) -> int:
    async with contextlib.aclosing(gateway.documents("indexed")) as documents:
        return sum([one["chunks"] async for one in documents if one["path"].startswith(f"{prefix}/")])


async def _asked(gateway: Gateway, collection: Collection, prefix: str, session: Session) -> tuple[list[Row], _Asking]:
    asking = _Asking(gateway, prefix)
    with counting(session.screen.progress, "asking", len(collection.queries) * len(WAYS)) as reached:

        async def ask(text: str, way: Way) -> Ranking:
            ranking = await asking.ask(text, way)
            reached(asking.asked)
            return ranking

        return await evaluate(collection, ask, DEPTH), asking


async def _remove(gateway: Gateway, collection: Collection, prefix: str, session: Session) -> None:
    with counting(session.screen.progress, "removing", len(collection.documents)) as reached:
        for done, one in enumerate(collection.documents, 1):
            with contextlib.suppress(NotThere):
                await gateway.remove_document(document_id(_path(prefix, one)))
            reached(done)


def _path(prefix: str, document: str) -> str:
    """An id may be anything; a part of a path may be neither `.` nor `..`, hence the letter in front."""
    return f"{prefix}/d{quote(document, safe='')}"


def _id(path: str) -> str:
    return unquote(path.rsplit("/", 1)[1].removeprefix("d"))
