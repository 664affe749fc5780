"""Somebody at work in a worktree, under its lock: commits, leaves something uncommitted, and stays until told to go."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from programs import GIT

if __name__ == "__main__":
    folder, name = Path(sys.argv[1]), sys.argv[2]
    fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
    (folder / f"{name}.txt").write_text(f"committed by {name}\n")
    for arguments in (("add", "--all"), ("commit", "--quiet", "-m", name)):
        subprocess.run([*GIT, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (folder / f"{name}-too.txt").write_text(f"not committed by {name}\n")
    print("ready", flush=True)
    sys.stdin.read()
