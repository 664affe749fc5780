"""Request bodies: limited while they stream in, JSON only, checked strictly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from worksite.gateway import problems

M = TypeVar("M", bound=BaseModel)

_BODY_SECONDS = 60.0
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


class BodyLimit:
    """Refuses a body by its declared length at once, and an undeclared (chunked) one as soon as it is too long.

    `own` holds the limits of paths that have one of their own, and of time too; elsewhere a body has a minute.
    Starlette's own limiter does the same but answers in plain text.
    """

    def __init__(self, app: ASGIApp, limit: int, own: Mapping[str, int]) -> None:
        self._app = app
        self._limit = limit
        self._own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._own.get(scope["path"], self._limit)
        if _declared_length(scope) > limit:
            await problems.body_too_large(limit).response()(scope, receive, send)
            return
        received, more = 0, True
        end = None if scope["path"] in self._own else asyncio.get_running_loop().time() + _BODY_SECONDS

        async def limited() -> Message:
            nonlocal received, more
            try:
                async with asyncio.timeout_at(end if more else None):  # later it is only asked whether the client left
                    message = await receive()
            except TimeoutError:
                raise problems.too_slow(_BODY_SECONDS) from None
            received, more = received + len(message.get("body", b"")), message.get("more_body", False)
            if received > limit:
                raise problems.body_too_large(limit)
            return message

        await self._app(scope, limited, send)


def _declared_length(scope: Scope) -> int:
    """0 where nothing sensible is declared: what arrives is counted anyway."""
    declared = Headers(scope=scope).get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0


def json_body(model: type[M], *, optional: bool = False) -> Callable[[Request], Awaitable[M]]:
    """A dependency that reads the body as `model`: no coercion of types, no unknown fields. See `json_schema`."""

    async def read(request: Request) -> M:
        data = await request.body()
        if optional and not data:
            return model()
        require_media_type(request, JSON)
        try:
            return model.model_validate_json(data, strict=True)
        except ValidationError as error:
            raise problems.invalid(error) from error

    return read


def json_schema(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The body's place in the OpenAPI document; FastAPI cannot see it, as it does not parse the body itself."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": required, "content": {JSON: {"schema": schema}}}}


def require_media_type(request: Request, *wanted: str) -> str:
    """The body's media type, one of the wanted. Raises a 415 problem."""
    given = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if given not in wanted:
        detail = f"send the body as {' or '.join(wanted)}"
        raise problems.ProblemError(415, "unsupported-media-type", "Unsupported media type", detail)
    return given
