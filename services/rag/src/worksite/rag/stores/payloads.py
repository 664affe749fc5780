"""A passage as both stores keep it: a flat JSON object that also names the owner and the revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from worksite.rag.domain.documents import Passage
from worksite.rag.domain.identity import revision

Payload = dict[str, Any]
KEYWORDS = ("tenant", "path", "kind", "tags", "language")
"""Fields that filters compare. `path` is matched by prefix."""
TIMES = ("updated_at",)
"""Fields that filters bound."""


def payload_of(tenant: str, passage: Passage) -> Payload:
    """What is stored."""
    at = passage.updated_at.isoformat() if passage.updated_at else None
    return {**asdict(passage), "updated_at": at, "tenant": tenant, "revision": revision(passage)}


def passage_from(payload: Mapping[str, Any]) -> Passage:
    """What was stored; fields that came later than the payload have their defaults."""
    fields: Payload = {name: payload[name] for name in Passage.__dataclass_fields__ if name in payload}
    fields |= {"heading": tuple(payload["heading"]), "tags": tuple(payload["tags"])}
    if at := payload.get("updated_at"):
        fields["updated_at"] = datetime.fromisoformat(at)
    return Passage(**fields)
