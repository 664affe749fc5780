"""What a check says, and how the findings are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Finding:
    """`missing`: the main job cannot run. `warning`: it can, but with less, or not for long."""

    check: str
    level: Level
    finding: str
    remedy: str = ""


def can_run(findings: Sequence[Finding]) -> bool:
    """Whether the main job can run here."""
    return all(finding.level != "missing" for finding in findings)


def as_lines(findings: Sequence[Finding]) -> list[str]:
    """One line per check, and a conclusion."""
    width = max(len(finding.check) for finding in findings)
    lines = [f"{f.level:7}  {f.check:{width}}  {_text(f)}" for f in findings]
    return [*lines, _conclusion(findings)]


def as_json(findings: Sequence[Finding]) -> str:
    """`{"can_run": …, "findings": [{"check", "level", "finding", "remedy"}, …]}`."""
    return json.dumps({"can_run": can_run(findings), "findings": [asdict(f) for f in findings]}, indent=2)


def _text(finding: Finding) -> str:
    return f"{finding.finding}: {finding.remedy}" if finding.remedy else finding.finding


def _conclusion(findings: Sequence[Finding]) -> str:
    counts = {level: sum(finding.level == level for finding in findings) for level in ("missing", "warning")}
    if counts["missing"]:
        return f"Worksite cannot run here yet: {counts['missing']} missing, {counts['warning']} to look at."
    return f"Worksite can run here; {counts['warning']} to look at." if counts["warning"] else "Worksite can run here."
