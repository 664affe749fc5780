"""The report for people."""

from __future__ import annotations

from typing import Any

from worksite.common.messages import CheckResult, CriterionResult, Environment, Finding, Report, Spec
from worksite.validator.domain.documents import report_markdown

SPEC = Spec(title="Logins | `x`", request="r", engine="test", criteria=())
ENVIRONMENT = Environment(
    digest="d" * 64, lock="requirements.lock", python="3.11.7", isolation="namespaces", layers=("landlock", "seccomp")
)


def criterion(verdict: Any = "pass", evidence: str = "test_x passed") -> CriterionResult:
    return CriterionResult(
        id="login",
        statement="It logs in",
        verdict=verdict,
        grade="verified_io",
        evidence=evidence,
        duration_seconds=0.5,
    )


def check(*findings: Finding, preexisting: tuple[Finding, ...] = ()) -> CheckResult:
    verdict = "fail" if findings else "pass"
    return CheckResult(
        name="lint",
        verdict=verdict,
        grade="verified_io",
        evidence="1 new",
        duration_seconds=1,
        findings=findings,
        preexisting=preexisting,
    )


def document(**changed: Any) -> str:
    fields: dict[str, Any] = {
        "verdict": "PASS",
        "summary": "1 of 1 criteria shown",
        "engine": "validator@1",
        "round": 2,
        "spec_sha256": "a" * 64,
        "base_sha": "b" * 40,
        "head_sha": "c" * 40,
        "environment": ENVIRONMENT,
        "criteria": (criterion(),),
        "checks": (check(),),
    }
    return report_markdown(Report(**{**fields, **changed}), SPEC)


def test_the_verdict_comes_first_and_what_it_rests_on_follows() -> None:
    text = document()

    assert text.startswith("# PASS: Logins | 'x'\n")
    assert "| ✓ pass | It logs in | `verified_io` | test_x passed (0.50 s) |" in text
    assert "landlock, seccomp. No network" in text
    assert "`self_reported`" in text
    assert f"git checkout {'c' * 40}" in text
    assert "pip install -r requirements.lock" in text
    assert "## Findings" not in text


def test_findings_name_the_place_and_keep_their_text_in_a_block() -> None:
    finding = Finding(check="lint", message="broken:\n# not a heading\n```\nend", path="a.py", line=3)

    text = document(verdict="FAIL", checks=(check(finding, preexisting=(finding,)),))

    assert "- **lint** `a.py:3`: broken:\n  ```text\n  # not a heading\n  '''\n  end\n  ```" in text
    assert "## Found at base too" in text


def test_criteria_that_were_not_shown_are_quoted_in_full() -> None:
    text = document(verdict="FAIL", criteria=(criterion("fail", "first line\nassert 500 == 200"),))

    assert "| ✗ **FAIL** | It logs in | `verified_io` | first line (0.50 s) |" in text
    assert "```text\nfirst line\nassert 500 == 200\n```" in text


def test_a_report_without_criteria_or_environment_says_so() -> None:
    text = document(verdict="ENVIRONMENT", criteria=(), environment=None)

    assert "The Spec has no criteria" in text
    assert "It could not be built" in text


def test_an_unconfined_run_is_not_dressed_up() -> None:
    text = document(environment=ENVIRONMENT.model_copy(update={"isolation": "none", "layers": ()}))

    assert "ran unconfined" in text
    assert "No network" not in text
