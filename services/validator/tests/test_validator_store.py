"""The store of read-only directories: within its cap, the least recently used go first, none that any service uses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from worksite.validator.store import Held, ReadOnlyStore

pytestmark = pytest.mark.asyncio
MIB = 1 << 20
USE = """
import asyncio, pathlib, sys, time
from worksite.validator.store import ReadOnlyStore

async def build(target):
    print("building", flush=True)
    time.sleep(600)

held = asyncio.run(ReadOnlyStore(pathlib.Path(sys.argv[1]), 0).provide(sys.argv[2], build))
print("using", flush=True)
time.sleep(600)
"""


async def provide(store: ReadOnlyStore, key: str) -> Held:
    async def build(target: Path) -> None:
        (target / "module.py").write_bytes(b"#" * MIB)

    return await store.provide(key, build)


async def filled(directory: Path, *keys: str) -> ReadOnlyStore:
    """A store with room for them all, of 1 MiB each, the first used longest ago; nobody uses them any more."""
    store = ReadOnlyStore(directory, len(keys) * 2 * MIB)
    for seconds, key in enumerate(keys):
        os.utime((await provide(store, key)).path, (seconds, seconds))
    return store


def kept(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@contextmanager
def another_service(directory: Path, key: str) -> Iterator[str]:
    """What it is doing with this key when it is killed at the end of the block."""
    command = [sys.executable, "-c", USE, str(directory), key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        try:
            assert service.stdout
            yield service.stdout.readline().strip()
        finally:
            service.kill()


async def test_over_the_cap_those_used_longest_ago_go_until_the_rest_is_within_it(tmp_path: Path) -> None:
    await filled(tmp_path, "d", "c", "b", "a")

    ReadOnlyStore(tmp_path, 2 * MIB + MIB // 2).prune()

    assert kept(tmp_path) == ["a", "b"]


async def test_using_one_again_puts_it_last_in_the_order(tmp_path: Path) -> None:
    store = await filled(tmp_path, "a", "b", "c")
    await provide(store, "a")

    ReadOnlyStore(tmp_path, 2 * MIB + MIB // 2).prune()

    assert kept(tmp_path) == ["a", "c"]


async def test_one_in_use_stays_although_it_is_the_oldest_and_the_cap_is_met_by_others(tmp_path: Path) -> None:
    store = await filled(tmp_path, "a", "b", "c")
    held = await provide(store, "a")
    os.utime(held.path, (0, 0))

    ReadOnlyStore(tmp_path, MIB + MIB // 2).prune()
    assert kept(tmp_path) == ["a"]

    del held
    ReadOnlyStore(tmp_path, 0).prune()
    assert kept(tmp_path) == []


async def test_one_that_another_service_uses_stays_until_that_is_killed(tmp_path: Path) -> None:
    await filled(tmp_path, "a", "b")

    with another_service(tmp_path, "a") as doing:
        assert doing == "using"
        ReadOnlyStore(tmp_path, 0).prune()
        assert kept(tmp_path) == ["a"]

    ReadOnlyStore(tmp_path, 0).prune()
    assert kept(tmp_path) == []


async def test_what_another_service_builds_stays_until_that_is_killed(tmp_path: Path) -> None:
    with another_service(tmp_path, "a") as doing:
        assert doing == "building"
        ReadOnlyStore(tmp_path, 0).prune()
        assert len(kept(tmp_path)) == 1

    assert len(kept(tmp_path)) == 1
    ReadOnlyStore(tmp_path, 0).prune()
    assert kept(tmp_path) == []


async def test_one_that_was_removed_is_built_anew_and_counted_anew(tmp_path: Path) -> None:
    store = await filled(tmp_path, "a", "b")
    ReadOnlyStore(tmp_path, 0).prune()

    held = await provide(store, "a")

    assert (held.path / "module.py").stat().st_size == MIB
    assert kept(tmp_path) == ["a"]
