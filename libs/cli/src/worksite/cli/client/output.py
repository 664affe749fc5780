"""What a finished task leaves in `out/<task>/`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from worksite.cli.client import verdict
from worksite.cli.client.gateway import Gateway

_GIT_ENVIRONMENT = {"GIT_LFS_SKIP_SMUDGE": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


async def write(gateway: Gateway, view: dict[str, Any], directory: Path) -> tuple[Path, str | None]:
    """Fetch every artifact the task has and check its branch out; returns the directory, and what went wrong."""
    target = directory / str(view["id"])
    target.mkdir(parents=True, exist_ok=True)
    for name in view["artifacts"]:
        (target / name).write_bytes(await gateway.artifact(str(view["id"]), name))
    (target / verdict.NEEDS_INPUT).unlink(missing_ok=True)  # of a question that was answered since
    for name, text in verdict.documents(view).items():
        (target / name).write_text(text)
    if (target / "branch.bundle").exists() and not (target / "project").exists():
        return target, check_out(target / "branch.bundle", target / "project")
    return target, None


def check_out(bundle: Path, target: Path) -> str | None:
    """A clone of the bundle at its branch; returns the reason where git refuses.

    Hooks do not travel in bundles, and filters that the repository asks for are not configured here.
    """
    command = ["git", "-c", "core.hooksPath=/dev/null", "clone", "--quiet", str(bundle), str(target)]
    environment = os.environ | _GIT_ENVIRONMENT
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode:
        return done.stderr.strip()
    subprocess.run(["git", "-C", str(target), "remote", "remove", "origin"], capture_output=True, check=False)
    return None
