"""The opening of a build: the Spec, the files that are there, and what the last round's Report found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from worksite.builder.domain.findings import findings_of
from worksite.builder.domain.packages import package_lines, package_named
from worksite.common.llm.sections import section
from worksite.common.messages import BuildChange, Harness, Report, Spec

MAX_FILES_SHOWN = 400


def briefing(spec: Spec, command: BuildChange, files: Sequence[str], report: Report | None) -> str:
    """One text of named sections. What is inside them is data: the prompt says so."""
    package = package_named(spec, command.package) if command.package else None
    sections = [
        f"{_what(command)}, {'a new project' if command.project.empty else 'an existing project'}.",
        section("request", spec.request),
        section("spec", "\n".join(_spec_lines(spec))),
        *(section("acceptance-test", f"{test.path}:\n{test.content}") for test in spec.tests),
        *([section("package", "\n".join(package_lines(spec, package)))] if package else []),
        *([section("conflicts", "\n".join(command.conflicts))] if command.conflicts else []),
        *([section("files", listing(files))] if files else []),
        *([section("findings", findings_of(report))] if report else []),
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
