"""A tenant's dead letters: read from DEAD, closed by a mark in the bucket `letters`.

    ask admin to redrive -> audit record -> mark

Killed in between, the letter is still open and the same request again goes on: admin's part is idempotent (ADR 0008),
and a closed letter always has its record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from worksite.common import dead_letters, subjects
from worksite.common.bus import Bus, KeyValue, request
from worksite.common.dead_letters import Buried
from worksite.common.errors import Conflict
from worksite.common.messages import RedriveLetter, RedriveOutcome
from worksite.gateway.audit import Audit
from worksite.gateway.domain.letters import Mark
from worksite.gateway.domain.permits import Permit
from worksite.gateway.domain.principal import Principal
from worksite.gateway.rows import readable

_LETTERS_PER_READ = 50
"""A letter may have as much as a megabyte."""
MAX_LETTERS_PER_PAGE = 1000
"""A page may have to look through many closed ones: then it ends early."""


class NotRedriven(Exception):
    """Admin refused; the text says why."""


@dataclass(frozen=True)
class Letter:
    """A letter and what was done about it."""

    buried: Buried
    mark: Mark | None


@dataclass(frozen=True)
class Page:
    """Some letters, and the sequence to go on after; None: there are no more."""

    letters: list[Buried]
    go_on_after: int | None


class DeadLetters:
    """Letters are read below the tenant's subject and marked under its keys: no tenant reaches another's."""

    def __init__(self, bus: Bus, audit: Audit, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._bus = bus
        self._marks = KeyValue(bus, subjects.LETTERS)
        self._audit = audit
        self._now = now

    async def page(self, tenant: str, service: str, after: int, limit: int) -> Page:
        """Open letters of one service (`*`: of all), oldest first. Raises BusUnavailable."""
        found: list[Buried] = []
        for _ in range(MAX_LETTERS_PER_PAGE // _LETTERS_PER_READ):
            subject = subjects.dead_subject(service, tenant)
            batch = await self._bus.read("DEAD", subject, after, _LETTERS_PER_READ)
            marks = await asyncio.gather(*(self._mark(tenant, stored.sequence) for stored in batch))
            for stored, mark in zip(batch, marks, strict=True):
                if mark is None and (letter := dead_letters.opened(stored)):
                    if len(found) == limit:
                        return Page(found, after)
                    found.append(letter)
                after = stored.sequence
            if len(batch) < _LETTERS_PER_READ:
                return Page(found, None)
        return Page(found, after)

    async def get(self, tenant: str, sequence: int) -> Letter | None:
        """None where there is none, or not any more. Raises BusUnavailable."""
        buried = await dead_letters.find(self._bus, tenant, sequence)
        mark = await self._mark(tenant, sequence)
        return None if buried is None or (mark and mark.state == "purged") else Letter(buried, mark)

    async def redrive(self, permit: Permit, sequence: int) -> Letter | None:
        """Have the message handled again; a letter that was redriven stays as it is. None where there is none.

        Raises NotRedriven, ServiceUnavailable, BusUnavailable.
        """
        caller = permit.principal
        letter = await self.get(caller.tenant, sequence)
        if letter is None or letter.mark:
            return letter
        question = RedriveLetter(tenant=caller.tenant, sequence=sequence)
        outcome = await request(self._bus, "admin", "redrive", question, RedriveOutcome)
        if not outcome.redriven:
            raise NotRedriven(outcome.reason)
        await self._audit.act("redriven", permit, letter.buried.letter.subject)
        return Letter(letter.buried, await self._close(caller, sequence, "redriven"))

    async def purge(self, permit: Permit, sequence: int) -> bool:
        """Show the letter to nobody any more; False where there is none. Raises BusUnavailable."""
        caller = permit.principal
        letter = await self.get(caller.tenant, sequence)
        if letter is None:
            return False
        await self._audit.act("allowed", permit, letter.buried.letter.subject)
        await self._close(caller, sequence, "purged")
        return True

    async def _close(self, caller: Principal, sequence: int, state: Literal["redriven", "purged"]) -> Mark:
        """A letter that was purged meanwhile stays so."""
        key, mark = f"{caller.tenant}.{sequence}", Mark(state=state, principal=caller.subject, at=self._now())
        while True:
            found = await self._marks.get(key)
            if found and state == "redriven" and (other := readable(Mark, found)):
                return other
            try:
                await self._marks.update(key, mark.model_dump_json().encode(), found.revision if found else 0)
            except Conflict:
                continue
            return mark

    async def _mark(self, tenant: str, sequence: int) -> Mark | None:
        found = await self._marks.get(f"{tenant}.{sequence}")
        return readable(Mark, found) if found else None
