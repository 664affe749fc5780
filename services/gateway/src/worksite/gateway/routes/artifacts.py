"""/v1/tasks/{id}/artifacts: what a task has made."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response
from pydantic import Field
from starlette.types import Receive, Scope, Send
from worksite.common.messages import ArtifactRef, Model
from worksite.gateway import problems
from worksite.gateway.auth.access import may
from worksite.gateway.domain.artifacts import MEDIA_TYPES, Rendered, available
from worksite.gateway.domain.principal import Principal
from worksite.gateway.gateway import Gateway, GatewayOf
from worksite.gateway.routes.tasks import find

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])

_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


class ArtifactLinks(Model):
    self: str


class ArtifactView(Model):
    """One artifact."""

    name: str
    size: int = Field(description="bytes")
    media_type: str
    sha256: str
    links: ArtifactLinks


class ArtifactList(Model):
    """In the order of the task's steps."""

    artifacts: tuple[ArtifactView, ...]


@router.get("/{task_id}/artifacts", operation_id="listArtifacts")
async def index(
    task_id: str, gateway: GatewayOf, caller: Annotated[Principal, Depends(may("readArtifact"))]
) -> ArtifactList:
    """What can be fetched now."""
    found = await fetchable(gateway, caller, task_id)
    return ArtifactList(artifacts=tuple(_view(task_id, name, content) for name, content in found.items()))


@router.get(
    "/{task_id}/artifacts/{name}",
    operation_id="readArtifact",
    response_class=Response,
    responses={
        200: {"description": "the artifact", "content": {kind: {} for kind in sorted(set(MEDIA_TYPES.values()))}},
        304: {"description": "not modified"},
    },
)
async def fetch(
    task_id: str,
    name: str,
    gateway: GatewayOf,
    caller: Annotated[Principal, Depends(may("readArtifact"))],
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """One artifact. What a task makes is nobody's but its own: it is offered for saving, never for display."""
    content = (await fetchable(gateway, caller, task_id)).get(name)
    if content is None:
        raise problems.not_found("the task has no such artifact (yet)")
    tag = f'"{sha256(content)}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
    }
    if if_none_match and _matches(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    if isinstance(content, Rendered):
        return Response(content.data, headers=headers, media_type=MEDIA_TYPES[name])
    return StoredArtifact(gateway, content, headers, MEDIA_TYPES[name])


class StoredArtifact(Response):
    """An artifact that is in memory only while it is sent, and only when there is room for it."""

    def __init__(self, gateway: Gateway, ref: ArtifactRef, headers: dict[str, str], media_type: str) -> None:
        super().__init__(headers=headers, media_type=media_type)
        self._gateway, self._ref = gateway, ref

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._gateway.artifact_memory.take(self._ref.size):
            data = await self._gateway.artifacts.get(self._ref)
            headers = {name: value for name, value in self.headers.items() if name != "content-length"}
            await Response(data, headers=headers)(scope, receive, send)


def _matches(if_none_match: str, tag: str) -> bool:
    """RFC 9110 section 13.1.2: `*`, or a list of entity tags, of which weak ones count as well."""
    return if_none_match.strip() == "*" or tag in _ENTITY_TAG.findall(if_none_match)


async def fetchable(gateway: Gateway, caller: Principal, task: str) -> dict[str, ArtifactRef | Rendered]:
    """What the task has made so far, by name. Raises a 404 problem."""
    entry = await find(gateway, caller, task)
    return available(entry.state) if entry.state else {}


def _view(task: str, name: str, content: ArtifactRef | Rendered) -> ArtifactView:
    return ArtifactView(
        name=name,
        size=len(content.data) if isinstance(content, Rendered) else content.size,
        media_type=MEDIA_TYPES[name],
        sha256=sha256(content),
        links=ArtifactLinks(self=f"{router.prefix}/{task}/artifacts/{name}"),
    )


def sha256(content: ArtifactRef | Rendered) -> str:
    """In hex."""
    return hashlib.sha256(content.data).hexdigest() if isinstance(content, Rendered) else content.sha256
