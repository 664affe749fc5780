"""Documents to look at, in memory only: their rows say what is to be done, and a new process finds them there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

from prometheus_client import Counter as Metric
from prometheus_client import Gauge
from worksite.common.bus.consumer import Progress, backoff
from worksite.common.errors import MalformedMessage
from worksite.rag.keeper import Outcome
from worksite.rag.metrics import ERRORS

log = logging.getLogger(__name__)

_DOCUMENTS = Metric("rag_ingest_documents_total", "Documents of tenants that were looked at", ["outcome"])
_DEPTH = Gauge("rag_ingest_queue_depth", "Documents of tenants that wait to be looked at, or are in work")
_LAG = Gauge("rag_ingest_lag_seconds", "For how long the oldest of them has waited")
_ERRORS = {"failed", "deferred", "unreadable"}
TENANTS_AT_ONCE = 8
"""Bounds the texts held in memory. The model is shared chunk by chunk, so more would not be faster."""

Settle = Callable[[str, str], Awaitable[Outcome]]
Hint = Callable[[str, str], None]


class Backlog:
    """One queue per tenant. Tenants take turns, document by document, and each has at most one in work, so that no
    two workers ever meet at the same document. `also` is told as well of each that is added."""

    def __init__(
        self, settle: Settle, progress: Progress, now: Callable[[], float] = time.time, also: Hint | None = None
    ) -> None:
        self._settle = settle
        self._progress = progress
        self._now = now
        self._also = also
        self._waiting: dict[str, dict[str, float]] = {}
        self._taken: dict[tuple[str, str], float] = {}
        """In work, or to be tried again; both since when they wait, as Unix time."""
        self._turns: asyncio.Queue[str] = asyncio.Queue()
        self._failures: Counter[tuple[str, str]] = Counter()
        self._in_work = 0
        _DEPTH.set_function(lambda: sum(1 for _ in self._since()))
        _LAG.set_function(lambda: max(0.0, self._now() - min(self._since(), default=self._now())))

    def add(self, tenant: str, document: str, since: float | None = None) -> None:
        """Look at this document when its turn comes; once, however often it is added before. It has waited since that
        Unix time, or from now on."""
        if self._also:
            self._also(tenant, document)
        if tenant not in self._waiting:
            self._waiting[tenant] = {}
            self._turns.put_nowait(tenant)
        waiting = self._waiting[tenant]
        since = self._now() if since is None else since
        waiting[document] = min(since, waiting.get(document, since))

    def _since(self) -> Iterator[float]:
        for waiting in self._waiting.values():
            yield from waiting.values()
        yield from self._taken.values()

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
            self._taken[tenant, document] = waiting.pop(document)
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
            _count("unreadable")
        except Exception as error:  # the boundary: whatever it is, the document must not be forgotten
            self._failures[this] += 1
            delay = backoff(self._failures[this])
            log.warning("document %s of %s again in %.1f s: %s", document, tenant, delay, error or repr(error))
            _count("deferred")
            asyncio.get_running_loop().call_later(delay, self._again, this)
            return
        else:
            _count(outcome)
            level = logging.DEBUG if outcome == "unchanged" else logging.INFO
            log.log(level, "document %s of %s: %s", document, tenant, outcome)
        self._failures.pop(this, None)
        self._taken.pop(this, None)

    def _again(self, this: tuple[str, str]) -> None:
        self.add(*this, since=self._taken.pop(this, None))


def _count(outcome: str) -> None:
    _DOCUMENTS.labels(outcome).inc()
    if outcome in _ERRORS:
        ERRORS.labels("documents").inc()
