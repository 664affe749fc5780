"""What a finished task leaves that is worth finding again, and which older results it replaces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError
from worksite.common.errors import MalformedMessage
from worksite.common.messages import (
    ArtifactRef,
    DocumentEntry,
    DocumentText,
    GitProject,
    NewProject,
    TaskEntry,
    TaskOrigin,
    TaskState,
    UploadedProject,
    document_id,
)
from worksite.common.messages.knowledge import MAX_DOCUMENT_BYTES, DocumentPath, Tag
from worksite.common.messages.sources import ProjectSource

TASK_TAG = "task"
UNNAMED = NewProject().name
"""Of a new project that nobody named: the title of its Spec stands for it."""
_BUILT = {"feature", "fix"}
_PATH: TypeAdapter[str] = TypeAdapter(DocumentPath)
_TAG: TypeAdapter[str] = TypeAdapter(Tag)


@dataclass(frozen=True, slots=True)
class TaskResults:
    """Where the results of one task are. `documents` are Markdown, by their names; `branch` is an archive."""

    tenant: str
    origin: TaskOrigin
    tags: tuple[str, ...]
    completed_at: datetime
    documents: Mapping[str, ArtifactRef]
    branch: ArtifactRef | None
    route: str

    @property
    def task(self) -> str:
        """Its id."""
        return self.origin.task

    def without_branch(self) -> TaskResults:
        """Its documents alone. They are no newer code: they replace only what such a task has left in the same way."""
        origin = self.origin.model_copy(update={"project": f"{self.route} {self.origin.project}"})
        return replace(self, origin=origin, branch=None)

    @property
    def completed(self) -> Completed:
        """The task among others."""
        return completed(self.origin, self.completed_at)


@dataclass(frozen=True, slots=True)
class ResultText:
    """A result as a document: what is stored, and the tags of its row."""

    text: DocumentText
    tags: tuple[str, ...]
    origin: TaskOrigin

    @property
    def document(self) -> str:
        """Its id."""
        return document_id(self.text.path)

    def row(self, stored: ArtifactRef) -> DocumentEntry:
        """The row that asks for it."""
        return DocumentEntry(
            tenant=self.text.tenant,
            id=self.document,
            path=self.text.path,
            tags=self.tags,
            text=stored,
            state="queued",
            submitted_at=self.text.submitted_at,
            origin=self.origin,
        )


def results_of(key: str, value: bytes) -> TaskResults | None:
    """From a row of the bucket `tasks`; None where there is nothing to learn from it, or not yet.

    What has been judged must have passed. A design ends without a verdict and counts by itself; an answer, which is
    made of what is known already, and whatever failed or was cancelled do not. The branch counts where it was built
    here: what is reviewed is the client's own. Raises MalformedMessage for what is no row.
    """
    try:
        state = TaskEntry.consume(value).state
    except ValidationError as error:
        raise MalformedMessage(f"row {key} of the tasks cannot be read: {error}") from error
    if state is None or state.status != "completed" or state.spec is None:
        return None
    if key != f"{state.tenant}.{state.task}":
        raise MalformedMessage(f"row {key} of the tasks holds a task of {state.tenant}")
    if state.route.route != "design" and (state.judgement is None or state.judgement.verdict != "PASS"):
        return None
    return _results(state, state.spec.document, state.spec.title)


def _results(state: TaskState, spec: ArtifactRef, title: str) -> TaskResults:
    identity, name = _project(state.project, title)
    results = TaskResults(
        tenant=state.tenant,
        origin=TaskOrigin(task=state.task, project=identity),
        tags=(TASK_TAG, *_tag(name)),
        completed_at=state.updated_at,
        documents={"spec.md": spec} | ({"report.md": state.judgement.document} if state.judgement else {}),
        branch=state.changeset.archive if state.changeset else None,
        route=state.route.route,
    )
    return results if results.branch and results.route in _BUILT else results.without_branch()


def _project(source: ProjectSource, title: str) -> tuple[str, str | None]:
    """What tells a project from others, and its name."""
    match source:
        case NewProject(name=name) if name == UNNAMED:
            return f"titled:{title[:1000]}", None
        case NewProject(name=name):
            return f"new:{name}", name
        case GitProject(git_url=url):
            return f"git:{url}", url.rstrip("/").rpartition("/")[2].removesuffix(".git")
        case UploadedProject(name=str(name)):
            return f"uploaded:{name}", name
        case UploadedProject(archive=archive):
            return f"upload:{archive.sha256}", None


def _tag(name: str | None) -> tuple[str, ...]:
    try:
        return (_TAG.validate_python(re.sub(r"[^A-Za-z0-9._-]", "-", name or "")[:50]),)
    except ValidationError:
        return ()


def texts_of(results: TaskResults, found: Mapping[str, str]) -> list[ResultText]:
    """The documents, from texts by their paths below the task; those that no document can hold are left out."""
    return [
        ResultText(
            DocumentText(tenant=results.tenant, path=path, text=text, submitted_at=results.completed_at),
            results.tags,
            results.origin,
        )
        for path, text in ((f"tasks/{results.task}/{name}", text) for name, text in found.items())
        if _fits(path, text)
    ]


def _fits(path: str, text: str) -> bool:
    try:
        _PATH.validate_python(path)
    except ValidationError:
        return False
    return bool(text.strip()) and len(text.encode()) <= MAX_DOCUMENT_BYTES


@dataclass(frozen=True, slots=True)
class Completed:
    """A task that has left something, when, and on which project."""

    at: datetime
    task: str
    project: str


def completed(origin: TaskOrigin, at: datetime) -> Completed:
    """The task that a document or other results come from."""
    return Completed(at, origin.task, origin.project)


def kept(tasks: Iterable[Completed], most: int) -> frozenset[str]:
    """Of one tenant's tasks the latest `most` that no later one on the same project has replaced.

    Those without a branch count as a project of their own, see `TaskResults.without_branch`.
    """
    found: list[str] = []
    projects: set[str] = set()
    for task in sorted(set(tasks), key=lambda one: (one.at, one.task), reverse=True):
        if task.project not in projects:
            found.append(task.task)
        projects.add(task.project)
    return frozenset(found[:most])
