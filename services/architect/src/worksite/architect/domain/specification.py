"""Specs without a language model: from a blueprint, or for a review."""

from __future__ import annotations

from worksite.architect.domain.templates import Template, render
from worksite.common.messages import BlueprintChoice, Criterion, Harness, Spec

RULES_ENGINE = "rules"
# Without a test of its own a criterion is judged by the check whose name is its id.
OWN_TESTS = Criterion(id="project-tests", statement="The project's own tests pass.", grade="self_reported", test=None)
_MAX_TITLE = 72


def spec_from_blueprint(request: str, template: Template) -> Spec:
    """The design that a blueprint realises, with every one of its criteria, whichever the request names."""
    blueprint, parameters = template.blueprint, template.defaults
    return Spec(
        title=blueprint.title,
        request=request,
        engine=f"blueprint:{blueprint.name}@{blueprint.version}",
        decisions=blueprint.decisions,
        constraints=tuple(constraint.text for constraint in blueprint.constraints),
        interfaces=tuple(interface.as_interface() for interface in blueprint.interfaces),
        files=template.files,
        criteria=blueprint.criteria,
        tests=template.tests,
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


def _harness(harness: Harness, parameters: dict[str, str]) -> Harness:
    env = {name: render(value, parameters) for name, value in harness.env.items()}
    roots = tuple(render(root, parameters) for root in harness.import_roots)
    return harness.model_copy(update={"target": render(harness.target, parameters), "import_roots": roots, "env": env})


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_TITLE else line[: _MAX_TITLE - 1].rstrip() + "…"
