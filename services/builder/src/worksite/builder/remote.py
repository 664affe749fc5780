"""Fetching from a remote that may be slow, gone, huge or hostile."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worksite.builder.domain.addresses import refuse_private
from worksite.builder.domain.credentials import Credential
from worksite.builder.domain.failures import classify
from worksite.builder.domain.remote_refs import RemoteRefs, Wanted, WantedRef, parse_refs
from worksite.builder.domain.routes import Route, pinned
from worksite.builder.domain.urls import check_url, protocols
from worksite.builder.git import GitFailed
from worksite.builder.lookup import Lookup, addresses_of
from worksite.builder.repository import Repository
from worksite.common.errors import Retryable, StepRefused

log = logging.getLogger(__name__)

_LIST_SECONDS = 60.0
_SIZE_CHECK_SECONDS = 0.1
_EVERYTHING = ("+refs/heads/*:refs/worksite/heads/*", "+refs/tags/*:refs/worksite/tags/*")


class RemoteUnavailable(Retryable):
    """The remote did not answer as it should; it may do so later."""


@dataclass(frozen=True)
class Limits:
    """What a client may have the builder fetch, or unpack."""

    max_bytes: int
    max_upload_bytes: int
    timeout_seconds: float
    allow_file_urls: bool
    allow_private_hosts: bool


@dataclass(frozen=True)
class Remote:
    """Somebody else's repository. Every method raises StepRefused and RemoteUnavailable."""

    url: str
    limits: Limits
    lookup: Lookup = addresses_of
    credential: Credential | None = None

    async def refs(self, repository: Repository) -> RemoteRefs:
        """What it offers."""
        listing = await self._git(repository, "ls-remote", ["--symref"], [], _LIST_SECONDS)
        return parse_refs(listing.decode(errors="replace"))

    async def fetch(self, repository: Repository, wanted: Sequence[Wanted]) -> list[str]:
        """The commits that were asked for, with their whole history, in the order asked."""
        names = [f"refs/worksite/{n}" if isinstance(one, WantedRef) else one.name for n, one in enumerate(wanted)]
        refspecs = [f"+{one.name}:refs/worksite/{n}" for n, one in enumerate(wanted) if isinstance(one, WantedRef)]
        if len(refspecs) < len(wanted):
            refspecs += _EVERYTHING
        options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
        fetching = self._git(repository, "fetch", options, refspecs, self.limits.timeout_seconds)
        await _within(self.limits.max_bytes, repository.git.directory, fetching)
        return [await _commit(repository, one, name) for one, name in zip(wanted, names, strict=True)]

    async def head_of(self, repository: Repository, branch: str) -> str | None:
        """The commit of a branch; None where there is no such branch."""
        listing = await self._git(repository, "ls-remote", [], [f"refs/heads/{branch}"], _LIST_SECONDS)
        lines = [line.split("\t") for line in listing.decode(errors="replace").splitlines()]
        return next((commit for commit, name in lines if name == f"refs/heads/{branch}"), None)

    async def push(self, repository: Repository, commit: str, branch: str) -> None:
        """Make a branch. One that is there already is never moved, whoever made it meanwhile."""
        name = f"refs/heads/{branch}"
        options = ("--quiet", "--no-verify", f"--force-with-lease={name}:")
        await self._git(repository, "push", options, [f"{commit}:{name}"], self.limits.timeout_seconds)

    async def _git(
        self, repository: Repository, command: str, options: Sequence[str], refspecs: Sequence[str], seconds: float
    ) -> bytes:
        route = await self._route()
        arguments = (command, *options, "--", route.url, *refspecs)
        allowed = protocols(self.limits.allow_file_urls)
        try:
            return await repository.git(
                *arguments, env=route.env, protocols=allowed, timeout_seconds=seconds, secrets=self._secrets
            )
        except TimeoutError as error:
            raise RemoteUnavailable(str(error)) from error
        except GitFailed as error:
            raise _translated(error) from error

    @property
    def _secrets(self) -> tuple[str, ...]:
        return self.credential.secrets if self.credential else ()

    async def _route(self) -> Route:
        """Looked up once per command, checked, and pinned; the credential goes to the host of the URL alone."""
        route = await self._checked_route()
        return route.with_header(self.credential.header) if self.credential else route

    async def _checked_route(self) -> Route:
        host = check_url(self.url, self.limits.allow_file_urls)
        if host is None or self.limits.allow_private_hosts:
            return Route(self.url)
        addresses = await self.lookup(host)
        refuse_private(addresses)
        return pinned(self.url, host, addresses)


def _translated(error: GitFailed) -> RemoteUnavailable | StepRefused:
    """Our words only: git repeats what the remote sent, which may be a page that was never meant for the client."""
    log.warning("%s", error)
    problem = classify(str(error))
    if problem.code is None:
        return RemoteUnavailable(problem.advice)
    return StepRefused(problem.code, problem.advice)


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
