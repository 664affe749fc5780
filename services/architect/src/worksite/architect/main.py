"""The architect's process: read the blueprints, then work on commands."""

from __future__ import annotations

import asyncio

from worksite.architect.designing import Designer
from worksite.architect.handlers import Architect
from worksite.architect.knowledge import Knowledge
from worksite.architect.library import load_library
from worksite.architect.settings import ArchitectSettings
from worksite.common import service
from worksite.common.llm.prompts import load_prompt
from worksite.common.llm.wiring import model_calls
from worksite.common.messages import AnswerQuestion, DesignSpec
from worksite.common.worker import Worker


def main() -> None:
    """Entry point of the process."""
    service.run("architect", ArchitectSettings, _main, starts_processes=True)


async def _main(settings: ArchitectSettings, running: service.Running) -> None:
    library = await asyncio.to_thread(load_library, settings.blueprints_dir)
    knowledge = Knowledge(running.bus)
    async with model_calls(settings, running.bus, "architect") as models:
        prompt = load_prompt(settings.prompts_dir, "architect") if models else None
        designer = Designer(models, settings.model_of, prompt, knowledge, library) if models and prompt else None
        architect = Architect(library, knowledge, designer)
        handlers = {DesignSpec: architect.design, AnswerQuestion: architect.answer}
        worker = Worker(running.bus, "architect", handlers, concurrency=settings.worker_concurrency)
        await service.run_worker(settings, running, worker)


if __name__ == "__main__":
    main()
