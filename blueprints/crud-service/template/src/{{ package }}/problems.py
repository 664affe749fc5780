"""Errors as the client sees them: ``application/problem+json`` (RFC 9457)."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """A refusal with a stable ``code`` for programs and a ``detail`` for people."""

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code


class NotFound(Problem):
    """No record has this id."""

    def __init__(self) -> None:
        super().__init__(404, "not-found", "There is no record with this id.")


class PreconditionFailed(Problem):
    """The record is not in the state that the client has seen."""

    def __init__(self) -> None:
        super().__init__(412, "changed-meanwhile", "The record has changed since: fetch it again.")


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

    def __init__(self, allowed: list[str]) -> None:
        detail = f"Send the body with Content-Type: {' or '.join(allowed)}."
        super().__init__(415, "unsupported-media-type", detail)


class InvalidQuery(Problem):
    """A query parameter that does not fit what the service holds."""

    def __init__(self, detail: str) -> None:
        super().__init__(422, "invalid-request", detail)


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
