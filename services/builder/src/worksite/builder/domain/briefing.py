"""The opening of a build: the Spec, the files that are there, and what the last round's Report found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from worksite.builder.domain.packages import package_lines, package_named
from worksite.common.llm.sections import section
from worksite.common.messages import BuildChange, CheckResult, CriterionResult, Harness, Report, Spec

MAX_FILES_SHOWN = 400
_MAX_EVIDENCE, _MAX_FINDINGS = 2500, 20


def briefing(spec: Spec, command: BuildChange, files: Sequence[str], report: Report | None) -> str:
    """One text of named sections. What is inside them is data: the prompt says so."""
    package = package_named(spec, command.package) if command.package else None
    sections = [
        f"{_what(command)}, {'a new project' if command.project.empty else 'an existing project'}.",
        section("request", spec.request),
        section("spec", "\n".join(_spec_lines(spec))),
        *(section("acceptance-test", f"{test.path}:\n{test.content}") for test in spec.tests),
        *([section("package", "\n".join(package_lines(spec, package)))] if package else []),
        *([section("files", listing(files))] if files else []),
        *([section("findings", "\n".join(_findings(report)))] if report else []),
        *([section("advice", advice)] if report and (advice := _advice(report)) else []),
    ]
    return "\n\n".join(sections)


def _what(command: BuildChange) -> str:
    if command.package is None:
        return f"Build round {command.round}"
    return f"Build work package {command.package}" + (" on what is merged so far" if command.previous else "")


def listing(files: Sequence[str]) -> str:
    """One a line, those near the root first where there are too many."""
    shown = sorted(sorted(files, key=lambda path: (path.count("/"), path))[:MAX_FILES_SHOWN])
    rest = len(files) - len(shown)
    return "\n".join([*shown, *([f"… and {rest} more files"] if rest else [])])


def _spec_lines(spec: Spec) -> Iterator[str]:
    yield spec.title
    yield from (f"- decided, {d.title}: {d.choice} {d.reason}" for d in spec.decisions)
    yield from (f"- constraint: {constraint}" for constraint in spec.constraints)
    yield from (f"- interface {interface.name}: {interface.summary}" for interface in spec.interfaces)
    yield from (f"- file {note.path}: {note.purpose}" for note in spec.files)
    yield from (f"- criterion {c.id} ({c.grade}, {c.test or 'a check'}): {c.statement}" for c in spec.criteria)
    yield from (f"- this test may go: {test}" for test in spec.removed_tests)
    if spec.harness:
        yield _started(spec.harness)


def _started(harness: Harness) -> str:
    what = "calling it gives the ASGI application" if harness.factory else "it is the ASGI application"
    env = ", ".join(f"{name}={value}" for name, value in harness.env.items()) or "nothing"
    roots = ", ".join(harness.import_roots)
    return f"- started as {harness.target} ({what}), on sys.path: {roots}, in the environment: {env}"


def _advice(report: Report) -> str:
    """What a model said of the last round's work: apart from the findings, as nobody has shown that it is right."""
    remarks = (remark for check in report.checks for remark in check.advice)
    told = (f"- {each.severity}, {each.path}:{each.line} `{each.quote}`: {each.message}" for each in remarks)
    return "\n".join(told)


def _findings(report: Report) -> Iterator[str]:
    """What failed, with its evidence; what passed is not repeated."""
    yield f"Verdict of the last round: {report.verdict}. {report.summary}"
    yield from (_criterion(result) for result in report.criteria if result.verdict != "pass")
    for check in report.checks:
        if check.verdict in {"fail", "environment"}:
            yield from _check(check)


def _criterion(result: CriterionResult) -> str:
    return f"- criterion {result.id} {result.verdict}: {result.statement}\n{result.evidence[:_MAX_EVIDENCE]}"


def _check(check: CheckResult) -> Iterator[str]:
    yield f"- check {check.name} {check.verdict}: {check.evidence[:_MAX_EVIDENCE]}"
    for finding in check.findings[:_MAX_FINDINGS]:
        place = f"{finding.path}:{finding.line or '?'}: " if finding.path else ""
        yield f"  - {place}{finding.message[:_MAX_EVIDENCE]}"
