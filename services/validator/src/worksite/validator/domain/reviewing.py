"""A language model's review of a change: what it is told, what it may say, and what of it can be believed.

It advises. Nothing here returns a verdict or takes part in one, and a remark is passed on only where the words that it
quotes stand in the head's files: so much can be looked up. Whether it is right, nobody has shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from worksite.common.llm.sections import harmless, section
from worksite.common.messages import (
    Advice,
    CheckResult,
    CriterionResult,
    Finding,
    Model,
    Problem,
    Severity,
    Spec,
    Verdict,
)
from worksite.validator.domain.differences import MAX_LINE
from worksite.validator.domain.judgement import bounded

NAME = "review"
MAX_CONSIDERED, MAX_ADVICE = 200, 20
MAX_MESSAGE, MAX_QUOTE = 600, 300
NEAR = 2
"""Models count lines badly; so far away from where it should be a quotation is looked for."""
_MAX_REQUEST, _MAX_SPEC, _MAX_JUDGEMENT, _MAX_EVIDENCE = 4000, 12_000, 8000, 600
_LEAST_QUOTED = 4
"""Characters: a bracket stands everywhere."""
_ORDER: tuple[Severity, ...] = ("high", "medium", "low")

LinesOf = Callable[[str], Sequence[str] | None]
"""The lines of a file at head; None where there is no such file."""


class Remark(Model):
    """One thing that the model has to say."""

    path: str
    line: int
    quote: str
    severity: Severity
    message: str


class Reviewed(Model):
    """All it has to say."""

    type: Literal["reviewed"]
    findings: tuple[Remark, ...]


class ReviewAnswer(Model):
    """The four fields of every agent's answer, in the form that a model gives them."""

    action: Literal["validate"]
    agent: Literal["validator"]
    status: Literal["ok", "refused"]
    data: Reviewed | Problem


def opening(round_number: int, spec: Spec, judgement: str, change: str) -> str:
    """One text of named sections. What is inside them is data: the prompt says so, and it cannot end a section."""
    sections = (
        ("request", bounded(spec.request, _MAX_REQUEST)),
        ("spec", bounded("\n".join(_spec_lines(spec)), _MAX_SPEC)),
        ("judgement", judgement),
        ("change", change),
    )
    return "\n\n".join((f"Review of round {round_number}.", *(section(name, text) for name, text in sections)))


def _spec_lines(spec: Spec) -> Iterator[str]:
    yield spec.title
    yield from (f"- constraint: {constraint}" for constraint in spec.constraints)
    yield from (f"- interface {interface.name}: {interface.summary}" for interface in spec.interfaces)
    yield from (f"- criterion {each.id}: {each.statement}" for each in spec.criteria)


def judgement_of(verdict: Verdict, criteria: Iterable[CriterionResult], checks: Iterable[CheckResult]) -> str:
    """What was shown, refuted and found, shortly."""
    lines = [f"verdict: {verdict}"]
    for each in criteria:
        evidence = "" if each.verdict == "pass" else f"\n{bounded(each.evidence, _MAX_EVIDENCE)}"
        lines.append(f"- criterion {each.id}: {each.verdict}{evidence}")
    for check in checks:
        lines.append(f"- check {check.name}: {check.verdict}, {bounded(check.evidence, _MAX_EVIDENCE)}")
        lines += [f"  - {_place(finding)}{bounded(finding.message, _MAX_EVIDENCE)}" for finding in check.findings]
    return bounded("\n".join(lines), _MAX_JUDGEMENT)


def _place(finding: Finding) -> str:
    return f"{finding.path}:{finding.line or '?'}: " if finding.path else ""


def contradiction(answer: ReviewAnswer) -> str | None:
    """What is wrong with an answer that has the right form."""
    if (answer.status == "ok") == isinstance(answer.data, Reviewed):
        return None
    return f"status {answer.status} does not go with data of type {answer.data.type}"


def looked_up(remarks: Sequence[Remark], lines_of: LinesOf) -> tuple[Advice, ...]:
    """Those whose quotation stands where they say, each once, the severest first, no more than anybody reads."""
    found = (_looked_up(remark, lines_of) for remark in remarks[:MAX_CONSIDERED])
    advice = dict.fromkeys(each for each in found if each is not None)
    return tuple(sorted(advice, key=lambda each: _ORDER.index(each.severity))[:MAX_ADVICE])


def _looked_up(remark: Remark, lines_of: LinesOf) -> Advice | None:
    quote, message, lines = _plain(harmless(remark.quote)), _plain(remark.message), lines_of(remark.path)
    if lines is None or not message or len(quote) < _LEAST_QUOTED:
        return None
    near = sorted(range(-NEAR, NEAR + 1), key=abs)
    for line in (remark.line + distance for distance in near):
        if 1 <= line <= len(lines) and quote in _plain(harmless(lines[line - 1][:MAX_LINE])):
            return Advice(
                path=remark.path,
                line=line,
                quote=quote[:MAX_QUOTE],
                severity=remark.severity,
                message=message[:MAX_MESSAGE],
            )
    return None


def _plain(text: str) -> str:
    """One line of what can be printed: no control characters, no lone surrogates, no changes of direction."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def told(advice: Sequence[Advice], said: int) -> str:
    """The evidence of the check: what came of it, in numbers."""
    remarks = f"{len(advice)} remark{'' if len(advice) == 1 else 's'} of a language model, which no verdict rests on"
    dropped = said - len(advice)
    return f"{remarks}; {dropped} left out: not found as quoted, repeated, or too many" if dropped else remarks
