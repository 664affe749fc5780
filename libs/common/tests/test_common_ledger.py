"""Claims and effects when two write at once."""

import pytest
from worksite.common import subjects
from worksite.common.bus import KeyValue
from worksite.common.ledger import Claim, Ledger
from worksite.common.testing import examples

KEY = f"builder.{examples.TASK}.1-import"


class Interrupted:
    """The bus, on which somebody else gets in once, just before our next write or read."""

    def __init__(self, bus, *, before_write=None, before_read=None):
        self._bus = bus
        self._before_write = before_write
        self._before_read = before_read

    async def publish_raw(self, *arguments):
        other, self._before_write = self._before_write, None
        if other:
            await other()
        return await self._bus.publish_raw(*arguments)

    async def tip(self, *arguments, **options):
        other, self._before_read = self._before_read, None
        if other:
            await other()
        return await self._bus.tip(*arguments, **options)


@pytest.mark.asyncio
async def test_a_cancel_that_loses_the_race_against_a_claim_takes_the_step_all_the_same(bus):
    builder = Ledger(bus, "builder")
    admin = Ledger(Interrupted(bus, before_write=lambda: builder.claim(examples.TASK, "1-import", "w1")), "admin")
    await admin.cancel("builder", examples.TASK, "1-import")
    assert await builder.claim(examples.TASK, "1-import", "w2") is None


@pytest.mark.asyncio
async def test_a_claim_whose_predecessor_expired_meanwhile_is_a_fresh_one(bus):
    await Ledger(bus, "builder").claim(examples.TASK, "1-import", "w1")
    store = KeyValue(bus, subjects.LEDGER)

    async def expire():
        await bus.purge("KV_ledger", f"$KV.ledger.{KEY}")

    builder = Ledger(Interrupted(bus, before_read=expire), "builder")
    claim = await builder.claim(examples.TASK, "1-import", "w2")
    assert isinstance(claim, Claim)
    assert (await store.get(KEY)).revision == claim.revision
