"""From what a check found to its CheckResult."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from worksite.common.messages import CheckResult, CheckVerdict, Finding, Grade
from worksite.validator.domain.judgement import bounded, bounded_findings
from worksite.validator.environment import EnvironmentUnavailable
from worksite.validator.sandbox import LauncherError


class CannotJudge(Exception):
    """The check could not be made, which says nothing about the candidate; the text says why."""


@dataclass(frozen=True)
class Judged:
    """What a check came to. `note` is shown as evidence."""

    verdict: CheckVerdict
    note: str
    findings: tuple[Finding, ...] = ()
    preexisting: tuple[Finding, ...] = ()


Check = Callable[[], Awaitable[Judged]]


async def run_check(name: str, grade: Grade, check: Check) -> CheckResult:
    """Run and time a check; what kept it from judging becomes the verdict `environment`."""
    started = time.monotonic()
    try:
        judged = await check()
    except (CannotJudge, EnvironmentUnavailable, LauncherError) as error:
        judged = Judged("environment", str(error))
    return CheckResult(
        name=name,
        verdict=judged.verdict,
        grade=grade,
        evidence=bounded(judged.note),
        duration_seconds=round(time.monotonic() - started, 3),
        findings=bounded_findings(judged.findings),
        preexisting=bounded_findings(judged.preexisting),
    )
