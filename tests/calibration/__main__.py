"""Judge every case and print how often the verdict was right: `make calibrate`; see README.md."""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from cases import Case, load, short
from judging import ROOT, judge_by_route, judge_here
from worksite.common.messages import Report
from worksite.validator.main import open_bench
from worksite.validator.settings import ValidatorSettings

Judge = Callable[[Case], Awaitable[Report]]
_STATE = ROOT / ".worksite" / "validator-tests"


@dataclass(frozen=True)
class Result:
    """What became of a case."""

    case: Case
    report: Report

    @property
    def mistakes(self) -> list[str]:
        """What is wrong with the judgement, if anything."""
        wanted = "PASS" if self.case.kind == "correct" else "FAIL"
        found = (
            [f"{self.report.verdict} instead of {wanted}: {self.report.summary}"]
            if self.report.verdict != wanted
            else []
        )
        if self.case.named and self.case.named not in self.said:
            found.append(f"nothing names {self.case.named!r}")
        if any(each.grade != "verified_io" for each in self.report.criteria):
            found.append("a criterion was judged by something else than verified_io")
        return found

    @property
    def said(self) -> str:
        """All findings, and why criteria were not shown."""
        findings = [f"{each.path}: {each.message}" for check in self.report.checks for each in check.findings]
        refuted = [f"refuted: {each.evidence}" for each in self.report.criteria if each.verdict == "fail"]
        return "\n".join((*findings, *refuted))


def main() -> int:
    """1 when a judgement is wrong."""
    given = _arguments()
    logging.disable(logging.WARNING)
    cases = [case for case in load() if re.search(given.only, case.id)]
    return asyncio.run(_calibrate(short(cases) if given.short else cases, given.state))


async def _calibrate(cases: list[Case], state: Path | None) -> int:
    started = time.perf_counter()
    judge = await _judge(state)
    turns = asyncio.Semaphore(2)

    async def one(case: Case) -> Result:
        async with turns:
            return Result(case, await judge(case))

    results = await asyncio.gather(*map(one, cases))
    for result in results:
        for mistake in result.mistakes:
            print(f"{result.case.id}: {mistake}")
    print(table(results))
    faults = sum(bool(result.mistakes) for result in results)
    print(f"{len(results)} programs in {time.perf_counter() - started:.0f} s: {faults} judged wrongly")
    return 1 if faults else 0


async def _judge(state: Path | None) -> Judge:
    if state is not None:
        return lambda case: judge_by_route(state, case)
    bench = await open_bench(ValidatorSettings(state_dir=_STATE))
    return lambda case: judge_here(bench, case)


def table(results: list[Result]) -> str:
    """The confusion table."""
    counted = Counter((result.case.kind, result.report.verdict) for result in results)
    verdicts = ("PASS", "FAIL", "ENVIRONMENT")
    rows = [f"{'':10}" + "".join(f"{verdict:>12}" for verdict in verdicts)]
    for kind in ("correct", "wrong", "cheat"):
        rows.append(f"{kind:10}" + "".join(f"{counted[kind, verdict]:12}" for verdict in verdicts))
    return "\n".join(rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few of each kind")
    parser.add_argument("--only", default="", help="cases whose name this expression finds, e.g. 'web_.*/wrong'")
    parser.add_argument("--state", type=Path, help="of a running stack, to judge through its review route")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
