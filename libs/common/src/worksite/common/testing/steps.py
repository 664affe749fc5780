"""A handler's context without a worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from worksite.common.artifacts import Artifacts
from worksite.common.llm.costs import Costs
from worksite.common.worker import StepContext


def step_context(artifacts: Artifacts, progress: Callable[[str], Awaitable[None]]) -> StepContext:
    """Of a step that nobody takes away."""

    async def holds() -> bool:
        return True

    return StepContext(artifacts, progress, "test", holds, Costs())
