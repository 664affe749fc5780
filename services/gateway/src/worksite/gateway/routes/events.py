"""/v1/tasks/{id}/events: what happens to a task, live."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from worksite.gateway import problems, stream
from worksite.gateway.auth.access import may
from worksite.gateway.domain import sse
from worksite.gateway.domain.principal import Principal
from worksite.gateway.gateway import GatewayOf
from worksite.gateway.routes.tasks import find

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])

_DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "server-sent events", "content": {"text/event-stream": {}}},
    204: {"description": "the client has seen the task's last event: do not reconnect"},
}


class EventStream(StreamingResponse):
    """Closes its generator, and with it the subscription, however the connection ends."""

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncGenerator[bytes]) -> None:
        # X-Accel-Buffering: nginx would hold events back otherwise.
        super().__init__(frames, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._frames.aclose()


async def position(
    header: Annotated[str | None, Header(alias="Last-Event-ID", description="resume after this event")] = None,
    after: Annotated[str | None, Query(description="the same for a first request; the header wins")] = None,
) -> int:
    """The last event the client has seen; 0: none. Raises a 400 problem."""
    text = after if header is None else header
    if text is None:
        return 0
    seen = sse.position(text)
    if seen is None:
        raise problems.malformed("malformed-event-id", "Last-Event-ID and after must be the id of an event: a number")
    return seen


@router.get("/{task_id}/events", operation_id="readEvents", response_class=Response, responses=_DOCUMENTED)
async def follow(
    task_id: str,
    gateway: GatewayOf,
    caller: Annotated[Principal, Depends(may("readEvents"))],
    after: Annotated[int, Depends(position)],
    wait: Annotated[bool, Query(alias="follow", description="false: end after what is there now")] = True,
) -> Response:
    """Every event of the task from its first or after a given one, each exactly once; ends with the task."""
    await find(gateway, caller, task_id)
    place = stream.Place(caller.tenant, task_id, after)
    if await stream.is_over(gateway.bus, place):
        return Response(status_code=204)  # the one answer after which an EventSource does not reconnect

    async def admitted() -> bool:
        return await gateway.authenticator.still_admits(caller)

    return EventStream(stream.follow(gateway.bus, place, gateway.stop, admitted, wait=wait))
