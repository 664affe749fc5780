"""/mcp: the same doors for Claude Code, Claude Desktop and other clients of the Model Context Protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Receive, Scope, Send
from worksite.gateway import problems
from worksite.gateway.auth.access import REALM, Bearer, authenticated
from worksite.gateway.gateway import Gateway, GatewayOf
from worksite.gateway.routes.tokens import public_url

PATH = "/mcp"
_METADATA = f"/.well-known/oauth-protected-resource{PATH}"
_ACTION = "mcp"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Mcp:
    """`origins`: web pages that may call. `authorization_server`: who issues tokens; None: that has no URL."""

    sessions: StreamableHTTPSessionManager
    origins: frozenset[str]
    authorization_server: str | None


async def _of(request: Request) -> Mcp:
    return request.app.state.mcp


McpOf = Annotated[Mcp, Depends(_of)]


@router.post(PATH, response_class=Response)
async def message(request: Request, gateway: GatewayOf, mcp: McpOf, bearer: Bearer) -> Response:
    """One message of a client and its answer. Sessions and streams are not offered: GET and DELETE get 405."""
    origin = request.headers.get("origin")
    if origin is not None and origin not in mcp.origins:
        raise problems.foreign_origin()
    realm = (
        f'{REALM}, resource_metadata="{_own_url(request, gateway)}{_METADATA}"' if mcp.authorization_server else REALM
    )
    request.state.caller = await authenticated(request, gateway, bearer, realm)
    gateway.rate_limiter.admit(request, request.state.caller, _ACTION)
    return _Answer(mcp.sessions)


@router.get(_METADATA)
async def metadata(request: Request, gateway: GatewayOf, mcp: McpOf) -> JSONResponse:
    """Where a client gets a token (RFC 9728), as the protocol wants it. Raises a 404 problem where that has no URL."""
    if mcp.authorization_server is None:
        raise problems.not_found("tokens come from an issuer whose name is no URL: see JWT_ISSUER")
    document: dict[str, Any] = {
        "resource": f"{_own_url(request, gateway)}{PATH}",
        "authorization_servers": [mcp.authorization_server],
        "bearer_methods_supported": ["header"],
        "resource_name": "Worksite",
    }
    return JSONResponse(document, headers={"Cache-Control": "no-store"})


def _own_url(request: Request, gateway: Gateway) -> str:
    return public_url(request, gateway.issuer.name if gateway.issuer else "")


class _Answer(Response):
    """The SDK answers in ASGI's own terms."""

    def __init__(self, sessions: StreamableHTTPSessionManager) -> None:
        super().__init__()
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._sessions.handle_request(scope, receive, send)
