"""Budgets hold whoever draws on them, however many at once, and whoever is killed on the way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY
from worksite.common import subjects
from worksite.common.bus import Bus, KeyValue
from worksite.common.errors import MalformedMessage
from worksite.common.llm.budgets import Account, BudgetLimits, Budgets
from worksite.common.llm.errors import BudgetExceeded
from worksite.common.testing.examples import TASK, TENANT

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
AMPLE = 10**9


def budgets(bus: Bus, of_step: str = "2-build", **limits: int) -> Budgets:
    given = {"tenant": AMPLE, "task": AMPLE, "step": AMPLE} | limits
    return Budgets(bus, BudgetLimits(**given), TENANT, TASK, of_step)


def test_what_is_reserved_counts_as_if_it_were_spent() -> None:
    account = Account(spent=50).reserve("a", 30, 100)
    assert account
    assert account.reserve("b", 21, 100) is None
    assert account.reserve("b", 20, 100)


def test_a_reservation_made_again_replaces_itself() -> None:
    account = Account().reserve("a", 60, 100)
    assert account
    again = account.reserve("a", 70, 100)
    assert again
    assert again.reserved == {"a": 70}


def test_what_was_settled_once_is_not_settled_twice() -> None:
    account = Account(reserved={"a": 60}).settle("a", 10)
    assert (account.spent, account.settle("a", 10)) == (10, account)


def test_a_forsaken_reservation_is_spent_and_in_doubt() -> None:
    account = Account(reserved={"t.s.1": 60, "t.s2.1": 7}).forsake("t.s.")
    assert (account.spent, account.in_doubt, account.reserved) == (60, 60, {"t.s2.1": 7})


@pytest.mark.asyncio
@pytest.mark.parametrize("scope", ["step", "task", "tenant"])
async def test_each_budget_refuses_by_its_name_and_nothing_stays_taken(bus: Bus, scope: str) -> None:
    drawn = budgets(bus, **{scope: 100})
    await drawn.reserve("1", 60, NOW)
    with pytest.raises(BudgetExceeded, match=scope) as refused:
        await drawn.reserve("2", 41, NOW)
    assert refused.value.scope == scope
    for account in (await drawn.standing(NOW)).values():
        assert sum(account.reserved.values()) == 60
    await drawn.settle("1", 10, NOW)
    await drawn.reserve("2", 90, NOW)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("limit", "said"), [(1000, "BUDGET_STEP_USD=0.001"), (0, "BUDGET_STEP_USD=0"), (200_000_000, "BUDGET_STEP_USD=200")]
)
async def test_a_refusal_names_the_setting_with_its_value_as_it_is(bus: Bus, limit: int, said: str) -> None:
    with pytest.raises(BudgetExceeded) as refused:
        await budgets(bus, step=limit).reserve("1", 384_512_345, NOW)
    assert f"({said}) has less left" in str(refused.value)
    assert "up to 384.512345 USD" in str(refused.value)


@pytest.mark.asyncio
async def test_a_tasks_steps_share_its_budget_and_a_tenants_tasks_theirs(bus: Bus) -> None:
    await budgets(bus).reserve("1", 60, NOW)
    with pytest.raises(BudgetExceeded, match="task"):
        await Budgets(bus, BudgetLimits(AMPLE, 100, AMPLE), TENANT, TASK, "4-build").reserve("1", 60, NOW)
    with pytest.raises(BudgetExceeded, match="tenant"):
        await Budgets(bus, BudgetLimits(100, AMPLE, AMPLE), TENANT, "f" * 32, "2-build").reserve("1", 60, NOW)


@pytest.mark.asyncio
async def test_a_tenants_budget_begins_anew_with_the_month_and_a_call_counts_in_its_own(bus: Bus) -> None:
    drawn = budgets(bus, tenant=100)
    await drawn.reserve("1", 90, NOW)
    await drawn.reserve("2", 90, DECEMBER)
    await drawn.settle("1", 90, NOW)
    assert (await drawn.standing(NOW))["tenant"].spent == 90
    assert (await drawn.standing(DECEMBER))["tenant"].spent == 0


@pytest.mark.asyncio
async def test_many_at_once_never_take_more_than_there_is(bus: Bus) -> None:
    async def draw(number: int) -> int:
        drawn = Budgets(bus, BudgetLimits(1000, AMPLE, AMPLE), TENANT, f"{number:032x}", "2-build")
        try:
            await drawn.reserve("1", 90, NOW)
        except BudgetExceeded:
            return 0
        await drawn.settle("1", 45, NOW)
        return 45

    spent = sum(await asyncio.gather(*(draw(number) for number in range(30))))
    account = (await budgets(bus).standing(NOW))["tenant"]
    assert account.spent == spent <= 1000
    assert account.reserved == {}
    assert spent >= 11 * 45


@pytest.mark.asyncio
async def test_a_killed_holders_reservation_counts_at_its_worst_once(bus: Bus) -> None:
    await budgets(bus).reserve("3.1", 60, NOW)
    await budgets(bus, of_step="4-build").reserve("1.1", 7, NOW)

    for _ in range(2):
        await budgets(bus).forsake(NOW)

    standing = await budgets(bus).standing(NOW)
    assert [(a.spent, a.in_doubt) for a in standing.values()] == [(60, 60)] * 3
    assert sum(standing["task"].reserved.values()) == 7


@pytest.mark.asyncio
async def test_a_budget_that_cannot_be_read_is_no_budget(bus: Bus) -> None:
    await KeyValue(bus, subjects.MODELS).create(f"task.{TENANT}.{TASK}", b"{")
    with pytest.raises(MalformedMessage, match="budget"):
        await budgets(bus).reserve("1", 1, NOW)


def told(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"worksite_model_budget_{name}", labels) or 0.0


@pytest.mark.asyncio
async def test_how_far_a_budget_is_used_up_is_told_without_saying_whose_it_is(bus: Bus) -> None:
    names = [("ratio_bucket", {"scope": "tenant", "le": "0.8"}), ("ratio_count", {"scope": "tenant"})]
    before = [told(name, **labels) for name, labels in names]

    await budgets(bus, tenant=100).reserve("1", 60, NOW)
    await budgets(bus, tenant=100).reserve("2", 25, NOW)

    after = [told(name, **labels) for name, labels in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 2]
