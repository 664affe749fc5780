"""The builder's process: clear what a crash left behind, then work."""

from __future__ import annotations

import asyncio

from worksite.builder.handlers import handlers
from worksite.builder.settings import BuilderSettings
from worksite.builder.steps import Workplaces
from worksite.common import service
from worksite.common.worker import Worker


def main() -> None:
    """Entry point of the process."""
    service.run("builder", BuilderSettings, _main, starts_processes=True)


async def _main(settings: BuilderSettings, running: service.Running) -> None:
    workplaces = Workplaces(settings.state_dir, settings.max_leftover_bytes)
    await asyncio.to_thread(workplaces.clear)
    worker = Worker(running.bus, "builder", handlers(settings), concurrency=settings.worker_concurrency)
    async with asyncio.TaskGroup() as loops:
        loops.create_task(workplaces.keep_swept(running.stop))
        await service.run_worker(settings, running, worker)


if __name__ == "__main__":
    main()
