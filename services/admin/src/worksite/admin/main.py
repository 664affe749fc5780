"""Admin's process: three consumers, one orchestrator, a sweeper, a collector."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from worksite.admin.collector import Collector
from worksite.admin.handlers import Orchestrator
from worksite.admin.redrive import Redriver
from worksite.admin.settings import AdminSettings
from worksite.admin.sweeper import Sweeper
from worksite.common import service
from worksite.common.bus import answer, consume
from worksite.common.bus.consumer import Progress
from worksite.common.health import Probe
from worksite.common.messages import RedriveLetter

STREAMS = ("TASKS", "EVENTS", "TIMERS")


def main() -> None:
    """Entry point of the process."""
    service.run("admin", AdminSettings, run_admin)


async def run_admin(settings: AdminSettings, running: service.Running) -> None:
    """Consume intake, events and timers until told to stop."""
    orchestrator = Orchestrator(running.bus, time_to_approve=timedelta(days=settings.approval_days))
    await answer(running.micro, "redrive", RedriveLetter, Redriver(running.bus, orchestrator).redrive)
    async with asyncio.TaskGroup() as loops:
        for stream in STREAMS:
            progress = Progress()
            running.health.alive[f"consumer {stream}"] = _moves(progress)
            loops.create_task(
                consume(
                    running.bus,
                    stream,
                    "admin",
                    orchestrator.handle,
                    concurrency=settings.worker_concurrency,
                    stop=running.stop,
                    grace_seconds=settings.grace_seconds,
                    progress=progress,
                )
            )
        sweeper = Sweeper(running.bus, orchestrator)
        loops.create_task(sweeper.run(running.stop, settings.sweep_seconds))
        loops.create_task(Collector(running.bus).run(running.stop, settings.collect_seconds))
        running.ready.set()


def _moves(progress: Progress) -> Probe:
    return lambda: "no fetch for a while" if progress.stalled() else None


if __name__ == "__main__":
    main()
