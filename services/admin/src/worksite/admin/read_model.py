"""The read model `tasks`: what GET /v1/tasks answers from. It follows the states and never goes back."""

from __future__ import annotations

import logging

from pydantic import ValidationError
from worksite.admin.domain.projection import entry_of
from worksite.common import subjects
from worksite.common.bus import Bus, Entry, KeyValue
from worksite.common.errors import Conflict
from worksite.common.messages import TaskEntry, TaskState

log = logging.getLogger(__name__)


class ReadModel:
    """One row per task, under `<tenant>.<task>`."""

    def __init__(self, bus: Bus) -> None:
        self._rows = KeyValue(bus, subjects.TASKS)

    async def show(self, state: TaskState, sequence: int) -> None:
        """Write the row unless it shows this state or a later one already. Raises BusUnavailable.

        The gateway makes the row when it accepts a task; where it died before that, or the row is gone, this does.
        """
        key, row = f"{state.tenant}.{state.task}", entry_of(state, sequence).to_json()
        found = await self._rows.get(key)
        while True:
            if found and _shown(found) >= sequence:
                return
            try:
                await (self._rows.update(key, row, found.revision) if found else self._rows.create(key, row))
                return
            except Conflict:  # somebody wrote in between, perhaps a later state; or the replica that was read lags
                found = await self._rows.newest(key)


def _shown(row: Entry) -> int:
    """The sequence of the state that a row shows; one that cannot be read shows none and is written anew."""
    try:
        return TaskEntry.consume(row.value).sequence
    except ValidationError as error:
        log.error("the row %s cannot be read: %s", row.key, error)
        return -1
