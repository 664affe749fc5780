"""Tenants' documents in a running service: messages, what tasks produced and a regular look at everything fill the
backlog.

Whatever is cut off when the service stops, or is killed, is found again at its next start.
"""

from __future__ import annotations

import asyncio

from worksite.common import bus, service, subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus.consumer import Progress
from worksite.rag.backlog import Backlog, Hint
from worksite.rag.converting import Converter
from worksite.rag.inbox import inbox
from worksite.rag.index import Indexer
from worksite.rag.keeper import Keeper
from worksite.rag.measuring import measure
from worksite.rag.reconciling import Reconciler
from worksite.rag.results import Results
from worksite.rag.settings import RagSettings

INDEXING_SECONDS = 120.0
"""Longer than the largest document takes to be cut into chunks; each chunk counts as progress."""


async def keep_documents(
    settings: RagSettings,
    running: service.Running,
    indexer: Indexer,
    converter: Converter,
    stop: asyncio.Event,
    also: Hint | None = None,
) -> None:
    """Until told to stop. `also` is told as well of documents that may have changed."""
    rows, texts = bus.KeyValue(running.bus, subjects.DOCUMENTS), Artifacts(running.bus, store=subjects.KNOWLEDGE)
    backlog = Backlog(Keeper(rows, texts, indexer, converter).settle, indexer.lane.progress, also=also)
    fetching = Progress()
    running.health.alive["consumer"] = lambda: "no fetch for a while" if fetching.stalled() else None
    running.health.alive["indexing"] = lambda: "no progress for a while" if backlog.stalled(INDEXING_SECONDS) else None
    async with asyncio.TaskGroup() as tasks:
        reconciler = Reconciler(rows, texts, indexer.store, backlog)
        endless = [tasks.create_task(work) for work in (backlog.run(), reconciler.run(), measure(indexer.store))]
        if settings.rag_task_results:
            endless.append(tasks.create_task(_results(settings, running, rows, texts, backlog).run()))
        await bus.consume(
            running.bus,
            "WORK",
            "rag",
            inbox(running.bus, backlog),
            concurrency=settings.worker_concurrency,
            stop=stop,
            grace_seconds=settings.grace_seconds,
            progress=fetching,
        )
        for task in endless:
            task.cancel()


def _results(
    settings: RagSettings, running: service.Running, rows: bus.KeyValue, texts: Artifacts, backlog: Backlog
) -> Results:
    tasks, marks = bus.KeyValue(running.bus, subjects.TASKS), bus.KeyValue(running.bus, subjects.LEDGER)
    return Results(tasks, Artifacts(running.bus), rows, texts, marks, backlog, settings.rag_task_results)
