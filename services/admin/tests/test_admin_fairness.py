"""A tenant at the cap of a queue waits; another does not, and all work gets done once there is room."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from worksite.admin.handlers import Orchestrator
from worksite.common import subjects

pytestmark = pytest.mark.asyncio
MORE = 8


async def test_a_tenant_at_its_cap_holds_up_no_other_and_all_its_work_gets_done_once_there_is_room(scene: Any) -> None:
    greedy = [await scene.submit(scene.samples.submission()) for _ in range(subjects.WORK_CAP_PER_TENANT + MORE)]
    scene.start_admin(Orchestrator(scene.bus).handle)
    async with asyncio.timeout(30):
        while len(await scene.queued("builder")) < subjects.WORK_CAP_PER_TENANT:
            await asyncio.sleep(0.01)

    other = await scene.submit(scene.samples.submission(tenant="other"))
    await scene.until(other, lambda state: state.step == "1-import")

    waiting = await scene.queued("builder")
    assert sum(command.tenant == "acme" for command in waiting) == subjects.WORK_CAP_PER_TENANT
    assert [command.task for command in waiting if command.tenant == "other"] == [other.task]
    scene.start_agents()
    states = await asyncio.gather(*(scene.ended(task) for task in [*greedy, other]))
    assert {state.status for state in states} == {"completed"}
    assert set(scene.executed.values()) == {1}
    assert await scene.dead_letters() == []
