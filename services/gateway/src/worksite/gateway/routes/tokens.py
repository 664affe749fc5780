"""/oauth/token and the documents that describe it; only where the embedded issuer is configured.

Errors of the token endpoint have the form that RFC 6749 prescribes, because OAuth clients read no other.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from worksite.gateway import problems
from worksite.gateway.auth.issuer import AUTH_METHODS, Issuer, TokenRequest
from worksite.gateway.body import FORM, require_media_type
from worksite.gateway.gateway import Gateway, GatewayOf

router = APIRouter(tags=["tokens"])

_MAX_FIELDS = 20
_FORM_SCHEMA = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"const": "client_credentials"},
        "tenant": {"type": "string", "description": "whom to act for; may be left out where the client has one tenant"},
        "role": {"type": "string", "description": "roles, separated by spaces; default: all the client has"},
        "client_id": {"type": "string"},
        "client_secret": {"type": "string"},
    },
}
_CACHED = {"Cache-Control": "public, max-age=300"}


@router.post(
    "/oauth/token",
    operation_id="issueToken",
    openapi_extra={"requestBody": {"required": True, "content": {FORM: {"schema": _FORM_SCHEMA}}}},
)
async def issue(request: Request, gateway: GatewayOf) -> Response:
    """Client credentials (RFC 6749 section 4.4): HTTP Basic or form fields in, a token for 15 minutes out."""
    require_media_type(request, FORM)
    body = await request.body()
    try:
        form = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise problems.malformed("malformed-form", "the body is not a valid form") from error
    answer = _issuer(gateway).answer(TokenRequest(request.headers, tuple(form)))
    return JSONResponse(answer.body, answer.status, answer.headers)


@router.get("/.well-known/jwks.json", operation_id="readKeys")
async def keys(gateway: GatewayOf) -> JSONResponse:
    """The keys that verify the issuer's tokens (RFC 7517)."""
    return JSONResponse(_issuer(gateway).public_keys(), headers=_CACHED)


@router.get("/.well-known/oauth-authorization-server", operation_id="readIssuerMetadata")
async def metadata(request: Request, gateway: GatewayOf) -> JSONResponse:
    """What the issuer offers (RFC 8414)."""
    base = _public_url(request, _issuer(gateway).name)
    document: dict[str, Any] = {
        "issuer": _issuer(gateway).name,
        "token_endpoint": f"{base}/oauth/token",
        "jwks_uri": f"{base}/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
    }
    return JSONResponse(document, headers={"Cache-Control": "no-store"})


def _public_url(request: Request, issuer: str) -> str:
    """Where clients reach us: the issuer's name where it is a URL, else as this request did."""
    return issuer.rstrip("/") if issuer.startswith(("https://", "http://")) else str(request.base_url).rstrip("/")


def _issuer(gateway: Gateway) -> Issuer:
    assert gateway.issuer is not None, "mounted only with an issuer"
    return gateway.issuer
