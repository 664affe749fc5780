"""Fetching from a remote that may be slow, gone, huge or hostile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worksite.builder.domain.failures import classify
from worksite.builder.domain.remote_refs import RemoteRefs, Wanted, WantedRef, parse_refs
from worksite.builder.domain.urls import check_url, protocols
from worksite.builder.git import GitFailed
from worksite.builder.repository import Repository
from worksite.common.errors import Retryable, StepRefused

_LIST_SECONDS = 60.0
_SIZE_CHECK_SECONDS = 0.1
_EVERYTHING = ("+refs/heads/*:refs/worksite/heads/*", "+refs/tags/*:refs/worksite/tags/*")


class RemoteUnavailable(Retryable):
    """The remote did not answer as it should; it may do so later."""


@dataclass(frozen=True)
class Limits:
    """What a client may have the builder fetch."""

    max_bytes: int
    timeout_seconds: float
    allow_file_urls: bool


@dataclass(frozen=True)
class Remote:
    """Somebody else's repository. Every method raises StepRefused and RemoteUnavailable."""

    url: str
    limits: Limits

    async def refs(self, repository: Repository) -> RemoteRefs:
        """What it offers."""
        check_url(self.url, self.limits.allow_file_urls)
        listing = await self._git(repository, "ls-remote", "--symref", "--", self.url, timeout_seconds=_LIST_SECONDS)
        return parse_refs(listing.decode(errors="replace"))

    async def fetch(self, repository: Repository, wanted: Sequence[Wanted]) -> list[str]:
        """The commits that were asked for, with their whole history, in the order asked."""
        names = [f"refs/worksite/{n}" if isinstance(one, WantedRef) else one.name for n, one in enumerate(wanted)]
        refspecs = [f"+{one.name}:refs/worksite/{n}" for n, one in enumerate(wanted) if isinstance(one, WantedRef)]
        if len(refspecs) < len(wanted):
            refspecs += _EVERYTHING
        options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
        fetching = self._git(
            repository, "fetch", *options, "--", self.url, *refspecs, timeout_seconds=self.limits.timeout_seconds
        )
        await _within(self.limits.max_bytes, repository.git.directory, fetching)
        return [await _commit(repository, one, name) for one, name in zip(wanted, names, strict=True)]

    async def _git(self, repository: Repository, *arguments: str, timeout_seconds: float) -> bytes:
        allowed = protocols(self.limits.allow_file_urls)
        try:
            return await repository.git(*arguments, protocols=allowed, timeout_seconds=timeout_seconds)
        except TimeoutError as error:
            raise RemoteUnavailable(str(error)) from error
        except GitFailed as error:
            raise _translated(error) from error


def _translated(error: GitFailed) -> Exception:
    problem = classify(str(error))
    if problem is None:
        return error
    if problem.code is None:
        return RemoteUnavailable(f"{problem.advice} ({error})")
    return StepRefused(problem.code, f"{problem.advice} ({error})")


async def _commit(repository: Repository, wanted: Wanted, name: str) -> str:
    commit = await repository.commit_named(name)
    if commit is None:
        raise StepRefused(
            "unknown_ref", f"{wanted.name!r} names no commit with a complete history (a shallow clone has none)"
        )
    return commit


async def _within(max_bytes: int, folder: Path, fetching: Coroutine[Any, Any, bytes]) -> None:
    """Watch the folder grow: no transport of git can be told a limit."""
    task = asyncio.create_task(fetching)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_SIZE_CHECK_SECONDS)
            if await asyncio.to_thread(_size, folder) > max_bytes:
                raise StepRefused("repository_too_large", f"the repository holds more than {max_bytes} bytes")
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _size(folder: Path) -> int:
    """Bytes of all files below; what vanishes meanwhile counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118
            except FileNotFoundError:
                continue
    return total
