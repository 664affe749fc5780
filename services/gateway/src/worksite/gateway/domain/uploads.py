"""What is known of an upload: what it calls itself, what it is, and until when a task can name it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import Field
from worksite.common import subjects
from worksite.common.messages import ArtifactRef, Model, UploadedProject
from worksite.common.messages.base import Sha256
from worksite.common.messages.sources import ArchiveFormat

BUNDLE, ZIP, TAR, GZIP = "application/x-git-bundle", "application/zip", "application/x-tar", "application/gzip"
FORMATS: Mapping[str, ArchiveFormat] = {BUNDLE: "bundle", ZIP: "zip", TAR: "tar", GZIP: "tar"}
"""By media type: what an upload may be."""
HEAD_BYTES = 262
"""So many bytes tell what an archive is: a tar's magic stands last, at 257 (POSIX.1-2017, ustar)."""
LIFE = timedelta(seconds=next(bucket.max_age_seconds for bucket in subjects.BUCKETS if bucket.name == subjects.UPLOADS))
"""How long a task can name an upload. The archive itself stays as long as this record or any task names it."""

_BEGINNINGS = (
    (b"# v2 git bundle\n", BUNDLE),
    (b"# v3 git bundle\n", BUNDLE),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),  # without any entry
    (b"\x1f\x8b", GZIP),
)
_TAR_MAGIC = b"ustar"
_ID = re.compile(r"[0-9a-f]{64}")


class Upload(Model):
    """The record of an upload, one per tenant and content; only the gateway reads it."""

    sha256: Sha256
    size: int = Field(ge=1, description="bytes")
    media_type: str
    format: ArchiveFormat
    principal: str
    uploaded_at: datetime

    def project(self, name: str | None, ref: str | None) -> UploadedProject:
        """As the bus names it."""
        archive = ArtifactRef(sha256=self.sha256, size=self.size, media_type=self.media_type)
        return UploadedProject(archive=archive, format=self.format, name=name, ref=ref)


class UploadView(Model):
    """An archive that a task can name as its project."""

    id: str = Field(description="SHA-256 of the archive: what `project.upload` takes")
    size: int = Field(description="bytes")
    format: ArchiveFormat
    expires_at: datetime = Field(description="until then a task can name it; uploading it again renews it")


def upload_view(upload: Upload) -> UploadView:
    """What a client sees of it."""
    return UploadView(id=upload.sha256, size=upload.size, format=upload.format, expires_at=upload.uploaded_at + LIFE)


def is_upload_id(text: str) -> bool:
    """Could this be the id of an upload at all?"""
    return _ID.fullmatch(text) is not None


def media_type_of(head: bytes) -> str | None:
    """What an archive is by its first HEAD_BYTES; None for nothing that is taken."""
    for beginning, media_type in _BEGINNINGS:
        if head.startswith(beginning):
            return media_type
    return TAR if head[HEAD_BYTES - len(_TAR_MAGIC) : HEAD_BYTES] == _TAR_MAGIC else None


def mismatch(declared: str, head: bytes) -> str | None:
    """Why an archive that begins like this is not what it was declared as, and what to do; None when it is."""
    found = media_type_of(head)
    if found == declared:
        return None
    if not head:
        return "the body is empty: send the archive itself as the body"
    if found is None:
        return "the body is none of these: a git bundle, a zip, a tar (ustar), a tar compressed with gzip"
    return f"the body is {found} and was declared as {declared}: send it as what it is"
