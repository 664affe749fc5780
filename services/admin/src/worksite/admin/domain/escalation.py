"""A task is stuck when it fails as it failed before: then the next build gets a larger model, once.

Nothing is kept of it beside `signatures`: a task whose signatures hold one twice has been escalated.
"""

from __future__ import annotations

from worksite.admin.domain.routes import action_of
from worksite.admin.domain.tiers import larger, tier_of
from worksite.common.messages import Judgement, TaskState, Tier
from worksite.common.messages.replies import Action


def is_stuck(state: TaskState, judgement: Judgement) -> bool:
    """Has a round before this verdict's failed alike?"""
    return judgement.failure_signature in state.signatures


def is_escalated(state: TaskState) -> bool:
    """Has a failure repeated in the rounds so far?"""
    return len(set(state.signatures)) < len(state.signatures)


def is_worth_escalating(state: TaskState) -> bool:
    """Not twice, not beyond the largest model, and not where none wrote the change: that would come out the same."""
    builds = [record for record in state.history if action_of(record.step) == "build"]
    by_model = bool(builds) and any(use.calls for use in builds[-1].model_use)
    return by_model and not is_escalated(state) and larger(tier_of(state.route, "build")) is not None


def tier_for(state: TaskState, action: Action) -> Tier | None:
    """What models the task's next step is worth."""
    tier = tier_of(state.route, action)
    return larger(tier) if action == "build" and is_escalated(state) else tier
