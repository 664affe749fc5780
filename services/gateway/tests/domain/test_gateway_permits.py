"""What the policies are asked about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from worksite.common.messages import TaskOptions
from worksite.common.policy import Entity, PolicyEngine
from worksite.gateway.domain.permits import asker, circumstances, resource_of
from worksite.gateway.domain.principal import Principal

POLICIES = Path(__file__).parents[4] / "policies"
NOON = datetime(2026, 11, 23, 12, 0, 0, 999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("named", "type_", "id_"),
    [
        ({}, "Tenant", "acme"),
        ({"task_id": "1"}, "Task", "1"),
        ({"task_id": "1", "name": "spec.md"}, "Artifact", "1/spec.md"),
        ({"upload_id": "2"}, "Upload", "2"),
        ({"document_id": "3"}, "Document", "3"),
        ({"sequence": "4"}, "DeadLetter", "4"),
        ({"document_id": "x" * 5000}, "Document", "x" * 100),
    ],
)
def test_what_is_named_is_the_resource_and_always_of_the_own_tenant(
    named: dict[str, str], type_: str, id_: str
) -> None:
    resource = resource_of("acme", named)

    assert (resource.type, resource.id, resource.attributes["tenant"]) == (type_, id_, "acme")


def test_an_artifact_has_its_name_and_lies_in_its_task() -> None:
    artifact = resource_of("acme", {"task_id": "1", "name": "branch.zip"})

    assert artifact.attributes["name"] == "branch.zip"
    assert artifact.groups == (Entity("Task", "1"),)


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("testclient", None),
        ("", None),
        (None, None),
    ],
)
def test_the_source_is_an_address_as_policies_write_it_or_left_out(host: str | None, source: str | None) -> None:
    assert circumstances(NOON, host).get("source") == source


def test_time_is_told_in_utc_and_the_budget_once_it_is_known() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert circumstances(elsewhere, None) == {"now": "2026-11-23T12:00:00Z"}
    assert circumstances(NOON, None, TaskOptions(max_rounds=2, deadline_seconds=60))["budget"] == {
        "rounds": 2,
        "seconds": 60,
    }


@pytest.mark.parametrize("named", [{"task_id": "1"}, {"task_id": "1", "name": "a\x00\u202e"}])
@pytest.mark.parametrize("host", ["10.1.2.3", "fe80::1%eth0", None])
def test_all_of_it_fits_the_schema(named: dict[str, str], host: str | None) -> None:
    ada = asker(Principal("ada", "acme", frozenset({"viewer"}), "id", 0))

    decision = PolicyEngine.load(POLICIES).decide(
        ada, "readArtifact", resource_of("acme", named), circumstances(NOON, host)
    )

    assert (decision.allow, decision.errors) == (True, ())
