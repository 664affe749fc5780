"""From what a check found to its CheckResult."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from worksite.common.messages import CheckResult, CheckVerdict, Finding, Grade
from worksite.validator.domain.cases import Suite
from worksite.validator.domain.judgement import bounded, bounded_findings
from worksite.validator.environment import EnvironmentUnavailable
from worksite.validator.sandbox import LauncherError

_log = logging.getLogger(__name__)


class CannotJudge(Exception):
    """The check could not be made, which says nothing about the candidate; the text says why."""


@dataclass(frozen=True)
class Judged:
    """What a check came to. `note` is shown as evidence; `suite` is what ran, for criteria that name a test."""

    verdict: CheckVerdict
    note: str
    findings: tuple[Finding, ...] = ()
    preexisting: tuple[Finding, ...] = ()
    suite: Suite | None = None


Check = Callable[[], Awaitable[Judged]]


_ATTEMPTS = 3
"""At a check that the sandbox kept from judging for a reason that passes."""


async def run_check(name: str, grade: Grade, check: Check) -> CheckResult:
    """Run and time a check; what kept it from judging becomes the verdict `environment`.

    What nobody foresaw came from what the candidate gave us to read, so it speaks against the change, not for a retry.
    """
    started = time.monotonic()
    try:
        judged = await _judged(check)
    except (CannotJudge, EnvironmentUnavailable, LauncherError) as error:
        judged = Judged("environment", str(error))
    except OSError as error:
        judged = Judged("environment", f"the machine failed: {error}")
    except Exception as error:
        _log.exception("check %s met something that it cannot read", name)
        said = f"the change holds something that this check cannot read ({type(error).__name__}: {error})"
        judged = Judged("fail", said, (Finding(check=name, message=said),))
    return CheckResult(
        name=name,
        verdict=judged.verdict,
        grade=grade,
        evidence=bounded(judged.note),
        duration_seconds=round(time.monotonic() - started, 3),
        findings=bounded_findings(judged.findings),
        preexisting=bounded_findings(judged.preexisting),
    )


async def _judged(check: Check) -> Judged:
    for _ in range(_ATTEMPTS - 1):
        try:
            return await check()
        except LauncherError as error:
            if not error.passes:
                raise
            _log.warning("a check is made again: %s", error)
    return await check()
