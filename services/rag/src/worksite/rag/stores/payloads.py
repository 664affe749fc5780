"""A passage as both stores keep it: a flat JSON object that also names the owner and the revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from worksite.rag.domain.documents import Passage
from worksite.rag.domain.identity import Revision, revision

Payload = dict[str, Any]
REVISION = ["path", "revision", "source", "parts"]
"""Fields that `revision_from` reads, and the path."""
KEYWORDS = ("tenant", "path", "kind", "tags", "language", "source")
"""Fields that filters compare or that are counted. `path` is matched by prefix."""
TIMES = ("updated_at",)
"""Fields that filters bound."""


def payload_of(tenant: str, passage: Passage) -> Payload:
    """What is stored."""
    at = passage.updated_at.isoformat() if passage.updated_at else None
    return {**asdict(passage), "updated_at": at, "tenant": tenant, "revision": revision(passage).digest}


def passage_from(payload: Mapping[str, Any]) -> Passage:
    """What was stored; fields that came later than the payload have their defaults."""
    fields: Payload = {name: payload[name] for name in Passage.__dataclass_fields__ if name in payload}
    fields |= {"heading": tuple(payload["heading"]), "tags": tuple(payload["tags"])}
    if at := payload.get("updated_at"):
        fields["updated_at"] = datetime.fromisoformat(at)
    return Passage(**fields)


def revision_from(payload: Mapping[str, Any]) -> Revision:
    """The revision of what was stored."""
    return Revision(payload["revision"], payload.get("source"), payload.get("parts", 0))
