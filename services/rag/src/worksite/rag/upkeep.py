"""Keeps one index equal to everything it is made from: folders, blueprints and tenants' documents."""

from __future__ import annotations

import asyncio
import logging

from worksite.common import service
from worksite.common.ids import SHARED_TENANT
from worksite.rag.backlog import Hint
from worksite.rag.converting import Converter
from worksite.rag.folders import Folder
from worksite.rag.index import Indexer
from worksite.rag.library import Library
from worksite.rag.settings import RagSettings
from worksite.rag.sources import blueprints_in
from worksite.rag.tenants import keep_documents
from worksite.rag.watching import Watcher

log = logging.getLogger(__name__)


class Upkeep:
    """Use it as a context: folders are watched from before the first look at them, so that nothing is missed."""

    def __init__(self, settings: RagSettings, running: service.Running, indexer: Indexer, converter: Converter) -> None:
        self.indexer = indexer
        folders = [Folder(folder.resolve()) for folder in settings.knowledge_dirs]
        self._converter = converter
        self.library = Library(indexer, folders, self._converter)
        self._settings = settings
        self._running = running
        self._watcher = Watcher(self.library)

    async def __aenter__(self) -> Upkeep:
        await self._watcher.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._watcher.__aexit__()

    async def fill(self) -> None:
        """Look at all folders and blueprints."""
        blueprints = self._settings.blueprints_dir.resolve() if self._settings.blueprints_dir else None
        await self.library.open(others=[blueprints.name] if blueprints else [])
        await self.library.sweep()
        if blueprints:
            report = await self.indexer.sync(SHARED_TENANT, blueprints_in(blueprints), below=blueprints.name)
            log.info("blueprints are up to date: %s", report)

    async def catch_up(self) -> bool:
        """Look at what has changed in folders since; True when there was nothing."""
        return await self._watcher.catch_up()

    async def run(self, stop: asyncio.Event, also: Hint | None = None) -> None:
        """Until told to stop. `also` is told as well of tenants' documents that may have changed."""
        self.library.report_to(self._running.health.state)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watcher.run())
            await keep_documents(self._settings, self._running, self.indexer, self._converter, stop, also)
            watching.cancel()
