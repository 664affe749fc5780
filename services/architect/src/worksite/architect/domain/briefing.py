"""The opening of a design: everything that a model is told about one request."""

from __future__ import annotations

from collections.abc import Sequence

from worksite.architect.domain.templates import Template
from worksite.common.llm.sections import section
from worksite.common.messages import DesignSpec, SearchResult

MAX_PASSAGES = 8
_MAX_PASSAGE, _MAX_TEST = 1500, 6000
NOTHING_FOUND = "nothing that fits"


def briefing(command: DesignSpec, project: str, knowledge: str, example: str) -> str:
    """One text of named sections. What is inside them is data: the prompt says so."""
    kind = "a new project" if command.project.empty else "an existing project"
    name = f" named {command.project_name}" if command.project_name else ""
    sections = [
        f"Design for route {command.route}, {kind}{name}.",
        section("request", command.request),
        *(section("answer", answer) for answer in command.inputs),
        *([section("project", project)] if project else []),
        section("knowledge", knowledge),
        *([section("example", example)] if example else []),
    ]
    return "\n\n".join(sections)


def passages(found: Sequence[SearchResult]) -> str:
    """What a search found, each with its place."""
    shown = [f"{r.path}:{r.start_line}-{r.end_line}\n{r.text[:_MAX_PASSAGE]}" for r in found[:MAX_PASSAGES]]
    return "\n\n".join(shown) or NOTHING_FOUND


def example_of(template: Template) -> str:
    """A blueprint as an example of how decisions, criteria and tests are written; it need not be about the request."""
    blueprint = template.blueprint
    criteria = [f"- {c.id} ({c.grade}, {c.test}): {c.statement}" for c in blueprint.criteria]
    decisions = [f"- {d.title}: {d.choice} {d.reason}" for d in blueprint.decisions]
    test = next((test for test in template.tests if test.path.startswith("acceptance/test_")), None)
    shown = [f"{test.path}:\n{test.content[:_MAX_TEST]}"] if test else []
    return "\n".join(
        (f"{blueprint.title}: {blueprint.summary}", "Decisions:", *decisions, "Criteria:", *criteria, *shown)
    )
