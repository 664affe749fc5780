"""The validator's process: open the sandbox, install the tools, judge changes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator

from worksite.common import service
from worksite.common.artifacts import Artifacts
from worksite.common.bus import answer
from worksite.common.llm.prompts import load_prompt
from worksite.common.llm.wiring import model_calls
from worksite.common.messages import CheckCandidate, StepCommand, ValidateChange
from worksite.common.settings import SettingsError
from worksite.common.worker import Handler, Worker
from worksite.validator.bench import Bench
from worksite.validator.checking import Checking
from worksite.validator.environment import Environments
from worksite.validator.handlers import validate_handler
from worksite.validator.reviewing import Reviewer
from worksite.validator.sandbox import SandboxUnavailable, metrics, open_sandbox
from worksite.validator.settings import ValidatorSettings
from worksite.validator.tools import install_tools

log = logging.getLogger(__name__)


def main() -> None:
    """Entry point of the process."""
    service.run("validator", ValidatorSettings, _main, starts_processes=True)


async def _main(settings: ValidatorSettings, running: service.Running) -> None:
    bench = await open_bench(settings)
    isolation = bench.sandbox.isolation
    log.info("isolation %s: %s", isolation.level, ", ".join(isolation.layers))
    metrics.confined(isolation.level)
    async with _reviewing(settings, running) as reviewer:
        handlers: dict[type[StepCommand], Handler] = {ValidateChange: validate_handler(bench, reviewer)}
        checking = Checking(bench, Artifacts(running.bus))
        await answer(running.micro, "check", CheckCandidate, checking.check)
        worker = Worker(running.bus, "validator", handlers, concurrency=settings.worker_concurrency)
        await service.run_worker(settings, running, worker)


@contextlib.asynccontextmanager
async def _reviewing(settings: ValidatorSettings, running: service.Running) -> AsyncGenerator[Reviewer | None]:
    """None without a key, or where it is switched off. Raises Permanent for a prompt or prices that cannot be read."""
    if not settings.validator_review:
        yield None
        return
    async with model_calls(settings, running.bus, "validator", running.secrets) as models:
        if models is None:
            yield None
        else:
            prompt = load_prompt(settings.prompts_dir, "validator")
            yield Reviewer(models, settings.model_of, prompt, settings.validator_review_seconds)


async def open_bench(settings: ValidatorSettings) -> Bench:
    """Raises SettingsError when this machine cannot confine a candidate."""
    try:
        sandbox = await open_sandbox(settings.sandbox_settings())
    except SandboxUnavailable as error:
        raise SettingsError(f"SANDBOX={settings.sandbox}: {error}") from error
    tools = await install_tools(sandbox.root)
    cache = settings.max_environment_cache_bytes
    return Bench(sandbox, tools, Environments(sandbox.root, settings.wheelhouse_dir, settings.allow_index, cache))


if __name__ == "__main__":
    main()
