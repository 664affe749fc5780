"""The Report: the validator's verdict with the evidence for each criterion and check."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from worksite.common.messages.base import CommitSha, Message, Model, Sha256
from worksite.common.messages.spec import CriterionId, Grade

Verdict = Literal["PASS", "FAIL", "ENVIRONMENT"]
"""ENVIRONMENT: could not be judged; never to be read as PASS or FAIL."""
CheckVerdict = Literal["pass", "fail", "environment", "not_applicable"]
Severity = Literal["high", "medium", "low"]


class Finding(Model):
    """One thing to mend, for the builder's next round."""

    check: str
    message: str
    path: str | None = None
    line: int | None = None


class Advice(Model):
    """A language model's remark on the change. What it quotes was looked up, what it says was not: it has no part in
    any verdict."""

    path: str
    line: int = Field(description="where the quotation stands at head")
    quote: str
    severity: Severity
    message: str


class CriterionResult(Model):
    id: CriterionId
    statement: str
    verdict: CheckVerdict
    grade: Grade
    evidence: str
    duration_seconds: float


class CheckResult(Model):
    name: str
    verdict: CheckVerdict
    grade: Grade
    evidence: str
    duration_seconds: float
    findings: tuple[Finding, ...] = ()
    preexisting: tuple[Finding, ...] = Field(default=(), description="red at base too: reported, not charged")
    advice: tuple[Advice, ...] = Field(default=(), description="a language model's remarks: told, never charged")


class Environment(Model):
    """The read-only environment that the candidate ran in."""

    digest: Sha256 | None
    lock: str | None = Field(description="the lock file it was built from; null: standard library and pytest only")
    python: str
    isolation: str
    layers: tuple[str, ...] = ()


class Report(Message):
    type: Literal["report"] = "report"
    verdict: Verdict
    summary: str
    engine: str
    round: int
    spec_sha256: Sha256
    base_sha: CommitSha
    head_sha: CommitSha
    environment: Environment | None
    criteria: tuple[CriterionResult, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    failure_signature: Sha256 | None = Field(
        default=None, description="failing test ids and normalised traceback, hashed: equal means stuck"
    )
