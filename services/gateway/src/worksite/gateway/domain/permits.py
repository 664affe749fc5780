"""What the policies are asked, and what they have let somebody do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from typing import Any

from worksite.common.messages import TaskOptions
from worksite.common.policy import Entity
from worksite.gateway.domain.principal import Principal

_MAX_ID = 100
"""Ids come from the client and go on record before anybody has looked for what they name."""


@dataclass(frozen=True)
class Permit:
    """Somebody may do something to one thing; `policies` are the ids of those that say so."""

    principal: Principal
    action: str
    resource: str
    policies: tuple[str, ...]


def asker(principal: Principal) -> Entity:
    """The principal with its roles."""
    roles = tuple(Entity("Role", role) for role in sorted(principal.roles))
    return Entity("Principal", principal.subject, {"tenant": principal.tenant}, roles)


def resource_of(tenant: str, named: Mapping[str, str]) -> Entity:
    """What a path's parameters, or a tool's arguments, name; without any the tenant as a whole.

    It is always one of the tenant's own: ids are looked up below it, so another tenant's is as unknown as one that
    never was.
    """
    attributes = {"tenant": tenant}
    match {key: value[:_MAX_ID] for key, value in named.items()}:
        case {"task_id": task, "name": name}:
            return Entity("Artifact", f"{task}/{name}", attributes | {"name": name}, (Entity("Task", task),))
        case {"task_id": task}:
            return Entity("Task", task, attributes)
        case {"upload_id": upload}:
            return Entity("Upload", upload, attributes)
        case {"document_id": document}:
            return Entity("Document", document, attributes)
        case {"sequence": sequence}:
            return Entity("DeadLetter", sequence, attributes)
        case _:
            return Entity("Tenant", tenant, attributes)


def circumstances(now: datetime, host: str | None, wanted: TaskOptions | None = None) -> dict[str, Any]:
    """The context of a decision; `wanted`, once it is known, what a task may use."""
    found: dict[str, Any] = {"now": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"}
    if source := _address(host or ""):
        found["source"] = source
    if wanted:
        found["budget"] = {"rounds": wanted.max_rounds, "seconds": wanted.deadline_seconds}
    return found


def _address(host: str) -> str | None:
    """As policies write it: an IPv4 address by itself, however the socket shows it, and no zone."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return str((address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address)
