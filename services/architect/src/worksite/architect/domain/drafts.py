"""What a model answers when it designs: only what a model can know. The service makes a Spec of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from pydantic import Field
from worksite.architect.domain.safeguards import loosened
from worksite.common.messages import (
    Criterion,
    Decision,
    FileNote,
    Harness,
    Interface,
    Model,
    Problem,
    Question,
    Route,
    Spec,
    TestFile,
    WorkPackage,
)


class EnvironmentVariable(Model):
    name: str
    value: str = Field(description="{random} becomes a fresh value when judged")


class DraftHarness(Model):
    """How the candidate is started behind the pipe."""

    target: str = Field(description="module:attribute of an ASGI application, relative to the import roots")
    factory: bool = Field(description="call the attribute to get the application")
    import_roots: tuple[str, ...] = Field(description="directories of the tree put on sys.path, e.g. src and .")
    env: tuple[EnvironmentVariable, ...]


class Draft(Model):
    """A design, as a model writes it."""

    type: Literal["draft"]
    title: str = Field(min_length=1, max_length=120)
    decisions: tuple[Decision, ...]
    constraints: tuple[str, ...]
    interfaces: tuple[Interface, ...]
    files: tuple[FileNote, ...]
    criteria: tuple[Criterion, ...]
    tests: tuple[TestFile, ...]
    harness: DraftHarness | None = Field(description="null where no test uses app or launch")
    removed_tests: tuple[str, ...] = Field(description="tests of the project that this change may remove")
    packages: tuple[WorkPackage, ...] = Field(description="empty unless the work may be split and is better split")


class DesignAnswer(Model):
    """The four fields of every agent's answer, in the form that a model gives them."""

    action: Literal["design"]
    agent: Literal["architect"]
    status: Literal["ok", "needs_input", "refused"]
    data: Draft | Question | Problem


def spec_from_draft(draft: Draft, request: str, engine: str, route: Route, existing: Collection[str] = ()) -> Spec:
    """The Spec; what the model cannot know is added: `existing` are the project's files. A review builds nothing, so it
    lets nothing go, whatever the model was made to say."""
    spec = Spec(
        title=draft.title,
        request=request,
        engine=engine,
        decisions=draft.decisions,
        constraints=draft.constraints,
        interfaces=draft.interfaces,
        files=() if route == "review" else draft.files,
        criteria=draft.criteria,
        tests=draft.tests,
        harness=_harness(draft.harness),
        removed_tests=() if route == "review" else draft.removed_tests,
        packages=draft.packages,
    )
    return spec if route == "review" else spec.model_copy(update={"loosens": loosened(spec, existing)})


def _harness(draft: DraftHarness | None) -> Harness | None:
    if draft is None:
        return None
    env = {variable.name: variable.value for variable in draft.env}
    return Harness(target=draft.target, factory=draft.factory, import_roots=draft.import_roots, env=env)
