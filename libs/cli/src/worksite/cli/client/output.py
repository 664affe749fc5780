"""What a finished task leaves in `out/<task>/`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from worksite.cli.client.gateway import Gateway

_GIT_ENVIRONMENT = {"GIT_LFS_SKIP_SMUDGE": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


async def write(gateway: Gateway, view: dict[str, Any], directory: Path) -> Path:
    """Fetch every artifact the task has and check its branch out; returns the directory."""
    target = directory / str(view["id"])
    target.mkdir(parents=True, exist_ok=True)
    for name in view["artifacts"]:
        (target / name).write_bytes(await gateway.artifact(str(view["id"]), name))
    if (target / "branch.bundle").exists() and not (target / "project").exists():
        _check_out(target / "branch.bundle", f"worksite/{view['id']}", target / "project")
    return target


def _check_out(bundle: Path, branch: str, target: Path) -> None:
    """A clone of the bundle. Hooks do not travel in bundles, and the repository's filters are not configured here."""
    command = [
        "git",
        "-c",
        "core.hooksPath=/dev/null",
        "clone",
        "--quiet",
        "--branch",
        branch,
        str(bundle),
        str(target),
    ]
    done = subprocess.run(
        command, env=os.environ | _GIT_ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise OSError(f"the branch could not be checked out: {done.stderr.strip()}")
    subprocess.run(["git", "-C", str(target), "remote", "remove", "origin"], capture_output=True, check=False)
