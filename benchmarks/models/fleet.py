"""Do many builders keep to a provider's limits together, use them, and stay within a budget that they share?

    python -m benchmarks.models.fleet [--seconds N]

20 builders in 5 processes, each with a connection, a governor and journals of its own, against the strict local server
of the Messages API with its limits on: token buckets of a minute, for requests, input and output tokens. Every builder
calls again as soon as it has its reply, so there is always more to do than is allowed. Replies take seconds and differ
in length by a factor of ten; prompts grow and are mostly cached.

First without a bound on money, then with a budget that all of them share and that is not enough. `billed` is what the
server's books come to, `spent` what the budget's account says.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from worksite.common.bus import Bus, BusSettings, provision
from worksite.common.llm import Conversation, Prices, Reply, Script, ToolUse, Usage
from worksite.common.llm.budgets import Account, BudgetLimits, Budgets
from worksite.common.llm.pricing import micro_usd
from worksite.common.testing import start_nats
from worksite.common.testing.messages_api import Fault, Limits, MessagesApi, serving
from worksite.common.testing.messages_api.answers import Answer

from benchmarks.models.builders import AMPLE_MICRO_USD, OPENING, TENANT, Order, Outcome
from benchmarks.table import machine, print_table

PROCESSES, BUILDERS_EACH = 5, 4
LIMITS = Limits(requests=400, input_tokens=500_000, output_tokens=120_000)
WARM_UP_SECONDS = 15.0
"""Left out of the throughput: a governor lets the first calls through at once, and learns how long replies are."""
TIGHT_MICRO_USD = 200_000
_REPLY_CHARACTERS = (400, 2800, 1200, 4000, 800, 1600, 2000, 600)
_ALWAYS = 'jetstream: {sync_interval: "always"}\n'
_PAUSE_SECONDS = 0.02
"""Before each event of a stream, of which the shortest reply has some twenty."""


class TimedApi(MessagesApi):
    """Knows when it gave which answer."""

    def __init__(self) -> None:
        super().__init__(_script(), limits=LIMITS, faults=(Fault("slow", times=10**9, pause_seconds=_PAUSE_SECONDS),))
        self.calls: list[tuple[float, int, Usage | None]] = []

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        answer = super().answer(method, path, headers, body)
        if path == "/v1/messages":
            self.calls.append((time.time(), answer.status, self.ledger[-1].usage if answer.status == 200 else None))
        return answer


@dataclass(frozen=True)
class Run:
    """What came of one."""

    calls: int
    refused: int
    """By the provider, as too many (429)."""
    used: Mapping[str, float]
    """Of what each limit allows, after the warm-up; the largest share is that of the limit that sets the pace."""
    handed_back: int
    too_dear: int
    billed: int
    """By the server's books, in millionths of a dollar."""
    account: Account


async def run(seconds: float, tenant_micro_usd: int) -> Run:
    """The fleet for so many seconds, on a bus and at a provider of its own."""
    api = TimedApi()
    with tempfile.TemporaryDirectory() as folder, start_nats(Path(folder), _ALWAYS) as nats:
        bus = await Bus.connect(BusSettings(nats.url, "bench"))
        await provision(bus, 1 << 30)
        async with serving(api) as url:
            outcomes = await _fleet(nats.url, url, seconds, tenant_micro_usd)
        budgets = Budgets(bus, BudgetLimits(tenant_micro_usd, 0, 0), TENANT, "x", "x")
        account = (await budgets.standing(datetime.now(UTC)))["tenant"]
        await bus.close()
    return _told(api, outcomes, account)


async def _fleet(nats_url: str, model_url: str, seconds: float, tenant_micro_usd: int) -> list[Outcome]:
    """All begin at once, however long each process takes to start."""
    processes = await asyncio.gather(*(_started() for _ in range(PROCESSES)))
    order = Order(
        nats_url=nats_url,
        model_url=model_url,
        builders=BUILDERS_EACH,
        until=time.time() + seconds,
        tenant_micro_usd=tenant_micro_usd,
        **asdict(LIMITS),
    )
    return [outcome for each in await asyncio.gather(*(_done(p, order) for p in processes)) for outcome in each]


async def _started() -> Process:
    command = (sys.executable, "-m", "benchmarks.models.builders")
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdout
    await process.stdout.readline()
    return process


async def _done(process: Process, order: Order) -> list[Outcome]:
    output, _ = await process.communicate(order.model_dump_json().encode() + b"\n")
    if process.returncode:
        raise RuntimeError(f"a process of builders ended with {process.returncode}")
    return [Outcome.model_validate_json(line) for line in output.splitlines()]


def _told(api: TimedApi, outcomes: Iterable[Outcome], account: Account) -> Run:
    outcomes, prices = list(outcomes), Prices.shipped(datetime.now(UTC).date())
    return Run(
        calls=len(api.calls),
        refused=sum(status == 429 for _, status, _ in api.calls),
        used=_used(api.calls),
        handed_back=sum(outcome.handed_back for outcome in outcomes),
        too_dear=sum(outcome.too_dear for outcome in outcomes),
        billed=sum(micro_usd(prices.cost(line.model, line.usage)) for line in api.ledger),
        account=account,
    )


def _used(calls: list[tuple[float, int, Usage | None]]) -> dict[str, float]:
    """Shares of what the rates allow, from the end of the warm-up to the last answer."""
    begin, end = calls[0][0] + WARM_UP_SECONDS, calls[-1][0]
    usages = [usage for at, _, usage in calls if usage and begin <= at <= end]
    minutes = max(end - begin, 1.0) / 60
    return {
        "requests": len(usages) / (LIMITS.requests * minutes),
        "input tokens": sum(u.input_tokens + u.cache_write_tokens for u in usages) / (LIMITS.input_tokens * minutes),
        "output tokens": sum(u.output_tokens for u in usages) / (LIMITS.output_tokens * minutes),
    }


def _script() -> Script:
    uses = [
        Reply(content=(ToolUse(id=f"t{n}", name="look", input={"at": "x" * size}),))
        for n, size in enumerate(_REPLY_CHARACTERS)
    ]
    return Script(conversations=(Conversation(opening=OPENING, replies=(*uses, Reply.saying("done"))),))


async def main(seconds: float) -> None:
    """Both runs, as a table."""
    builders = PROCESSES * BUILDERS_EACH
    print(f"\nmodels: {builders} builders in {PROCESSES} processes; {seconds:g} s; sync_interval always; {machine()}\n")
    ample, tight = await run(seconds, AMPLE_MICRO_USD), await run(seconds, TIGHT_MICRO_USD)
    head = [
        "budget USD",
        "calls",
        "429s",
        *ample.used,
        "handed back",
        "too dear",
        "billed USD",
        "spent USD",
    ]
    print_table(head, [_row("none", ample), _row(f"{TIGHT_MICRO_USD / 1e6:g}", tight)])


def _row(budget: str, each: Run) -> list[str]:
    counts = [str(each.calls), str(each.refused), *(f"{share:.1%}" for share in each.used.values())]
    ends = [str(each.handed_back), str(each.too_dear)]
    return [budget, *counts, *ends, *(f"{amount / 1e6:.4f}" for amount in (each.billed, each.account.spent))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=120)
    asyncio.run(main(parser.parse_args().seconds))
