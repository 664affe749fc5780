"""Taking in what a client uploaded: a git bundle, or an archive of files that becomes one commit."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worksite.builder import process
from worksite.builder.domain.bundles import Bundle, broken_bundle, parse_bundle
from worksite.builder.domain.failures import OURS, classify
from worksite.builder.domain.redaction import presentable
from worksite.builder.domain.remote_refs import RemoteRefs, Wanted, WantedRef, examples
from worksite.builder.git import GitFailed
from worksite.builder.remote import Limits, RemoteUnavailable
from worksite.builder.repository import Repository
from worksite.builder.unpack import COMMIT_REF, MAX_SECONDS, REFUSED, STREAM, Order
from worksite.common.artifacts import Artifacts
from worksite.common.errors import ArtifactCorrupt, ArtifactMissing, StepRefused
from worksite.common.messages import UploadedProject

log = logging.getLogger(__name__)

_PROGRAM = Path(__file__).with_name("unpack.py")
_BRANCH = "refs/heads/main"


@dataclass(frozen=True)
class UploadedBundle:
    """A bundle in a file, whose header has been read."""

    file: Path
    bundle: Bundle
    limits: Limits

    async def refs(self, repository: Repository) -> RemoteRefs:
        """What it offers."""
        return self.bundle.refs

    async def fetch(self, repository: Repository, wanted: Sequence[Wanted]) -> list[str]:
        """The commits that were asked for, with their whole history, in the order asked. Raises StepRefused."""
        order = Order("bundle", self.file.name, self.limits.max_bytes, self.bundle.pack_offset)
        await _unpack(order, self.file.parent)
        try:
            with self.file.open("rb") as pack:
                pack.seek(self.bundle.pack_offset)
                await repository.take_pack(pack, self.limits.timeout_seconds)
        except GitFailed as error:
            raise _refusal(error, broken_bundle(str(error))) from error
        except TimeoutError as error:
            raise _too_slow(error) from error
        return [await self._commit(repository, one) for one in wanted]

    async def _commit(self, repository: Repository, wanted: Wanted) -> str:
        name = self.bundle.ids[wanted.name] if isinstance(wanted, WantedRef) else wanted.name
        commit = await repository.commit_named(name)
        if commit is None:
            raise StepRefused("unknown_ref", f"the bundle holds no commit {wanted.name!r}{examples(self.bundle.refs)}")
        return commit


@dataclass(frozen=True)
class UploadedArchive:
    """A zip or tar in a file."""

    file: Path
    source: UploadedProject
    limits: Limits

    async def refs(self, repository: Repository) -> RemoteRefs:
        """One branch, whatever the archive holds. Raises StepRefused."""
        if self.source.ref:
            raise StepRefused("unknown_ref", "an archive of files has no branches or tags: leave out `ref`")
        return RemoteRefs(frozenset({_BRANCH}), _BRANCH, _BRANCH)

    async def fetch(self, repository: Repository, wanted: Sequence[Wanted]) -> list[str]:
        """The one commit, the same for the same files, as often as it was asked for. Raises StepRefused."""
        order = Order(self.source.format, self.file.name, self.limits.max_bytes)
        await _unpack(order, self.file.parent)
        try:
            with (self.file.parent / STREAM).open("rb") as commands:
                await repository.take_stream(commands, self.limits.timeout_seconds)
        except GitFailed as error:
            unsafe = StepRefused("unsafe_archive", "git refuses a file of the archive, such as a faulty .gitmodules")
            raise _refusal(error, unsafe) from error
        except TimeoutError as error:
            raise _too_slow(error) from error
        commit = await repository.commit_named(COMMIT_REF)
        assert commit
        return [commit] * len(wanted)


async def open_upload(
    source: UploadedProject, artifacts: Artifacts, workplace: Path, limits: Limits
) -> UploadedBundle | UploadedArchive:
    """Fetch it from the store, into the workplace. Raises StepRefused."""
    if source.archive.size > limits.max_upload_bytes:
        raise StepRefused(
            "upload_too_large",
            f"the upload holds {source.archive.size} bytes, more than {limits.max_upload_bytes} (MAX_UPLOAD_BYTES): "
            "leave out what can be built or downloaded, or give a git_url",
        )
    try:
        data = await artifacts.get(source.archive)
    except (ArtifactMissing, ArtifactCorrupt) as error:
        raise StepRefused("upload_missing", "the upload is no longer there: upload it again") from error
    file = workplace / "upload"
    await asyncio.to_thread(file.write_bytes, data)
    if source.format == "bundle":
        bundle = await asyncio.to_thread(parse_bundle, data)  # a header may have millions of lines
        return UploadedBundle(file, bundle, limits)
    return UploadedArchive(file, source, limits)


async def _unpack(order: Order, workplace: Path) -> None:
    """Run the program that reads uploads. Raises StepRefused, and RemoteUnavailable where the disk is full."""
    try:
        finished = await process.run(
            [sys.executable, "-P", "-s", _PROGRAM],
            env={"HOME": "/dev/null", "PATH": "/dev/null", "PYTHONUTF8": "1"},
            cwd=workplace,
            stdin=json.dumps(order._asdict()).encode(),
            timeout_seconds=MAX_SECONDS,
        )
    except TimeoutError as error:
        raise _too_slow(error) from error
    if finished.returncode == REFUSED:
        refusal = StepRefused(**json.loads(finished.output))
        log.warning("upload refused as %s: %s", refusal.code, presentable(finished.errors))
        raise refusal
    if finished.returncode != 0:
        if classify(finished.errors) is OURS:
            raise RemoteUnavailable(OURS.advice)
        raise RuntimeError(f"unpacking failed: {presentable(finished.errors)}")


def _refusal(error: GitFailed, refusal: StepRefused) -> RemoteUnavailable | StepRefused:
    """git's words stay in the log: they repeat names from the upload."""
    log.warning("%s", error)
    return RemoteUnavailable(OURS.advice) if classify(str(error)) is OURS else refusal


def _too_slow(error: TimeoutError) -> StepRefused:
    return StepRefused("repository_too_large", f"the upload takes too long to unpack: {error}")
