"""What the commands about the knowledge base do."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

from worksite.cli.client.counting import counting
from worksite.cli.client.gateway import Gateway
from worksite.cli.client.refusals import GatewayError, NotTaken, NotThere
from worksite.cli.knowledge import files
from worksite.cli.knowledge.batches import batches
from worksite.cli.knowledge.files import Convertible, Skipped, Text
from worksite.cli.session import Session
from worksite.common.messages import document_id

_LOOK_AGAIN_SECONDS = 0.5
_PATIENCE_SECONDS = 300
_LISTED = 20
_ID_DIGITS = 32


@dataclass(frozen=True)
class Ingestion:
    """What `worksite ingest` was asked to do."""

    paths: tuple[Path, ...]
    tags: tuple[str, ...] = ()
    prune: bool = False


@dataclass
class Outcome:
    """What became of the files."""

    indexed: int = 0
    removed: int = 0
    failed: dict[str, str] = field(default_factory=dict[str, str])


async def ingest(ingestion: Ingestion, session: Session) -> bool:
    """Send files, wait until they can be searched, print a summary; True when none failed and every file that was
    named itself was taken."""
    found = await files.read(ingestion.paths)
    wanted = [one for one in found if not isinstance(one, Skipped)]
    skipped = sorted((one for one in found if isinstance(one, Skipped)), key=lambda one: not one.chosen)
    async with session.gateway() as gateway:
        outcome = await send(gateway, wanted, ingestion.tags, session)
        if ingestion.prune:
            outcome.removed = await _pruned(gateway, ingestion.paths, {one.path for one in found}, session)
    _summarise(outcome, skipped, session)
    return not outcome.failed and bool(wanted) and not any(one.chosen for one in skipped)


async def show(state: str | None, session: Session) -> None:
    """Print the documents of the knowledge base."""
    shown = 0
    async with session.gateway() as gateway, contextlib.aclosing(gateway.documents(state)) as found:
        async for document in found:
            shown += 1
            why = f"  ({document['error']})" if document.get("error") else ""
            session.screen.tell(f"{document['id']}  {document['state']:<8}  {document['path']}{why}")
    if not shown:
        session.screen.say("no documents")


async def remove(names: tuple[str, ...], session: Session) -> bool:
    """Take documents out, each named by its path or id; True when all were there."""
    missing = 0
    async with session.gateway() as gateway:
        for name in names:
            try:
                await gateway.remove_document(_id(name))
                session.screen.tell(f"removed {name}")
            except NotThere:
                missing += 1
                session.screen.say(f"there is no document {name}: 'worksite knowledge ls' lists them")
    return not missing


async def search(query: dict[str, object], session: Session) -> None:
    """Print passages with their places. `query` is the body of `POST /v1/search`."""
    async with session.gateway() as gateway:
        answer = await gateway.search(query)
    for found in answer["results"]:
        passage = shorten(str(found["text"]), 200, placeholder=" …")
        session.screen.tell(f"{found['score']:.3f}  {found['citation']}\n       {passage}")
    reranked = "reranked" if answer["reranked"] else f"not reranked ({answer['rerank_skipped']})"
    session.screen.say(f"{len(answer['results'])} results, {answer['timings_ms']['total']:.0f} ms, {reranked}")


async def send(
    gateway: Gateway, wanted: Sequence[Text | Convertible], tags: tuple[str, ...], session: Session
) -> Outcome:
    """Send documents and wait until they can be searched, showing how far that is."""
    entries: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    with counting(session.screen.progress, "sent", len(wanted)) as reached:
        for body in batches([one for one in wanted if isinstance(one, Text)], tags):
            entries |= {entry["id"]: entry for entry in await gateway.add_documents(body)}
            reached(len(entries))
        for file in [one for one in wanted if isinstance(one, Convertible)]:
            try:
                entry = await _send_file(gateway, file, tags)
                entries[entry["id"]] = entry
            except (NotTaken, OSError) as error:
                refused[file.path] = str(error)
            reached(len(entries) + len(refused))
    with counting(session.screen.progress, "indexed", len(entries)) as reached:
        async for waiting in _waiting(gateway, set(entries)):
            reached(len(entries) - waiting)
    return await _outcome(gateway, entries, refused)


async def _send_file(gateway: Gateway, file: Convertible, tags: tuple[str, ...]) -> dict[str, Any]:
    content = await asyncio.to_thread(file.file.read_bytes)
    return await gateway.add_file(file.path, content, (*tags, file.origin) if file.origin else tags)


async def _waiting(gateway: Gateway, wanted: set[str]):
    """How many documents are still queued, until none is. Raises GatewayError when nothing moves any more."""
    moved, before = time.monotonic(), len(wanted) + 1
    while wanted:
        wanted = wanted & {entry["id"] for entry in await _all(gateway, "queued")}
        yield len(wanted)
        if len(wanted) < before:
            moved, before = time.monotonic(), len(wanted)
        elif time.monotonic() - moved > _PATIENCE_SECONDS:
            raise GatewayError(
                f"{len(wanted)} documents are queued and none was indexed for {_PATIENCE_SECONDS} s; nothing is lost: "
                "'worksite knowledge ls' shows how far they are"
            )
        if wanted:
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def _outcome(gateway: Gateway, entries: dict[str, dict[str, Any]], refused: dict[str, str]) -> Outcome:
    failed = {
        entry["path"]: str(entry.get("error")) for entry in await _all(gateway, "failed") if entry["id"] in entries
    }
    return Outcome(indexed=len(entries) - len(failed), failed=failed | refused)


async def _pruned(gateway: Gateway, paths: tuple[Path, ...], seen: set[str], session: Session) -> int:
    """Remove what came from these very folders but is no longer there. A file that is there but skipped stays, and so
    does what another folder of the same name brought."""
    folders = [path.resolve() for path in paths if path.is_dir()]
    origins = {files.origin(folder) for folder in folders}
    gone = [
        entry
        for entry in await _all(gateway, None)
        if entry["state"] != "deleting"
        and entry["path"].startswith(tuple(f"{folder.name}/" for folder in folders))
        and entry["path"] not in seen
    ]
    ours = [entry for entry in gone if origins & set(entry["tags"])]
    for entry in ours:
        with contextlib.suppress(NotThere):
            await gateway.remove_document(entry["id"])
    if others := len(gone) - len(ours):
        session.screen.say(
            f"{others} documents of such paths came from elsewhere and were kept; 'worksite knowledge rm' removes them"
        )
    return len(ours)


async def _all(gateway: Gateway, state: str | None) -> list[dict[str, Any]]:
    async with contextlib.aclosing(gateway.documents(state)) as documents:
        return [document async for document in documents]


def _summarise(outcome: Outcome, skipped: list[Skipped], session: Session) -> None:
    reasons = Counter(one.reason for one in skipped)
    for one in skipped[:_LISTED]:
        session.screen.tell(f"skipped  {one.path}: {one.reason}")
    if len(skipped) > _LISTED:
        rest = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(3))
        session.screen.tell(f"skipped  … {len(skipped)} in all, most of them: {rest}")
    for path, reason in sorted(outcome.failed.items()):
        session.screen.tell(f"failed   {path}: {reason}")
    counts = {
        "indexed": outcome.indexed,
        "failed": len(outcome.failed),
        "skipped": len(skipped),
        "removed": outcome.removed,
    }
    session.screen.tell(", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "indexed"))


def _id(name: str) -> str:
    return name if len(name) == _ID_DIGITS and set(name) <= set("0123456789abcdef") else document_id(name)
