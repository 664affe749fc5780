"""Admin's process: three consumers, one orchestrator, a sweeper, a collector."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from worksite.admin.collector import Collector
from worksite.admin.handlers import Orchestrator
from worksite.admin.reader import Reader, shipped_classifier
from worksite.admin.redrive import Redriver
from worksite.admin.route_model import RouteModel, call_usd
from worksite.admin.router import Router
from worksite.admin.settings import AdminSettings
from worksite.admin.sweeper import Sweeper
from worksite.common import service
from worksite.common.bus import Bus, answer, consume
from worksite.common.bus.consumer import Progress
from worksite.common.health import Probe
from worksite.common.llm.calls import ModelCalls
from worksite.common.llm.wiring import model_calls
from worksite.common.messages import ExplainRoute, RedriveLetter

STREAMS = ("TASKS", "EVENTS", "TIMERS")


def main() -> None:
    """Entry point of the process."""
    service.run("admin", AdminSettings, run_admin)


async def run_admin(settings: AdminSettings, running: service.Running) -> None:
    """Consume intake, events and timers until told to stop."""
    async with model_calls(settings, running.bus, "admin") as calls:
        router = _router(settings, running.bus, calls)
        await answer(running.micro, "explain", ExplainRoute, router.explain)
        await run_with(router, settings, running)


def _router(settings: AdminSettings, bus: Bus, calls: ModelCalls | None) -> Router:
    reader = Reader(bus, shipped_classifier(), settings.route_embed_seconds)
    small = settings.model_of("small")
    model = RouteModel(calls, small, settings.route_model_seconds) if calls else None
    return Router(reader, model, call_usd(small, settings.model_prices))


async def run_with(router: Router, settings: AdminSettings, running: service.Running) -> None:
    """The same, by a router of your own."""
    orchestrator = Orchestrator(running.bus, router.route, timedelta(days=settings.approval_days))
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
