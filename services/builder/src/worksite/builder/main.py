"""The builder's process: sweep what a crash left behind, then work."""

from __future__ import annotations

import asyncio

from worksite.builder import steps
from worksite.builder.handlers import handlers
from worksite.builder.settings import BuilderSettings
from worksite.common import service
from worksite.common.worker import Worker


def main() -> None:
    """Entry point of the process."""
    service.run("builder", BuilderSettings, _main, starts_processes=True)


async def _main(settings: BuilderSettings, running: service.Running) -> None:
    await asyncio.to_thread(steps.sweep, settings.state_dir)
    worker = Worker(running.bus, "builder", handlers(settings), concurrency=settings.worker_concurrency)
    await service.run_worker(settings, running, worker)


if __name__ == "__main__":
    main()
