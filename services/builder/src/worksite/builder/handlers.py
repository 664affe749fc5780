"""Translates commands to work and its outcome to replies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from worksite.builder.building import Builder
from worksite.builder.coding import Modelling
from worksite.builder.delivering import Deliverer, check_plan
from worksite.builder.importing import Importer
from worksite.builder.merging import Merger
from worksite.builder.remote import Limits, RemoteUnavailable
from worksite.builder.settings import BuilderSettings
from worksite.builder.steps import Workplaces
from worksite.common.errors import StepRefused
from worksite.common.messages import (
    BuildChange,
    DeliverBranch,
    ImportProject,
    NewProject,
    StepCommand,
    UploadedProject,
)
from worksite.common.secrets.rotation import Secrets
from worksite.common.worker import Handler, Reply, StepContext


def handlers(
    settings: BuilderSettings,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    modelling: Modelling | None = None,
    secrets: Secrets | None = None,
) -> dict[type[StepCommand], Handler]:
    """What the builder answers to. A step uses the credentials that are good when it begins."""
    latest = (secrets or Secrets()).latest
    workplaces = Workplaces(settings.state_dir, settings.max_leftover_bytes)
    limits = Limits(
        max_bytes=settings.max_repository_bytes,
        max_upload_bytes=settings.max_upload_bytes,
        timeout_seconds=settings.clone_timeout_seconds,
        allow_file_urls=settings.allow_file_urls,
        allow_private_hosts=settings.allow_private_hosts,
    )

    pushing = replace(limits, allow_file_urls=settings.allow_file_pushes)

    async def import_project(command: ImportProject, context: StepContext) -> Reply:
        check_plan(command, pushing, latest(settings).credentials())
        if not isinstance(command.source, NewProject):
            uploaded = isinstance(command.source, UploadedProject)
            await context.progress("unpacking the upload" if uploaded else "cloning the repository")
        async with workplaces.attempt(command.task, command.step) as workplace, _patience(command, now):
            credentials = latest(settings).credentials()
            imported = await Importer(workplace, context.artifacts, limits, credentials).run(command)
        await context.progress(f"base is {imported.base_sha[:12]}")
        return Reply(imported)

    async def build_change(command: BuildChange, context: StepContext) -> Reply:
        async with workplaces.attempt(command.task, command.step) as workplace:
            blueprints_dir, max_bytes = settings.blueprints_dir.resolve(), settings.max_repository_bytes
            if command.parts:
                return Reply(await Merger(workplace, context, max_bytes).run(command))
            return Reply(await Builder(workplace, context, blueprints_dir, max_bytes, modelling).run(command))

    async def deliver_branch(command: DeliverBranch, context: StepContext) -> Reply:
        async with workplaces.attempt(command.task, command.step) as workplace, _patience(command, now):
            credentials = latest(settings).credentials()
            deliverer = Deliverer(workplace, context.artifacts, context.progress, pushing, credentials)
            return Reply(await deliverer.run(command))

    return {ImportProject: import_project, BuildChange: build_change, DeliverBranch: deliver_branch}


@asynccontextmanager
async def _patience(command: StepCommand, now: Callable[[], datetime]) -> AsyncIterator[None]:
    """What may pass by itself is tried again until the deadline, and refused after it."""
    try:
        yield
    except RemoteUnavailable as error:
        if now() < command.deadline:
            raise
        raise StepRefused("repository_unreachable", f"tried until the deadline: {error}") from error
