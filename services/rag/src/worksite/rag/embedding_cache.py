"""Vectors of texts that were embedded before, on disk: renamed, copied and re-cut documents cost no model call.

An entry is named by what decides about its vector, the text and the model, so it is never wrong and never has to be
invalidated. The file only saves work: whatever is wrong with it, the caller embeds, and damage is thrown away.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
import time
import zlib
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from worksite.rag.domain.documents import Vector

logger = logging.getLogger(__name__)

OVERHEAD = 2.0
"""What an entry takes of the file, as a multiple of its vector: pages are about two thirds full."""
_FLOAT_BYTES = 4
_KEPT_WHEN_FULL = 0.9
_REFRESH_SECONDS = 7 * 86_400
"""A use is noted once a week: noting each would write as much as storing the vector again."""
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""The last one, about statements that are right, means that the tables are not ours."""
_LAYOUT = """
PRAGMA page_size = 32768;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS embeddings (
    key BLOB PRIMARY KEY, used INTEGER NOT NULL, checksum INTEGER NOT NULL, vector BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON embeddings (used);
"""
_FIND = """
SELECT used, checksum, vector FROM embeddings
WHERE key = ? AND typeof(used) = 'integer' AND typeof(checksum) = 'integer' AND typeof(vector) = 'blob'
"""
"""A column takes values of any type, and a file may have been restored from anywhere."""
_DELETE_OLDEST = "DELETE FROM embeddings WHERE key IN (SELECT key FROM embeddings ORDER BY used LIMIT ?)"
_ADD_OTHER = """
INSERT OR IGNORE INTO embeddings (key, used, checksum, vector) SELECT key, used, checksum, vector FROM other.embeddings
"""
_T = TypeVar("_T")


class EmbeddingCache:
    """One file with one owner, used by one thread. Holds `max_bytes` and then drops what was not used for longest."""

    def __init__(self, file: Path, max_bytes: int, now: Callable[[], float] = time.time) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._now = now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rag-embedding-cache")
        self._database: sqlite3.Connection | None = None
        self._entries = 0
        self._trouble = ""

    async def find(self, model: str, texts: Collection[str]) -> dict[str, Vector]:
        """The vectors that `model` gave of these texts, as far as they are known."""
        return await self._call(partial(self._find, model, texts)) or {}

    async def keep(self, model: str, vectors: Mapping[str, Vector]) -> None:
        """Remember what `model` gave of texts; survives the death of this process."""
        if vectors:
            await self._call(partial(self._keep, model, vectors))

    async def aclose(self) -> None:
        """Write everything out and let go of the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._let_go)
        self._thread.shutdown()

    async def _call(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._tried, work)

    def _tried(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        try:
            with self._opened() as database:
                done = work(database)
        except (sqlite3.Error, OSError) as error:
            self._cope(error)
            return None
        self._trouble = ""
        return done

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self._file, timeout=0)
            self._database.executescript(_LAYOUT)
            (self._entries,) = self._database.execute("SELECT count(*) FROM embeddings").fetchone()
        return self._database

    def _cope(self, error: Exception) -> None:
        """Damage is dropped with the file; a full disk or another owner may go away, and the next call tries again."""
        self._let_go()
        is_damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
        if is_damaged:
            for suffix in ("", "-wal", "-shm"):
                with suppress(OSError):  # a folder that cannot be written to, say
                    self._file.with_name(self._file.name + suffix).unlink()
        said = f"{error}{': it is made anew' if is_damaged else ''}"
        if said != self._trouble:
            logger.warning("embeddings in %s cannot be used: %s", self._file, said)
        self._trouble = said

    def _let_go(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _find(self, model: str, texts: Collection[str], database: sqlite3.Connection) -> dict[str, Vector]:
        found: dict[str, Vector] = {}
        now = int(self._now())
        for text in texts:
            key = _key(model, text)
            row = database.execute(_FIND, (key,)).fetchone()
            if row and (vector := _vector(row[2], row[1])):
                found[text] = vector
                if now - row[0] > _REFRESH_SECONDS:
                    database.execute("UPDATE embeddings SET used = ? WHERE key = ?", (now, key))
        return found

    def _keep(self, model: str, vectors: Mapping[str, Vector], database: sqlite3.Connection) -> None:
        now = int(self._now())
        most = self._max_bytes
        for text, vector in vectors.items():
            data = np.asarray(vector, "<f4").tobytes()
            row = (_key(model, text), now, zlib.crc32(data), data)
            database.execute("REPLACE INTO embeddings VALUES (?, ?, ?, ?)", row)
            most = min(most, self._max_bytes // int(OVERHEAD * len(data)))
        self._entries += len(vectors)
        if self._entries > most:
            self._drop_oldest(most, database)

    def _drop_oldest(self, most: int, database: sqlite3.Connection) -> None:
        (entries,) = database.execute("SELECT count(*) FROM embeddings").fetchone()
        surplus = max(0, entries - int(most * _KEPT_WHEN_FULL)) if entries > most else 0
        database.execute(_DELETE_OLDEST, (surplus,))
        self._entries = entries - surplus


def copy_embeddings(file: Path, to: Path) -> bool:
    """Copy a file that nobody owns now, with what its last owner had not yet moved into it; False if there is none
    that can be read."""
    to.unlink(missing_ok=True)
    if not file.exists():
        return False
    try:
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(to)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        logger.warning("embeddings in %s cannot be copied: %s", file, error)
        return False
    return True


def merge_embeddings(other: Path, into: Path) -> None:
    """Add to a file that nobody owns now what another one remembers, as far as both can be read."""
    if not into.exists():
        other.replace(into)
        return
    try:
        with closing(sqlite3.connect(into)) as database:
            database.executescript(_LAYOUT)
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("ATTACH ? AS other", (str(other),))
            with database:
                database.execute(_ADD_OTHER)
    except sqlite3.Error as error:
        logger.warning("what %s remembers cannot be added to %s: %s", other, into, error)


def _key(model: str, text: str) -> bytes:
    return hashlib.sha256(f"{model}\0{text}".encode()).digest()


def _vector(data: bytes, checksum: int) -> Vector | None:
    """None for what is not as it was stored."""
    if zlib.crc32(data) != checksum or len(data) % _FLOAT_BYTES:
        return None
    return tuple(np.frombuffer(data, "<f4").tolist())
