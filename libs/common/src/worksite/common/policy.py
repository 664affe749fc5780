"""Who may do what: Cedar policies from files, validated when they are loaded, deny by default.

Cedar's own rule is that a policy which fails while it is evaluated is left out; for a `forbid` that would mean that a
fault opens the door. Here any error denies.
"""

# pyright: reportUnknownMemberType=false
# cedarpy annotates its dictionaries without their types.

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import cedarpy

NAMESPACE = "Worksite"
SCHEMA_FILE = "schema.cedarschema"


class PolicyError(Exception):
    """The policies cannot be used; the text names the file or the policy and what is wrong with it."""


@dataclass(frozen=True)
class Entity:
    """A principal or a resource: its type without namespace, its attributes, and the groups it belongs to."""

    type: str
    id: str
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    groups: tuple[Entity, ...] = ()


@dataclass(frozen=True)
class Decision:
    """May it be done, which policies decided (their `@id`), and what went wrong while deciding."""

    allow: bool
    policy_ids: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


class PolicyEngine:
    """One validated set of policies, parsed once: a decision takes some 50 µs, parsing ten times that."""

    def __init__(self, policies: cedarpy.PolicySet, schema: cedarpy.Schema) -> None:
        self._policies = policies
        self._schema = schema

    @classmethod
    def load(cls, directory: Path) -> PolicyEngine:
        """Read `schema.cedarschema` and every `*.cedar` file. Raises PolicyError."""
        files = sorted(directory.glob("*.cedar"))
        if not files:
            raise PolicyError(f"{directory} holds no *.cedar file")
        schema = _schema(directory / SCHEMA_FILE)
        text = "\n".join(_valid(path, schema) for path in files)
        return cls(cedarpy.PolicySet.from_str(text), schema)

    def decide(
        self, principal: Entity, action: str, resource: Entity, context: Mapping[str, Any] | None = None
    ) -> Decision:
        """Never raises: what cannot be decided is denied, with the error."""
        request = {
            "principal": _uid(principal),
            "action": {"type": f"{NAMESPACE}::Action", "id": action},
            "resource": _uid(resource),
            "context": dict(context or {}),
        }
        try:
            result = cedarpy.is_authorized(request, self._policies, _entities(principal, resource), self._schema)
        except (TypeError, ValueError) as error:
            return Decision(False, errors=(str(error),))
        said = result.diagnostics
        named = cast("dict[str, str]", said.id_annotations_by_reason)
        ids = tuple(sorted(named.get(reason) or reason for reason in said.reasons))
        return Decision(result.allowed and not said.errors, ids, tuple(said.errors))


def _schema(path: Path) -> cedarpy.Schema:
    try:
        return cedarpy.Schema.from_str(path.read_text())
    except (OSError, ValueError) as error:
        raise PolicyError(f"{path}: {error}") from error


def _valid(path: Path, schema: cedarpy.Schema) -> str:
    """The text of a policy file that fits the schema."""
    try:
        text = path.read_text()
        result = cedarpy.validate_policies(text, schema)
    except (OSError, ValueError) as error:
        raise PolicyError(f"{path}: {error}") from error
    if not result:
        raise PolicyError(f"{path}: {'; '.join(str(error) for error in result.errors)}")
    return text


def _uid(entity: Entity) -> dict[str, str]:
    return {"type": f"{NAMESPACE}::{entity.type}", "id": entity.id}


def _entities(*entities: Entity) -> str:
    documents = [
        {"uid": _uid(entity), "attrs": dict(entity.attributes), "parents": [_uid(group) for group in entity.groups]}
        for entity in entities
    ]
    return json.dumps(documents)
