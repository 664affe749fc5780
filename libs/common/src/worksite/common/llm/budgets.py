"""Budgets: tenant, task, step. Hard: what a call can cost at worst is reserved before it and settled after it.

One account for each, in the bucket `models`, changed by compare-and-set. A reservation that nobody settled (its holder
was killed) is counted as spent when the step is taken up again: the call may have been billed. That is what keeps a
budget from being exceeded; what is only perhaps spent is kept apart.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Literal

from pydantic import Field, NonNegativeInt, ValidationError
from worksite.common import subjects
from worksite.common.bus import Bus, KeyValue
from worksite.common.errors import BusUnavailable, Conflict, MalformedMessage
from worksite.common.llm import genai
from worksite.common.llm.errors import BudgetExceeded
from worksite.common.messages.base import Model

Scope = Literal["tenant", "task", "step"]
_ATTEMPTS = 60
_PAUSE_SECONDS = 0.02


class Account(Model):
    """What was spent, and what may be. In millionths of a dollar."""

    spent: NonNegativeInt = 0
    in_doubt: NonNegativeInt = 0
    """Of what was spent: what the provider may not have billed."""
    reserved: dict[str, NonNegativeInt] = Field(default_factory=dict)

    @property
    def drawn(self) -> int:
        """What was spent and what may be, together."""
        return self.spent + sum(self.reserved.values())

    def reserve(self, name: str, amount: int, limit: int) -> Account | None:
        """None where it could come to more than the limit."""
        if self.drawn - self.reserved.get(name, 0) + amount > limit:
            return None
        return self.model_copy(update={"reserved": self.reserved | {name: amount}})

    def settle(self, name: str, amount: int, in_doubt: bool = False) -> Account:
        """The reservation has come to this. One that is not there any more was counted as spent already."""
        if name not in self.reserved:
            return self
        rest = {key: held for key, held in self.reserved.items() if key != name}
        doubted = self.in_doubt + (amount if in_doubt else 0)
        return Account(spent=self.spent + amount, in_doubt=doubted, reserved=rest)

    def forsake(self, prefix: str) -> Account:
        """Reservations of that prefix will be settled by nobody: they count as spent, in doubt."""
        account = self
        for name, amount in self.reserved.items():
            if name.startswith(prefix):
                account = account.settle(name, amount, in_doubt=True)
        return account


@dataclass(frozen=True)
class BudgetLimits:
    """In millionths of a dollar; a tenant's for a calendar month (UTC)."""

    tenant: int
    task: int
    step: int


class Budgets:
    """The three accounts of one step, and the right to draw on them."""

    def __init__(self, bus: Bus, limits: BudgetLimits, tenant: str, task: str, step: str) -> None:
        self._store = KeyValue(bus, subjects.MODELS)
        self._limits = limits
        self._tenant, self._task, self._step = tenant, task, step

    def _levels(self, now: datetime) -> list[tuple[Scope, str, int]]:
        """From the smallest up: who has run out is told of the nearest limit."""
        owner = f"{self._tenant}.{self._task}"
        return [
            ("step", f"step.{owner}.{self._step}", self._limits.step),
            ("task", f"task.{owner}", self._limits.task),
            ("tenant", f"tenant.{self._tenant}.{now:%Y-%m}", self._limits.tenant),
        ]

    async def reserve(self, name: str, amount: int, now: datetime) -> None:
        """All three or none. Raises BudgetExceeded, BusUnavailable."""
        taken: list[str] = []
        for scope, key, limit in self._levels(now):
            reserved = partial(Account.reserve, name=self._own(name), amount=amount, limit=limit)
            account = await self._change(key, reserved)
            if not account:
                for other in taken:
                    await self._change(other, partial(Account.settle, name=self._own(name), amount=0))
                raise BudgetExceeded(
                    scope,
                    f"the next model call may cost up to {_usd(amount)} USD, and the budget of the {scope} "
                    f"(BUDGET_{scope.upper()}_USD={_usd(limit)}) has less left",
                )
            taken.append(key)
            genai.drawn(scope, account.drawn / limit if limit else 1.0)

    async def settle(self, name: str, amount: int, reserved_at: datetime, *, in_doubt: bool = False) -> None:
        """What it came to. Raises BusUnavailable; then it counts at its worst when the step is taken up again."""
        settled = partial(Account.settle, name=self._own(name), amount=amount, in_doubt=in_doubt)
        await asyncio.gather(*(self._change(key, settled) for _, key, _ in self._levels(reserved_at)))

    async def forsake(self, now: datetime) -> None:
        """Count what an earlier holder of the step left open as spent, in doubt. Raises BusUnavailable.

        A holder that was killed in another month leaves its reservation in that month's account of the tenant, where it
        stays reserved; the next month's has no part of it.
        """
        forsaken = partial(Account.forsake, prefix=self._own(""))
        await asyncio.gather(*(self._change(key, forsaken) for _, key, _ in self._levels(now)))

    async def standing(self, now: datetime) -> dict[Scope, Account]:
        """What the three accounts hold. Raises BusUnavailable."""
        return {scope: (await self._read(key))[0] for scope, key, _ in self._levels(now)}

    def _own(self, name: str) -> str:
        return f"{self._task}.{self._step}.{name}"

    async def _change(self, key: str, change: Callable[[Account], Account | None]) -> Account | None:
        """By compare-and-set; None where the change refuses."""
        for attempt in range(_ATTEMPTS):
            account, revision = await self._read(key)
            changed = change(account)
            if changed is None or changed == account:
                return changed
            try:
                await self._store.update(key, changed.model_dump_json().encode(), revision)
                return changed
            except Conflict:
                await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS * min(attempt + 1, 10)))
        raise BusUnavailable(f"the budget {key} cannot be changed: others keep writing, or a replica lags")

    async def _read(self, key: str) -> tuple[Account, int]:
        """With its revision, 0 for none."""
        found = await self._store.get(key)
        try:
            return (Account.model_validate_json(found.value), found.revision) if found else (Account(), 0)
        except ValidationError as error:
            raise MalformedMessage(f"the budget {key} cannot be read: {error}") from error


def _usd(millionths: int) -> str:
    """As a setting is written: unrounded, 200 and 0.001."""
    return f"{Decimal(millionths).scaleb(-6).normalize():f}"
