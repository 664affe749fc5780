"""/oauth/token and the documents that describe it; only where the embedded issuer is configured.

What is wrong with a request to the token endpoint is said in the form of RFC 6749, because OAuth clients read no other;
only a body that is too large, or one request too many, never gets that far.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from worksite.gateway import problems
from worksite.gateway.auth.issuer import AUTH_METHODS, Issuer, TokenRequest
from worksite.gateway.body import FORM, JSON, require_media_type
from worksite.gateway.gateway import Gateway, GatewayOf

router = APIRouter(tags=["tokens"])

_MAX_FIELDS = 20
_BODY_SECONDS = 5.0
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
_TOKEN_SCHEMA = {
    "type": "object",
    "required": ["access_token", "token_type", "expires_in"],
    "properties": {
        "access_token": {"type": "string"},
        "token_type": {"const": "Bearer"},
        "expires_in": {"type": "integer", "description": "seconds"},
    },
}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "a token (RFC 6749 section 5.1)", "content": {JSON: {"schema": _TOKEN_SCHEMA}}},
    400: {"description": "refused (RFC 6749 section 5.2)", "content": {JSON: {"schema": _ERROR_SCHEMA}}},
    401: {"description": "an unknown client or a wrong secret", "content": {JSON: {"schema": _ERROR_SCHEMA}}},
}
_CACHED = {"Cache-Control": "public, max-age=300"}


@router.post(
    "/oauth/token",
    operation_id="issueToken",
    response_class=Response,
    responses=_ANSWERS,
    openapi_extra={"requestBody": {"required": True, "content": {FORM: {"schema": _FORM_SCHEMA}}}},
)
async def issue(request: Request, gateway: GatewayOf) -> Response:
    """Client credentials (RFC 6749 section 4.4): HTTP Basic or form fields in, a token for 15 minutes out."""
    gateway.rate_limiter.admit_stranger(request)
    body = await _body(request)
    try:
        require_media_type(request, FORM)
        form = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=_MAX_FIELDS)
    except (problems.ProblemError, ValueError):
        return _invalid_request(f"Send a form: {FORM}, in UTF-8, with {_MAX_FIELDS} fields at most")
    answer = _issuer(gateway).answer(TokenRequest(request.headers, tuple(form)))
    return JSONResponse(answer.body, answer.status, answer.headers)


async def _body(request: Request) -> bytes:
    """Whoever asks is a stranger yet, and may not hold a connection for long."""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.body()
    except TimeoutError:
        raise problems.too_slow(_BODY_SECONDS) from None


def _invalid_request(description: str) -> JSONResponse:
    """RFC 6749 section 5.2."""
    document = {"error": "invalid_request", "error_description": description}
    return JSONResponse(document, 400, {"Cache-Control": "no-store", "Pragma": "no-cache"})


@router.get("/.well-known/jwks.json", operation_id="readKeys")
async def keys(gateway: GatewayOf) -> JSONResponse:
    """The keys that verify the issuer's tokens (RFC 7517)."""
    return JSONResponse(_issuer(gateway).public_keys(), headers=_CACHED)


@router.get("/.well-known/oauth-authorization-server", operation_id="readIssuerMetadata")
async def metadata(request: Request, gateway: GatewayOf) -> JSONResponse:
    """What the issuer offers (RFC 8414)."""
    base = public_url(request, _issuer(gateway).name)
    document: dict[str, Any] = {
        "issuer": _issuer(gateway).name,
        "token_endpoint": f"{base}/oauth/token",
        "jwks_uri": f"{base}/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
    }
    return JSONResponse(document, headers={"Cache-Control": "no-store"})


def public_url(request: Request, issuer: str) -> str:
    """Where clients reach us: the issuer's name where it is a URL, else as this request did."""
    return issuer.rstrip("/") if issuer.startswith(("https://", "http://")) else str(request.base_url).rstrip("/")


def _issuer(gateway: Gateway) -> Issuer:
    assert gateway.issuer is not None, "mounted only with an issuer"
    return gateway.issuer
