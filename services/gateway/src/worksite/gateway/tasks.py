"""The read model `tasks` as the gateway uses it: look up, list, and create the entry of a task just accepted."""

from __future__ import annotations

from worksite.common import subjects
from worksite.common.bus import Bus, KeyValue
from worksite.common.errors import Conflict
from worksite.common.messages import TaskEntry


class Tasks:
    """Keys are `<tenant>.<task>`: nobody can name a key of another tenant."""

    def __init__(self, bus: Bus) -> None:
        self._store = KeyValue(bus, subjects.TASKS)

    async def get(self, tenant: str, task: str) -> TaskEntry | None:
        """The newest entry. Raises BusUnavailable."""
        found = await self._store.get(f"{tenant}.{task}")
        return TaskEntry.consume(found.value) if found else None

    async def newest(self, tenant: str, limit: int) -> list[TaskEntry]:
        """The tenant's newest tasks first; ids sort by time of creation. Reads all of the tenant's entries."""
        # An entry that is updated while we read turns up twice; the later one counts.
        found = {entry.key: entry.value for entry in await self._store.entries(tenant)}
        return [TaskEntry.consume(found[key]) for key in sorted(found, reverse=True)[:limit]]

    async def accepted(self, entry: TaskEntry) -> TaskEntry:
        """Make the task visible before anyone has taken it up. Admin may have been quicker: then its entry stands."""
        tenant, task = entry.submitted.tenant, entry.submitted.task
        try:
            await self._store.create(f"{tenant}.{task}", entry.to_json())
        except Conflict:
            return await self.get(tenant, task) or entry
        return entry
