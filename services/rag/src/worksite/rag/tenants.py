"""Tenants' documents in a running service: messages and a regular look at everything fill the backlog.

Whatever is cut off when the service stops, or is killed, is found again at its next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from worksite.common import bus, service, subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus.consumer import Progress
from worksite.common.settings import ServiceSettings
from worksite.rag.backlog import Backlog
from worksite.rag.inbox import inbox
from worksite.rag.index import Indexer
from worksite.rag.keeper import Keeper
from worksite.rag.reconciling import Reconciler

INDEXING_SECONDS = 120.0
"""Longer than the largest document takes to be cut into chunks; each chunk counts as progress."""


async def keep_documents(
    settings: ServiceSettings,
    running: service.Running,
    indexer: Indexer,
    stop: asyncio.Event,
    also: Callable[[str, str], None] | None = None,
) -> None:
    """Until told to stop. `also` is told as well of documents that may have changed."""
    rows, texts = bus.KeyValue(running.bus, subjects.DOCUMENTS), Artifacts(running.bus, store=subjects.KNOWLEDGE)
    backlog = Backlog(Keeper(rows, texts, indexer).settle, indexer.lane.progress)
    hinted = [backlog.add, also] if also else [backlog.add]
    fetching = Progress()
    running.health.alive["consumer"] = lambda: "no fetch for a while" if fetching.stalled() else None
    running.health.alive["indexing"] = lambda: "no progress for a while" if backlog.stalled(INDEXING_SECONDS) else None
    async with asyncio.TaskGroup() as tasks:
        reconciler = Reconciler(rows, texts, indexer.store, backlog)
        endless = [tasks.create_task(backlog.run()), tasks.create_task(reconciler.run())]
        await bus.consume(
            running.bus,
            "WORK",
            "rag",
            inbox(running.bus, *hinted),
            concurrency=settings.worker_concurrency,
            stop=stop,
            grace_seconds=settings.grace_seconds,
            progress=fetching,
        )
        for task in endless:
            task.cancel()
