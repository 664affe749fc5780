"""Work in progress, tried by the validator: the project's tests and lint, in its sandbox and by its rules.

The builder runs nothing of a candidate's itself. What it asks for is no judgement: the Spec's tests are not run, and
nothing is recorded but the answer, in the step's journal.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from worksite.builder.domain import authorship
from worksite.builder.git import GitFailed
from worksite.builder.repository import Worktree
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, request
from worksite.common.errors import Permanent, ServiceUnavailable
from worksite.common.llm.agents import ToolFailed
from worksite.common.messages import BuildChange, CandidateChecked, CheckCandidate

MAX_COMMITS_BYTES = 32 << 20
_SECONDS = 420.0
"""Longer than the validator lets a request wait and run."""
_MEDIA_TYPE = "application/x-git-bundle"


@dataclass(frozen=True)
class Trial:
    """Of one worktree."""

    bus: Bus
    artifacts: Artifacts
    worktree: Worktree
    command: BuildChange

    async def __call__(self) -> str:
        """What the checks say of the files as they are. Raises ToolFailed, for the model; BusUnavailable, QueueFull."""
        command, bundle = self.command, self.worktree.folder.parent / "candidate.bundle"
        try:
            head = await self._committed(bundle)
        except (GitFailed, TimeoutError) as error:
            raise ToolFailed(f"git cannot take the files as they are: {error}") from error
        commits = await self.artifacts.put(await asyncio.to_thread(_read, bundle), _MEDIA_TYPE)
        asked = CheckCandidate(
            tenant=command.tenant, spec=command.spec, project=command.project, head_sha=head, commits=commits
        )
        return await self._answer(asked)

    async def _committed(self, bundle: Path) -> str:
        head = await self.worktree.candidate("candidate", authorship.task_seconds(self.command.task))
        await self.worktree.repository.write_commits(bundle, self.worktree.base, head)
        return head

    async def _answer(self, asked: CheckCandidate) -> str:
        try:
            answer = await request(self.bus, "validator", "check", asked, CandidateChecked, timeout_seconds=_SECONDS)
        except ServiceUnavailable as error:
            raise ToolFailed(f"checks cannot be run now, go on without: {error}") from error
        except Permanent as error:
            raise ToolFailed(str(error)) from error
        return answer.text


def _read(bundle: Path) -> bytes:
    if bundle.stat().st_size > MAX_COMMITS_BYTES:
        raise ToolFailed(f"the work takes more than {MAX_COMMITS_BYTES >> 20} MiB: too much to be checked on the way")
    return bundle.read_bytes()
