"""Translates ValidateChange to a judgement and the judgement to a Report."""

from __future__ import annotations

import platform
from functools import partial
from pathlib import Path

from pydantic import ValidationError
from worksite.common.errors import StepRefused
from worksite.common.messages import CheckResult, Environment, Judgement, Report, Spec, ValidateChange
from worksite.common.worker import Handler, Reply, StepContext
from worksite.validator.bench import Bench, Change, Version
from worksite.validator.checks.result import Judged, run_check
from worksite.validator.declared import declared_by
from worksite.validator.domain import declaration, judgement
from worksite.validator.domain.declaration import Declaration, InvalidDeclaration
from worksite.validator.domain.documents import report_markdown
from worksite.validator.environment import EnvironmentUnavailable
from worksite.validator.judge import Evidence, judge
from worksite.validator.reviewing import JudgedChange, Reviewer
from worksite.validator.testfiles import stray_test
from worksite.validator.tree import Repository, Tree

_REPOSITORY = "repository"
ENGINE = "validator@0.1.0"


def validate_handler(bench: Bench, reviewer: Reviewer | None = None) -> Handler:
    """The handler of ValidateChange."""
    return partial(validate, bench, reviewer=reviewer)


async def validate(
    bench: Bench, command: ValidateChange, context: StepContext, reviewer: Reviewer | None = None
) -> Reply:
    """Judge a Changeset by its Spec; then a model may say what it thinks, which changes nothing.

    Raises StepRefused when there is nothing to judge.
    """
    spec = await _spec(command, context)
    async with bench.sandbox.new_workspace() as directory:
        head, base = await _trees(command, context, directory)
        await context.progress("preparing the environment")
        reviewed = command.project.changeset is not None
        evidence, environment = await _evidence(bench, spec, head, base, reviewed, context)
        judged = JudgedChange(command, spec, evidence, head, Repository(directory / _REPOSITORY), base is not None)
        advice = (await reviewer.review(judged, context),) if reviewer else ()
    report = _report(command, evidence, environment, advice)
    document = report_markdown(report, spec, reviewed=reviewed)
    return Reply(
        Judgement(
            verdict=report.verdict,
            report=await context.artifacts.put_message(report),
            document=await context.artifacts.put(document.encode(), "text/markdown"),
            summary=report.summary,
            engine=ENGINE,
            failure_signature=report.failure_signature,
        )
    )


async def _spec(command: ValidateChange, context: StepContext) -> Spec:
    try:
        spec = Spec.consume(await context.artifacts.get(command.spec))
    except ValidationError as error:
        raise StepRefused("spec-invalid", f"the Spec cannot be read: {error}") from error
    if stray := stray_test(spec.tests):
        raise StepRefused("spec-invalid", f"the Spec has a test outside its folder: {stray[:200]}")
    if unread := declaration.unread_module(spec.tests):
        raise StepRefused("spec-invalid", declaration.not_a_module(unread))
    if taken := {command.name for command in spec.commands} & set(declaration.CHECKS):
        raise StepRefused("spec-invalid", f"a command has the name of a check of ours: {min(taken)}")
    return spec


async def _trees(command: ValidateChange, context: StepContext, directory: Path) -> tuple[Tree, Tree | None]:
    """Head and base as files; no base where it is the head itself or an empty project."""
    await context.progress("unpacking the change")
    changeset = command.changeset
    repository = await Repository.create(directory / _REPOSITORY)
    await repository.add(await context.artifacts.get(changeset.bundle))
    head = await repository.export(changeset.head_sha, directory / "head")
    if command.project.changeset is None:  # a review compares with whatever base it was asked to
        await _refuse_stale(command, repository)
    if command.project.empty or changeset.base_sha == changeset.head_sha:
        return head, None
    if not await repository.has(changeset.base_sha):
        await repository.add(await context.artifacts.get(command.project.bundle))
    return head, await repository.export(changeset.base_sha, directory / "base")


async def _refuse_stale(command: ValidateChange, repository: Repository) -> None:
    """A change that does not go on from the imported commit would undo what others have done, tests and all."""
    base = command.project.base_sha
    if command.changeset.base_sha != base or not await repository.descends(command.changeset.head_sha, base):
        raise StepRefused("stale-base", f"the change does not go on from the imported commit {base}")


async def _evidence(
    bench: Bench, spec: Spec, head: Tree, base: Tree | None, reviewed: bool, context: StepContext
) -> tuple[Evidence, Environment | None]:
    """ENVIRONMENT when the head's environment cannot be built: nothing was run, so nothing else is said."""
    declared = declared_in(base) if base else declared_in(head).beside(spec)
    try:
        version = await bench.version(head)
    except EnvironmentUnavailable as error:
        reason = str(error)
        check = await run_check("environment", "verified_io", lambda: _unavailable(reason))
        criteria = tuple(judgement.judge_criterion(each, {}, {}) for each in spec.criteria)
        return Evidence(criteria, (check,)), None
    change = Change(spec, version, base, declared.apart_from(spec), reviewed)
    evidence = await judge(bench, change, context.progress)
    return evidence, _environment(bench, version)


def declared_in(tree: Tree) -> Declaration:
    """What the project declares, never by the change itself where there is a base. One that cannot be read declares
    nothing, and `forbidden-changes` says so."""
    try:
        return declared_by(tree)
    except InvalidDeclaration:
        return Declaration()


async def _unavailable(reason: str) -> Judged:
    return Judged("environment", reason)


def _environment(bench: Bench, version: Version) -> Environment:
    isolation = bench.sandbox.isolation
    return Environment(
        digest=version.environment.digest,
        lock=version.environment.lock,
        python=platform.python_version(),
        isolation=isolation.level,
        layers=isolation.layers,
    )


def _report(
    command: ValidateChange, evidence: Evidence, environment: Environment | None, advice: tuple[CheckResult, ...]
) -> Report:
    """Everything that decides is drawn from the evidence alone; advice is only put beside it."""
    verdict = evidence.verdict
    return Report(
        verdict=verdict,
        summary=judgement.summary(verdict, evidence.criteria, evidence.checks),
        engine=ENGINE,
        round=command.round,
        spec_sha256=command.spec.sha256,
        base_sha=command.changeset.base_sha,
        head_sha=command.changeset.head_sha,
        environment=environment,
        criteria=evidence.criteria,
        checks=(*evidence.checks, *advice),
        failure_signature=judgement.signature(evidence.criteria, evidence.checks) if verdict == "FAIL" else None,
    )
