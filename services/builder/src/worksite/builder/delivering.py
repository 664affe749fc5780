"""Deliver: push what has passed as a branch of its own, and open a merge request.

Killed anywhere and done again, it ends in the same: a branch that is there at the commit is left as it is, and a merge
request is looked for before one is opened. One that is ours was opened after the push: what people have made of it and
of its branch since, merged and closed ones included, is theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from worksite.builder.changesets import Work, refuse_stale
from worksite.builder.domain import merge_requests
from worksite.builder.domain.credentials import Credential, chosen
from worksite.builder.domain.remote_refs import HEADS, RemoteRefs
from worksite.builder.domain.urls import check_url
from worksite.builder.gitlab import GitLab
from worksite.builder.remote import Limits, Remote
from worksite.builder.repository import Repository
from worksite.common.artifacts import Artifacts
from worksite.common.errors import StepRefused, StepWaits
from worksite.common.messages import Changeset, DeliverBranch, Delivered, GitProject, ImportProject

Progress = Callable[[str], Awaitable[None]]
_MEND_DELIVERY = (
    "Whoever runs this system can allow it (ALLOW_FILE_PUSHES for file:// targets, a token in GIT_CREDENTIALS for "
    "merge requests); then answer, and the task goes on. Or submit it again without the delivery: what passes is among "
    "its artifacts, and 'worksite apply' puts it into a repository."
)


@dataclass(frozen=True)
class Deliverer:
    """One delivery, in a folder of its own."""

    workplace: Path
    artifacts: Artifacts
    progress: Progress
    limits: Limits
    credentials: Sequence[Credential]

    async def run(self, command: DeliverBranch) -> Delivered:
        """Raises StepRefused and RemoteUnavailable."""
        url, branch = _named(command.planned.remote), command.planned.branch
        credential = chosen(self.credentials, command.tenant, url)
        remote = Remote(url, self.limits, credential=credential)
        repository = await self._repository(command.changeset)
        if not command.delivery.merge_request:
            await self._push(remote, repository, command.changeset, branch)
            return Delivered(remote=url, branch=branch, head_sha=command.changeset.head_sha)
        forge = GitLab(*_at_forge(url, credential), self.limits)
        target = _target(command, await remote.refs(repository))
        wanted = merge_requests.merge_request(command.changeset, branch, target, command.title, command.task)
        found = await forge.find(wanted)
        if found is None or not (found.is_marked(command.task) or found.state in ("merged", "closed")):
            await self._push(remote, repository, command.changeset, branch)
        if found is None:
            await self.progress(f"opening a merge request into {target}")
            found = await forge.open(wanted)
        return Delivered(
            remote=url,
            branch=branch,
            head_sha=command.changeset.head_sha,
            merge_request=_shown(found.web_url),
            merge_request_state="merged" if found.state == "locked" else found.state,
        )

    async def _repository(self, changeset: Changeset) -> Repository:
        """The work as it was judged."""
        bundle = self.workplace / "change.bundle"
        await asyncio.to_thread(bundle.write_bytes, await self.artifacts.get(changeset.bundle))
        repository = await Repository.create(self.workplace / "repository.git")
        await repository.take_bundle(bundle)
        if await repository.commit_named(changeset.head_sha) != changeset.head_sha:
            raise StepRefused("unknown_head", f"the bundle does not hold the commit that passed, {changeset.head_sha}")
        await refuse_stale(Work(repository, changeset.base_sha, changeset.head_sha, changeset.branch))
        return repository

    async def _push(self, remote: Remote, repository: Repository, changeset: Changeset, branch: str) -> None:
        """A failure may have come after the branch was made: the remote says."""
        there = await remote.head_of(repository, branch)
        if there is None:
            await self.progress(f"pushing {branch}")
            try:
                await remote.push(repository, changeset.head_sha, branch)
            except StepRefused:
                there = await remote.head_of(repository, branch)
                if there is None:
                    raise
        if there not in (None, changeset.head_sha):
            raise StepRefused(
                "branch_taken", f"the remote has a branch {branch} with other work in it: choose another name"
            )


def check_plan(command: ImportProject, limits: Limits, credentials: Sequence[Credential]) -> None:
    """What can be told of a delivery before any work is. Raises StepWaits: settings may be mended."""
    if command.delivery is None:
        return
    cloned = command.source.git_url if isinstance(command.source, GitProject) else None
    try:
        url = _named(command.delivery.push.url or cloned)
        check_url(url, limits.allow_file_urls)
        if command.delivery.merge_request:
            _at_forge(url, chosen(credentials, command.tenant, url))
    except StepRefused as error:
        raise StepWaits(error.code, f"What passes could not be delivered: {error.detail}.", _MEND_DELIVERY) from error


def _at_forge(url: str, credential: Credential | None) -> tuple[Credential, str]:
    """The token for merge requests, and the project's path there."""
    project = merge_requests.project_of(url, credential.api_url) if credential else None
    if credential is None or not project:
        raise StepRefused(
            "no_credentials", "GIT_CREDENTIALS has no token for merge requests there that this tenant may use"
        )
    return credential, project


def _named(url: str | None) -> str:
    if url:
        return url
    raise StepRefused("no_remote", "the project has no git_url: say where to deliver it, as push.url")


def _target(command: DeliverBranch, refs: RemoteRefs) -> str:
    """The branch that the project came from; where it came from a tag or a commit, the default branch."""
    named = command.planned.into
    if named and HEADS + named in refs.names:
        return named
    if refs.trunk is None or not refs.trunk.startswith(HEADS):
        raise StepRefused("no_target", "the remote has no default branch that a merge request could go into")
    return refs.trunk.removeprefix(HEADS)


def _shown(url: str) -> str:
    """The forge's word goes to the client only as an address."""
    if not url.startswith(("https://", "http://")) or len(url) > 2000 or not url.isprintable():
        raise StepRefused("merge_request_refused", "the forge names no address of the merge request")
    return url
