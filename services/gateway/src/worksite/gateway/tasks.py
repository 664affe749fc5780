"""The read model `tasks` as the gateway uses it: look up, list, and create the entry of a task just accepted."""

from __future__ import annotations

import contextlib
from datetime import datetime

from worksite.common import subjects
from worksite.common.bus import Bus, Entry, KeyValue
from worksite.common.errors import Conflict
from worksite.common.ids import id_at
from worksite.common.messages import TaskEntry, TaskState
from worksite.gateway.domain.listing import CLOCK_SLACK, Selection, TaskPage, TaskQuery
from worksite.gateway.rows import readable

MAX_STATES = 2000
"""States are up to 64 KB; the event loop reads so many in about a second."""
_WINDOW = 100


class Tasks:
    """Keys are `<tenant>.<task>`: nobody can name a key of another tenant."""

    def __init__(self, bus: Bus) -> None:
        self._store = KeyValue(bus, subjects.TASKS)

    async def get(self, tenant: str, task: str) -> TaskEntry | None:
        """The entry; None also for one that cannot be read. Raises BusUnavailable.

        That there is none is asked of the leader: a client was told of its task a moment ago.
        """
        key = f"{tenant}.{task}"
        found = await self._store.get(key) or await self._store.newest(key)
        return readable(TaskEntry, found) if found else None

    async def shown(self, tenant: str, task: str) -> TaskEntry | None:
        """The entry, where the replica that is asked has it already. Raises BusUnavailable."""
        found = await self._store.get(f"{tenant}.{task}")
        return readable(TaskEntry, found) if found else None

    async def page(self, tenant: str, query: TaskQuery) -> TaskPage:
        """The tenant's tasks, newest first. Raises BusUnavailable.

        Reads about as many entries as the page and the pages before it show, and what was updated since; never the
        whole history for the newest.
        """
        selection, newest, saw_all = Selection(query), 0, True
        async with contextlib.aclosing(self._store.newest_first(tenant, window=2 * query.limit)) as batches:
            async for batch in batches:
                for row in batch:
                    selection.add(_task(row), row.value, row.written_at)
                newest = newest or (batch[0].revision if batch else 0)
                if selection.is_settled:
                    saw_all = False
                    break
        for row in await self._store.entries(tenant, after=newest):  # an entry that is updated leaves its place
            selection.update(_task(row), row.value)
        return selection.page(saw_all=saw_all)

    async def states(self, tenant: str, since: datetime | None) -> tuple[list[TaskState], bool]:
        """Of the tasks submitted since then, MAX_STATES at most, those that moved last; and whether these are all.

        Raises BusUnavailable.
        """
        found, complete = dict[str, TaskState](), True
        lowest = id_at(since) if since else ""
        async with contextlib.aclosing(self._store.newest_first(tenant, window=_WINDOW)) as batches:
            async for batch in batches:
                if len(found) >= MAX_STATES:
                    complete = False
                    break
                if since and batch and batch[0].written_at + CLOCK_SLACK < since:
                    break
                for row in batch:
                    entry = readable(TaskEntry, row) if _task(row) >= lowest else None
                    if entry and entry.state:
                        found.setdefault(_task(row), entry.state)
        return list(found.values())[:MAX_STATES], complete and len(found) <= MAX_STATES

    async def accepted(self, entry: TaskEntry) -> TaskEntry:
        """Make the task visible before anyone has taken it up. Admin may have been quicker: then its entry stands."""
        tenant, task = entry.submitted.tenant, entry.submitted.task
        try:
            await self._store.create(f"{tenant}.{task}", entry.to_json())
        except Conflict:
            return await self.get(tenant, task) or entry
        return entry


def _task(row: Entry) -> str:
    return row.key.rpartition(".")[2]
