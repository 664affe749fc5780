"""Keeps the index equal to folders of files, whatever happens to them.

A look is at a path, not at an event: it compares what is there now with what is indexed, so that a look too many does
nothing and a lost one is made good by the next. A file is read when its stamp differs, indexed when its content does.
A file that cannot be opened keeps what is indexed of it; one whose new content cannot be indexed answers no longer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from prometheus_client import Counter
from worksite.common.ids import SHARED_TENANT
from worksite.rag.converting import Converter
from worksite.rag.domain.changes import is_whole
from worksite.rag.domain.documents import Document, Unindexable
from worksite.rag.folders import Contents, Folder, Stamp, decoded, read, stamp_of
from worksite.rag.index import Indexer
from worksite.rag.metrics import ERRORS

log = logging.getLogger(__name__)

_FILES = Counter("rag_ingest_files_total", "Files of folders that were looked at and had changed", ["outcome"])
_SHOWN = 5
MAX_PATH_LENGTH = 400
"""As of documents that tenants send: many results have to fit into a message."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file when it was last looked at, or what an earlier process has indexed of it, without a stamp."""

    stamp: Stamp | None
    digest: str


class Library:
    """The files of some folders. Calls must not overlap.

    `refused` says why, by path; what is `unsettled` is no fault of the file and has to be looked at again soon.
    """

    def __init__(self, indexer: Indexer, folders: Iterable[Folder], converter: Converter) -> None:
        self.folders = tuple(folders)
        self.refused: dict[str, str] = {}
        self.unsettled: set[str] = set()
        self._indexer = indexer
        self._converter = converter
        self._state: MutableMapping[str, str] = {}
        self._seen: dict[str, _Seen | None] = {}

    @property
    def missing(self) -> set[str]:
        """Names of folders that are not there."""
        return {folder.root.name for folder in self.folders} & self.refused.keys()

    def report_to(self, state: MutableMapping[str, str]) -> None:
        """Say there, now and after each look, how many files there are, and what is refused."""
        self._state = state
        self._tell()

    async def open(self, others: Iterable[str] = ()) -> None:
        """Learn what is indexed, and remove what belongs to no folder any more; `others` are names of other sources."""
        names = {folder.root.name for folder in self.folders}
        for path, known in (await self._indexer.store.revisions(SHARED_TENANT)).items():
            if (name := PurePosixPath(path).parts[0]) in names:
                source = next(iter(known.values())).source
                self._seen[path] = _Seen(None, source) if source and is_whole(known, source) else None
            elif name not in others:
                await self._indexer.remove(SHARED_TENANT, path)

    async def sweep(self) -> None:
        """Look at everything, trusting stamps."""
        for folder in self.folders:
            await self._look(folder, folder.root, trusts_stamps=True)

    async def look(self, at: Path) -> None:
        """Look at a file, or at a folder with all beneath it, there or gone. What lies in no folder is left alone."""
        for folder in self.folders:
            if at.is_relative_to(folder.root):
                await self._look(folder, at, trusts_stamps=False)

    async def _look(self, folder: Folder, at: Path, trusts_stamps: bool) -> None:
        try:
            found, kept = await asyncio.to_thread(_scanned, folder, at)
        except NotADirectoryError as error:  # e.g. not mounted: what is indexed of it stays
            self._refuse(folder.root.name, str(error))
        else:
            self.refused.pop(folder.root.name, None)
            for path, reason in kept.items():
                self._refuse(path, reason)
            await self._settle_all(folder.root, found, trusts_stamps)
            await self._remove_gone(folder.path_of(at), found.keys(), kept.keys())
        self._tell()

    async def _settle_all(self, root: Path, found: Mapping[str, Path], trusts_stamps: bool) -> None:
        """As many files side by side as chunks are embedded, so that one is cut while another's are."""
        waiting = iter(found.items())

        async def settle() -> None:
            for path, file in waiting:
                await self._settle(path, root, file, trusts_stamps)

        await asyncio.gather(*(settle() for _ in range(self._indexer.lane.width)))

    async def _settle(self, path: str, root: Path, file: Path, trusts_stamps: bool) -> None:
        self.unsettled.discard(path)
        try:
            await self._bring_up_to_date(path, root, file, trusts_stamps)
        except Exception as error:  # trouble of the store, say: it tells nothing about the file, or about the others
            self.unsettled.add(path)
            self._refuse(path, f"{type(error).__name__}: {error}")

    async def _bring_up_to_date(self, path: str, root: Path, file: Path, trusts_stamps: bool) -> None:
        seen = self._seen.get(path)
        try:
            stamp = await asyncio.to_thread(stamp_of, file)  # before the file is read: a write meanwhile changes it
        except OSError as error:
            await self._cannot_open(path, error)
            return
        if trusts_stamps and seen and seen.stamp == stamp:
            return
        try:
            contents = await asyncio.to_thread(read, root, file)
        except OSError as error:
            await self._cannot_open(path, error)
            return
        except Unindexable as error:
            digest = await self._turn_down(path, error)
        else:
            digest = await self._index(path, contents, seen)
        self._seen[path] = _Seen(stamp, digest)

    async def _index(self, path: str, contents: Contents, seen: _Seen | None) -> str:
        """Index a file if its content is another than before; returns its digest."""
        digest = contents.digest.hex()
        if seen is None or seen.digest != digest:
            try:
                await self._indexer.put(SHARED_TENANT, await self._document(path, contents))
            except Unindexable as error:
                return await self._turn_down(path, error)
            _FILES.labels("indexed").inc()
        self.refused.pop(path, None)
        return digest

    async def _turn_down(self, path: str, error: Unindexable) -> str:
        """Nothing is to be found of such a file; returns the digest of no content."""
        await self._remove(path)
        self._refuse(path, str(error))
        return ""

    async def _cannot_open(self, path: str, error: OSError) -> None:
        if isinstance(error, FileNotFoundError):  # between the scan and now
            await self._remove(path)
        else:
            self._refuse(path, error.strerror or str(error))

    async def _document(self, path: str, contents: Contents) -> Document:
        source = contents.source
        if len(path) > MAX_PATH_LENGTH:
            raise Unindexable(f"its path has {len(path)} characters; at most {MAX_PATH_LENGTH} are shown with results")
        if source.is_converted:
            text = await self._converter.markdown(contents.data, PurePosixPath(path).suffix.lower())
        else:
            text = decoded(contents.data)
        return Document(
            path,
            text,
            source.format,
            language=source.language,
            updated_at=contents.updated_at,
            source=contents.digest.hex(),
        )

    async def _remove_gone(self, at: str, found: Collection[str], unreadable: Collection[str]) -> None:
        """What was at or below a path and is not found any more; of what is unreadable nobody knows."""
        below = f"{at}/"
        kept = tuple(f"{path}/" for path in unreadable)
        for path in [one for one in {*self._seen, *self.refused} if one == at or one.startswith(below)]:
            if path not in found and not (path in unreadable or path.startswith(kept)):
                await self._remove(path)

    async def _remove(self, path: str) -> None:
        await self._indexer.remove(SHARED_TENANT, path)
        self.refused.pop(path, None)
        self.unsettled.discard(path)
        if path in self._seen:
            del self._seen[path]
            log.info("no longer indexed: %s", path)
            _FILES.labels("removed").inc()

    def _refuse(self, path: str, reason: str) -> None:
        if self.refused.get(path) != reason:
            log.warning("not indexed: %s: %s", path, reason)
            _FILES.labels("refused").inc()
            ERRORS.labels("folders").inc()
        self.refused[path] = reason

    def _tell(self) -> None:
        named = [f"{path}: {reason}" for path, reason in list(self.refused.items())[:_SHOWN]]
        more = [f"{len(self.refused) - _SHOWN} more"] if len(self.refused) > _SHOWN else []
        refused = f", {len(self.refused)} refused: {'; '.join([*named, *more])}" if named else ""
        self._state["folders"] = f"{len(self._seen.keys() - self.refused.keys())} files{refused}"


def _scanned(folder: Folder, at: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """By their paths in the index, the files that count, and why others could not be looked at."""
    scan = folder.scan(at)
    files = {folder.path_of(file): file for file in scan.files}
    return files, {folder.path_of(path): reason for path, reason in scan.unreadable.items()}
