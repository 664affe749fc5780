"""Build by a language model: it reads, searches and edits the files of the worktree until the Spec is met."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from worksite.builder.domain.briefing import briefing
from worksite.builder.domain.coding import BuildAnswer, Built, contradiction
from worksite.builder.git import GitFailed
from worksite.builder.knowledge import search_knowledge
from worksite.builder.repository import Worktree
from worksite.builder.tools import tools
from worksite.builder.trying import Trial
from worksite.builder.workbench import Workbench
from worksite.common.errors import StepRefused
from worksite.common.llm import ModelRequest, user
from worksite.common.llm.agents import Agent, ToolFailed, found_once
from worksite.common.llm.calls import ModelCalls, StepCalls
from worksite.common.llm.prompts import Prompt
from worksite.common.messages import BuildChange, Report, Spec, Tier
from worksite.common.worker import StepContext

MAX_TOKENS = 16_000
_CORRECTIONS = 3
USUAL_TIER: Tier = "medium"
"""Where nobody says how difficult the work is."""
_ACCEPTANCE = "acceptance/"


@dataclass(frozen=True)
class Modelling:
    """The model of each tier, and how it is prompted."""

    models: ModelCalls
    model_of: Callable[[Tier], str]
    prompt: Prompt


@dataclass(frozen=True)
class ModelMaker:
    """One build by a model; every turn is journaled, so that a replay makes the same files and pays nothing twice."""

    modelling: Modelling
    context: StepContext
    tier: Tier
    continues: bool = True

    @property
    def engine(self) -> str:
        return self.modelling.prompt.engine(self._model)

    @property
    def _model(self) -> str:
        return self.modelling.model_of(self.tier)

    async def fill(self, worktree: Worktree, spec: Spec, command: BuildChange) -> str:
        calls = await self.modelling.models.of(command, self.context)
        bench = await _bench(worktree, spec)
        bus, artifacts = self.modelling.models.bus, self.context.artifacts
        given = tools(bench, partial(search_knowledge, bus, command.tenant), Trial(bus, artifacts, worktree, command))
        faults = _Inspection(calls, bench, worktree)
        agent = Agent(calls, BuildAnswer, given, faults, corrections=_CORRECTIONS)
        answer = await agent.work(await self._opening(bench, spec, command))
        if isinstance(answer.data, Built):
            return answer.data.summary
        raise StepRefused("build_refused", answer.data.detail)

    async def _opening(self, bench: Workbench, spec: Spec, command: BuildChange) -> ModelRequest:
        report = Report.consume(await self.context.artifacts.get(command.report)) if command.report else None
        text = briefing(spec, command, await asyncio.to_thread(bench.files), report)
        prompt = self.modelling.prompt.text
        return ModelRequest(model=self._model, max_tokens=MAX_TOKENS, system=prompt, turns=(user(text),))


class _Inspection:
    """Looks at the work when the model says that it is done."""

    def __init__(self, calls: StepCalls, bench: Workbench, worktree: Worktree) -> None:
        self._calls, self._bench, self._worktree = calls, bench, worktree
        self._numbers = itertools.count(1)

    async def __call__(self, answer: BuildAnswer) -> Sequence[str]:
        """What has to be mended before it is worth a judgement."""
        if told := contradiction(answer):
            return (told,)
        if answer.status != "ok":
            return ()
        found = await found_once(self._calls, f"inspection-{next(self._numbers)}", self._inspect)
        return tuple(found.splitlines())

    async def _inspect(self) -> str:
        try:
            if not await self._worktree.differs():
                return "you have changed no file: the work of this round is not there"
            return await self._bench.faults()
        except (ToolFailed, GitFailed, TimeoutError) as error:  # what was written is not fit to be looked at
            return f"your work cannot be inspected: {' '.join(str(error).split())}"


async def _bench(worktree: Worktree, spec: Spec) -> Workbench:
    """The Spec's tests are not the builder's to write, and what is not a regular file is not its to change."""
    entries = await worktree.repository.entries(worktree.start)
    odd = [entry.path for entry in entries if not entry.is_file]
    tests = [test.path for test in spec.tests]
    folders = (_ACCEPTANCE,) if any(path.startswith(_ACCEPTANCE) for path in tests) else ()
    return Workbench(worktree.folder, frozenset((*odd, *tests)), folders)
