"""Who holds a step, what it did, how often it failed: compare-and-set entries in one bucket (DESIGN section 5).

Exactly-once effects rest on two writes. `claim` takes a step over and thereby fences whoever held it before;
`record` stores the result, and only the newest claim can. A redelivery of a recorded step re-publishes, no more.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError
from worksite.common import subjects
from worksite.common.bus import Bus, Entry, KeyValue
from worksite.common.errors import BusUnavailable, Conflict, Fenced, MalformedMessage
from worksite.common.messages import Model, StepResult

_ATTEMPTS = 10
"""To write what was read just before; a replica that lags would let everybody fail for as long as it does."""
MAX_FAILURES = 5
"""Handler failures before a step is given up; hand-backs do not count."""


class LedgerEntry(Model):
    """The value under `<service>.<task>.<step>`."""

    status: Literal["claimed", "done", "cancelled"]
    holder: str
    failures: int = 0
    last_error: str | None = None
    result: StepResult | None = None


@dataclass(frozen=True)
class Claim:
    """The right to record one step's result, as long as nobody claims it after."""

    key: str
    entry: LedgerEntry
    revision: int


class Ledger:
    """The ledger of one service."""

    def __init__(self, bus: Bus, service: str) -> None:
        self._store = KeyValue(bus, subjects.LEDGER)
        self._service = service

    async def claim(self, task: str, step: str, holder: str) -> Claim | StepResult | None:
        """Take the step over. A result: it is already done. None: it was cancelled.

        Raises MalformedMessage where nobody can tell what was done already, BusUnavailable.
        """
        key = _key(self._service, task, step)
        fresh = LedgerEntry(status="claimed", holder=holder)
        claim, revision = fresh, 0  # usually nobody has touched the step: write first, read only when that fails
        for _ in range(_ATTEMPTS):
            try:
                return Claim(key, claim, await self._write(key, claim, revision))
            except Conflict:
                found = await self._store.get(key)
            entry = _read(found) if found else None
            if entry and entry.status == "cancelled":
                return None
            if entry and entry.result:
                return entry.result
            if found and entry:
                claim, revision = entry.model_copy(update={"holder": holder}), found.revision
            else:  # it is gone
                claim, revision = fresh, 0
        raise BusUnavailable(f"{key} cannot be claimed: others keep writing, or a replica lags")

    async def holds(self, claim: Claim) -> bool:
        """Is this claim still the newest? Only a later one says no: a replica that lags may not know of ours yet."""
        found = await self._store.get(claim.key)
        return found is None or found.revision <= claim.revision

    async def record(self, claim: Claim, result: StepResult) -> None:
        """Store the result. Raises Fenced when the step has been taken over or cancelled since."""
        done = claim.entry.model_copy(update={"status": "done", "result": result})
        await self._fenced_write(claim, done)

    async def failed(self, claim: Claim, error: str) -> int:
        """Count a handler failure; returns how many there are. Raises Fenced."""
        failures = claim.entry.failures + 1
        entry = claim.entry.model_copy(update={"failures": failures, "last_error": error[:2000]})
        await self._fenced_write(claim, entry)
        return failures

    async def cancel(self, service: str, task: str, step: str) -> None:
        """Admin takes the step away from its agent; a step that is already done stays done. Raises BusUnavailable."""
        key = _key(service, task, step)
        for _ in range(_ATTEMPTS):
            found = await self._store.get(key)
            with suppress(MalformedMessage):  # nobody can go on with what nobody can read: take it away too
                if found and _read(found).status != "claimed":
                    return
            cancelled = LedgerEntry(status="cancelled", holder=self._service)
            try:
                await self._write(key, cancelled, found.revision if found else 0)
                return
            except Conflict:
                continue
        raise BusUnavailable(f"{key} cannot be taken away: others keep writing, or a replica lags")

    async def _fenced_write(self, claim: Claim, entry: LedgerEntry) -> None:
        try:
            await self._write(claim.key, entry, claim.revision)
        except Conflict as error:
            raise Fenced(f"{claim.key} was taken over") from error

    async def _write(self, key: str, entry: LedgerEntry, revision: int) -> int:
        return await self._store.update(key, entry.model_dump_json().encode(), revision)


def _read(found: Entry) -> LedgerEntry:
    try:
        return LedgerEntry.model_validate_json(found.value)
    except ValidationError as error:
        raise MalformedMessage(f"the ledger's entry {found.key} cannot be read: {error}") from error


def _key(service: str, task: str, step: str) -> str:
    return f"{service}.{task}.{step}"
