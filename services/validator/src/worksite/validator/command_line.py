"""Programs of the candidate's as command lines, whatever language they are written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from worksite.validator.bench import Bench, Version
from worksite.validator.sandbox import Job, LauncherError, Limits, Outcome

PYTHON = "python"
"""As the first word of a command line: the interpreter and the locked packages that the candidate is judged with."""


class NotThere(Exception):
    """The project lacks the program that was to be run, or it cannot be executed."""


async def run_command(
    bench: Bench,
    version: Version,
    argv: Sequence[str],
    workspace: Path,
    limits: Limits,
    *,
    roots: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> Outcome:
    """Run `argv` in `workspace`; `roots` are directories that Python imports from.

    Raises NotThere for a path of the project, LauncherError for a program that this machine lacks.
    """
    packages = version.environment.paths
    paths = {"PYTHONPATH": ":".join([*roots, *map(str, packages)]), "PYTHONDONTWRITEBYTECODE": "1"}
    program = (str(bench.sandbox.python), "-S") if argv[0] == PYTHON else (argv[0],)
    job = Job((*program, *argv[1:]), workspace, packages, paths | dict(env or {}), limits, stdin)
    try:
        return await bench.sandbox.run(job)
    except LauncherError as error:
        if error.step == "exec" and "/" in argv[0]:
            raise NotThere(f"{argv[0]} cannot be run: {error.reason}") from None
        raise


def ending(outcome: Outcome) -> str:
    """How it ended, for a person."""
    if outcome.stopped:
        return f"was stopped by its limits ({outcome.stopped})"
    return f"was killed by signal {outcome.signal}" if outcome.signal else f"ended with exit code {outcome.exit_code}"
