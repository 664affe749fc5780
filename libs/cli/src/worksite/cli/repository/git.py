"""git on a person's own repository, run so that nothing happens there but what we say.

Their identity, credentials and filters stay as they are; no hook runs because of us, and nothing is tidied up or
fetched besides what was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_SECONDS = 300.0
_GRACE_SECONDS, _WHOLE_SECONDS = 10.0, 60.0
_WHOLE = frozenset({"switch", "reset"})
"""Commands that write a working tree: when we are to end they may go on, so that none is left half checked out."""
_KEPT = frozenset({"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH"})
# Harmless, and common in the history of old and respectable repositories; the builder tolerates the same:
_TOLERATED = ("badTimezone", "missingEmail", "missingNameBeforeEmail", "missingSpaceBeforeDate", "zeroPaddedFilemode")
_CONFIG = (
    "core.fsmonitor=false",  # names a program
    "core.hooksPath=/dev/null",
    "fetch.fsckObjects=true",
    "fetch.writeCommitGraph=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.file.allow=always",  # between directories of ours
    "submodule.recurse=false",
    *(f"fetch.fsck.{fault}=ignore" for fault in _TOLERATED),
)
_FILTER_OFF = ("clean=", "smudge=", "process=", "required=false")


class RepositoryError(Exception):
    """The repository does not allow what was asked for; the text says why and what to do."""


class GitFailed(RepositoryError):
    """git ended with an error; the text is what it said."""


def directory(path: Path) -> Path:
    """Raises RepositoryError where there is none."""
    if not path.is_dir():
        raise RepositoryError(f"{path} is not a directory" if path.exists() else f"there is no {path}")
    return path


@dataclass(frozen=True)
class Git:
    """git in one directory; `settings` (name=value) come before all others.

    It holds the descriptors `inherited` for as long as it runs, even when we are killed: locks, for one.
    """

    directory: Path
    settings: tuple[str, ...] = ()
    inherited: tuple[int, ...] = ()

    async def without_filters(self) -> Git:
        """The same, but the filters that the repository's configuration names run no program (they run on `status`)."""
        names = await self.says("config", "--name-only", "--get-regexp", r"^filter\..")
        drivers = {name.rpartition(".")[0] for name in (names or "").splitlines()}
        settings = (f"{driver}.{key}" for driver in sorted(drivers) for key in _FILTER_OFF)
        return Git(self.directory, tuple(settings))

    async def __call__(self, *arguments: str | Path, timeout_seconds: float = _TIMEOUT_SECONDS) -> str:
        """Standard output of one command. Raises GitFailed."""
        code, output, errors = await self._run(arguments, timeout_seconds)
        if code != 0:
            raise GitFailed(f"git {arguments[0]}: {_last_words(errors) or f'exit status {code}'}")
        return output

    async def lines(self, *arguments: str | Path) -> list[str]:
        """What a command lists, one item per line or, with `-z`, per NUL. Raises GitFailed."""
        output = await self(*arguments)
        return [item for item in output.split("\0" if "-z" in arguments else "\n") if item]

    async def says(self, *arguments: str | Path) -> str | None:
        """Standard output without its line end, or None where the command ends with an error or says nothing."""
        code, output, _ = await self._run(arguments, _TIMEOUT_SECONDS)
        return output.strip() or None if code == 0 else None

    async def agrees(self, *arguments: str | Path) -> bool:
        """Does the command end without an error?"""
        return (await self._run(arguments, _TIMEOUT_SECONDS))[0] == 0

    async def _run(self, arguments: tuple[str | Path, ...], timeout_seconds: float) -> tuple[int, str, str]:
        command = ["git", *(part for entry in (*_CONFIG, *self.settings) for part in ("-c", entry)), *arguments]
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self.directory, env=_environment(), stdin=nothing, stdout=pipe, stderr=pipe,
            start_new_session=True,  # Ctrl-C reaches only us
            pass_fds=self.inherited,
        )  # fmt: skip
        try:
            async with asyncio.timeout(timeout_seconds):
                output, errors = await process.communicate()
        except TimeoutError:
            raise GitFailed(f"git {arguments[0]} has not ended within {timeout_seconds:.0f} s") from None
        finally:
            if process.returncode is None:
                await _end(process, whole=arguments[0] in _WHOLE)
        return process.returncode or 0, os.fsdecode(output), errors.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process, *, whole: bool) -> None:
    """In order, and with its filters: asked to end git removes its locks and temporary files, killed it leaves them."""
    if whole and await _has_ended(process, _WHOLE_SECONDS):
        return
    for request in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, request)
        if await _has_ended(process, _GRACE_SECONDS):
            return


async def _has_ended(process: asyncio.subprocess.Process, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await process.communicate()
    except TimeoutError:
        return False
    return True


def _environment() -> dict[str, str]:
    """Without what would point git at another repository, as it is set while a hook runs."""
    passed_on = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    return passed_on | {
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _last_words(errors: str) -> str:
    """The first error that git names, else its last line."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    named = [line for line in lines if line.startswith(("fatal:", "error:", "! "))]
    return (named or lines[-1:] or [""])[0].removeprefix("fatal: ").removeprefix("error: ")
