"""Design by a language model: the request, the project and what the team knows become a Spec with criteria that run."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import Field
from worksite.architect.domain.briefing import NOTHING_FOUND, briefing, example_of, passages
from worksite.architect.domain.drafting import answer_faults
from worksite.architect.domain.drafts import DesignAnswer, Draft, spec_from_draft
from worksite.architect.knowledge import Knowledge
from worksite.architect.library import Library
from worksite.architect.project import Project
from worksite.common.errors import StepRefused
from worksite.common.llm import ModelRequest, user
from worksite.common.llm.agents import Agent, AgentTool, found_once
from worksite.common.llm.calls import ModelCalls, StepCalls
from worksite.common.llm.prompts import Prompt
from worksite.common.messages import DesignSpec, Model, Problem, Question, Spec, Tier
from worksite.common.worker import StepContext

MAX_TOKENS = 32_000
_MAX_TURNS = 30
USUAL_TIER: Tier = "medium"
"""Where nobody says how difficult the work is."""


class ReadFile(Model):
    path: str
    first_line: int = Field(default=1, ge=1)


class SearchKnowledge(Model):
    query: str = Field(min_length=1)


@dataclass(frozen=True)
class Designer:
    """The model of each tier, and how it is prompted."""

    models: ModelCalls
    model_of: Callable[[Tier], str]
    prompt: Prompt
    knowledge: Knowledge
    library: Library

    async def design(self, command: DesignSpec, context: StepContext) -> Spec | Question:
        """Raises StepRefused; ModelUnavailable and ServiceUnavailable when it is to be tried again later."""
        calls, model = await self.models.of(command, context), self.model_of(command.tier or USUAL_TIER)
        async with _project(command, context) as project:
            await context.progress(f"designing with {model}")
            faults = partial(_faults, may_split=command.may_split)
            agent = Agent(calls, DesignAnswer, self._tools(command.tenant, project), faults, max_turns=_MAX_TURNS)
            answer = await agent.work(await self._opening(command, project, calls, model))
            existing = project.blobs if project else ()
        match answer.data:
            case Question() as question:
                return question
            case Problem() as problem:
                raise StepRefused("design_refused", problem.detail)
            case Draft() as draft:
                return spec_from_draft(draft, command.request, self.prompt.engine(model), command.route, existing)

    async def _opening(
        self, command: DesignSpec, project: Project | None, calls: StepCalls, model: str
    ) -> ModelRequest:
        """What was found is journaled: a replay must ask the very same, however the index has changed meanwhile."""
        wording = "\n".join((*reversed(command.inputs), command.request))
        knowledge = await found_once(calls, "knowledge", lambda: self._found(command.tenant, wording))
        example = await found_once(calls, "example", lambda: self._example(command.tenant, wording))
        text = briefing(command, await project.map() if project else "", knowledge, example)
        return ModelRequest(model=model, max_tokens=MAX_TOKENS, system=self.prompt.text, turns=(user(text),))

    async def _found(self, tenant: str, query: str) -> str:
        return passages(await self.knowledge.passages(tenant, query))

    async def _example(self, tenant: str, wording: str) -> str:
        """The blueprint nearest to the request."""
        names = await self.knowledge.blueprints(tenant, wording)
        nearest = next((self.library[name] for name in names if name in self.library), None)
        return example_of(nearest) if nearest else NOTHING_FOUND

    def _tools(self, tenant: str, project: Project | None) -> list[AgentTool]:
        async def search(arguments: SearchKnowledge) -> str:
            return await self._found(tenant, arguments.query)

        tools = [AgentTool("search_knowledge", "Search the team's documents and code.", SearchKnowledge, search)]
        if project:

            async def read(arguments: ReadFile) -> str:
                return await project.read(arguments.path, arguments.first_line)

            tools.append(AgentTool("read_file", "Read a file of the project, from a line on.", ReadFile, read))
        return tools


async def _faults(answer: DesignAnswer, may_split: bool) -> tuple[str, ...]:
    return tuple(answer_faults(answer, may_split))


@contextlib.asynccontextmanager
async def _project(command: DesignSpec, context: StepContext) -> AsyncGenerator[Project | None]:
    """The code that the design is about; None where there is none. A review shows what the change is compared with:
    the change itself is no source of what it must do."""
    if command.project.empty:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="worksite-architect-") as folder:
        bundle = await context.artifacts.get(command.project.bundle)
        yield await Project.open(Path(folder), bundle, command.project.base_sha)
