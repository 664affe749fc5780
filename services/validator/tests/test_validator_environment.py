"""Environments: built once per lock from wheels, read-only, and an error with a reason where they cannot be built."""

from __future__ import annotations

import asyncio
import hashlib
import zipfile
from pathlib import Path

import pytest
from worksite.validator.environment import Environments, EnvironmentUnavailable
from worksite.validator.tree import Tree

pytestmark = pytest.mark.asyncio


def wheel(directory: Path, name: str, source: str = "", requires: str = "") -> str:
    """A wheel of one module; its hash as locks write it."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}-1.0-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" + (
        f"Requires-Dist: {requires}\n" if requires else ""
    )
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", source)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def tree(directory: Path, **files: str) -> Tree:
    directory.mkdir(exist_ok=True)
    for name, content in files.items():
        (directory / name).write_text(content)
    return Tree(directory, tuple(files))


async def test_a_lock_is_installed_once_and_cannot_be_written_to(tmp_path: Path) -> None:
    digest = wheel(tmp_path / "wheels", "alpha", "VALUE = 1\n")
    environments = Environments(tmp_path, tmp_path / "wheels", allow_index=False)
    locked = tree(tmp_path / "project", **{"requirements.lock": f"alpha==1.0 --hash={digest}\n"})

    first, second = await asyncio.gather(environments.provide(locked), environments.provide(locked))

    assert first == second
    assert first.path is not None
    assert [first.has("alpha"), first.has("beta")] == [True, False]
    assert (first.lock, first.path.name) == ("requirements.lock", first.digest)
    assert (first.path / "alpha.py").stat().st_mode & 0o777 == 0o444
    assert list((first.path / "__pycache__").glob("alpha.*.pyc"))
    assert [path.name for path in (tmp_path / "environments").iterdir()] == [first.digest]


async def test_another_lock_is_another_environment(tmp_path: Path) -> None:
    for name in ("alpha", "beta"):
        wheel(tmp_path / "wheels", name)
    environments = Environments(tmp_path, tmp_path / "wheels", allow_index=False)

    one = await environments.provide(tree(tmp_path / "a", **{"requirements.txt": "alpha==1.0\n"}))
    two = await environments.provide(tree(tmp_path / "b", **{"requirements.txt": "alpha==1.0\nbeta==1.0\n"}))

    assert one.digest != two.digest
    assert not one.has("beta")


async def test_no_lock_means_the_standard_library(tmp_path: Path) -> None:
    environment = await Environments(tmp_path, None, allow_index=False).provide(tree(tmp_path / "a"))

    assert (environment.path, environment.digest, environment.lock) == (None, None, None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("missing==1.0\n", "missing==1.0"),
        (f"alpha==1.0 --hash=sha256:{'0' * 64}\n", "HASH"),
        ("needy==1.0\n", "absent"),
        ("alpha>=1\n", "not pinned"),
    ],
)
async def test_what_cannot_be_installed_is_named_and_leaves_nothing_behind(
    tmp_path: Path, line: str, said: str
) -> None:
    wheel(tmp_path / "wheels", "alpha")
    wheel(tmp_path / "wheels", "needy", requires="absent>=2")
    environments = Environments(tmp_path, tmp_path / "wheels", allow_index=False)

    with pytest.raises(EnvironmentUnavailable) as error:
        await environments.provide(tree(tmp_path / "project", **{"requirements.txt": line}))

    assert "requirements.txt" in str(error.value)
    assert said.lower() in str(error.value).lower()
    assert not any((tmp_path / "environments").glob("*"))


async def test_without_a_wheelhouse_the_reason_names_the_setting(tmp_path: Path) -> None:
    environments = Environments(tmp_path, None, allow_index=False)

    with pytest.raises(EnvironmentUnavailable, match="WHEELHOUSE_DIR is not set"):
        await environments.provide(tree(tmp_path / "project", **{"requirements.txt": "alpha==1.0\n"}))


async def test_only_the_environments_used_last_are_kept_and_half_built_ones_go(tmp_path: Path) -> None:
    for number in range(23):
        (tmp_path / "environments" / f"{number:02}").mkdir(parents=True)
    (tmp_path / "environments" / "draft-x").mkdir()

    Environments(tmp_path, None, allow_index=False)

    kept = {path.name for path in (tmp_path / "environments").iterdir()}
    assert len(kept) == 20
    assert "draft-x" not in kept
