"""The candidate's processes, by a sandbox that does what a hostile candidate can bring about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from worksite.common.messages import Harness
from worksite.validator.acceptance import hosted as module
from worksite.validator.acceptance.candidate import Candidate
from worksite.validator.acceptance.hosted import CandidateFault
from worksite.validator.bench import Version
from worksite.validator.environment import NO_DEPENDENCIES
from worksite.validator.sandbox import Job, LauncherError
from worksite.validator.tree import Tree


@dataclass
class ScriptedSession:
    """Says its lines; reads one question at most, if `reads`."""

    lines: list[bytes]
    reads: bool = True

    async def write(self, data: bytes) -> None:
        if data and not self.reads:
            await asyncio.Event().wait()

    async def readline(self, limit: int, timeout: float) -> bytes:  # noqa: ASYNC109 - as the session has it
        return self.lines.pop(0)

    def stderr_tail(self, size: int) -> bytes:
        return b""

    async def wait(self) -> None:
        return None


@dataclass
class ScriptedBench:
    """Opens one session after the other; an error in their place is raised."""

    sessions: list[ScriptedSession | LauncherError]
    tools: Any = field(default_factory=lambda: SimpleNamespace(program=Path))

    @property
    def sandbox(self) -> Any:
        return SimpleNamespace(open=self._open, python=Path("python3"))

    @asynccontextmanager
    async def copy_of(self, tree: Tree) -> AsyncIterator[Path]:
        yield tree.path

    @asynccontextmanager
    async def _open(self, job: Job) -> AsyncIterator[ScriptedSession]:
        session = self.sessions.pop(0)
        if isinstance(session, LauncherError):
            raise session
        yield session


READY = b'{"ready": true}\n'


def started_from(tmp_path: Path, *sessions: ScriptedSession | LauncherError) -> Candidate:
    bench: Any = ScriptedBench(list(sessions))
    return Candidate(bench, Version(Tree(tmp_path, ()), NO_DEPENDENCIES), Harness(target="calc:app"), {})


@pytest.mark.asyncio
async def test_a_workspace_that_the_candidate_made_unusable_is_its_own_fault(tmp_path: Path) -> None:
    candidate = started_from(tmp_path, ScriptedSession([READY]), LauncherError("workspace", "too many files"))
    await candidate.start()

    with pytest.raises(CandidateFault, match="what it left behind"):
        await candidate.restart()


@pytest.mark.asyncio
async def test_a_sandbox_that_fails_at_a_restart_is_not_the_candidates_fault(tmp_path: Path) -> None:
    candidate = started_from(tmp_path, ScriptedSession([READY]), LauncherError("spawn", "no memory"))
    await candidate.start()

    with pytest.raises(LauncherError):
        await candidate.restart()


@pytest.mark.timeout(240)
@pytest.mark.asyncio
async def test_a_candidate_that_does_not_read_is_as_late_as_one_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    candidate = started_from(tmp_path, ScriptedSession([READY], reads=False))
    await candidate.start()

    with pytest.raises(CandidateFault, match="did not answer within"):
        await candidate.exchange([{}])


@pytest.mark.parametrize(
    "line", [b'{"ready": false, "error": "\\ud800"}\n', b"[" * 100_000 + b"\n", b'{"ready": \xff}']
)
@pytest.mark.asyncio
async def test_whatever_a_candidate_says_first_fits_into_a_report(tmp_path: Path, line: bytes) -> None:
    candidate = started_from(tmp_path, ScriptedSession([line]))

    with pytest.raises(CandidateFault) as fault:
        await candidate.start()

    assert str(fault.value).encode()
