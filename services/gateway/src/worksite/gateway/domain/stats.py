"""What a tenant's tasks came to: rounds, reasons, money and tokens, summed over the read model.

Round 0 is what comes before the first build: the choice of a route, import, design. A task that an answer sent along
another route counts with the rounds of its last one, and with the money of all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field
from worksite.common.messages import Model, ModelUse, StepRecord, TaskState

_ROUND = re.compile(r" (?:in|after) round \d+")


class Tokens(Model):
    """By how they are billed."""

    uncached: int = 0
    cached: int = 0
    written: int = Field(default=0, description="to the cache, for five minutes or an hour")
    output: int = 0


class Spent(Model):
    """Money and what it went to."""

    usd: float = 0
    calls: int = 0
    tokens: Tokens = Tokens()


class RoundStats(Model):
    """One round over all tasks. `undecided`: no verdict, as it is under way, ended early or could not be judged."""

    round: int
    entered: int
    passed: int
    failed: int
    undecided: int
    spent: Spent
    usd_per_pass: float | None = Field(
        description="what the round cost for each task that passed in it; null: none did"
    )


class Group(Model):
    """Tasks that have something in common, and what they spent on it."""

    name: str
    tasks: int
    passed: int
    spent: Spent


class Stop(Model):
    """Why tasks stopped, and how many."""

    reason: str
    tasks: int


class Stats(Model):
    """Of the tenant's tasks that were submitted since a moment."""

    since: datetime | None
    tasks: int
    complete: bool = Field(description="false: there are more tasks; these are the ones that moved last")
    passed: int
    spent: Spent
    usd_per_pass: float | None = Field(description="all that was spent, for each task that passed; null: none did")
    rounds: tuple[RoundStats, ...]
    stops: tuple[Stop, ...] = Field(description="most frequent first")
    routes: tuple[Group, ...]
    engines: tuple[Group, ...] = Field(description="what made designs, changes, verdicts and answers")
    tiers: tuple[Group, ...] = Field(description="of the models that steps were given")
    models: tuple[Group, ...]


@dataclass(frozen=True)
class Share:
    """A part of what a task spent. `uses`: what of it went to models."""

    state: TaskState
    round: int
    engine: str | None
    tier: str | None
    uses: tuple[ModelUse, ...]
    usd: float


def stats(states: Sequence[TaskState], since: datetime | None, *, complete: bool) -> Stats:
    """All of it."""
    shares = [share for state in states for share in _shares(state)]
    passed, spent = sum(map(has_passed, states)), _spent(shares)
    return Stats(
        since=since,
        tasks=len(states),
        complete=complete,
        passed=passed,
        spent=spent,
        usd_per_pass=_per(spent.usd, passed),
        rounds=tuple(_round(number, states, shares) for number in _rounds(states)),
        stops=tuple(Stop(reason=why, tasks=n) for why, n in Counter(map(why_stopped, states)).most_common()),
        routes=_groups(shares, lambda share: share.state.route.route),
        engines=_groups(shares, lambda share: share.engine),
        tiers=_groups(shares, lambda share: share.tier),
        models=_groups(_by_model(shares), lambda share: share.uses[0].model),
    )


def has_passed(state: TaskState) -> bool:
    """Did the last round's verdict say PASS? What became of the delivery is another matter."""
    return verdict_of_last_round(state) == "PASS"


def verdict_of_last_round(state: TaskState) -> str | None:
    """None while it has not been judged: the verdict of the round before stands until the next change is there."""
    validated = any(_action(record) == "validate" and record.round == state.round for record in state.history)
    return state.judgement.verdict if state.judgement and validated else None


def why_stopped(state: TaskState) -> str:
    """In a few words that tasks share."""
    if state.status == "running":
        return "still running"
    if state.status == "failed" and state.problem:
        return f"failed: {state.problem.code}"
    if state.status == "needs_input":
        return f"waits for approval of the {state.approval.gate}" if state.approval else "needs input"
    if state.status == "cancelled":
        return "cancelled"
    verdict = verdict_of_last_round(state)
    if verdict == "FAIL":
        return _ROUND.sub("", state.reason or "failed").rstrip(".")
    return {"PASS": "passed", "ENVIRONMENT": "could not be judged"}.get(verdict or "", "done without a verdict")


def _shares(state: TaskState) -> Iterator[Share]:
    yield Share(state, 0, None, None, state.route.model_use, state.route.cost_usd)
    for record in state.history:
        yield Share(state, record.round, record.engine, record.tier, record.model_use, record.cost_usd)


def _by_model(shares: Iterable[Share]) -> list[Share]:
    """One for each model of each."""
    return [
        Share(share.state, share.round, share.engine, share.tier, (use,), use.cost_micro_usd / 1e6)
        for share in shares
        for use in share.uses
    ]


def _rounds(states: Iterable[TaskState]) -> range:
    return range(max((state.round for state in states), default=-1) + 1)


def _round(number: int, states: Sequence[TaskState], shares: Iterable[Share]) -> RoundStats:
    entered = [state for state in states if state.round >= number]
    verdicts = Counter("FAIL" if state.round > number else verdict_of_last_round(state) for state in entered)
    passed, failed = (verdicts["PASS"], verdicts["FAIL"]) if number else (0, 0)
    spent = _spent(share for share in shares if share.round == number)
    return RoundStats(
        round=number,
        entered=len(entered),
        passed=passed,
        failed=failed,
        undecided=len(entered) - passed - failed if number else 0,
        spent=spent,
        usd_per_pass=_per(spent.usd, passed),
    )


def _groups(shares: Iterable[Share], name_of: Callable[[Share], str | None]) -> tuple[Group, ...]:
    """Those that cost most first; shares without a name are in none."""
    members: dict[str, list[Share]] = {}
    for share in shares:
        if name := name_of(share):
            members.setdefault(name, []).append(share)
    groups = [_group(name, shares) for name, shares in members.items()]
    return tuple(sorted(groups, key=lambda group: (-group.spent.usd, -group.tasks, group.name)))


def _group(name: str, shares: Sequence[Share]) -> Group:
    states = {share.state.task: share.state for share in shares}
    return Group(name=name, tasks=len(states), passed=sum(map(has_passed, states.values())), spent=_spent(shares))


def _spent(shares: Iterable[Share]) -> Spent:
    everything = list(shares)
    uses = [use for share in everything for use in share.uses]
    tokens = Tokens(
        uncached=sum(use.input_tokens for use in uses),
        cached=sum(use.cache_read_tokens for use in uses),
        written=sum(use.cache_write_5m_tokens + use.cache_write_1h_tokens for use in uses),
        output=sum(use.output_tokens for use in uses),
    )
    usd = round(sum(share.usd for share in everything), 6)
    return Spent(usd=usd, calls=sum(use.calls for use in uses), tokens=tokens)


def _per(usd: float, passed: int) -> float | None:
    return round(usd / passed, 6) if passed else None


def _action(record: StepRecord) -> str:
    return record.step.split("-", 1)[1]
