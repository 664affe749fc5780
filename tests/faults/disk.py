"""A disk of limited size under the bus, and a file that fills it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SIZE_MIB = 1024
_BLOCK_BYTES = 4096


@dataclass(frozen=True)
class Disk:
    """A tmpfs of its own."""

    root: Path

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Not a block is free at the start; inside the block whatever is freed may be taken."""
        ballast = self.root / "ballast"
        try:
            with ballast.open("wb") as file:
                _take_all(file.fileno())
            yield
        finally:
            ballast.unlink(missing_ok=True)


def _take_all(descriptor: int) -> None:
    """In smaller and smaller steps: others take and free some meanwhile."""
    taken, step = 0, _SIZE_MIB << 20
    while step >= _BLOCK_BYTES:
        try:
            os.posix_fallocate(descriptor, taken, step)
            taken += step
        except OSError:
            step //= 2


@contextlib.contextmanager
def limited_disk() -> Iterator[Disk | None]:
    """None where we may not mount."""
    with tempfile.TemporaryDirectory(prefix="worksite-disk-") as directory:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE_MIB}m,mode=0700", "tmpfs", directory]
        if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            yield None
            return
        try:
            yield Disk(Path(directory))
        finally:
            subprocess.run(["umount", "--lazy", directory], check=True)
