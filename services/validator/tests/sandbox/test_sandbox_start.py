"""What start-up finds out, refuses and prepares."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from worksite.validator.sandbox import Sandbox, SandboxSettings, SandboxUnavailable, open_sandbox, runtime
from worksite.validator.sandbox.probe import probe

NEEDS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only a service that is root runs candidates as another user")


@pytest.fixture
def namespaces(open_level: Callable[[Any], Sandbox]) -> Sandbox:
    return open_level("namespaces")


@pytest.fixture
def jail(open_level: Callable[[Any], Sandbox]) -> Sandbox:
    return open_level("jail")


@pytest.fixture
def unconfined(open_level: Callable[[Any], Sandbox]) -> Sandbox:
    return open_level("none")


@pytest.mark.asyncio
async def test_the_strongest_level_is_found_and_named(namespaces: Sandbox) -> None:
    found = await open_sandbox(SandboxSettings(namespaces.root, root=namespaces.root))
    assert found.isolation == namespaces.isolation
    assert {"namespaces", "landlock", "seccomp", "rlimits", "keeper"} <= set(found.isolation.layers)


@pytest.mark.asyncio
async def test_without_bubblewrap_the_jail_is_the_level(jail: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = await open_sandbox(SandboxSettings(jail.root, root=jail.root))
    assert found.isolation == jail.isolation


@pytest.mark.asyncio
async def test_insisting_on_namespaces_without_bubblewrap_is_refused(
    sandbox_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxUnavailable, match=r"install bubblewrap"):
        await open_sandbox(SandboxSettings(sandbox_root, mode="namespaces", root=sandbox_root))


@pytest.mark.asyncio
async def test_the_probe_finds_holes_where_nothing_confines(unconfined: Sandbox) -> None:
    escapes = await probe(unconfined)
    assert {"read a secret", "write outside", "connect by TCP", "send to a unix socket"} <= set(escapes)


@pytest.mark.asyncio
async def test_the_probe_finds_nothing_in_the_sandbox(sandbox: Sandbox) -> None:
    assert await probe(sandbox) == ()


@pytest.mark.asyncio
async def test_start_up_is_quick_once_the_interpreter_is_in_place(sandbox: Sandbox) -> None:
    settings = SandboxSettings(sandbox.root, mode=sandbox.isolation.level, root=sandbox.root)
    started = time.monotonic()
    await open_sandbox(settings)
    assert time.monotonic() - started < 3  # 0.2 s on an idle machine; readiness needs it below 1.5 s


@NEEDS_ROOT
@pytest.mark.asyncio
async def test_a_candidate_that_would_be_root_is_refused(sandbox_root: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="never runs a candidate as root"):
        await open_sandbox(SandboxSettings(sandbox_root, uid=0, root=sandbox_root))


@pytest.mark.asyncio
async def test_a_root_that_belongs_to_somebody_else_is_refused(tmp_path: Path) -> None:
    foreign = Path("/proc") if os.getuid() else tmp_path
    if os.getuid() == 0:
        os.chown(foreign, 4242, 4242)
    with pytest.raises(SandboxUnavailable, match="belongs to user"):
        await open_sandbox(SandboxSettings(tmp_path, root=foreign))


def test_the_interpreter_of_the_sandbox_is_the_services_version(sandbox: Sandbox) -> None:
    command = [str(sandbox.python), "-I", "-S", "-c", "import ssl, sqlite3, ctypes, sys; print(sys.version)"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == sys.version


@NEEDS_ROOT
def test_a_state_directory_out_of_reach_is_not_the_root(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert runtime.sandbox_root(None, tmp_path / "state", 10001) == Path("/var/tmp/worksite-sandbox-0")


@NEEDS_ROOT
def test_a_closed_directory_puts_all_below_out_of_reach(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    tmp_path.chmod(0o700)
    assert not runtime.reachable(file, 10001)
    assert runtime.reachable(Path("/usr/bin/env"), 10001)
