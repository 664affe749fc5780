"""An index with another fingerprint is made while the former one answers, and then takes its place.

The new one is filled like any other, from folders, blueprints and the rows of tenants' documents. Meanwhile both are
kept equal to what they are made from, each by itself: what is saved or deleted is so in both. Killed at any point, the
next start finds one complete index and goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from prometheus_client import Gauge
from worksite.common.bus.consumer import backoff
from worksite.common.ids import SHARED_TENANT
from worksite.rag.answering import Answering
from worksite.rag.backend import ModelError
from worksite.rag.domain.identity import Manifest
from worksite.rag.embedder import Embedder
from worksite.rag.following import Follower
from worksite.rag.index import Indexer, fingerprint_of
from worksite.rag.search import SearchEngine
from worksite.rag.store import Indexes
from worksite.rag.upkeep import Upkeep

log = logging.getLogger(__name__)

TOLD_SECONDS = 2.0
_CHUNKS = Gauge("rag_rebuild_chunks", "Chunks of the index that is being made, and of the one that answers", ["index"])


def former_of(manifests: Iterable[Manifest], current: Manifest) -> Manifest | None:
    """The index that can answer until the current one is complete; None where that one is, or there is none."""
    known = {manifest.digest: manifest for manifest in manifests}
    if current.digest in known and known[current.digest].complete:
        return None
    return next((manifest for manifest in known.values() if manifest.complete), None)


def embedder_of(former: Manifest, current: Embedder, load: Callable[[Manifest], Embedder]) -> Embedder | None:
    """The model that a former index was made with, for queries to it; None where it is not there any more."""
    wanted = former.fingerprint.embedding
    if wanted == fingerprint_of(current).embedding:
        return current
    try:
        found = load(former)
    except ModelError as error:
        log.warning("the model of the former index cannot be loaded, searches wait for the new one: %s", error)
        return None
    if fingerprint_of(found).embedding != wanted:
        log.warning("%s holds another model now, searches wait for the new index", former.embedder)
        return None
    return found


@dataclass(frozen=True, slots=True)
class Rebuild:
    """The making of `building`, which is `manifest`'s index, while `former` answers."""

    indexes: Indexes
    manifest: Manifest
    building: Upkeep
    follower: Follower
    former: Indexer
    state: MutableMapping[str, str]

    async def run(self, answering: Answering, engine: SearchEngine) -> None:
        """Fill the new index and have `engine` answer from it. What cannot be reached is tried again."""
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(self._tell())
            failures = 0
            while not await self._is_filled():
                failures += 1
                await asyncio.sleep(backoff(failures))
            former = answering.replace(engine)
            telling.cancel()
        _CHUNKS.clear()
        self.state["index"] = "complete"
        log.info("the new index answers")
        await answering.released(former)

    async def _is_filled(self) -> bool:
        try:
            await self.building.fill()
            if missing := await self._missing():
                log.warning("the new index waits for folders that are not there: %s", ", ".join(missing))
                return False
            await self.follower.look()
            while not await self.building.catch_up() or self.follower.hints:
                await self.follower.catch_up()
            if self.building.library.unsettled:
                return False
            await self.indexes.note(replace(self.manifest, complete=True))
        except Exception as error:  # the boundary: bus or store are away, which their probes and logs tell
            log.warning("the new index is not complete yet: %s", error or repr(error))
            return False
        return not self.follower.hints

    async def _missing(self) -> set[str]:
        """Folders that cannot be read now and that the former index still answers from."""
        answered = {PurePosixPath(path).parts[0] for path in (await self.former.store.counts()).get(SHARED_TENANT, {})}
        return answered & self.building.library.missing

    async def _tell(self) -> None:
        while True:
            try:
                built, expected = await self.building.indexer.store.size(), await self.former.store.size()
            except Exception as error:
                log.debug("the chunks of the new index cannot be counted: %r", error)
            else:
                _CHUNKS.labels("building").set(built)
                _CHUNKS.labels("answering").set(expected)
                self.state["index"] = f"rebuilding: {built} of about {expected} chunks; the former index answers"
            await asyncio.sleep(TOLD_SECONDS)
