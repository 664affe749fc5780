"""What a person has begun in a working tree and not ended."""

from __future__ import annotations

from worksite.cli.repository.git import Git

_MARKS = {
    "MERGE_HEAD": "a merge",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or am",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisect",
}


async def underway(git: Git) -> str | None:
    """The operation that the working tree is in the middle of. Raises GitFailed."""
    for mark, operation in _MARKS.items():
        place = await git("rev-parse", "--git-path", mark)
        if (git.directory / place.rstrip("\n")).exists():
            return operation
    return None
