"""Import: fix the commit that a task starts from, and store its history as one bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worksite.builder.changesets import Work, changeset, store_archive, store_bundle
from worksite.builder.domain import authorship
from worksite.builder.domain.credentials import Credential, chosen
from worksite.builder.domain.remote_refs import RemoteRefs, WantedRef, choose
from worksite.builder.filters import refuse_filters
from worksite.builder.remote import Limits, Remote
from worksite.builder.repository import Repository
from worksite.builder.uploads import UploadedArchive, UploadedBundle, open_upload
from worksite.common.artifacts import Artifacts
from worksite.common.errors import StepRefused
from worksite.common.messages import GitProject, ImportedProject, ImportProject, NewProject, UploadedProject

Origin = Remote | UploadedBundle | UploadedArchive
BASE_TAG = "worksite/base"
"""Where the bundle of a review keeps the base, which need not be an ancestor of the head."""
_MAIN = "main"


@dataclass(frozen=True)
class Importer:
    """One import, in a folder of its own."""

    workplace: Path
    artifacts: Artifacts
    limits: Limits
    credentials: Sequence[Credential] = ()

    async def run(self, command: ImportProject) -> ImportedProject:
        """Raises StepRefused and RemoteUnavailable."""
        repository, source = await Repository.create(self.workplace / "repository.git"), command.source
        if isinstance(source, NewProject):
            return await self._new(repository, command)
        origin = await self._origin(source, command.tenant)
        refs = await origin.refs(repository)
        if refs.empty and source.ref is None:
            return await self._new(repository, command)
        if command.review:
            return await self._review(repository, origin, refs, source.ref, command.review_base)
        return await self._existing(repository, origin, refs, source.ref)

    async def _origin(self, source: GitProject | UploadedProject, tenant: str) -> Origin:
        if isinstance(source, GitProject):
            credential = chosen(self.credentials, tenant, source.git_url)
            return Remote(source.git_url, self.limits, credential=credential)
        return await open_upload(source, self.artifacts, self.workplace, self.limits)

    async def _new(self, repository: Repository, command: ImportProject) -> ImportedProject:
        """One root commit without files, the same for every new project."""
        if command.review:
            raise StepRefused("nothing_to_review", "the project is empty")
        tree = await repository.empty_tree()
        root = await repository.commit_tree(tree, [], authorship.ROOT_MESSAGE, authorship.ROOT_SECONDS)
        await repository.set_branch(_MAIN, root)
        bundle = await store_bundle(self.artifacts, repository, self.workplace, [f"refs/heads/{_MAIN}"])
        return ImportedProject(base_sha=root, bundle=bundle, empty=True)

    async def _existing(
        self, repository: Repository, origin: Origin, refs: RemoteRefs, ref: str | None
    ) -> ImportedProject:
        wanted = choose(refs, ref)
        (base,) = await origin.fetch(repository, [wanted])
        await refuse_filters(repository, base)
        branch = wanted.local_branch
        await repository.set_branch(branch, base)
        bundle = await store_bundle(self.artifacts, repository, self.workplace, [f"refs/heads/{branch}"])
        return ImportedProject(base_sha=base, bundle=bundle, empty=False)

    async def _review(
        self, repository: Repository, origin: Origin, refs: RemoteRefs, ref: str | None, base_ref: str | None
    ) -> ImportedProject:
        """The same bundle serves as project and as Changeset: it holds the head, and the base under a tag."""
        wanted = choose(refs, ref)
        against = choose(refs, base_ref) if base_ref is not None else WantedRef(refs.trunk) if refs.trunk else wanted
        head, other = await origin.fetch(repository, [wanted, against])
        base = other if base_ref else await repository.merge_base(other, head) or head
        for commit in dict.fromkeys((head, base)):
            await refuse_filters(repository, commit)
        work = Work(repository, base, head, wanted.local_branch)
        await repository.set_branch(work.branch, head)
        await repository.set_tag(BASE_TAG, base)
        names = [f"refs/heads/{work.branch}", f"refs/tags/{BASE_TAG}"]
        bundle = await store_bundle(self.artifacts, repository, self.workplace, names)
        archive = await store_archive(self.artifacts, work, self.workplace, self.limits.max_bytes)
        found = await changeset(work, bundle=bundle, archive=archive, summary=_summary(work), engine="imported")
        return ImportedProject(base_sha=base, bundle=bundle, empty=False, changeset=found)


def _summary(work: Work) -> str:
    if work.base == work.head:
        return f"{work.branch} at {work.head[:12]}; no baseline, so everything in it is judged"
    return f"{work.branch} at {work.head[:12]}, compared with {work.base[:12]}"
