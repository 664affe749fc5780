"""The Report for people: the verdict first, then what it rests on, and how to check it by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from worksite.common.messages import Advice, CheckResult, CriterionResult, Environment, Finding, Report, Spec
from worksite.validator.domain.declaration import CHECKS

_MARKS = {"pass": "✓ pass", "fail": "✗ **FAIL**", "environment": "? not judged", "not_applicable": "– n/a"}
_ADVICE = "– advice"
_MEANING = {
    "PASS": "Every criterion was shown and no check speaks against the change.",
    "FAIL": "A criterion was refuted, or a check speaks against the change.",
    "ENVIRONMENT": "The change could not be judged. This says nothing about its quality.",
}
_FIXTURES = ("app", "launch", "load", "run", "fresh")
_ARGUMENTS, _WORD = re.compile(r"\bdef \w+\(([^)]*)\)"), re.compile(r"\w+")
_ORIGIN = "They are in `worksite.toml` (`[checks]`), or in `spec.json` (`commands`)."
_GRADES = """\
- `verified_io`: the asserts ran in a process that the program under test cannot reach. It got only inputs, many of
  them chosen at random after it was frozen; its outputs were compared outside. This proves "these inputs gave these
  outputs", and nothing in the program can forge it. It does not prove behaviour that no test asked about.
- `self_reported`: the tests ran in one process with the program, under a trusted driver with planted tests that must
  fail. This catches early exits and blanket forgeries; a program written to deceive exactly this driver could still
  lie.
