"""Command lines of the candidate's, in whatever language: arguments and input go in, output and exit code come out."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from worksite.validator.acceptance.hosted import MIB, CandidateFault, blamed, inside, quoted
from worksite.validator.bench import Bench, Version
from worksite.validator.command_line import NotThere, ending, run_command
from worksite.validator.domain.reach import runs_something_of
from worksite.validator.sandbox import LauncherError, Limits

_LIMITS = Limits(wall_seconds=30, cpu_seconds=30, output_bytes=2 * MIB)


class Commands:
    """One copy of the project, in which command lines run one after the other; what they write there stays."""

    def __init__(self, bench: Bench, version: Version, roots: Sequence[str], env: Mapping[str, str]) -> None:
        self._bench, self._version, self._roots, self._env = bench, version, roots, env
        self._kept = AsyncExitStack()
        self._workspace = Path()
        self._said = b""

    async def start(self) -> None:
        self._workspace = await self._kept.enter_async_context(self._bench.copy_of(self._version.tree))

    async def stop(self) -> None:
        await self._kept.aclose()

    def reaches(self, argv: Sequence[str]) -> bool:
        """Whether the command line runs or reads something of the project's."""
        return runs_something_of(self._version.tree.files, self._roots, argv)

    async def run(self, argv: Sequence[str], stdin: bytes, env: Mapping[str, str]) -> dict[str, Any]:
        """How a program ended and what it wrote. Raises CandidateFault; LauncherError when the sandbox itself fails."""
        roots = inside(self._roots, self._workspace)
        more = {**self._env, **env}
        try:
            outcome = await run_command(
                self._bench, self._version, argv, self._workspace, _LIMITS, roots=roots, env=more, stdin=stdin
            )
        except NotThere as error:
            raise CandidateFault(str(error)) from None
        except LauncherError as error:
            raise blamed(error) from None
        self._said = outcome.stderr
        if outcome.stopped:
            raise CandidateFault(f"{' '.join(argv)[:200]} {ending(outcome)}{self.last_words()}")
        return {
            "code": outcome.exit_code if outcome.signal is None else -outcome.signal,
            "out": base64.b64encode(outcome.stdout).decode(),
            "err": base64.b64encode(outcome.stderr).decode(),
        }

    def last_words(self) -> str:
        """The end of the last program's error output, introduced; empty where it said nothing."""
        return quoted(self._said[-2000:])
