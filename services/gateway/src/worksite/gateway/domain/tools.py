"""What an MCP client's tool calls take and give, where the HTTP interface has no body of that form."""

from __future__ import annotations

import base64
import codecs
from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from worksite.common.messages import Model
from worksite.common.messages.base import TaskId
from worksite.gateway.domain.artifacts import MEDIA_TYPES
from worksite.gateway.domain.idempotency import MAX_KEY_LENGTH
from worksite.gateway.domain.submission import NewTask

MAX_PART_BYTES = 256 * 1024
_MIN_PART_BYTES = 1024


class TaskCall(Model):
    """Names a task."""

    task_id: TaskId = Field(description="as submit_task gave it: 32 hexadecimal digits")


class NewTaskCall(NewTask):
    """The body of `POST /v1/tasks`, and what is a header there."""

    idempotency_key: (
        Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=MAX_KEY_LENGTH)] | None
    ) = Field(default=None, description="the same key with the same arguments is the same task, however often sent")

    def body(self) -> bytes:
        """What the key stands for."""
        return self.model_dump_json(exclude={"idempotency_key"}).encode()


class ArtifactCall(TaskCall):
    """Names a part of an artifact."""

    name: str = Field(description="one of the task's `artifacts`", json_schema_extra={"enum": list(MEDIA_TYPES)})
    offset: int = Field(default=0, ge=0, description="bytes to leave out; `next_offset` of the part before")
    max_bytes: int = Field(
        default=64 * 1024, ge=_MIN_PART_BYTES, le=MAX_PART_BYTES, description="of the artifact in one answer"
    )


class ArtifactPart(Model):
    """As much of an artifact as was asked for."""

    name: str
    media_type: str
    size: int = Field(description="bytes of the whole artifact")
    sha256: str = Field(description="of the whole artifact")
    encoding: Literal["utf-8", "base64"]
    content: str
    offset: int
    next_offset: int | None = Field(description="where to go on; null: this was the last part")
    link: str = Field(description="path of the whole artifact over HTTP, with the same token")


def artifact_part(call: ArtifactCall, data: bytes, sha256: str) -> ArtifactPart:
    """The part that was asked for. Text ends between characters, so that parts put together are the whole."""
    media_type = MEDIA_TYPES[call.name]
    chunk = data[call.offset : call.offset + call.max_bytes]
    is_text = media_type.startswith(("text/", "application/json"))
    content, used = _decoded(chunk) if is_text else (base64.b64encode(chunk).decode(), len(chunk))
    end = call.offset + used
    return ArtifactPart(
        name=call.name,
        media_type=media_type,
        size=len(data),
        sha256=sha256,
        encoding="utf-8" if is_text else "base64",
        content=content,
        offset=call.offset,
        next_offset=end if end < len(data) else None,
        link=f"/v1/tasks/{call.task_id}/artifacts/{call.name}",
    )


def _decoded(chunk: bytes) -> tuple[str, int]:
    """The text of the complete characters, and how many bytes they take."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text = decoder.decode(chunk)
    return text, len(chunk) - len(decoder.getstate()[0])
