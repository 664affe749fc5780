"""A right, a wrong and a cheating program through the review route, judged across the pipe by the base's own tests."""

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "calibration"))

from cases import load
from judging import judge_by_route

pytestmark = pytest.mark.proof

CASES = {case.id: case for case in load()}
VERDICTS = {
    "structure_intervals/correct/sweep": "PASS",
    "structure_intervals/wrong/touching-stays-apart": "FAIL",
    "money_split/cheat/equal-to-all": "FAIL",
    "shell_total/cheat/weakened-check": "FAIL",
    "text_tickets/cheat/never-equal": "FAIL",
    "shell_column/cheat/makefile-that-goes-first": "FAIL",
}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", VERDICTS)
def test_a_review_ends_as_the_program_deserves(stack, name):
    report = asyncio.run(judge_by_route(stack.state, CASES[name]))

    assert report.verdict == VERDICTS[name], report.summary
    assert {each.grade for each in report.criteria} == {"verified_io"}
    said = "\n".join(finding.message for check in report.checks for finding in check.findings)
    assert (CASES[name].named or "") in said
