"""What can be fetched of a task, by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from worksite.common.messages import ArtifactRef, ModelUse, StepRecord, TaskState

COST = "cost.json"
_JSON, _MARKDOWN = "application/json", "text/markdown; charset=utf-8"
MEDIA_TYPES: Mapping[str, str] = {
    "spec.json": _JSON,
    "spec.md": _MARKDOWN,
    "report.json": _JSON,
    "report.md": _MARKDOWN,
    "branch.bundle": "application/x-git-bundle",
    "branch.zip": "application/zip",
    "branch.patch": "text/x-patch; charset=utf-8",
    COST: _JSON,
}


@dataclass(frozen=True)
class Rendered:
    """An artifact that is made from the task's state instead of being stored."""

    data: bytes


def available(state: TaskState) -> dict[str, ArtifactRef | Rendered]:
    """Name to content, in the order of the task's steps."""
    found: dict[str, ArtifactRef | Rendered] = {}
    if state.spec:
        found |= {"spec.json": state.spec.spec, "spec.md": state.spec.document}
    if state.changeset:
        found |= {"branch.bundle": state.changeset.bundle, "branch.zip": state.changeset.archive}
        found |= {"branch.patch": state.changeset.patch} if state.changeset.patch else {}
    if state.judgement:
        found |= {"report.json": state.judgement.report, "report.md": state.judgement.document}
    return found | {COST: Rendered(_cost_document(state))}


def total_usd(state: TaskState) -> float:
    """What the task has cost so far; rounded to a millionth so that sums of floats read well."""
    return round(state.route.cost_usd + sum(record.cost_usd for record in state.history), 6)


def seconds(record: StepRecord) -> float:
    """How long the step took."""
    return round((record.finished_at - record.started_at).total_seconds(), 3)


def _model_use(use: ModelUse) -> dict[str, object]:
    """Tokens by how they are billed; all of a prompt that is not `cached` was paid in full, or more to be cached."""
    return {
        "model": use.model,
        "calls": use.calls,
        "wasted": use.wasted,
        "input_tokens": {
            "uncached": use.input_tokens,
            "cached": use.cache_read_tokens,
            "written_5m": use.cache_write_5m_tokens,
            "written_1h": use.cache_write_1h_tokens,
        },
        "output_tokens": use.output_tokens,
        "usd": use.cost_micro_usd / 1e6,
        "usd_in_doubt": use.in_doubt_micro_usd / 1e6,
    }


def _by_round(state: TaskState) -> list[tuple[int, float]]:
    """Round 0 is what comes before the first build, the choice of a route included."""
    sums = {0: state.route.cost_usd}
    for record in state.history:
        sums[record.round] = sums.get(record.round, 0) + record.cost_usd
    return [(number, round(usd, 6)) for number, usd in sorted(sums.items())]


def _cost_document(state: TaskState) -> bytes:
    document = {
        "task": state.task,
        "currency": "USD",
        "total_usd": total_usd(state),
        "routing": {
            "stage": state.route.stage,
            "usd": state.route.cost_usd,
            "models": [_model_use(use) for use in state.route.model_use],
        },
        "rounds": [{"round": number, "usd": usd} for number, usd in _by_round(state)],
        "steps": [
            {
                "step": record.step,
                "agent": record.agent,
                "round": record.round,
                "engine": record.engine,
                "tier": record.tier,
                "usd": record.cost_usd,
                "seconds": seconds(record),
                "models": [_model_use(use) for use in record.model_use],
            }
            for record in state.history
        ],
    }
    return json.dumps(document, indent=2).encode() + b"\n"
