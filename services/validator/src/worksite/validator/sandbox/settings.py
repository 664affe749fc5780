"""What an operator may choose about the sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Mode = Literal["auto", "namespaces", "jail", "none"]


@dataclass(frozen=True)
class SandboxSettings:
    """`mode`: `auto` takes the strongest level that passes its probe; `namespaces` and `jail` insist on one; `none`
    runs without confinement and is for experiments by hand only.

    `uid`: where the service is root, runs get this user id or one of those that follow (one per concurrent run).
    `root`: where workspaces, environments and the interpreter live; by default `state_dir` if the sandbox user can
    reach it, else a directory below /var/tmp.
    """

    state_dir: Path
    mode: Mode = "auto"
    uid: int = 10001
    root: Path | None = None
