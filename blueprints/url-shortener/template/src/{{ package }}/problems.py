"""Errors as the client sees them: ``application/problem+json`` (RFC 9457)."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

MEDIA_TYPE = "application/problem+json"

NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store"}
"""What a visitor gets may be different at the next click, and must be counted."""


class Problem(HTTPException):
    """A refusal with a stable ``code`` for programs and a ``detail`` for people."""

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code


class UnknownLink(Problem):
    """A visitor asks for a code that no link has or had."""

    def __init__(self) -> None:
        super().__init__(404, "unknown-link", "There is no such link.", NO_STORE)


class LinkGone(Problem):
    """The link leads nowhere any more; why is nobody's business."""

    def __init__(self) -> None:
        super().__init__(410, "link-gone", "This link does not work any more.", NO_STORE)


class InvalidApiToken(Problem):
    """Not the owner of the token."""

    def __init__(self) -> None:
        detail = "The API token is required."
        super().__init__(401, "invalid-token", detail, {"WWW-Authenticate": "Bearer"})


class NotFound(Problem):
    """No link has this code."""

    def __init__(self) -> None:
        super().__init__(404, "not-found", "There is no link with this code.")


class AliasTaken(Problem):
    """A link has or had this alias, or the service needs it itself."""

    def __init__(self) -> None:
        detail = "This alias is taken. The aliases of deleted links are not given again."
        super().__init__(409, "alias-taken", detail)


class InvalidUrl(Problem):
    """Not a URL that may be stored."""

    def __init__(self, detail: str) -> None:
        super().__init__(422, "invalid-url", detail)


class OwnUrl(Problem):
    """A link to this service could lead to itself."""

    def __init__(self) -> None:
        super().__init__(422, "own-url", "A short link must not lead to this service.")


class DeniedHost(Problem):
    """The deny list has the host."""

    def __init__(self) -> None:
        super().__init__(422, "denied-host", "No short link may lead to this host.")


class ExpiryInThePast(Problem):
    """The link would not work for a moment."""

    def __init__(self) -> None:
        detail = "The expiry must be in the future. To end a link now, disable it."
        super().__init__(422, "expiry-in-the-past", detail)


class UnknownCursor(Problem):
    """A page is asked for that begins nowhere."""

    def __init__(self) -> None:
        detail = "There never was a link with the code that `before` names."
        super().__init__(422, "unknown-cursor", detail)


class MalformedJson(Problem):
    """The body is not JSON in UTF-8."""

    def __init__(self) -> None:
        super().__init__(400, "malformed-json", "The body is not JSON in UTF-8.")


class BodyTooLarge(Problem):
    """The body is larger than this service takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, "body-too-large", f"The body may have at most {limit} bytes.")


class UnsupportedMediaType(Problem):
    """The body is not declared as JSON."""

    def __init__(self) -> None:
        detail = "Send the body with Content-Type: application/json."
        super().__init__(415, "unsupported-media-type", detail)


def install(app: FastAPI) -> None:
    """Make every error response of the app a problem document."""
    app.exception_handler(Problem)(_on_problem)
    app.exception_handler(RequestValidationError)(_on_invalid_request)
    app.exception_handler(StarletteHTTPException)(_on_http_exception)
    app.exception_handler(Exception)(_on_crash)


def _respond(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    # ASCII only: a client may have sent, and we may quote, text that UTF-8 cannot encode.
    return Response(json.dumps(body | more), status, headers, MEDIA_TYPE)


def _on_problem(_request: Request, error: Problem) -> Response:
    return _respond(error.status_code, error.code, error.detail, error.headers)


def _on_invalid_request(_request: Request, error: RequestValidationError) -> Response:
    faults = [
        {"in": fault["loc"][0], "field": _name(fault["loc"][1:]), "message": fault["msg"]}
        for fault in error.errors()
    ]
    detail = "The request does not have the expected form."
    return _respond(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail, errors=faults)


def _name(location: Iterable[Any]) -> str:
    return ".".join(map(str, location))


def _on_http_exception(_request: Request, error: StarletteHTTPException) -> Response:
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return _respond(error.status_code, code, str(error.detail), error.headers)


def _on_crash(_request: Request, _error: Exception) -> Response:
    detail = "The service failed to answer. The cause is in its log."
    return _respond(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-server-error", detail)
