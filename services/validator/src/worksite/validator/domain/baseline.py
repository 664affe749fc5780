"""Judging relative to the base: what a change brought counts, what was there is only reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from worksite.common.messages import Finding
from worksite.validator.domain.cases import Case, Suite


@dataclass(frozen=True)
class Charge:
    """A test that counts against the change, and why. `failed`: it ran and failed, and is not missing or skipped."""

    test: str
    reason: str
    text: str = ""
    failed: bool = True


@dataclass(frozen=True)
class Relative:
    """`charged` speaks against the change; `preexisting` was red at base and is only reported."""

    charged: tuple[Charge, ...]
    preexisting: tuple[Charge, ...]


def compare(base: Suite | None, head: Suite, as_they_were: Suite | None, removable: tuple[str, ...] = ()) -> Relative:
    """Judge `head` relative to `base`; `as_they_were` is the head's code under the base's tests.

    A test that ran at base must still run and pass, in both forms, unless `removable` names it or its file. Where the
    base's run broke off, nobody knows what passed there: then every test that it has must run and pass.
    """
    before = base or Suite()
    red = {case.id for case in before.having("failed")}
    broke_off = as_they_were if before.trouble else None
    expected = (*broke_off.having("passed"), *broke_off.having("failed")) if broke_off else ()
    green = {case.id for case in (*before.having("passed"), *expected) if not _listed(case.id, removable)}
    failed = [Charge(case.id, "failed", case.text) for case in head.having("failed")]
    charged = [charge for charge in failed if charge.test not in red]
    charged += [Charge(test, reason, failed=False) for test in sorted(green) if (reason := _missing(test, head))]
    if as_they_were is not None:
        ran = "could not be run at base" if broke_off else "passed at base"
        charged += _regressions(ran, green - {charge.test for charge in charged}, as_they_were)
    gone = [
        Charge(test, "was red at base and no longer runs", failed=False) for test in sorted(red) if _missing(test, head)
    ]
    return Relative(tuple(charged), tuple(charge for charge in failed if charge.test in red) + tuple(gone))


def _regressions(ran: str, expected: set[str], as_they_were: Suite) -> list[Charge]:
    charges: list[Charge] = []
    for test in sorted(expected):
        case = as_they_were.cases.get(test)
        if case is None or case.outcome != "passed":
            said = f"{ran}; as it was at base it now {_fate(case)}"
            charges.append(Charge(test, said, _text(case), failed=case is not None and case.outcome == "failed"))
    return charges


def _missing(test: str, head: Suite) -> str | None:
    case = head.cases.get(test)
    if case is None:
        return "ran at base and is gone or deselected at head"
    return f"ran at base and is skipped at head ({case.text})" if case.outcome == "skipped" else None


def _fate(case: Case | None) -> str:
    if case is None:
        return "does not run"
    return "is skipped" if case.outcome == "skipped" else "fails"


def _text(case: Case | None) -> str:
    return case.text if case else ""


def _listed(test: str, removable: tuple[str, ...]) -> bool:
    """Whether the Spec lets this test go: by its id, its file, or the id without parameters."""
    return bool({test, test.split("::")[0], test.split("[")[0]} & set(removable))


def compare_findings(
    head: Sequence[Finding], base: Sequence[Finding]
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Findings of a tool at head: those the change brought, and those that were there before.

    Lines move, so a finding is recognised by file and message; each one at base excuses one at head.
    """
    excused = Counter((finding.path, finding.message) for finding in base)
    charged: list[Finding] = []
    preexisting: list[Finding] = []
    for finding in head:
        key = (finding.path, finding.message)
        (preexisting if excused[key] > 0 else charged).append(finding)
        excused[key] -= 1
    return tuple(charged), tuple(preexisting)
