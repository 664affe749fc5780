"""What agents and clients say, for the tests of admin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from worksite.common.ids import new_id
from worksite.common.messages import (
    Agent,
    AgentReply,
    Answer,
    ArtifactRef,
    Changeset,
    Citation,
    Command,
    GitProject,
    ImportedProject,
    ImportProject,
    Judgement,
    Problem,
    Question,
    ReplyData,
    ReplyStatus,
    SpecWritten,
    StepResult,
    SubmitTask,
    Verdict,
)
from worksite.common.messages.replies import Action

T0 = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
AGENTS: dict[str, Agent] = {
    "import": "builder",
    "design": "architect",
    "build": "builder",
    "validate": "validator",
    "answer": "architect",
}


class Samples:
    """One valid example of everything that travels."""

    t0 = T0
    existing = GitProject(git_url="https://git.example/shop.git")

    def submission(self, **changes: Any) -> SubmitTask:
        return SubmitTask(
            **{
                "task": new_id(),
                "tenant": "acme",
                "principal": "ada",
                "request": "Create auth system",
                "project": self.existing,
                "submitted_at": T0,
                **changes,
            }
        )

    def ref(self, letter: str = "a") -> ArtifactRef:
        return ArtifactRef(sha256=letter * 64, size=1, media_type="application/octet-stream")

    def imported(self, *, empty: bool = False, changeset: Changeset | None = None) -> ImportedProject:
        return ImportedProject(base_sha="b" * 40, bundle=self.ref("b"), empty=empty, changeset=changeset)

    def spec(self) -> SpecWritten:
        return SpecWritten(
            spec=self.ref("c"), document=self.ref("d"), title="Auth", engine="blueprint:auth-service@1.0.0", criteria=7
        )

    def changeset(self, mark: str = "1") -> Changeset:
        return Changeset(
            base_sha="b" * 40,
            head_sha=mark * 40,
            branch="worksite/x",
            bundle=self.ref("e"),
            archive=self.ref("f"),
            summary="wrote it",
            engine="blueprint:auth-service@1.0.0",
            files_changed=3,
        )

    def judgement(self, verdict: Verdict = "PASS", signature: str | None = None) -> Judgement:
        return Judgement(
            verdict=verdict,
            report=self.ref("9"),
            document=self.ref("8"),
            summary="7 of 7 criteria",
            engine="validator",
            failure_signature=signature * 64 if signature else None,
        )

    def answer(self) -> Answer:
        citation = Citation(path="docs/a.md", start_line=1, end_line=2, text="so")
        return Answer(text="so", citations=(citation,), engine="rag")

    def question(self) -> Question:
        return Question(reason="OAuth is not covered", missing=("OAuth",), hint="configure a model")

    def problem(self) -> Problem:
        return Problem(code="no_such_ref", detail="the ref main does not exist")

    def good(self, command: Command) -> ReplyData:
        """What an agent that succeeds makes of a command."""
        match command:
            case ImportProject(review=True):
                return self.imported(changeset=self.changeset("0"))
            case ImportProject():
                return self.imported()
            case _:
                made = {
                    "design_spec": self.spec,
                    "build_change": self.changeset,
                    "validate_change": self.judgement,
                    "answer_question": self.answer,
                }
                return made[command.type]()

    def result(self, command: Command, data: ReplyData | None = None, status: ReplyStatus = "ok") -> StepResult:
        """An agent's result of a command; by default a success."""
        action: Action = command.step.split("-")[1]  # pyright: ignore[reportAssignmentType]
        reply = AgentReply(action=action, agent=AGENTS[action], status=status, data=data or self.good(command))
        return StepResult(
            task=command.task,
            tenant=command.tenant,
            step=command.step,
            round=command.round,
            reply=reply,
            started_at=T0,
            finished_at=T0,
        )


@pytest.fixture(scope="session")
def samples() -> Samples:
    return Samples()
