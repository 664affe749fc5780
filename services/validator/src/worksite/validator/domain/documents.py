"""The Report for people: the verdict first, then what it rests on, and how to check it by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from worksite.common.messages import Advice, CheckResult, CriterionResult, Environment, Finding, Report, Spec

_MARKS = {"pass": "✓ pass", "fail": "✗ **FAIL**", "environment": "? not judged", "not_applicable": "– n/a"}
_ADVICE = "– advice"
_MEANING = {
    "PASS": "Every criterion was shown and no check speaks against the change.",
    "FAIL": "A criterion was refuted, or a check speaks against the change.",
    "ENVIRONMENT": "The change could not be judged. This says nothing about its quality.",
}
_GRADES = """\
- `verified_io`: the asserts ran in a process that the program under test cannot reach. It got only inputs, many of
  them chosen at random after it was frozen; its outputs were compared outside. This proves "these inputs gave these
  outputs", and nothing in the program can forge it. It does not prove behaviour that no test asked about.
- `self_reported`: the tests ran in one process with the program, under a trusted driver with planted tests that must
  fail. This catches early exits and blanket forgeries; a program written to deceive exactly this driver could still
  lie.
"""


def report_markdown(report: Report, spec: Spec) -> str:
    """The whole document."""
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
        _by_hand(report),
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


def _by_hand(report: Report) -> str:
    lock = report.environment.lock if report.environment else None
    install = [f"pip install -r {name}" for name in (lock or "").split(" + ") if name.startswith("requirements")]
    commands = (
        "git clone branch.bundle project && cd project",
        f"git checkout {report.head_sha}",
        "python3 -m venv .venv && . .venv/bin/activate",
        *install,
        "python -m pytest",
    )
    return "\n".join(
        (
            "The project's own tests, from `branch.bundle` of this task:",
            "",
            "```sh",
            *commands,
            "```",
            "",
            "The acceptance tests are in `spec.json` (`tests`), word for word as they ran. They talk to the program "
            "over HTTP semantics through the fixtures `app`, `launch` and `fresh`.",
        )
    )


def _plain(text: str) -> str:
    """One line of a candidate's or a tool's text, unable to look like our own markup."""
    return " ".join(text.split()).replace("<", "&lt;").replace("`", "'").rstrip(".")


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")[:300]


def _fenced(text: str) -> str:
    return text.replace("```", "'''")
