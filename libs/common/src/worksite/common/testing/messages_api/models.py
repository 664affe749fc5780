"""What each model allows (vendor migration guides, October 2026) and how much of it there is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources

from worksite.common.llm.pricing import PriceRow, Prices


@dataclass(frozen=True)
class Rules:
    """`None` for thinking modes: all."""

    forced_tools: bool = True
    """May `tool_choice` be any or tool?"""
    thinking: frozenset[str] = frozenset({"adaptive", "disabled", "between_tools", "enabled"})
    thinking_off_up_to: frozenset[str] = frozenset({"low", "medium", "high", "xhigh", "max"})
    """Efforts at which thinking may be disabled."""
    default_effort: str = "high"
    prefill: bool = False


_MILD = frozenset({"low", "medium", "high"})
_RULES = {
    "claude-haiku-5-5": Rules(True, frozenset({"adaptive", "disabled"}), _MILD, "medium"),
    "claude-sonnet-5-5": Rules(False, frozenset({"adaptive", "between_tools"}), frozenset(), "high"),
    "claude-opus-5-5": Rules(False, frozenset({"adaptive"}), frozenset(), "medium"),
}


def rules(model: str) -> Rules:
    return _RULES.get(model, Rules())


@cache
def known() -> dict[str, PriceRow]:
    """Of the models with a price, the sizes; prices themselves are no business of this server's."""
    rows = json.loads((resources.files("worksite.common.llm") / "prices.json").read_text())
    table = Prices((PriceRow.model_validate(row) for row in rows), date.max)
    return {row["model"]: table.row(row["model"]) for row in rows}
