"""Translates commands to Specs, answers and questions."""

from __future__ import annotations

from dataclasses import dataclass

from worksite.architect.answering import Answerer
from worksite.architect.designing import Designer
from worksite.architect.domain.answers import answer_from
from worksite.architect.domain.documents import spec_markdown
from worksite.architect.domain.questions import no_fix, not_covered, not_empty, nothing_found
from worksite.architect.domain.requests import Commission, read
from worksite.architect.domain.specification import spec_for_review, spec_from_blueprint
from worksite.architect.domain.templates import Template
from worksite.architect.knowledge import Knowledge
from worksite.architect.library import Library
from worksite.common.messages import Answer, AnswerQuestion, DesignSpec, PackageOutline, Question, Spec, SpecWritten
from worksite.common.worker import Reply, StepContext

_MAX_LOOSENED, _MAX_NAME = 10, 200
"""Of what an approver is asked about, in a message; the Spec has them all."""


@dataclass(frozen=True)
class Thinking:
    """What works by a language model."""

    designer: Designer
    answerer: Answerer


class Architect:
    """Designs and answers with a language model where there is one, else with blueprints and quotations."""

    def __init__(self, library: Library, knowledge: Knowledge, thinking: Thinking | None = None) -> None:
        self._library = library
        self._knowledge = knowledge
        self._thinking = thinking

    async def design(self, command: DesignSpec, context: StepContext) -> Reply:
        """Handler of DesignSpec."""
        designed = await self._designed(command, context)
        if isinstance(designed, Question):
            return Reply(designed, "needs_input")
        return await self._written(designed, context)

    async def _designed(self, command: DesignSpec, context: StepContext) -> Spec | Question:
        """By the client's criteria, by a model, or by a blueprint: the first that is there."""
        if command.route == "review" and (command.criteria or self._thinking is None):
            return spec_for_review(command.request, command.criteria)
        if self._thinking:
            return await self._thinking.designer.design(command, context)
        if command.route == "fix":
            return no_fix()
        if not command.project.empty:
            return not_empty()
        chosen = await self._choose(command, context)
        if isinstance(chosen, Question):
            return chosen
        template, commission = chosen
        return spec_from_blueprint(commission, template, command.project_name)

    async def answer(self, command: AnswerQuestion, context: StepContext) -> Reply:
        """Handler of AnswerQuestion."""
        await context.progress("searching the knowledge base")
        question = command.inputs[-1] if command.inputs else command.request
        if self._thinking:
            answer = await self._thinking.answerer.answer(command, question, context)
        else:
            answer = answer_from(await self._knowledge.passages(command.tenant, question))
        return Reply(answer) if isinstance(answer, Answer) else Reply(answer or nothing_found(), "needs_input")

    async def _choose(self, command: DesignSpec, context: StepContext) -> tuple[Template, Commission] | Question:
        """The best match among the blueprints that cover the whole request."""
        await context.progress("looking for a blueprint that covers the request")
        wording = "\n".join((*reversed(command.inputs), command.request))
        names = await self._knowledge.blueprints(command.tenant, wording)
        candidates = [self._library[name] for name in names if name in self._library]
        reading = read(command.request, command.inputs, candidates)
        if reading.chosen is None:
            return not_covered(reading, tuple(self._library.values()))
        template, commission = reading.chosen
        await context.progress(f"{template.blueprint.name} covers: {commission.understood}")
        return reading.chosen

    async def _written(self, spec: Spec, context: StepContext) -> Reply:
        artifact = await context.artifacts.put_message(spec)
        document = await context.artifacts.put(spec_markdown(spec).encode(), "text/markdown")
        outline = (PackageOutline(id=each.id, title=each.title, after=each.after) for each in spec.packages)
        written = SpecWritten(
            spec=artifact,
            document=document,
            title=spec.title,
            engine=spec.engine,
            criteria=len(spec.criteria),
            packages=tuple(outline),
            loosens=tuple(name[-_MAX_NAME:] for name in spec.loosens[:_MAX_LOOSENED]),
        )
        return Reply(written)
