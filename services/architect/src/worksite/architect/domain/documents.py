"""The Spec as a document for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from worksite.common.messages import BlueprintChoice, Criterion, Decision, Spec

_GRADES = {
    "verified_io": "the asserts run outside the candidate's process, which cannot forge them",
    "self_reported": "the asserts run inside the candidate's process",
}
_PACKAGE = ("Package", "What is built", "Criteria", "Files", "After")
_SPECIAL = re.compile(r"[\\`*\[\]<>|~]|(?<![^\W_])_|_(?![^\W_])|&(?=[#\w]+;)")
_LINE_MARKERS = re.compile(r"^(\s*(?:\d+(?=[.)]))?)([#+=.)-])", re.MULTILINE)


def spec_markdown(spec: Spec) -> str:
    """GitHub-flavoured Markdown. Text of the client's and of the blueprint's stays text, whatever it contains."""
    sections = (
        f"# {escape(spec.title)}",
        _origin(spec),
        _section("Decisions", map(_decision, spec.decisions)),
        _section("Constraints", [_bullets(escape(text) for text in spec.constraints)]),
        _section("Interface", [_table(("Operation", "What it does"), _interfaces(spec))]),
        _section("Acceptance criteria", _criteria(spec.criteria)),
        _section("Work packages", [_table(_PACKAGE, _packages(spec))]),
        _section("Files", [_table(("Path", "Purpose"), ((_code(f.path), escape(f.purpose)) for f in spec.files))]),
        _section("What judges the project and may go or change", _loosened(spec)),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def escape(text: str) -> str:
    """Plain text that Markdown shows as it is."""
    return _LINE_MARKERS.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", text))


def quote(text: str) -> str:
    """Plain text as a block quote."""
    return "\n".join(f"> {line.strip()}".rstrip() for line in escape(text).splitlines())


def _origin(spec: Spec) -> str:
    lines = [quote(spec.request), f"Designed by {_code(spec.engine)}."]
    if spec.blueprint:
        lines.append(_blueprint(spec.blueprint))
    return "\n\n".join(lines)


def _blueprint(choice: BlueprintChoice) -> str:
    parameters = ", ".join(_code(f"{name}={value}") for name, value in choice.parameters.items())
    pinned = f"Blueprint {_code(choice.name)} {escape(choice.version)}, pinned by digest {_code(choice.digest)}"
    return f"{pinned}, with {parameters}." if parameters else f"{pinned}."


def _decision(decision: Decision) -> str:
    text = f"### {escape(decision.title)}\n\n**{escape(decision.choice)}** {escape(decision.reason)}"
    rejected = [f"{escape(option.option)}: {escape(option.reason)}" for option in decision.rejected]
    return f"{text}\n\nRejected:\n\n{_bullets(rejected)}" if rejected else text


def _interfaces(spec: Spec) -> Iterator[tuple[str, str]]:
    return ((_code(interface.name), escape(interface.summary)) for interface in spec.interfaces)


def _criteria(criteria: Iterable[Criterion]) -> Iterator[str]:
    known = tuple(criteria)
    rows = ((_code(c.id), escape(c.statement), _code(c.grade), _code(c.test) if c.test else "none") for c in known)
    yield _table(("Id", "What must hold", "Grade", "Test"), rows)
    grades = sorted({criterion.grade for criterion in known}, reverse=True)
    yield _bullets(f"{_code(grade)}: {_GRADES[grade]}." for grade in grades)


def _loosened(spec: Spec) -> Iterator[str]:
    if spec.loosens:
        yield "Changes are judged by these tests and declarations. Nothing is built before an approver has agreed."
    yield _bullets(map(_code, spec.loosens))


def _packages(spec: Spec) -> Iterator[tuple[str, ...]]:
    for package in spec.packages:
        lists = (", ".join(map(_code, names)) for names in (package.criteria, package.files, package.after))
        yield (_code(package.id), f"**{escape(package.title)}**: {escape(package.summary)}", *lists)


def _section(title: str, parts: Iterable[str]) -> str:
    body = "\n\n".join(part for part in parts if part)
    return f"## {title}\n\n{body}" if body else ""


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {' '.join(line.split())}" for line in lines)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    body = [_row(row) for row in rows]
    return "\n".join((_row(head), _row("---" for _ in head), *body)) if body else ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()) for cell in cells)} |"


def _code(text: str) -> str:
    """A code span that also holds in a table; `text` is a name or path."""
    return f"`{text.replace('`', chr(39)).replace('|', chr(92) + '|')}`"
