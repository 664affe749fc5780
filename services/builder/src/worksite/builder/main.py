"""The builder's process: clear what a crash left behind, then work."""

from __future__ import annotations

import asyncio

from worksite.builder.coding import Modelling
from worksite.builder.handlers import handlers
from worksite.builder.settings import BuilderSettings
from worksite.builder.steps import Workplaces
from worksite.common import service
from worksite.common.llm.prompts import load_prompt
from worksite.common.llm.wiring import model_calls
from worksite.common.worker import Worker


def main() -> None:
    """Entry point of the process."""
    service.run("builder", BuilderSettings, _main, starts_processes=True)


async def _main(settings: BuilderSettings, running: service.Running) -> None:
    workplaces = Workplaces(settings.state_dir, settings.max_leftover_bytes)
    await asyncio.to_thread(workplaces.clear)
    async with model_calls(settings, running.bus, "builder", running.secrets) as models, asyncio.TaskGroup() as loops:
        prompt = load_prompt(settings.prompts_dir, "builder") if models else None
        modelling = Modelling(models, settings.model_of, prompt) if models and prompt else None
        handled = handlers(settings, modelling=modelling, secrets=running.secrets)
        worker = Worker(running.bus, "builder", handled, concurrency=settings.worker_concurrency)
        loops.create_task(workplaces.keep_swept(running.stop))
        await service.run_worker(settings, running, worker)


if __name__ == "__main__":
    main()
