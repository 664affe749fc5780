"""The branch that a task made, looked at with git: one commit per round, and one report on the last."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

Event = dict[str, Any]


def branch_violations(events: list[Event], bundle: bytes, report: bytes) -> list[str]:
    """Of a task that was built and judged; `bundle` and `report` are its artifacts."""
    found: list[str] = []
    made = [event["body"]["reply"]["data"] for event in events if event["kind"] == "result"]
    changes = [data for data in made if data["type"] == "changeset"]
    judgements = [data for data in made if data["type"] == "judgement"]
    first, last = changes[0], changes[-1]
    if (commits := _commits(bundle, first["base_sha"], last["head_sha"])) != len(changes):
        found.append(f"its branch has {commits} commits of {len(changes)} rounds")
    if len(judgements) != len(changes):
        found.append(f"{len(judgements)} reports of {len(changes)} rounds")
    told = json.loads(report)
    if (told["head_sha"], told["verdict"]) != (last["head_sha"], judgements[-1]["verdict"]):
        found.append(f"its report is on {told['head_sha']}, {told['verdict']}")
    return found


def _commits(bundle: bytes, base: str, head: str) -> int:
    with tempfile.TemporaryDirectory(prefix="worksite-branch-") as directory:
        file = Path(directory, "branch.bundle")
        file.write_bytes(bundle)
        repository = str(Path(directory, "repository"))
        _git("clone", "--quiet", "--bare", str(file), repository)
        return int(_git("-C", repository, "rev-list", "--count", f"{base}..{head}"))


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=60, check=True).stdout
