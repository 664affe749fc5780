"""What of the last round's Report a model is told: what failed, the criteria first, each thing once, within a bound.

A Report is written for people and machines and may hold 4,000 characters for each criterion and fifty findings for each
check, mostly the same failure again. A repair needs where it failed and with what.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, groupby

from worksite.common.messages import CheckResult, CriterionResult, Finding, Report

MAX_CHARACTERS = 12_000
"""About 4,000 tokens, at three characters a token."""
_FOR_CRITERIA = 9_000
"""Shared among those that failed, so that each is told with some of its evidence."""
_LEAST, _MOST = 300, 1_500
"""Characters of one item's evidence."""
_SAME = 500
"""Evidence that begins alike for so long is the same: a criterion and the check that ran its test quote one failure."""
_ASSERTION_LINES = 12
_FRAME = re.compile(r"[^\s:][^:]*:\d+: |\s*File \"[^\"]+\", line \d+")
_SOURCE = "    "
"""Stands before the line of code below a frame."""
_OF_LIBRARIES = re.compile(r"site-packages/|/lib/python\d|<frozen ")


@dataclass(frozen=True)
class _Item:
    name: str
    evidence: str
    most: int = _MOST

    def told(self) -> str:
        evidence = bounded(condensed(self.evidence), self.most)
        if "\n" not in evidence:
            return f"- {self.name}: {evidence}"
        return "\n  ".join([f"- {self.name}:", *evidence.splitlines()])


def findings_of(report: Report) -> str:
    """One text, the most telling first; what has no room is counted by name."""
    items = tuple(_once(_items(report)))
    told = [item.told() for item in items]
    fitting = sum(size <= MAX_CHARACTERS for size in accumulate(len(text) for text in told))
    lines = [f"Verdict of the last round: {report.verdict}. {report.summary}", *told[:fitting]]
    if left_out := items[fitting:]:
        names = ", ".join(item.name for item in left_out)
        lines.append(f"- … and {len(left_out)} more: {names}"[:_LEAST])
    return "\n".join(lines)


def _items(report: Report) -> Iterator[_Item]:
    failed = [result for result in report.criteria if result.verdict == "fail"]
    share = max(_LEAST, min(_MOST, _FOR_CRITERIA // max(1, len(failed))))
    yield from (_criterion(result, "failed", share) for result in failed)
    for check in report.checks:
        if check.verdict == "fail":
            yield from _check(check)
    unclear = [result for result in report.criteria if result.verdict == "environment"]
    yield from (_criterion(result, "could not be judged", _LEAST) for result in unclear)
    for check in report.checks:
        if check.verdict == "environment":
            yield _Item(f"check {check.name} could not be made", check.evidence, _LEAST)


def _criterion(result: CriterionResult, how: str, most: int) -> _Item:
    return _Item(f"criterion {result.id} {how} ({result.statement})", result.evidence, most)


def _check(check: CheckResult) -> Iterator[_Item]:
    if not check.findings:
        yield _Item(f"check {check.name} failed", check.evidence)
    for finding in check.findings:
        yield _Item(f"check {check.name}{_place(finding)}", finding.message)


def _place(finding: Finding) -> str:
    line = f":{finding.line}" if finding.line else ""
    return f", {finding.path}{line}" if finding.path else ""


def _once(items: Iterable[_Item]) -> Iterator[_Item]:
    """A failure that a criterion tells is not told again by its check; a remark of one line may hold elsewhere too."""
    seen = set[str]()
    for item in items:
        several_lines = "\n" in item.evidence
        key = item.evidence[:_SAME] if several_lines else f"{item.name}: {item.evidence}"
        if key not in seen:
            seen.add(key)
            yield item


def condensed(text: str) -> str:
    """A traceback of pytest or Python, without what libraries did on the way and the middle of a long comparison."""
    lines, in_library = list[str](), False
    for line in text.splitlines():
        if _FRAME.match(line):
            in_library = bool(_OF_LIBRARIES.search(line))
        elif not line.startswith(_SOURCE):
            in_library = False
        if line.strip() and not in_library:
            lines.append(line.rstrip())
    return "\n".join(_shortened(lines))


def _shortened(lines: Iterable[str]) -> Iterator[str]:
    for compared, group in groupby(lines, key=lambda line: line.startswith("E ")):
        run = list(group)
        if compared and len(run) > _ASSERTION_LINES:
            half = _ASSERTION_LINES // 2
            run = [*run[:half], f"E   … {len(run) - 2 * half} lines …", *run[-half:]]
        yield from run


def bounded(text: str, most: int) -> str:
    """The beginning and the end of `text` in about `most` characters."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters …\n{text[-half:]}"
