"""A passage as both stores keep it: a flat JSON object that also names the owner and the revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from worksite.rag.domain.documents import Passage
from worksite.rag.domain.identity import revision

Payload = dict[str, Any]
INDEXED = ("tenant", "path", "kind", "tags")
"""Fields that filters use. `path` is matched by prefix."""


def payload_of(tenant: str, passage: Passage) -> Payload:
    """What is stored."""
    return {**asdict(passage), "tenant": tenant, "revision": revision(passage)}


def passage_from(payload: Mapping[str, Any]) -> Passage:
    """What was stored."""
    fields: Payload = {name: payload[name] for name in Passage.__dataclass_fields__}
    fields |= {"heading": tuple(payload["heading"]), "tags": tuple(payload["tags"])}
    return Passage(**fields)
