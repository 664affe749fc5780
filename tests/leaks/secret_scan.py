"""What detect-secrets takes for a secret in a set of files."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from detect_secrets.core.potential_secret import PotentialSecret
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings, get_settings

_LINE_BY_LINE = {suffix: suffix for suffix in (".py", ".json", ".jsonl", ".md", ".jinja", ".txtar")}
_LINE_BY_LINE[".example"] = ".cfg"  # variables, whose values stand without quotes
"""Of these nothing but lines counts, so each different one is looked at once: half of them are repeated. What stands
behind is the suffix under which they are."""
_EXCUSES = (
    "detect_secrets.filters.allowlist.is_line_allowlisted",  # by a comment beside the secret
    "detect_secrets.filters.heuristic.is_indirect_reference",  # by anything that looks like a call in the line
)


@dataclass(frozen=True, order=True)
class Finding:
    """`digest`: the start of the value's hash, so that what is accepted may move within its file."""

    path: str
    kind: str
    digest: str

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}: {self.digest}"


def findings(root: Path, names: Collection[str], scratch: Path) -> set[Finding]:
    """Of the named files below `root`; `scratch` is an empty folder."""
    others = [name for name in names if Path(name).suffix not in _LINE_BY_LINE]
    found: set[Finding] = set()
    with default_settings():
        get_settings().disable_filters(*_EXCUSES)
        for name in others:
            found |= {_finding(name, secret) for secret in scan_file(str(root / name))}
        for suffix, holders in _lines(root, set(names) - set(others)).items():
            gathered = scratch / f"lines{suffix}"
            gathered.write_text("\n".join(holders))
            by_number = list(holders.values())
            for secret in scan_file(str(gathered)):
                found |= {_finding(name, secret) for name in by_number[secret.line_number - 1]}
    return found


def _lines(root: Path, names: Collection[str]) -> Mapping[str, Mapping[str, set[str]]]:
    """By suffix: every line, and the files that have it."""
    held: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in names:
        for line in (root / name).read_text().split("\n"):
            held[_LINE_BY_LINE[Path(name).suffix]][line.strip()].add(name)
    return held


def _finding(name: str, secret: PotentialSecret) -> Finding:
    return Finding(name, secret.type, hashlib.sha256((secret.secret_value or "").encode()).hexdigest()[:12])
