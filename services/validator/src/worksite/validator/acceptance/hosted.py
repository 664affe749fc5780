"""The candidate's processes: started from a fresh copy of the tree, talked to by lines, never trusted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, cast

from worksite.validator.bench import Bench, Version
from worksite.validator.domain.cases import LAST_WORDS
from worksite.validator.domain.untrusted import read_json
from worksite.validator.sandbox import Job, LauncherError, Limits, LineTooLong, Session, SessionClosed

MIB = 1 << 20
START_SECONDS = 60.0
ANSWER_SECONDS = 60.0
STOP_SECONDS = 60.0
"""Each much more than it takes, because a machine may be busy with something else; the processor's time is bounded."""
MAX_LINE = 8 * MIB
LIMITS = Limits(wall_seconds=600, cpu_seconds=120, output_bytes=64 * MIB)


class CandidateFault(Exception):
    """The candidate did not start, did not answer, or answered nonsense: evidence against it."""


class Hosted:
    """A program of ours that runs the candidate's code in its process, with a workspace; a restart keeps the workspace.

    A subclass says which program, and with which configuration.
    """

    program: str

    def __init__(self, bench: Bench, version: Version, roots: Sequence[str], env: Mapping[str, str]) -> None:
        self._bench, self._version, self._roots, self._env = bench, version, roots, env
        self._kept = AsyncExitStack()
        self._process = AsyncExitStack()
        self._session: Session | None = None
        self._workspace = Path()

    def _config(self) -> dict[str, Any]:
        """What the program has to know beside its import paths."""
        return {}

    async def start(self) -> None:
        """Raises CandidateFault; LauncherError when the sandbox itself fails."""
        self._workspace = await self._kept.enter_async_context(self._bench.copy_of(self._version.tree))
        await self._start_process()

    async def restart(self) -> None:
        """Shut down in order, then start again in the same workspace with the same environment.

        Raises CandidateFault, also for a workspace that the candidate made unusable; LauncherError.
        """
        await self._stop_process()
        try:
            await self._start_process()
        except LauncherError as error:
            raise blamed(error) from None

    async def stop(self) -> None:
        """Kill it and remove its workspace."""
        self._session = None
        await self._process.aclose()
        await self._kept.aclose()

    async def _start_process(self) -> None:
        self._session = await self._process.enter_async_context(self._bench.sandbox.open(self._job()))
        greeting = await self._receive(START_SECONDS)
        if greeting.get("ready") is not True:
            raise CandidateFault(f"the application did not start: {greeting.get('error')}{self.last_words()}")

    async def _stop_process(self) -> None:
        if self._session is not None:
            with suppress(TimeoutError):  # then it is killed
                async with asyncio.timeout(STOP_SECONDS):
                    await self._session.wait()
        self._session = None
        await self._process.aclose()

    def _job(self) -> Job:
        packages = self._version.environment.paths
        host = self._bench.tools.program(self.program)
        config = {
            "import_roots": inside(self._roots, self._workspace),
            "packages": [str(path) for path in packages],
            **self._config(),
        }
        argv = (str(self._bench.sandbox.python), "-I", "-S", "-B", str(host), json.dumps(config))
        return Job(argv, self._workspace, (host.parent, *packages), self._env, LIMITS)

    async def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._session is None:
            raise CandidateFault("the candidate is not running")
        return await self._receive(ANSWER_SECONDS, json.dumps(message).encode() + b"\n")

    async def _receive(self, seconds: float, question: bytes = b"") -> dict[str, Any]:
        """One line, after the question if there is one. After a fault the pipe is out of step, so the process is given
        up; one that does not read is as late as one that does not answer."""
        assert self._session is not None
        try:
            async with asyncio.timeout(seconds):
                await self._session.write(question)
                return _parse(await self._session.readline(MAX_LINE, seconds))
        except (SessionClosed, LineTooLong, TimeoutError, CandidateFault) as error:
            fault = CandidateFault(f"{_words(error, seconds)}{self.last_words()}")
        self._session = None
        await self._process.aclose()
        raise fault

    def last_words(self) -> str:
        """The end of its error output, introduced; empty where it said nothing."""
        return quoted(self._session.stderr_tail(2000)) if self._session else ""


def quoted(output: bytes) -> str:
    """The candidate's output as what a person may read after the facts; empty where it said nothing."""
    said = output.decode(errors="replace").strip()
    return f"\n{LAST_WORDS}\n{said}" if said else ""


def blamed(error: LauncherError) -> Exception:
    """What to raise where a program cannot be started in a workspace that a candidate has already had in hand."""
    if error.step == "workspace":
        return CandidateFault(f"the candidate cannot be started in what it left behind: {error.reason}")
    return error


def inside(roots: Sequence[str], workspace: Path) -> list[str]:
    """Import roots as directories of this workspace; one that leaves it is left out."""
    resolved = [(workspace / root).resolve() for root in roots]
    return [str(root) for root in resolved if root.is_relative_to(workspace.resolve())]


def _words(error: Exception, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"the candidate did not answer within {seconds:.0f} s"
    if isinstance(error, SessionClosed):
        return "the candidate ended without an answer"
    return str(error)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        document = read_json(line)
    except ValueError:
        raise CandidateFault("the candidate sent a line that is not JSON") from None
    if not isinstance(document, dict):
        raise CandidateFault("the candidate sent a line that is not a JSON object")
    return cast("dict[str, Any]", document)
