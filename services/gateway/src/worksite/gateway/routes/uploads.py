"""/v1/uploads: a project as an archive, for a task to name."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from worksite.gateway import problems
from worksite.gateway.auth.access import may
from worksite.gateway.body import require_media_type
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.uploads import FORMATS, UploadView, is_upload_id, upload_view
from worksite.gateway.gateway import GatewayOf

PATH = "/v1/uploads"

router = APIRouter(prefix=PATH, tags=["uploads"])

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": dict.fromkeys(FORMATS, _BINARY)}}
_KNOWN: dict[int | str, dict[str, Any]] = {200: {"description": "had it already", "model": UploadView}}


@router.post("", status_code=201, operation_id="createUpload", openapi_extra=_BODY, responses=_KNOWN)
async def create(
    request: Request,
    response: Response,
    gateway: GatewayOf,
    caller: Annotated[Principal, Depends(may("createUpload"))],
) -> UploadView:
    """Upload a git bundle, or the files alone as a zip or tar; the body is the archive. The same archive has the same
    id, however often it is sent."""
    gateway.room.check()
    media_type = require_media_type(request, *FORMATS)
    upload, new = await gateway.uploads.take(caller, media_type, request.stream())
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"{PATH}/{upload.sha256}"
    return upload_view(upload)


@router.get("/{upload_id}", operation_id="readUpload")
async def read(
    upload_id: str, gateway: GatewayOf, caller: Annotated[Principal, Depends(may("readUpload"))]
) -> UploadView:
    """Whether an upload can still be named, and until when."""
    found = await gateway.uploads.records.get(caller.tenant, upload_id) if is_upload_id(upload_id) else None
    if found is None:
        raise problems.not_found("there is no such upload; it may have expired")
    return upload_view(found)