"""


def report_markdown(report: Report, spec: Spec, *, reviewed: bool = False) -> str:
    """The whole document; `reviewed`: of a commit in somebody's repository, which no task has made."""
    charged = [each for check in report.checks for each in check.findings]
    preexisting = [each for check in report.checks for each in check.preexisting]
    parts = [
        f"# {report.verdict}: {_plain(spec.title)}",
        f"{_MEANING[report.verdict]} {_plain(report.summary)}.",
        _identity(report),
        "## Criteria",
        _criteria(report.criteria),
        "## Checks",
        _checks(report.checks),
        *_findings("## Findings", "To be mended.", charged),
        *_findings("## Found at base too", "Reported, not charged.", preexisting),
        *_unshown(report.criteria),
        *_advice([each for check in report.checks for each in check.advice]),
        "## Environment",
        _environment(report.environment),
        "## What the grades mean",
        _GRADES.rstrip(),
        "## Checking it by hand",
        _by_hand(report, spec, reviewed),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _identity(report: Report) -> str:
    rows = (
        ("Commit", f"`{report.head_sha}`"),
        ("Compared with", f"`{report.base_sha}`"),
        ("Judged by Spec", f"`{report.spec_sha256}`"),
        ("Round", str(report.round)),
        ("Engine", report.engine),
    )
    return "\n".join(("| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)))


def _criteria(criteria: Sequence[CriterionResult]) -> str:
    if not criteria:
        return "The Spec has no criteria, so nothing could be shown."
    lines = ["| | criterion | grade | evidence |", "|---|---|---|---|"]
    for each in criteria:
        evidence = _cell(each.evidence.splitlines()[0] if each.evidence else "")
        seconds = f" ({each.duration_seconds:.2f} s)" if each.duration_seconds else ""
        lines.append(f"| {_MARKS[each.verdict]} | {_cell(each.statement)} | `{each.grade}` | {evidence}{seconds} |")
    return "\n".join(lines)


def _checks(checks: Sequence[CheckResult]) -> str:
    lines = ["| | check | grade | evidence | duration |", "|---|---|---|---|---|"]
    for each in checks:
        evidence = _cell(each.evidence.splitlines()[0] if each.evidence else "")
        mark = _ADVICE if each.advice else _MARKS[each.verdict]
        columns = (mark, each.name, f"`{each.grade}`", evidence, f"{each.duration_seconds:.1f} s")
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines)


def _findings(title: str, explained: str, findings: Iterable[Finding]) -> Iterable[str]:
    lines = [_finding(each) for each in findings]
    return (title, explained, "\n".join(lines)) if lines else ()


def _finding(finding: Finding) -> str:
    place = f" `{finding.path}{f':{finding.line}' if finding.line else ''}`" if finding.path else ""
    first, *rest = finding.message.splitlines() or [""]
    block = "".join(f"\n  {line}" for line in ("```text", *map(_fenced, rest), "```")) if rest else ""
    return f"- **{finding.check}**{place}: {_plain(first)}{block}"


def _unshown(criteria: Sequence[CriterionResult]) -> Iterable[str]:
    unshown = [each for each in criteria if each.verdict != "pass"]
    if not unshown:
        return ()
    blocks = [f"### {_plain(each.statement)}\n\n```text\n{_fenced(each.evidence)}\n```" for each in unshown]
    return ("## Criteria that were not shown", *blocks)


def _advice(advice: Sequence[Advice]) -> Iterable[str]:
    """Links and pictures of the model's would be followed by whoever reads this, so it gets none."""
    if not advice:
        return ()
    lines = (
        f"- **{each.severity}** `{_plain(each.path)}:{each.line}`: `{_plain(each.quote)}`\n"
        f"  {_plain(each.message).replace('[', '(').replace(']', ')')}"
        for each in advice
    )
    explained = (
        "A language model's remarks on the change. Its quotations were looked up, its opinions were not, and the "
        "verdict does not rest on them."
    )
    return ("## Advice", explained, "\n".join(lines))


def _environment(environment: Environment | None) -> str:
    if environment is None:
        return "It could not be built, so nothing was run."
    lock = f"`{environment.lock}`" if environment.lock else "none: standard library and pytest only"
    digest = f"`{environment.digest}`" if environment.digest else "none"
    return "\n".join(
        (
            f"- Python {environment.python}; lock: {lock}; read-only environment: {digest} (wheels only).",
            f"- Isolation `{environment.isolation}`: {_isolation(environment)}",
        )
    )


def _isolation(environment: Environment) -> str:
    if environment.isolation == "none":
        return "**the program ran unconfined, by an operator's choice; this evidence is for experiments only.**"
    return f"{', '.join(environment.layers)}. No network, no credentials, a fresh copy of the project for each run."


def _by_hand(report: Report, spec: Spec, reviewed: bool) -> str:
    names = [check.name for check in report.checks if check.verdict != "not_applicable"]
    own = [name for name in names if name not in CHECKS]
    start = "In your repository:" if reviewed else "In the folder that has `branch.bundle` of this task:"
    parts = [f"{start}\n\n{_block(_checked_out(report, reviewed))}"]
    if "project-tests" in names:
        lock = report.environment.lock if report.environment else None
        parts.append(f"Then the project's own tests:\n\n{_block(_tests_run(lock, 'acceptance' in names))}")
        parts += (
            [f"Before the last line, install what `{lock}` pins with the tool that wrote it."] if _foreign(lock) else []
        )
    if own:
        listed = ", ".join(f"`{name}`" for name in own)
        parts.append(f"{listed}: command lines of the project's own, run at its top. {_ORIGIN}")
    return "\n\n".join([*parts, *_acceptance_by_hand(spec, names)])


def _checked_out(report: Report, reviewed: bool) -> list[str]:
    if reviewed:
        return [f"git worktree add --detach ../checked {report.head_sha}", "cd ../checked"]
    return ["git clone branch.bundle checked", "cd checked", f"git checkout {report.head_sha}"]


def _tests_run(lock: str | None, accepts: bool) -> list[str]:
    """The validator has pytest of its own, imports from `src` too, and gives `acceptance/` to the examiner."""
    install = [] if _foreign(lock) else [f"pip install -r {name}" for name in (lock or "").split(" + ") if name]
    tests = "PYTHONPATH=src:. python -m pytest" + (" --ignore=acceptance" if accepts else "")
    return ["python3 -m venv .venv", ". .venv/bin/activate", *install, "pip install pytest", tests]


def _foreign(lock: str | None) -> bool:
    """Whether it is no file that every pip installs from."""
    return lock in ("uv.lock", "pylock.toml")


def _acceptance_by_hand(spec: Spec, names: Sequence[str]) -> Iterable[str]:
    """Pytest alone has no such fixtures: they are the pipe to the program."""
    if not spec.tests:
        return
    fixtures = ", ".join(f"`{name}`" for name in _fixtures(spec))
    said = "The tests of the Spec are in `spec.json` (`tests`), word for word as they ran."
    if "acceptance" in names and fixtures:
        said += (
            f" They reach the program only through fixtures of the validator ({fixtures}), which pytest alone lacks."
        )
    yield said


def _fixtures(spec: Spec) -> list[str]:
    """Those that the tests ask for by name."""
    asked = {
        word
        for test in spec.tests
        for arguments in _ARGUMENTS.findall(test.content)
        for word in _WORD.findall(arguments)
    }
    return [name for name in _FIXTURES if name in asked]


def _block(commands: Sequence[str]) -> str:
    return "\n".join(("```sh", *commands, "```"))


def _plain(text: str) -> str:
    """One line of a candidate's or a tool's text, unable to look like our own markup."""
    return " ".join(text.split()).replace("<", "&lt;").replace("`", "'").rstrip(".")


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")[:300]


def _fenced(text: str) -> str:
    return text.replace("```", "'''")
