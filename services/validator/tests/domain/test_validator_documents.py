"""The report for people."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from worksite.common.messages import CheckResult, CriterionResult, Environment, Finding, Report, Spec, TestFile
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


def document(spec: Spec = SPEC, *, reviewed: bool = False, **changed: Any) -> str:
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
    return report_markdown(Report(**{**fields, **changed}), spec, reviewed=reviewed)


def made(name: str, verdict: Any = "pass") -> CheckResult:
    return CheckResult(name=name, verdict=verdict, grade="self_reported", evidence="e", duration_seconds=1)


def by_hand(text: str) -> str:
    return text.partition("## Checking it by hand")[2]


def commands(text: str) -> list[str]:
    blocks: list[str] = re.findall(r"```sh\n(.*?)\n```", by_hand(text), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_the_verdict_comes_first_and_what_it_rests_on_follows() -> None:
    text = document()

    assert text.startswith("# PASS: Logins | 'x'\n")
    assert "| ✓ pass | It logs in | `verified_io` | test_x passed (0.50 s) |" in text
    assert "landlock, seccomp. No network" in text
    assert "`self_reported`" in text
    assert f"git checkout {'c' * 40}" in text
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


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A package in `src`, a test of it, and a folder of tests that only the examiner can run."""
    files = {
        "src/calc.py": "def add(a, b):\n    return a + b\n",
        "tests/test_calc.py": "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n",
        "acceptance/test_calc_across.py": "def test_add(load):\n    assert load('calc:add')(2, 3) == 5\n",
    }
    for name, content in files.items():
        (tmp_path / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "shop" / name).write_text(content)
    git(tmp_path, "init", "-q", "-b", "main", "shop")
    git(tmp_path / "shop", "add", ".")
    git(tmp_path / "shop", "commit", "-q", "-m", "calc")
    return tmp_path / "shop"


@pytest.mark.parametrize("reviewed", [True, False])
def test_the_commands_for_checking_by_hand_run_as_printed(project: Path, tmp_path: Path, reviewed: bool) -> None:
    """Beside `project/`, which `worksite run` leaves there; what would ask a package index is left out."""
    head = git(project, "rev-parse", "HEAD")
    (tmp_path / "project").mkdir()
    git(project, "bundle", "create", "-q", str(tmp_path / "branch.bundle"), "HEAD", "main")
    text = document(checks=(made("project-tests"), made("acceptance")), head_sha=head, reviewed=reviewed)
    printed = commands(text)
    assert printed[-2:] == ["pip install pytest", "PYTHONPATH=src:. python -m pytest --ignore=acceptance"]
    offline = [line for line in printed if "venv" not in line and not line.startswith("pip ")]
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    done = subprocess.run(
        ["sh", "-e", "-c", "\n".join(offline)],
        cwd=project if reviewed else tmp_path, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(
    ("lock", "installed"),
    [
        (None, ["pip install pytest"]),
        ("requirements.lock", ["pip install -r requirements.lock", "pip install pytest"]),
        ("requirements.txt + requirements-dev.txt", [
            "pip install -r requirements.txt", "pip install -r requirements-dev.txt", "pip install pytest",
        ]),
        ("uv.lock", ["pip install pytest"]),
    ],
)  # fmt: skip
def test_by_hand_the_lock_is_installed_and_pytest_with_it(lock: str | None, installed: list[str]) -> None:
    text = document(checks=(made("project-tests"),), environment=ENVIRONMENT.model_copy(update={"lock": lock}))

    assert [line for line in commands(text) if line.startswith("pip ")] == installed
    assert ("install what `uv.lock` pins" in text) == (lock == "uv.lock")


def test_of_a_project_without_tests_for_pytest_only_its_own_commands_are_named() -> None:
    text = by_hand(document(checks=(made("project-tests", "not_applicable"), made("unit"), made("lint"))))

    assert "pytest" not in text
    assert "`unit`: command lines of the project's own" in text
    assert "lint" not in text
    assert "spec.json` (`tests`)" not in text


def test_the_fixtures_that_the_tests_of_the_spec_ask_for_are_named_and_no_others() -> None:
    content = "def test_adds(load, fresh):\n    assert load('a:b')(1)\n"
    spec = SPEC.model_copy(update={"tests": (TestFile(path="acceptance/test_a.py", content=content),)})

    text = by_hand(document(spec, checks=(made("acceptance"),)))

    assert "fixtures of the validator (`load`, `fresh`)" in text
    assert "`app`" not in text
    assert "HTTP" not in text
