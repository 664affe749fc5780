"""Request bodies: declared as JSON, of bounded size."""

import json
from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from .problems import BodyTooLarge, MalformedJson, UnsupportedMediaType


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
        text = await self.body()
        try:
            return json.loads(text.decode())
        except (ValueError, RecursionError):
            raise MalformedJson from None


def _require_json(request: Request) -> None:
    message = Message()
    message["content-type"] = request.headers.get("content-type", "none")
    if message.get_content_type() != "application/json":
        raise UnsupportedMediaType
