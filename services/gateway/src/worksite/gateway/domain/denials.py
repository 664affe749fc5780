"""Repeated denials, counted instead of written one by one: else whoever may do nothing could push the rest of the audit
trail out of its stream, just by asking again and again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from worksite.common.messages import AuditRecord

WINDOW = timedelta(minutes=1)

_Key = tuple[str, str, str, str, str]


@dataclass
class _Window:
    opened_at: datetime
    newest: AuditRecord
    repeats: int = 0


class Denials:
    """The first of its kind goes on record at once; what follows is summed up, one record a minute."""

    def __init__(self) -> None:
        self._windows: dict[_Key, _Window] = {}

    def is_first(self, tenant: str, record: AuditRecord) -> bool:
        """Is it to be recorded now? Else it has been counted."""
        key = (tenant, record.kind, record.principal, record.action, record.resource.partition("::")[0])
        window = self._windows.setdefault(key, _Window(record.at, record))
        if window.newest is record:
            return True
        window.newest, window.repeats = record, window.repeats + 1
        return False

    def due(self, opened_by: datetime) -> list[tuple[str, AuditRecord]]:
        """Close the windows opened until then: per tenant the newest of what was counted, with how many there were."""
        found: list[tuple[str, AuditRecord]] = []
        for key, window in list(self._windows.items()):
            if window.opened_at > opened_by:
                continue
            del self._windows[key]
            if window.repeats:
                found.append((key[0], window.newest.model_copy(update={"times": window.repeats})))
                # A flood goes on: what comes next is no first one.
                self._windows[key] = _Window(window.newest.at, window.newest)
        return found
