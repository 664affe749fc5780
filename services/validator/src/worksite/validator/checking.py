"""Checks of work in progress, for a builder, which runs nothing of a candidate's itself: project tests and lint.

By the same code as in a judgement, so that they say the same; but no verdict comes of it, nothing is recorded, and the
Spec's tests are not run. Requests wait for their turn, and whatever they run is bounded in time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from worksite.common.artifacts import Artifacts
from worksite.common.errors import ServiceUnavailable, StepRefused
from worksite.common.messages import CandidateChecked, CheckCandidate, CheckResult, Spec
from worksite.validator.bench import Bench, Change
from worksite.validator.checks import commands, lint, project_tests
from worksite.validator.checks.result import run_check
from worksite.validator.environment import EnvironmentUnavailable
from worksite.validator.handlers import declared_in
from worksite.validator.tree import Repository, Tree

log = logging.getLogger(__name__)
WAIT_SECONDS, WHOLE_SECONDS = 60.0, 300.0
MAX_BUNDLE_BYTES = 32 << 20
_MAX_MESSAGE, _MAX_TEXT = 2000, 20_000


class Checking:
    """Answers one request at a time: judgements have the machine too."""

    def __init__(
        self,
        bench: Bench,
        artifacts: Artifacts,
        *,
        wait_seconds: float = WAIT_SECONDS,
        whole_seconds: float = WHOLE_SECONDS,
    ) -> None:
        self._bench, self._artifacts = bench, artifacts
        self._wait_seconds, self._whole_seconds = wait_seconds, whole_seconds
        self._turn = asyncio.Lock()

    async def check(self, asked: CheckCandidate) -> CandidateChecked:
        """Raises ServiceUnavailable where the turn does not come soon, StepRefused for what is no candidate."""
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._turn.acquire()
        except TimeoutError:
            raise ServiceUnavailable("the validator is busy with other checks") from None
        try:
            async with asyncio.timeout(self._whole_seconds):
                return CandidateChecked(text=await self._checked(asked))
        except TimeoutError:
            said = f"the checks were stopped: they were not done after {self._whole_seconds:g} s"
            return CandidateChecked(text=said)
        finally:
            self._turn.release()

    async def _checked(self, asked: CheckCandidate) -> str:
        spec = Spec.consume(await self._artifacts.get(asked.spec))
        async with self._bench.sandbox.new_workspace() as directory:
            head, base = await self._trees(asked, directory)
            declared = declared_in(base) if base else declared_in(head).beside(spec)
            try:
                version = await self._bench.version(head)
            except EnvironmentUnavailable as error:
                return f"nothing was run, the environment cannot be built: {error}"[:_MAX_TEXT]
            change = Change(spec, version, base, declared.apart_from(spec))
            results = await self._results(change)
            told = ", ".join(f"{each.name} {each.verdict}" for each in results)
            log.info("a candidate of %s was checked: %s", asked.tenant, told)
            return "\n".join([line for each in results for line in _told(each)])[:_MAX_TEXT]

    async def _trees(self, asked: CheckCandidate, directory: Path) -> tuple[Tree, Tree | None]:
        if asked.commits.size > MAX_BUNDLE_BYTES:
            raise StepRefused("candidate-too-large", f"a candidate has at most {MAX_BUNDLE_BYTES >> 20} MiB")
        repository, base = await Repository.create(directory / "repository"), asked.project.base_sha
        for bundle in (asked.project.bundle, asked.commits):
            await repository.add(await self._artifacts.get(bundle))
        if not await repository.descends(asked.head_sha, base):
            raise StepRefused("stale-base", f"the candidate does not go on from the imported commit {base}")
        head = await repository.export(asked.head_sha, directory / "head")
        return head, None if asked.project.empty else await repository.export(base, directory / "base")

    async def _results(self, change: Change) -> list[CheckResult]:
        """One after the other."""
        bench, run_by_pytest = self._bench, partial(project_tests.project_tests, self._bench, change)
        results = [await run_check(project_tests.NAME, "self_reported", run_by_pytest)]
        for each in change.commands:
            declared = partial(commands.command, bench, change, each)
            results.append(await run_check(each.name, "self_reported", declared))
        return [*results, await run_check(lint.NAME, "verified_io", partial(lint.lint, bench, change))]


def _told(result: CheckResult) -> Iterator[str]:
    """Without what differs from run to run: who asks the same again is to see that it is the same."""
    yield f"{result.name}: {result.verdict} ({result.evidence[:_MAX_MESSAGE]})"
    for finding in result.findings:
        place = f"{finding.path}:{finding.line or '?'}: " if finding.path else ""
        yield f"- {place}{finding.message[:_MAX_MESSAGE]}"
