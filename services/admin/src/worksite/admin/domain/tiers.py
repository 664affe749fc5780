"""Which tier of language models a step is worth, by how hard the request is.

Judging and answering take less than writing. A request of unknown difficulty is taken for a medium one.
"""

from __future__ import annotations

from collections.abc import Mapping

from worksite.common.messages import Action, Difficulty, RouteDecision, Tier

_TIERS: Mapping[Difficulty, Tier] = {"easy": "small", "medium": "medium", "hard": "large"}
_LESS: Mapping[Tier, Tier] = {"small": "small", "medium": "small", "large": "medium"}
_LARGER: Mapping[Tier, Tier] = {"small": "medium", "medium": "large"}
_LIGHT: frozenset[Action] = frozenset({"validate", "answer"})
_WITHOUT_MODEL: frozenset[Action] = frozenset({"import", "deliver"})


def tier_of(decision: RouteDecision, action: Action) -> Tier | None:
    """None where no model has a part in the step."""
    if action in _WITHOUT_MODEL:
        return None
    tier = _TIERS[decision.difficulty or "medium"]
    return _LESS[tier] if action in _LIGHT else tier


def larger(tier: Tier | None) -> Tier | None:
    """The next tier; None where there is none."""
    return _LARGER.get(tier) if tier else None
