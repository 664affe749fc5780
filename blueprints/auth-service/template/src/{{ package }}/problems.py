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


class EmailTaken(Problem):
    """Registration with an address that already has an account."""

    status = HTTPStatus.CONFLICT
    code = "email-taken"
    detail = "An account with this e-mail address exists."


class WeakPassword(Problem):
    """A new password that the policy refuses."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "weak-password"

    def __init__(self, weakness: str) -> None:
        super().__init__(weakness)
        self.detail = f"The password {weakness}."


class InvalidCredentials(Problem):
    """A failed login; says the same for an unknown account as for a wrong password."""

    status = HTTPStatus.UNAUTHORIZED
    code = "invalid-credentials"
    detail = "The e-mail address or the password is wrong."


class WrongPassword(Problem):
    """The current password, asked for again, is wrong."""

    status = HTTPStatus.FORBIDDEN
    code = "wrong-password"
    detail = "The current password is wrong."


class TooManyAttempts(Problem):
    """The address is locked for a while."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too-many-attempts"
    detail = "Too many attempts. Try again later."

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds)
        self.headers = {"Retry-After": str(retry_after_seconds)}


class InvalidAccessToken(Problem):
    """No access token, or one that is not (or no longer) valid."""

    status = HTTPStatus.UNAUTHORIZED
    code = "invalid-token"
    detail = "A valid access token is required."
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class InvalidRefreshToken(Problem):
    """A refresh token that is unknown, used, expired or revoked."""

    status = HTTPStatus.UNAUTHORIZED
    code = "invalid-refresh-token"
    detail = "The refresh token is not valid."


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
    # FastAPI's own answer quotes the input, which may be a password.
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
