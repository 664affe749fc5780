"""What happens in a watched folder can be searched a moment later, told by real events of the kernel."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from worksite.common.ids import SHARED_TENANT
from worksite.rag.converting import Converter
from worksite.rag.domain.queries import Scope, SearchQuery
from worksite.rag.folders import Folder
from worksite.rag.index import Indexer
from worksite.rag.library import Library
from worksite.rag.search import SearchEngine
from worksite.rag.watching import Watcher

pytestmark = pytest.mark.asyncio
GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]


@dataclass
class Watched:
    """A watched folder that has been looked at once."""

    root: Path
    indexer: Indexer
    watcher: Watcher
    engine: SearchEngine
    embedded: list[str]

    async def paths(self) -> set[str]:
        found = await self.engine.search(SearchQuery("tokens", Scope("acme"), top_k=50))
        return {hit.passage.path.removeprefix(f"{self.root.name}/") for hit in found.hits}

    async def answers(self, *paths: str) -> None:
        """Wait until exactly these paths are found; takes well below 2 s on a machine that is not busy."""
        await until(lambda: self._is_found(set(paths)))

    async def _is_found(self, paths: set[str]) -> bool:
        return await self.paths() == paths


def engine_of(indexer: Indexer) -> SearchEngine:
    return SearchEngine(indexer.embedder, indexer.encoder, indexer.store)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await holds():
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def watched(indexer: Indexer, tmp_path: Path, embedded: list[str]) -> AsyncGenerator[Watched, None]:
    root = tmp_path / "docs"
    root.mkdir()
    (root / "tokens.md").write_text("# Tokens\n\nThey are rotated.\n")
    library = Library(indexer, [Folder(root)], Converter())
    async with Watcher(library) as watcher:
        await library.open()
        await library.sweep()
        running = asyncio.create_task(watcher.run())
        embedded.clear()
        yield Watched(root, indexer, watcher, engine_of(indexer), embedded)
        running.cancel()
        await asyncio.wait([running])


async def test_saved_file_answers_and_a_deleted_one_stops_answering(watched: Watched) -> None:
    (watched.root / "more.md").write_text("# More tokens\n\nThey expire.\n")
    await watched.answers("tokens.md", "more.md")
    (watched.root / "tokens.md").unlink()
    await watched.answers("more.md")
    assert len(watched.embedded) == 2  # the new file, and the question once


async def test_atomic_save_embeds_the_change_only_and_never_makes_the_file_go(watched: Watched) -> None:
    text = "# Tokens\n\nThey are rotated.\n\n# Lifetime\n\nTokens live for an hour.\n"
    (watched.root / ".tokens.md.swp").write_text(text)
    (watched.root / ".tokens.md.swp").replace(watched.root / "tokens.md")

    async def has_two_chunks() -> bool:
        return (await watched.indexer.store.counts())[SHARED_TENANT] == {"docs/tokens.md": 2}

    await until(has_two_chunks)
    assert [text.splitlines()[0] for text in watched.embedded] == ["Lifetime"]


async def test_renamed_moved_in_and_moved_out_files_and_folders_are_followed(watched: Watched) -> None:
    (watched.root / "tokens.md").rename(watched.root / "renamed.md")
    await watched.answers("renamed.md")
    outside = watched.root.parent / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "a.md").write_text("# Tokens A\n")
    outside.rename(watched.root / "inside")
    await watched.answers("renamed.md", "inside/deep/a.md")
    (watched.root / "inside" / "deep" / "b.md").write_text("# Tokens B\n")  # the folders that came in are watched too
    await watched.answers("renamed.md", "inside/deep/a.md", "inside/deep/b.md")
    (watched.root / "inside").rename(outside)
    await watched.answers("renamed.md")
    (outside / "deep").rename(watched.root / "deep")
    await watched.answers("renamed.md", "deep/a.md", "deep/b.md")
    shutil.rmtree(watched.root / "deep")
    await watched.answers("renamed.md")


async def test_rules_that_change_take_files_out_and_bring_them_back(watched: Watched) -> None:
    (watched.root / ".gitignore").write_text("tokens.md\n")
    await watched.answers()
    (watched.root / ".gitignore").unlink()
    await watched.answers("tokens.md")


async def test_checkout_of_another_branch_is_followed_and_embeds_only_what_differs(watched: Watched) -> None:
    async def git(*arguments: str) -> None:
        await asyncio.to_thread(subprocess.run, [*GIT, *arguments], cwd=watched.root, check=True, capture_output=True)

    await git("init")
    await git("add", "tokens.md")
    await git("commit", "-m", "one")
    await git("checkout", "-b", "other")
    (watched.root / "only.md").write_text("# Tokens of this branch only\n")
    await git("add", "only.md")
    await git("commit", "-m", "two")
    await watched.answers("tokens.md", "only.md")
    watched.embedded.clear()
    await git("checkout", "main")
    await watched.answers("tokens.md")
    await git("checkout", "other")
    await watched.answers("tokens.md", "only.md")
    assert [text for text in watched.embedded if "rotated" in text] == []


async def test_burst_of_saves_of_the_same_text_embeds_it_once(watched: Watched) -> None:
    for _ in range(50):
        (watched.root / "more.md").write_text("# More tokens\n\nThey expire.\n")
    await watched.answers("tokens.md", "more.md")
    (watched.root / "last.md").write_text("# Last tokens\n")
    await watched.answers("tokens.md", "more.md", "last.md")
    assert len([text for text in watched.embedded if "expire" in text]) == 1


async def test_sweep_finds_what_no_event_told_and_takes_up_a_folder_that_comes_later(
    indexer: Indexer, tmp_path: Path, embedded: list[str]
) -> None:
    root = tmp_path / "docs"
    library = Library(indexer, [Folder(root)], Converter())
    async with Watcher(library, sweep_seconds=0.1) as watcher:
        running = asyncio.create_task(watcher.run())
        watched = Watched(root, indexer, watcher, engine_of(indexer), embedded)
        root.mkdir()
        (root / "tokens.md").write_text("# Tokens\n")
        await watched.answers("tokens.md")
        running.cancel()
        await asyncio.wait([running])


async def test_store_that_is_away_for_a_moment_loses_no_change(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(*_: object) -> None:
        raise ConnectionError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(watched.indexer.store), "upsert", away)
        (watched.root / "more.md").write_text("# More tokens\n")

        async def has_failed() -> bool:
            return "the store is away" in caplog.text

        await until(has_failed)
    await watched.answers("tokens.md", "more.md")


@pytest.mark.parametrize(("path", "is_looked_at"), [(".git/index", False), ("a/node_modules/b.md", False), ("a", True)])
async def test_hints_at_what_never_counts_are_dropped(watched: Watched, path: str, is_looked_at: bool) -> None:
    watched.watcher.hint(watched.root / path)
    assert (watched.root / path in watched.watcher._hints) == is_looked_at
