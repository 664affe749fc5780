"""Request bodies: declared as JSON, of bounded size, with exact numbers."""

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from email.message import Message
from typing import Any, Never

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from .problems import BodyTooLarge, MalformedJson, UnsupportedMediaType

MERGE_PATCH = "application/merge-patch+json"

STRICT = ConfigDict(extra="forbid", strict=True)


class Input(BaseModel):
    """A request body: unknown fields are refused and nothing is converted."""

    model_config = STRICT


class JsonRoute(APIRoute):
    """A route whose body, if it takes one, must be JSON within the limit."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Check the media type before anything is read."""
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            if self.body_field:
                _require_json(request)
            return await handle(_JsonRequest(request.scope, request.receive))

        return handle_json


class _JsonRequest(Request):
    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            limit: int = self.app.state.context.settings.max_body_bytes
            body = bytearray()
            async for chunk in self.stream():
                body += chunk
                if len(body) > limit:
                    raise BodyTooLarge(limit)
            self._body = bytes(body)
        return self._body

    async def json(self) -> Any:
        # Decimal: a float would already have changed the number.
        text = await self.body()
        try:
            return json.loads(text.decode(), parse_float=Decimal, parse_constant=_refuse)
        except (ValueError, ArithmeticError, RecursionError):
            raise MalformedJson from None


def _require_json(request: Request) -> None:
    message = Message()
    message["content-type"] = request.headers.get("content-type", "none")
    allowed = ["application/json", *([MERGE_PATCH] if request.method == "PATCH" else [])]
    if message.get_content_type() not in allowed:
        raise UnsupportedMediaType(allowed)


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")
