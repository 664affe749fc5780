"""Floods of denials are summed up without hiding the first of anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from worksite.common.messages import AuditRecord
from worksite.gateway.domain.denials import WINDOW, Denials

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def denial(seconds: float = 0, **changed: Any) -> AuditRecord:
    fields = {"principal": "eve", "action": "readTask", "resource": "Task::1", "reason": "no"} | changed
    return AuditRecord.model_validate({"kind": "denied", "at": NOW + timedelta(seconds=seconds)} | fields)


def test_the_first_of_each_principal_action_and_kind_of_resource_is_recorded_at_once() -> None:
    denials = Denials()
    others = [{"principal": "bob"}, {"action": "cancelTask"}, {"resource": "Tenant::acme"}, {"kind": "unauthenticated"}]

    assert denials.is_first("acme", denial())
    assert all(denials.is_first("acme", denial(**other)) for other in others)
    assert denials.is_first("beta", denial())
    assert not denials.is_first("acme", denial(resource="Task::2"))


def test_repeats_are_due_after_a_minute_as_one_record_of_the_newest() -> None:
    denials = Denials()
    for second in range(4):
        denials.is_first("acme", denial(second, resource=f"Task::{second}"))

    assert denials.due(NOW - timedelta(seconds=1)) == []
    [(tenant, record)] = denials.due(NOW)

    assert (tenant, record) == ("acme", denial(3, resource="Task::3", times=3))


def test_a_flood_that_goes_on_is_one_record_a_minute_and_one_that_ended_is_forgotten() -> None:
    denials = Denials()
    first = [denials.is_first("acme", denial(second)) for second in range(50)]
    assert len(denials.due(NOW)) == 1

    later = [denials.is_first("acme", denial(second)) for second in range(60, 110)]
    [(_, record)] = denials.due(NOW + WINDOW)
    quiet = [denials.due(NOW + minutes * WINDOW) for minutes in range(2, 5)]

    assert (sum(first), sum(later), record.times, quiet) == (1, 0, 50, [[], [], []])
    assert denials.is_first("acme", denial(400))
