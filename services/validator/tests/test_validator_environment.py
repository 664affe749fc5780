"""Environments: built once per lock from wheels, read-only, and an error with a reason where they cannot be built."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from worksite.validator import environment as environment_module
from worksite.validator.environment import CandidateEnvironment, Environments, EnvironmentUnavailable
from worksite.validator.tree import Tree

pytestmark = pytest.mark.asyncio
GIB = 1 << 30

UV_LOCK = """
version = 1
[[package]]
name = "root"
source = {{ virtual = "." }}
dependencies = [{{ name = "alpha" }}]
[[package]]
name = "alpha"
version = "1.0"
source = {{ registry = "x" }}
wheels = [{{ hash = {hash} }}]
"""


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
    return sha256(path)


def source_distribution(directory: Path, marker: Path) -> Path:
    """One whose build backend leaves `marker` behind when it runs."""
    project = directory / "evil-1.0"
    project.mkdir(parents=True)
    (project / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (project / "backend.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    path = directory / "evil-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(project, "evil-1.0")
    return path


def sha256(path: Path) -> str:
    """The hash of a file as locks write it."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def tree(directory: Path, **files: str) -> Tree:
    directory.mkdir(exist_ok=True)
    for name, content in files.items():
        (directory / name).write_text(content)
    return Tree(directory, tuple(files))


async def test_a_lock_is_installed_once_and_cannot_be_written_to(tmp_path: Path) -> None:
    digest = wheel(tmp_path / "wheels", "alpha", "VALUE = 1\n")
    environments = Environments(tmp_path, tmp_path / "wheels", allow_index=False, max_bytes=GIB)
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
    environments = Environments(tmp_path, tmp_path / "wheels", allow_index=False, max_bytes=GIB)

    one = await environments.provide(tree(tmp_path / "a", **{"requirements.txt": "alpha==1.0\n"}))
    two = await environments.provide(tree(tmp_path / "b", **{"requirements.txt": "alpha==1.0\nbeta==1.0\n"}))

    assert one.digest != two.digest
    assert not one.has("beta")


async def test_no_lock_means_the_standard_library(tmp_path: Path) -> None:
    environment = await Environments(tmp_path, None, allow_index=False, max_bytes=GIB).provide(tree(tmp_path / "a"))

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
    environments = Environments(tmp_path, tmp_path / "wheels", allow_index=False, max_bytes=GIB)

    with pytest.raises(EnvironmentUnavailable) as error:
        await environments.provide(tree(tmp_path / "project", **{"requirements.txt": line}))

    assert "requirements.txt" in str(error.value)
    assert said.lower() in str(error.value).lower()
    assert not any((tmp_path / "environments").glob("*"))


async def test_without_a_wheelhouse_the_reason_names_the_setting(tmp_path: Path) -> None:
    environments = Environments(tmp_path, None, allow_index=False, max_bytes=GIB)

    with pytest.raises(EnvironmentUnavailable, match="WHEELHOUSE_DIR is not set"):
        await environments.provide(tree(tmp_path / "project", **{"requirements.txt": "alpha==1.0\n"}))


async def test_the_environment_used_longest_ago_makes_room_and_none_that_is_in_use(tmp_path: Path) -> None:
    environments = Environments(tmp_path, tmp_path / "wheels", allow_index=False, max_bytes=0)

    async def provide(name: str) -> CandidateEnvironment:
        wheel(tmp_path / "wheels", name)
        return await environments.provide(tree(tmp_path / name, **{"requirements.txt": f"{name}==1.0\n"}))

    held = await provide("alpha")
    dropped = (await provide("beta")).path
    last = await provide("gamma")

    assert dropped is not None
    assert not dropped.exists()
    assert {path.name for path in (tmp_path / "environments").iterdir()} == {held.digest, last.digest}


@pytest.mark.parametrize("bound", [{"MAX_ENVIRONMENT_BYTES": 1 << 20}, {"INSTALL_SECONDS": 0.0}])
async def test_an_environment_has_a_largest_size_and_a_longest_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: dict[str, float]
) -> None:
    for name, value in {"_MEASURE_SECONDS": 0.01, **bound}.items():
        monkeypatch.setattr(environment_module, name, value)
    wheel(tmp_path / "wheels", "alpha", "#" * (2 << 20))
    environments = Environments(tmp_path, tmp_path / "wheels", allow_index=False, max_bytes=GIB)

    with pytest.raises(EnvironmentUnavailable, match=r"larger than 1 MiB|longer than 0 s"):
        await environments.provide(tree(tmp_path / "project", **{"requirements.txt": "alpha==1.0\n"}))

    assert not any((tmp_path / "environments").iterdir())


async def test_the_settings_of_the_machine_do_not_steer_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(tmp_path / "elsewhere", "alpha")
    (tmp_path / "wheels").mkdir()
    configured = tmp_path / "pip.conf"
    configured.write_text(f"[install]\nfind-links = {tmp_path / 'elsewhere'}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configured))
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "no-index").as_uri())

    for allow_index in (False, True):
        environments = Environments(tmp_path, tmp_path / "wheels", allow_index, GIB)
        with pytest.raises(EnvironmentUnavailable, match="alpha"):
            await environments.provide(tree(tmp_path / "project", **{"requirements.txt": "alpha==1.0\n"}))


async def test_no_build_backend_of_a_lock_ever_runs(tmp_path: Path) -> None:
    digest = wheel(tmp_path / "wheels", "alpha")
    evil = source_distribution(tmp_path / "evil", marker=tmp_path / "ran")
    lock = UV_LOCK.format(hash=json.dumps(f"{digest}\nfile://{evil} --hash={sha256(evil)}"))

    with pytest.raises(EnvironmentUnavailable):
        await Environments(tmp_path, tmp_path / "wheels", allow_index=False, max_bytes=GIB).provide(
            tree(tmp_path / "project", **{"uv.lock": lock})
        )

    assert not (tmp_path / "ran").exists()
