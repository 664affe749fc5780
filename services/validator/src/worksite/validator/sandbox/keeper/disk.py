"""How much a run has written."""

from __future__ import annotations

import os

INODE_BYTES = 1024  # an empty file costs something too
UNSEEN_FACTOR = 8


class DiskWatch:
    """Compare the size of some trees with a limit.

    What a walk cannot see (unlinked files that are still open, directories made unreadable) shows in the free space of
    the file system. Others write there too, so that measure only stops a run far above its limit, and whose fault it
    was is found out afterwards.
    """

    def __init__(self, trees: list[str], limit: int) -> None:
        self.trees = trees
        self.limit = limit
        self.free_at_start = self.free()

    def free(self) -> int:
        status = os.statvfs(self.trees[0])
        return status.f_bfree * status.f_frsize

    def exceeded(self) -> bool:
        if self.free_at_start - self.free() > UNSEEN_FACTOR * self.limit:
            return True
        return _tree_bytes(self.trees, self.limit) > self.limit

    def is_to_blame(self, held: int) -> bool:
        """Has the run that is over written too much? `held`: bytes that came free with the end of its processes."""
        return held + _tree_bytes(self.trees, self.limit) > self.limit


def _tree_bytes(trees: list[str], enough: int) -> int:
    total = 0
    pending = list(trees)
    while pending and total <= enough:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    total += INODE_BYTES + _entry_bytes(entry)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            continue  # gone meanwhile, or unseen: see DiskWatch
    return total


def _entry_bytes(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks * 512
    except OSError:
        return 0
