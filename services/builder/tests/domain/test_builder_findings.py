"""What of a Report the builder's model is told in the next round."""

from __future__ import annotations

from typing import Any

from worksite.builder.domain.findings import condensed, findings_of
from worksite.common.messages import CheckResult, CriterionResult, Finding, Report

TRACEBACK = """acceptance/test_auth.py::test_refuses failed:
acceptance/test_auth.py:10: in test_refuses
    assert app.post("/login", json=who).status == 401
E   assert 200 == 401
E    +  where 200 = <Response>.status"""


def criterion(id_: str, verdict: str, evidence: str = TRACEBACK) -> CriterionResult:
    given = {"id": id_, "statement": f"It {id_}.", "grade": "verified_io", "duration_seconds": 1}
    return CriterionResult.model_validate(given | {"verdict": verdict, "evidence": evidence})


def check(name: str, verdict: str, *findings: Finding) -> CheckResult:
    given = {"name": name, "grade": "verified_io", "evidence": f"{name} says", "duration_seconds": 1}
    return CheckResult.model_validate(given | {"verdict": verdict, "findings": findings})


def report(*results: CriterionResult | CheckResult) -> Report:
    given: dict[str, Any] = {"verdict": "FAIL", "summary": "1 of 2 shown", "engine": "x", "round": 1}
    given |= {"environment": None, "spec_sha256": "0" * 64, "base_sha": "0" * 40, "head_sha": "1" * 40}
    given["criteria"] = [each for each in results if isinstance(each, CriterionResult)]
    given["checks"] = [each for each in results if isinstance(each, CheckResult)]
    return Report.model_validate(given)


def test_failed_criteria_come_first_then_failed_checks_then_what_could_not_be_judged() -> None:
    lint = check("lint", "fail", Finding(check="lint", message="F401 unused import", path="app.py", line=3))
    told = findings_of(
        report(
            criterion("greets", "environment", "nobody knows"),
            criterion("refuses", "fail"),
            criterion("logs-in", "pass", "fine"),
            check("security", "environment"),
            lint,
            check("types", "pass"),
        )
    )
    assert told.splitlines() == [
        "Verdict of the last round: FAIL. 1 of 2 shown",
        "- criterion refuses failed (It refuses.):",
        "  acceptance/test_auth.py::test_refuses failed:",
        "  acceptance/test_auth.py:10: in test_refuses",
        '      assert app.post("/login", json=who).status == 401',
        "  E   assert 200 == 401",
        "  E    +  where 200 = <Response>.status",
        "- check lint, app.py:3: F401 unused import",
        "- criterion greets could not be judged (It greets.): nobody knows",
        "- check security could not be made: security says",
    ]


def test_a_failure_that_a_criterion_tells_is_not_told_again_by_the_check_that_ran_its_test() -> None:
    ran = check(
        "acceptance",
        "fail",
        Finding(check="acceptance", message=TRACEBACK, path="acceptance/test_auth.py"),
        Finding(check="acceptance", message="test_other skipped:\nwhy", path="acceptance/test_x.py"),
    )
    told = findings_of(report(criterion("refuses", "fail"), ran))

    assert told.count("assert 200 == 401") == 1
    assert "- check acceptance, acceptance/test_x.py:\n  test_other skipped:\n  why" in told


def test_the_same_remark_about_two_lines_is_told_twice() -> None:
    twice = (Finding(check="lint", message="E711 comparison to None", path="app.py", line=n) for n in (3, 9))
    told = findings_of(report(check("lint", "fail", *twice), check("format", "fail")))

    assert "- check lint, app.py:3: E711" in told
    assert "- check lint, app.py:9: E711" in told
    assert "- check format failed: format says" in told


def test_however_much_failed_it_is_told_at_bounded_length_with_something_of_each_criterion() -> None:
    criteria = [criterion(f"c-{n}", "fail", f"at place {n}\n" + "x" * 3900 + f"\nend of {n}") for n in range(20)]
    noisy = check("lint", "fail", *(Finding(check="lint", message="m" * 1500, path=f"{n}.py") for n in range(50)))
    told = findings_of(report(*criteria, noisy))

    assert len(told) < 13_500
    assert all(f"at place {n}\n" in told and f"end of {n}\n" in told for n in range(20))
    assert "more: check lint, " in told.splitlines()[-1]


def test_a_traceback_is_told_without_what_libraries_did_on_the_way() -> None:
    text = """tests/test_api.py:4: in test_it
    client.get("/")
/env/lib/python3.11/site-packages/starlette/testclient.py:497: in get
    return super().get(url)
src/api.py:12: in root
    return json.loads("")
/usr/lib/python3.11/json/decoder.py:355: in raw_decode
    raise JSONDecodeError("Expecting value", s, err.value) from None
E   json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)

the candidate's error output ended with:
Traceback (most recent call last):
  File "/env/lib/python3.11/site-packages/uvicorn/run.py", line 3, in run
    serve()
    ^^^^^^^
  File "/tree/src/api.py", line 12, in root
    return json.loads("")
json.decoder.JSONDecodeError: Expecting value"""

    assert (
        condensed(text)
        == """tests/test_api.py:4: in test_it
    client.get("/")
src/api.py:12: in root
    return json.loads("")
E   json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)
the candidate's error output ended with:
Traceback (most recent call last):
  File "/tree/src/api.py", line 12, in root
    return json.loads("")
json.decoder.JSONDecodeError: Expecting value"""
    )


def test_of_a_long_comparison_the_middle_is_left_out() -> None:
    lines = [f"E   line {n}" for n in range(100)]

    assert condensed("\n".join(["a.py:1: in f", *lines])).splitlines() == [
        "a.py:1: in f", *lines[:6], "E   … 88 lines …", *lines[-6:],
    ]  # fmt: skip
