"""The Spec: what the architect decided, and how anyone can tell that it was done."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from worksite.common.messages.base import PLAIN, Message, Model, Sha256

Grade = Literal["verified_io", "self_reported"]
"""How strong a piece of evidence is: `verified_io` cannot be forged by the candidate, `self_reported` can."""
CriterionId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]


class RejectedOption(Model):
    option: str
    reason: str


class Decision(Model):
    title: str
    choice: str
    reason: str
    rejected: tuple[RejectedOption, ...] = ()


class Interface(Model):
    """One thing that a caller can use, e.g. an HTTP operation."""

    name: str
    summary: str


class FileNote(Model):
    path: str
    purpose: str


class Harness(Model):
    """How the candidate is started behind the pipe so that `verified_io` criteria can talk to it."""

    kind: Literal["asgi"] = "asgi"
    target: str = Field(description="module:attribute, relative to the import roots")
    factory: bool = Field(default=False, description="call the attribute to get the application")
    import_roots: tuple[str, ...] = Field(default=("src", "."), description="directories of the tree put on sys.path")
    env: dict[str, str] = Field(default_factory=dict, description="{random} becomes a fresh value when judged")


class TestFile(Model):
    """A test that travels in the Spec, out of the builder's reach."""

    __test__ = False  # pytest would otherwise try to collect this class

    path: str
    content: str


class CheckCommand(Model):
    """A check of the project's own as a command line, in any language: exit code 0 is a pass, `self_reported`."""

    name: CriterionId = Field(description="a criterion of this id is judged by it")
    command: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)] = Field(
        description="program and arguments, run at the top of the project; `python` is the one of the project's lock"
    )
    seconds: int = Field(default=120, ge=1, le=600, description="what takes longer has failed")
    tests: tuple[str, ...] = Field(
        default=("tests",), description="files and folders it judges by: those of the base count too, as they were"
    )


class Criterion(Model):
    """One acceptance criterion; without a test it can only be judged by evidence from another check."""

    id: CriterionId
    statement: Annotated[str, Field(min_length=1, max_length=500), PLAIN]
    grade: Grade
    test: Annotated[str, Field(max_length=200), PLAIN] | None = Field(
        default=None, description="path::function of a test in the Spec"
    )


class BlueprintChoice(Model):
    """The blueprint that serves the request, pinned by the digest of its files."""

    name: str
    version: str
    digest: Sha256
    parameters: dict[str, str]


class WorkPackage(Model):
    """A part of the work that one builder can do alone. What it builds on is merged before it begins."""

    id: CriterionId
    title: Annotated[str, Field(min_length=1, max_length=120), PLAIN]
    summary: str = Field(description="what this package is to build, for a builder who sees the whole Spec as well")
    criteria: tuple[CriterionId, ...] = Field(min_length=1, description="those of the Spec that this package fulfils")
    files: tuple[str, ...] = Field(default=(), description="what it adds or changes; packages side by side share none")
    after: tuple[CriterionId, ...] = Field(default=(), description="the packages that it builds on")


class Spec(Message):
    """The design of one task. The architect is its only author; the validator judges by its hash."""

    type: Literal["spec"] = "spec"
    title: str
    request: str
    engine: str = Field(description="what made it, e.g. blueprint:auth-service@1.0.0")
    decisions: tuple[Decision, ...] = ()
    constraints: tuple[str, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    files: tuple[FileNote, ...] = ()
    criteria: tuple[Criterion, ...]
    tests: tuple[TestFile, ...] = ()
    harness: Harness | None = None
    blueprint: BlueprintChoice | None = None
    removed_tests: tuple[str, ...] = Field(default=(), description="tests of the base that this change may remove")
    commands: tuple[CheckCommand, ...] = Field(default=(), max_length=16, description="checks of the project's own")
    packages: tuple[WorkPackage, ...] = Field(
        default=(), max_length=8, description="in the order in which they are merged; none: the work is one piece"
    )
    loosens: tuple[str, ...] = Field(
        default=(), description="what judges the project now and this design lets go or change: an approver is asked"
    )
