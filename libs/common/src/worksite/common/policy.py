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
_SUFFIX = ".cedar"

Contents = Mapping[Path, bytes | str]
"""Files by path; a string says why one could not be read."""


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
        return cls.of(directory, _contents(directory))

    @classmethod
    def of(cls, directory: Path, contents: Contents) -> PolicyEngine:
        """The same of files that were read before. Raises PolicyError."""
        if len(contents) < 2:
            raise PolicyError(f"{directory} holds no *{_SUFFIX} file")
        texts = {path: _text(path, content) for path, content in contents.items()}
        policies = {path: text for path, text in texts.items() if path.suffix == _SUFFIX}
        schema = _schema(directory / SCHEMA_FILE, texts)
        for path, text in policies.items():
            _check(path, text, schema)
        return cls(cedarpy.PolicySet.from_str("\n".join(policies.values())), schema)

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


class Policies:
    """The policies of a directory, followed while they change: the last valid set decides, always a whole one."""

    def __init__(self, directory: Path) -> None:
        """Raises PolicyError: who has no good set yet must not start."""
        self._directory = directory
        self._seen = self._judged = _contents(directory)
        self._engine = PolicyEngine.of(directory, self._judged)
        self._refused = False

    @property
    def refused(self) -> bool:
        """Do older files decide, because those that lie there cannot be used?"""
        return self._refused

    def decide(
        self, principal: Entity, action: str, resource: Entity, context: Mapping[str, Any] | None = None
    ) -> Decision:
        """See `PolicyEngine.decide`."""
        return self._engine.decide(principal, action, resource, context)

    def look(self) -> bool:
        """Take up files that have changed, and say whether a new set decides now.

        Only what two looks have found alike is taken, so that nobody's half-finished copying is. Raises PolicyError,
        once for each set that cannot be used; the last good one goes on.
        """
        found = _contents(self._directory)
        settled, self._seen = found == self._seen, found
        if not settled or found == self._judged:
            return False
        self._judged, self._refused = found, True
        self._engine = PolicyEngine.of(self._directory, found)
        self._refused = False
        return True


def _contents(directory: Path) -> Contents:
    """By bytes and not by time: a mounted folder is swapped as a whole, with whatever times its files have."""
    return {path: _read(path) for path in [*sorted(directory.glob(f"*{_SUFFIX}")), directory / SCHEMA_FILE]}


def _read(path: Path) -> bytes | str:
    try:
        return path.read_bytes()
    except OSError as error:
        return str(error.strerror)


def _text(path: Path, content: bytes | str) -> str:
    if isinstance(content, str):
        raise PolicyError(f"{path}: {content}")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: {error}") from error


def _schema(path: Path, texts: Mapping[Path, str]) -> cedarpy.Schema:
    try:
        return cedarpy.Schema.from_str(texts[path])
    except ValueError as error:
        raise PolicyError(f"{path}: {_line(error)}") from error


def _check(path: Path, text: str, schema: cedarpy.Schema) -> None:
    """Does a policy file fit the schema?"""
    if not (result := cedarpy.validate_policies(text, schema)):
        raise PolicyError(f"{path}: {'; '.join(_line(error) for error in result.errors)}")


def _line(error: object) -> str:
    return " ".join(str(error).split())


def _uid(entity: Entity) -> dict[str, str]:
    return {"type": f"{NAMESPACE}::{entity.type}", "id": entity.id}


def _entities(*entities: Entity) -> str:
    documents = [
        {"uid": _uid(entity), "attrs": dict(entity.attributes), "parents": [_uid(group) for group in entity.groups]}
        for entity in entities
    ]
    return json.dumps(documents)
