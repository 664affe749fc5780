"""Worktrees whose workers are killed: `make worktrees-proof WORKTREES=200 SEED=1`; see README.md."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import builders
import people
from tally import Tally


def main() -> int:
    """1 when anything was stale, lost, taken from somebody at work, or left behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worktrees", type=int, default=200, help="of builders, and as many of people")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="worksite-worktrees-") as folder:
        tallies = asyncio.run(_proof(Path(folder), given.worktrees, given.seed))
    for tally in tallies:
        print("\n".join([*tally.faults, f"seed {given.seed}: {tally}"]))
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if any(tally.faults for tally in tallies) else 0


async def _proof(folder: Path, worktrees: int, seed: int) -> list[Tally]:
    for name in ("builders", "people"):
        (folder / name).mkdir()
    return [
        await builders.prove(folder / "builders", worktrees, Random(seed)),
        await people.prove(folder / "people", worktrees, Random(seed)),
    ]


if __name__ == "__main__":
    sys.exit(main())
