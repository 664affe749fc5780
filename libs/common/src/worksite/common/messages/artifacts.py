"""How a payload over 64 KB travels: by the hash of its content."""

from __future__ import annotations

from pydantic import Field
from worksite.common.messages.base import Model, Sha256


class ArtifactRef(Model):
    """An immutable blob in the object store. Readers verify the hash."""

    sha256: Sha256
    size: int = Field(ge=0, description="bytes")
    media_type: str
