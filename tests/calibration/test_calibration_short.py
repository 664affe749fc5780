"""A few programs of each kind, and what the cases as a whole must be; `make calibrate` judges all of them."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from cases import load, read, short

pytestmark = pytest.mark.proof

CALIBRATION = Path(__file__).parent


@pytest.mark.timeout(300)
def test_a_few_programs_of_each_kind_are_judged_rightly():
    command = [sys.executable, str(CALIBRATION), "--short"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=290, check=False)

    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    assert ran.stdout.splitlines()[-1].endswith(": 0 judged wrongly")


def test_there_are_enough_cases_and_a_short_run_has_every_kind():
    counted = Counter(case.kind for case in load())

    assert min(counted["correct"], counted["wrong"]) >= 40
    assert counted["cheat"] >= 20
    assert set(counted) == {case.kind for case in short(load())}


def test_every_case_is_another_program_with_criteria_behind_the_pipe():
    cases = load()

    assert len({tuple(sorted(case.head.items())) for case in cases}) == len(cases)
    assert all(case.criteria for case in cases)
    assert {each.grade for case in cases for each in case.criteria} == {"verified_io"}
    assert all(case.named for case in cases if case.kind == "cheat")


def test_a_file_of_cases_is_read_part_by_part():
    text = (
        "Add.\n\ncheat/exits: os._exit\n-- project/acceptance/test_add.py --\ndef test_it_adds(load):\n    ...\n"
        "-- base/add.py --\nold\n-- correct/plain/add.py --\nnew\n-- cheat/exits/add.py --\nexit\n"
    )
    correct, cheat = read("add", text)

    assert (correct.id, correct.request, correct.named) == ("add/correct/plain", "Add.", None)
    assert (correct.base["add.py"], correct.head["add.py"], cheat.head["add.py"]) == ("old\n", "new\n", "exit\n")
    assert (cheat.kind, cheat.named) == ("cheat", "os._exit")
    assert correct.head["worksite.toml"] == "[acceptance]\n"
    assert [(each.id, each.test) for each in correct.criteria] == [("it-adds", "acceptance/test_add.py::test_it_adds")]
