"""NATS is gone until every service has noticed: clients are refused at once, nothing accepted is lost."""

import pytest
from outages import outages
from running import running_stack

pytestmark = pytest.mark.timed

BUS_TIME_OUT_SECONDS = 5.0
"""Whoever waits for one is later than this."""


@pytest.mark.timeout(300)  # on a machine that does much else
@pytest.mark.asyncio
async def test_clients_are_refused_at_once_while_nats_is_gone_and_all_goes_on_without_a_restart_when_it_is_back():
    found = []
    with running_stack() as stack:
        await outages(stack, ("stands still", "unreachable"), 0, found.append)

    assert [outcome.kind for outcome in found] == ["stands still", "unreachable"]
    for outcome in found:
        assert outcome.wrong == []
        assert outcome.violations == []
        assert outcome.restarted == []
        times = sorted(answer.seconds for answer in outcome.answers)
        assert times[len(times) // 2] < 1
        assert times[-1] < BUS_TIME_OUT_SECONDS / 2, outcome
