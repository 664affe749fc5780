"""One line of a task's history for each finished step."""

from __future__ import annotations

from worksite.common.messages import (
    Answer,
    Changeset,
    Delivered,
    ImportedProject,
    Judgement,
    Question,
    ReplyData,
    RouteDecision,
    SpecWritten,
    StepRecord,
    StepResult,
    Tier,
)

MAX_SUMMARY_CHARACTERS = 500


def record_of(result: StepResult, tier: Tier | None) -> StepRecord:
    """What the client's view keeps of a result. `tier`: that its step was commanded with."""
    data = result.reply.data
    return StepRecord(
        step=result.step,
        agent=result.reply.agent,
        round=result.round,
        status=result.reply.status,
        summary=_summary(data)[:MAX_SUMMARY_CHARACTERS],
        engine=data.engine if isinstance(data, SpecWritten | Changeset | Judgement | Answer) else None,
        started_at=result.started_at,
        finished_at=result.finished_at,
        cost_usd=sum(use.cost_micro_usd for use in result.model_use) / 1e6,
        model_use=result.model_use,
        tier=tier if result.model_use else None,
    )


def _summary(data: ReplyData) -> str:
    match data:
        case ImportedProject():
            return f"imported at {data.base_sha[:12]}{', empty' if data.empty else ''}"
        case SpecWritten():
            return f"{data.title}: {data.criteria} acceptance criteria"
        case Changeset():
            return data.summary
        case Judgement():
            return f"{data.verdict}: {data.summary}"
        case Answer():
            count = len(data.citations)
            return f"answered with {count} {'citation' if count == 1 else 'citations'}"
        case Delivered():
            return f"delivered {data.branch} to {data.remote}"
        case Question() | RouteDecision():
            return data.reason
        case _:
            return data.detail
