"""Errors as the client sees them: ``application/problem+json`` (RFC 9457)."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A refusal with a stable ``code`` for programs and a ``detail`` for people."""

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    detail: str
    headers: Mapping[str, str] = {}


class UnknownSource(Problem):
    """A delivery from a source that has no secret here."""

    status = HTTPStatus.NOT_FOUND
    code = "unknown-source"
    detail = "There is no source with this name."


class InvalidSignature(Problem):
    """Not signed by the source; says the same whatever is missing or wrong."""

    status = HTTPStatus.UNAUTHORIZED
    code = "invalid-signature"
    detail = "The webhook- headers (id, timestamp, signature) do not sign this body."
    headers: Mapping[str, str] = {"WWW-Authenticate": "Webhook-Signature"}


class StaleTimestamp(Problem):
    """Signed by the source, but not now. Only who can sign learns of it."""

    status = HTTPStatus.UNAUTHORIZED
    code = "stale-timestamp"
    detail = "The timestamp is too far from this service's clock."
    headers: Mapping[str, str] = {"WWW-Authenticate": "Webhook-Signature"}


class DeliveryIdReused(Problem):
    """Two deliveries with one id: accepting the second would lose it or handle it twice."""

    status = HTTPStatus.CONFLICT
    code = "delivery-id-reused"
    detail = "This delivery id was accepted with another body."


class BodyTooLarge(Problem):
    """The body is larger than this service takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "body-too-large"

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.detail = f"The body may have at most {limit} bytes."


class InvalidAdminToken(Problem):
    """No administrator."""

    status = HTTPStatus.UNAUTHORIZED
    code = "invalid-token"
    detail = "The admin token is required."
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class NotFound(Problem):
    """No delivery has this id."""

    status = HTTPStatus.NOT_FOUND
    code = "not-found"
    detail = "There is no delivery with this id."


class NotDead(Problem):
    """Only dead letters can be redriven or purged."""

    status = HTTPStatus.CONFLICT
    code = "not-dead"
    detail = "This delivery is no dead letter."


def install(app: FastAPI) -> None:
    """Make every error response of the app a problem document."""
    app.exception_handler(Problem)(_on_problem)
    app.exception_handler(RequestValidationError)(_on_invalid_request)
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(Exception)(_on_crash)


def _respond(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    # ASCII only: a client may have sent, and we may quote, text that UTF-8 cannot encode.
    return Response(json.dumps(body | more), status, headers, MEDIA_TYPE)


def _on_problem(_request: Request, error: Problem) -> Response:
    return _respond(error.status, error.code, error.detail, error.headers)


def _on_invalid_request(_request: Request, error: RequestValidationError) -> Response:
    faults = [
        {"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]}
        for fault in error.errors()
    ]
    detail = "The request does not have the expected form."
    return _respond(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail, errors=faults)


def _on_http_exception(_request: Request, error: HTTPException) -> Response:
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return _respond(error.status_code, code, str(error.detail), error.headers)


def _on_crash(_request: Request, _error: Exception) -> Response:
    detail = "The service failed to answer. The cause is in its log."
    return _respond(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-server-error", detail)
