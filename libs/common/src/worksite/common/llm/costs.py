"""What a step had of each model, for its result: every billed response once, known again after a crash."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field
from worksite.common.llm.conversation import Completion
from worksite.common.llm.usage import Usage
from worksite.common.messages import ModelUse
from worksite.common.messages.base import Model


class Charge(Model):
    """One response that costs. `doubtful`: the provider may not have billed it; the amount is then the worst."""

    response_id: str | None
    model: str
    usage: Usage
    micro_usd: int
    used: bool
    doubtful: bool = False


class JournaledCall(Model):
    """A call as the journal keeps it: its reply, and what all tries at it cost, the one that brought it last."""

    kind: Literal["call"] = "call"
    completion: Completion
    charges: tuple[Charge, ...] = Field(min_length=1)
    reservation: str
    """In the budgets, to be settled by the last charge."""
    reserved_at: datetime


class Costs:
    """Adds up charges; one response is counted once however often it is told."""

    def __init__(self) -> None:
        self._uses: dict[str, ModelUse] = {}
        self._seen = set[str]()

    def add(self, charge: Charge) -> None:
        """Counts it."""
        if charge.response_id:
            if charge.response_id in self._seen:
                return
            self._seen.add(charge.response_id)
        before, used = self._uses.get(charge.model) or ModelUse(model=charge.model, calls=0), charge.usage
        self._uses[charge.model] = ModelUse(
            model=charge.model,
            calls=before.calls + charge.used,
            wasted=before.wasted + (not charge.used),
            input_tokens=before.input_tokens + used.input_tokens,
            cache_read_tokens=before.cache_read_tokens + used.cache_read_tokens,
            cache_write_5m_tokens=before.cache_write_5m_tokens + used.cache_write_5m_tokens,
            cache_write_1h_tokens=before.cache_write_1h_tokens + used.cache_write_1h_tokens,
            output_tokens=before.output_tokens + used.output_tokens,
            cost_micro_usd=before.cost_micro_usd + charge.micro_usd,
            in_doubt_micro_usd=before.in_doubt_micro_usd + (charge.micro_usd if charge.doubtful else 0),
        )

    @property
    def uses(self) -> tuple[ModelUse, ...]:
        """By model, for the step's result."""
        return tuple(use for _, use in sorted(self._uses.items()))
