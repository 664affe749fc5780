"""Documents to look at, in memory only: their rows say what is to be done, and a new process finds them there."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from prometheus_client import Counter as Metric
from worksite.common.bus.consumer import Progress, backoff
from worksite.common.errors import MalformedMessage
from worksite.rag.keeper import Outcome

log = logging.getLogger(__name__)

_DOCUMENTS = Metric("rag_documents_total", "Documents of tenants that were looked at", ["outcome"])
TENANTS_AT_ONCE = 8
"""Bounds the texts held in memory. The model is shared chunk by chunk, so more would not be faster."""

Settle = Callable[[str, str], Awaitable[Outcome]]


class Backlog:
    """One queue per tenant. Tenants take turns, document by document, and each has at most one in work, so that no
    two workers ever meet at the same document."""

    def __init__(self, settle: Settle, progress: Progress) -> None:
        self._settle = settle
        self._progress = progress
        self._waiting: dict[str, dict[str, None]] = {}
        self._turns: asyncio.Queue[str] = asyncio.Queue()
        self._failures: Counter[tuple[str, str]] = Counter()
        self._in_work = 0

    def add(self, tenant: str, document: str) -> None:
        """Look at this document when its turn comes; once, however often it is added before."""
        if tenant not in self._waiting:
            self._waiting[tenant] = {}
            self._turns.put_nowait(tenant)
        self._waiting[tenant][document] = None

    def stalled(self, limit_seconds: float) -> bool:
        """True when there is work and nothing has come of it for that long."""
        return self._in_work > 0 and self._progress.stalled(limit_seconds)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(TENANTS_AT_ONCE):
                workers.create_task(self._work())

    async def _work(self) -> None:
        while True:
            tenant = await self._turns.get()
            waiting = self._waiting[tenant]
            document = next(iter(waiting))
            del waiting[document]
            self._in_work += 1
            self._progress.turned()
            await self._look(tenant, document)
            self._in_work -= 1
            if waiting:
                self._turns.put_nowait(tenant)
            else:
                del self._waiting[tenant]

    async def _look(self, tenant: str, document: str) -> None:
        this = tenant, document
        try:
            outcome = await self._settle(tenant, document)
        except MalformedMessage as error:
            log.error("%s; it is left alone", error)
            _DOCUMENTS.labels("unreadable").inc()
        except Exception as error:  # the boundary: whatever it is, the document must not be forgotten
            self._failures[this] += 1
            delay = backoff(self._failures[this])
            log.warning("document %s of %s again in %.1f s: %s", document, tenant, delay, error or repr(error))
            _DOCUMENTS.labels("deferred").inc()
            asyncio.get_running_loop().call_later(delay, self.add, tenant, document)
            return
        else:
            _DOCUMENTS.labels(outcome).inc()
            level = logging.DEBUG if outcome == "unchanged" else logging.INFO
            log.log(level, "document %s of %s: %s", document, tenant, outcome)
        self._failures.pop(this, None)
