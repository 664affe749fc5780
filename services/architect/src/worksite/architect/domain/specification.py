"""Specs without a language model: from a blueprint, or for a review."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from worksite.architect.domain.parameters import assumptions, parameters_of
from worksite.architect.domain.requests import Commission
from worksite.architect.domain.templates import Template, render, render_code
from worksite.common.blueprints import Blueprint, HttpInterface
from worksite.common.messages import (
    BlueprintChoice,
    Criterion,
    Decision,
    FileNote,
    Harness,
    Interface,
    RejectedOption,
    Spec,
)

RULES_ENGINE = "rules"
# Without a test of its own a criterion is judged by the check whose name is its id.
OWN_TESTS = Criterion(id="project-tests", statement="The project's own tests pass.", grade="self_reported", test=None)
_MAX_TITLE = 72


def spec_from_blueprint(commission: Commission, template: Template, project_name: str | None = None) -> Spec:
    """The design that a blueprint realises, with every criterion that holds for it, whichever the request names."""
    blueprint, filling = template.blueprint, commission.filling
    parameters = parameters_of(blueprint, filling, project_name)
    constraints = (render(constraint.text, parameters) for constraint in blueprint.constraints)
    return Spec(
        title=render(blueprint.title, parameters),
        request=commission.request,
        engine=f"blueprint:{blueprint.name}@{blueprint.version}",
        decisions=(*(_decision(decision, parameters) for decision in blueprint.decisions), *assumptions(filling)),
        constraints=(*constraints, *commission.constraints),
        interfaces=tuple(_interface(interface, parameters) for interface in blueprint.interfaces),
        files=tuple(_note(note, parameters) for note in template.files),
        criteria=tuple(_criteria(blueprint, commission, parameters)),
        tests=tuple(
            test.model_copy(update={"content": render_code(test.content, parameters)}) for test in template.tests
        ),
        harness=_harness(blueprint.interface, parameters),
        blueprint=BlueprintChoice(
            name=blueprint.name, version=blueprint.version, digest=template.digest, parameters=parameters
        ),
    )


def spec_for_review(request: str, criteria: tuple[Criterion, ...]) -> Spec:
    """What the client says must hold; without a word from the client, that the project's own tests pass."""
    return Spec(
        title=_title(f"Review: {request}"), request=request, engine=RULES_ENGINE, criteria=criteria or (OWN_TESTS,)
    )


def _criteria(blueprint: Blueprint, commission: Commission, parameters: Mapping[str, str]) -> Iterator[Criterion]:
    """Those about a type that no field has are not for this project."""
    for criterion in blueprint.criteria:
        if commission.filling.proves(criterion.field_type):
            statement = render(criterion.statement, parameters)
            yield Criterion(id=criterion.id, statement=statement, grade=criterion.grade, test=criterion.test)


def _decision(decision: Decision, parameters: Mapping[str, str]) -> Decision:
    rejected = tuple(
        RejectedOption(option=render(one.option, parameters), reason=render(one.reason, parameters))
        for one in decision.rejected
    )
    return Decision(
        title=render(decision.title, parameters),
        choice=render(decision.choice, parameters),
        reason=render(decision.reason, parameters),
        rejected=rejected,
    )


def _interface(interface: HttpInterface, parameters: Mapping[str, str]) -> Interface:
    promised = interface.as_interface()
    return Interface(name=render(promised.name, parameters), summary=render(promised.summary, parameters))


def _note(note: FileNote, parameters: Mapping[str, str]) -> FileNote:
    return FileNote(path=render(note.path, parameters), purpose=render(note.purpose, parameters))


def _harness(harness: Harness, parameters: dict[str, str]) -> Harness:
    env = {name: render(value, parameters) for name, value in harness.env.items()}
    roots = tuple(render(root, parameters) for root in harness.import_roots)
    return harness.model_copy(update={"target": render(harness.target, parameters), "import_roots": roots, "env": env})


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_TITLE else line[: _MAX_TITLE - 1].rstrip() + "…"
