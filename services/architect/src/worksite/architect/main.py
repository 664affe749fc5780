"""The architect's process: read the blueprints, then work on commands."""

from __future__ import annotations

import asyncio

from worksite.architect.answering import Answerer
from worksite.architect.designing import Designer
from worksite.architect.handlers import Architect, Thinking
from worksite.architect.knowledge import Knowledge
from worksite.architect.library import Library, load_library
from worksite.architect.settings import ArchitectSettings
from worksite.common import service
from worksite.common.llm.calls import ModelCalls
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
    async with model_calls(settings, running.bus, "architect", running.secrets) as models:
        thinking = _thinking(models, settings, knowledge, library) if models else None
        architect = Architect(library, knowledge, thinking)
        handlers = {DesignSpec: architect.design, AnswerQuestion: architect.answer}
        worker = Worker(running.bus, "architect", handlers, concurrency=settings.worker_concurrency)
        await service.run_worker(settings, running, worker)


def _thinking(models: ModelCalls, settings: ArchitectSettings, knowledge: Knowledge, library: Library) -> Thinking:
    """What needs a language model. Raises Permanent for a prompt that cannot be read."""
    design, answer = (load_prompt(settings.prompts_dir, agent) for agent in ("architect", "answerer"))
    designer = Designer(models, settings.model_of, design, knowledge, library)
    return Thinking(designer, Answerer(models, settings.model_of, answer, knowledge))


if __name__ == "__main__":
    main()
