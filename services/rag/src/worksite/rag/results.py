"""Makes documents of what tasks have produced: their Specs, their Reports and the sources of their branches.

The rows of the bucket `tasks` say what was produced, and are followed by their revisions: at start from the first one,
so that whatever was missed is found. A document of a task is one of its tenant, with a row in `documents` like any
other: from there on `keeper.py` sees to it. When all rows of a task are written and those that it replaces are on their
way out, a mark in the ledger says so, which outlives the task's row. So a document that its tenant deletes does not
come back. Killed before the mark, the same is done again, which changes nothing: a row that exists is left alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import Counter
from pydantic import BaseModel
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Entry, KeyValue
from worksite.common.bus.consumer import backoff
from worksite.common.errors import ArtifactCorrupt, ArtifactMissing, Conflict, MalformedMessage, QueueFull
from worksite.common.ledger import LedgerEntry
from worksite.common.messages import ArtifactRef, DocumentEntry
from worksite.common.messages.knowledge import MAX_DOCUMENT_BYTES
from worksite.rag.backlog import Backlog
from worksite.rag.confining import Confined, CutShort, NotDone
from worksite.rag.domain.documents import Unindexable
from worksite.rag.domain.entries import parse_row, row_key
from worksite.rag.domain.results import Completed, ResultText, TaskResults, completed, kept, results_of, texts_of
from worksite.rag.folders import decoded
from worksite.rag.metrics import ERRORS
from worksite.rag.unpacking import OUTPUT_BYTES

log = logging.getLogger(__name__)

_RESULTS = Counter("rag_ingest_results_total", "Tasks whose results were looked at", ["outcome"])
POLL_SECONDS = 5.0
MAX_ARCHIVE_BYTES = 64 << 20
MOST_CUTS = 3
"""So often a task waits for a less busy machine, because its branch was not unpacked in time; then it goes without."""
_ROWS_PER_READ = 64
Outcome = Literal["taken", "replaced", "empty", "known"]
_MARK = LedgerEntry(status="done", holder="rag").model_dump_json().encode()


class _Unpacked(BaseModel):
    texts: dict[str, str]
    left_out: int


@dataclass(slots=True)
class Results:
    """Keeps the results of the latest `most` tasks of each tenant."""

    tasks: KeyValue
    artifacts: Artifacts
    rows: KeyValue
    texts: Artifacts
    marks: KeyValue
    backlog: Backlog
    most: int
    unpacker: Confined = field(default_factory=lambda: Confined("worksite.rag.unpacking", OUTPUT_BYTES))
    _last: Entry | None = None
    """The latest row that was read."""
    _waiting: dict[str, TaskResults] = field(default_factory=dict[str, TaskResults])
    _cuts: Tally[str] = field(default_factory=Tally[str])

    async def run(self) -> None:
        """Until cancelled; what fails is tried again, later each time."""
        failures = 0
        while True:
            try:
                failures = 0 if await self.look() else failures + 1
            except Exception as error:  # the boundary: the bus is away, which its probe and its log tell
                failures += 1
                log.warning("results of tasks could not be looked at: %s", error or repr(error))
            await asyncio.sleep(backoff(failures) if failures else POLL_SECONDS)

    async def look(self) -> bool:
        """Take up what was completed since the last look; False when something has to be tried again.

        The latest first: where it has something, the earlier ones that it replaces are not even read.
        """
        await self._find()
        for task, results in sorted(self._waiting.items(), key=lambda one: (one[1].completed_at, one[0]), reverse=True):
            try:
                outcome = await self._settle(results)
            except Exception as error:  # the boundary: trouble with one task stops no other
                log.warning("the results of task %s are taken up later: %s", task, error or repr(error))
                ERRORS.labels("tasks").inc()
                if isinstance(error, QueueFull):  # nor is there room for another, whose archive need not be read
                    break
                continue
            del self._waiting[task], self._cuts[task]
            _RESULTS.labels(outcome).inc()
        return not self._waiting

    async def _find(self) -> None:
        if self._last and not await self._is_there(self._last):
            self._last = None
        while rows := await self.tasks.entries(after=self._last.revision if self._last else 0, limit=_ROWS_PER_READ):
            self._waiting |= await asyncio.to_thread(_completed, rows)
            self._last = rows[-1]

    async def _is_there(self, row: Entry) -> bool:
        """Or written again; if not, the bucket may have been made anew, with revisions that begin again."""
        found = await self.tasks.get(row.key)
        return found is not None and found.revision >= row.revision

    async def _settle(self, results: TaskResults) -> Outcome:
        mark = f"rag.{results.task}.results"
        if await self.marks.get(mark):
            return "known"
        rows = await self.rows.entries(results.tenant)
        outcome = await self._take_up(results, await asyncio.to_thread(_by_task, rows))
        with suppress(Conflict):  # another process has done the same
            await self.marks.create(mark, _MARK)
        return outcome

    async def _take_up(self, results: TaskResults, others: Mapping[Completed, list[DocumentEntry]]) -> Outcome:
        wanted = kept({*others, results.completed}, self.most)
        if results.task not in wanted:
            return "replaced"
        branch = await self._branch(results)
        if results.branch and not branch:
            return await self._take_up(results.without_branch(), others)
        if not await self._write(results, branch):
            return "empty"
        for task in others:
            for document in others[task] if task.task not in wanted else []:
                await self._retire(document)
        return "taken"

    async def _write(self, results: TaskResults, branch: dict[str, str]) -> int:
        """Returns how many documents there are."""
        found = texts_of(results, await self._markdown(results) | branch)
        for text in found:
            await self._put(text)
        log.info("task %s of %s: %d documents", results.task, results.tenant, len(found))
        return len(found)

    async def _put(self, result: ResultText) -> None:
        """Unless there is a document of that path: ours, as it was left, or one that the tenant put there."""
        tenant, document = result.text.tenant, result.document
        key = row_key(tenant, document)
        if await self.rows.newest(key) is None:
            row = result.row(await self.texts.put_message(result.text))
            with suppress(Conflict):
                await self.rows.create(key, row.to_json())
        self.backlog.add(tenant, document)

    async def _retire(self, document: DocumentEntry) -> None:
        """Ask for its end, unless the tenant has put another one there."""
        key = row_key(document.tenant, document.id)
        while (row := await self.rows.newest(key)) and parse_row(key, row.value).origin == document.origin:
            gone = parse_row(key, row.value).model_copy(update={"state": "deleting", "error": None})
            try:
                await self.rows.update(key, gone.to_json(), row.revision)
            except Conflict:
                continue
            self.backlog.add(document.tenant, document.id)
            return

    async def _markdown(self, results: TaskResults) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, ref in results.documents.items():
            try:
                found[name] = decoded(await self._artifact(ref, MAX_DOCUMENT_BYTES))
            except (Unindexable, ArtifactMissing, ArtifactCorrupt) as error:
                _leave_out(name, results, error)
        return found

    async def _branch(self, results: TaskResults) -> dict[str, str]:
        if results.branch is None:
            return {}
        try:
            archive = await self._artifact(results.branch, MAX_ARCHIVE_BYTES)
            unpacked = _Unpacked.model_validate_json(await self.unpacker.run(archive, "branch"))
        except (NotDone, Unindexable, ArtifactMissing, ArtifactCorrupt, ValueError) as error:
            self._cuts[results.task] += isinstance(error, CutShort)
            if isinstance(error, CutShort) and self._cuts[results.task] <= MOST_CUTS:
                raise
            _leave_out("branch", results, error)
            return {}
        if unpacked.left_out:
            log.warning("task %s: %d sources are left out, they would be too much", results.task, unpacked.left_out)
        return {f"branch/{path}": text for path, text in unpacked.texts.items()}

    async def _artifact(self, ref: ArtifactRef, most: int) -> bytes:
        if ref.size > most:
            raise Unindexable(f"it has {ref.size} bytes; at most {most} are read")
        return await self.artifacts.get(ref)


def _completed(rows: Iterable[Entry]) -> dict[str, TaskResults]:
    """What the tasks of these rows have left, by task."""
    found: dict[str, TaskResults] = {}
    for row in rows:
        try:
            results = results_of(row.key, row.value)
        except MalformedMessage as error:
            log.error("%s; it is left alone", error)
        else:
            found |= {results.task: results} if results else {}
    return found


def _by_task(rows: Iterable[Entry]) -> dict[Completed, list[DocumentEntry]]:
    """The documents that are results of tasks, by task."""
    found: dict[Completed, list[DocumentEntry]] = {}
    for row in rows:
        try:
            entry = parse_row(row.key, row.value)
        except MalformedMessage:  # the reconciler tells of it
            continue
        if entry.origin and entry.state != "deleting":
            found.setdefault(completed(entry.origin, entry.submitted_at), []).append(entry)
    return found


def _leave_out(name: str, results: TaskResults, error: Exception) -> None:
    log.warning("%s of task %s is left out: %s", name, results.task, error)
    ERRORS.labels("tasks").inc()
