"""The read model `tasks`: what GET /v1/tasks answers from. It follows the states and never goes back."""

from __future__ import annotations

from worksite.admin.domain.projection import entry_of
from worksite.common import subjects
from worksite.common.bus import Bus, KeyValue
from worksite.common.errors import Conflict
from worksite.common.messages import TaskEntry, TaskState


class ReadModel:
    """One row per task, under `<tenant>.<task>`."""

    def __init__(self, bus: Bus) -> None:
        self._rows = KeyValue(bus, subjects.TASKS)

    async def show(self, state: TaskState, sequence: int) -> None:
        """Write the row unless it shows this state or a later one already. Raises BusUnavailable.

        The gateway makes the row when it accepts a task; where it died before that, or the row is gone, this does.
        """
        key, row = f"{state.tenant}.{state.task}", entry_of(state, sequence).to_json()
        while True:
            found = await self._rows.get(key)
            if found and TaskEntry.consume(found.value).sequence >= sequence:
                return
            try:
                await (self._rows.update(key, row, found.revision) if found else self._rows.create(key, row))
                return
            except Conflict:  # somebody wrote in between: perhaps a later state
                continue
