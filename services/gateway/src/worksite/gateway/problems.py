"""Every error the gateway answers, as RFC 9457 problem documents; the only place that knows HTTP status codes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from worksite.common import telemetry
from worksite.common.errors import (
    ArtifactMissing,
    BusUnavailable,
    PayloadTooLarge,
    QueueFull,
    Retryable,
    ServiceUnavailable,
    WorksiteError,
)
from worksite.gateway.domain.heads import MAX_HEAD_BYTES, MAX_HEADERS, Fault

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
QUEUE_RETRY_SECONDS = 10
ROOM_RETRY_SECONDS = 60
_MAX_ERRORS = 20


class FieldError(BaseModel):
    """What is wrong with one field; never its value."""

    field: str = Field(description="path of the field, e.g. options.max_rounds; empty: the whole body")
    message: str


class ProblemDocument(BaseModel):
    """RFC 9457, with two members of our own: `trace_id` and `errors`."""

    type: str = Field(description="stable: urn:worksite:problem:<slug>")
    title: str
    status: int
    detail: str
    trace_id: str | None = Field(default=None, description="what an operator can search the logs for")
    errors: tuple[FieldError, ...] = Field(default=(), description="validation: one per field")


class ProblemError(Exception):
    """Ends the request with a problem document."""

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{slug}: {detail}")
        self.status, self.slug, self.title, self.detail = status, slug, title, detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The document as it goes out."""
        document = ProblemDocument(
            type=f"urn:worksite:problem:{self.slug}",
            title=self.title,
            status=self.status,
            detail=self.detail,
            trace_id=telemetry.current_trace_id(),
            errors=self.errors,
        )
        body = document.model_dump_json(exclude=None if self.errors else {"errors"})
        return Response(body, self.status, self.headers | {"Cache-Control": "no-store"}, MEDIA_TYPE)


def malformed(slug: str, detail: str) -> ProblemError:
    """400: cannot be read at all."""
    return ProblemError(400, slug, "Malformed request", detail)


def unfit_head(fault: Fault) -> ProblemError:
    """400, 415 or 431: what must not be guessed at. The connection of a length told twice is not used again."""
    match fault:
        case "too-large":
            detail = f"a request has at most {MAX_HEADERS} headers of {MAX_HEAD_BYTES} bytes together"
            return ProblemError(431, "head-too-large", "Request header fields too large", detail)
        case "ambiguous-length":
            detail = "Content-Length and Transfer-Encoding exclude each other"
            return ProblemError(400, "ambiguous-length", "Malformed request", detail, headers={"Connection": "close"})
        case "repeated":
            return malformed("repeated-header", "a header that may be there once is there twice")
        case "encoded":
            detail = "a body is taken as it is: send it without Content-Encoding"
            headers = {"Accept-Encoding": "identity"}
            return ProblemError(
                415, "unsupported-content-encoding", "Unsupported content encoding", detail, headers=headers
            )
        case "token-in-url":
            detail = "a token in a URL ends up in logs: send it as Authorization: Bearer …, and have this one revoked"
            return malformed("token-in-url", detail)


def not_found(detail: str = "there is no such task") -> ProblemError:
    """404, the same words for what does not exist and for what belongs to somebody else."""
    return ProblemError(404, "not-found", "Not found", detail)


def unauthenticated(detail: str, challenge: str) -> ProblemError:
    """401 with its challenge (RFC 6750)."""
    headers = {"WWW-Authenticate": challenge}
    return ProblemError(401, "unauthenticated", "Unauthenticated", detail, headers=headers)


def forbidden(action: str) -> ProblemError:
    """403: a known principal whom no policy lets do this."""
    return ProblemError(403, "forbidden", "Forbidden", f"your roles do not allow {action}")


def foreign_origin() -> ProblemError:
    """403: a web page that nobody allowed asks in somebody's browser."""
    detail = "requests of web pages of this Origin are not taken: an operator may allow it in MCP_ALLOWED_ORIGINS"
    return ProblemError(403, "foreign-origin", "Forbidden", detail)


def body_too_large(limit: int) -> ProblemError:
    """413."""
    return ProblemError(413, "body-too-large", "Body too large", f"at most {limit} bytes are accepted")


def does_not_fit(field: str, message: str) -> ProblemError:
    """422 for one field that only what is stored speaks against."""
    return _invalid([((field,), message)])


def no_file_fits(refused: Sequence[tuple[str, str]]) -> ProblemError:
    """422: not one file of a form was taken; the paths, and why."""
    return _invalid([((path,), message) for path, message in refused])


def key_reused() -> ProblemError:
    """422: an idempotency key stands for one body."""
    detail = "this Idempotency-Key was used for a different body: take a new one"
    return ProblemError(422, "idempotency-key-reused", "Idempotency key reused", detail)


def not_that_archive(detail: str) -> ProblemError:
    """422: the body is no archive, or another kind than it was declared as."""
    return ProblemError(422, "not-that-archive", "Not that archive", detail)


def too_slow(seconds: float) -> ProblemError:
    """408."""
    detail = f"the body did not arrive within {seconds:.0f} s; send it again"
    return ProblemError(408, "too-slow", "Request timeout", detail)


def too_many_uploads() -> ProblemError:
    """429: the tenant has its share of uploads under way."""
    detail = "this tenant has as many uploads under way as it may; try again when one has ended"
    headers = _retry_after(QUEUE_RETRY_SECONDS)
    return ProblemError(429, "too-many-uploads", "Too many uploads", detail, headers=headers)


def uploads_busy() -> ProblemError:
    """503: all tenants together have."""
    detail = "too many uploads are under way; try again"
    return ProblemError(503, "uploads-busy", "Unavailable", detail, headers=_retry_after(QUEUE_RETRY_SECONDS))


def uploads_full(limit: int) -> ProblemError:
    """507: the tenant has had its share of the bus's room."""
    detail = f"this tenant's uploads would be more than {limit} bytes: wait until some expire, each after a week"
    return ProblemError(507, "uploads-full", "Insufficient storage", detail)


def storage_full() -> ProblemError:
    """507: the disk or the bus has no room for an upload."""
    detail = "there is no room for this archive now; an operator has to make some"
    return ProblemError(507, "storage-full", "Insufficient storage", detail)


def no_room(stores: Sequence[str]) -> ProblemError:
    """507: what is left is for the tasks at work."""
    detail = f"no new work is taken while {' and '.join(stores)} are nearly full: an operator has to make room"
    headers = _retry_after(ROOM_RETRY_SECONDS)
    return ProblemError(507, "storage-full", "Insufficient storage", detail, headers=headers)


def invalid(error: ValidationError) -> ProblemError:
    """400 for what is not JSON, 422 for JSON that does not fit; neither echoes the input."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return malformed("malformed-json", "the body is not valid JSON")
    return _invalid([(entry["loc"], entry["msg"]) for entry in found if not _follows(entry, found)])


def _follows(entry: ErrorDetails, found: Sequence[ErrorDetails]) -> bool:
    """A list is also said to be too short where only its items do not fit; that is no second error."""
    depth = len(entry["loc"])
    within = (other for other in found if len(other["loc"]) > depth and other["loc"][:depth] == entry["loc"])
    return entry["type"] == "too_short" and any(within)


def knowledge_full() -> ProblemError:
    """507: the bus has no room for more documents."""
    detail = "there is no room for more documents; delete some, or ask an operator to make room"
    return ProblemError(507, "knowledge-full", "Insufficient storage", detail)


def rate_limited(limits: str, wait_seconds: int) -> ProblemError:
    """429: more requests than the named limits allow."""
    detail = f"too many requests for this {limits}; try again in {wait_seconds} s"
    return ProblemError(429, "rate-limited", "Too many requests", detail, headers=_retry_after(wait_seconds))


def internal() -> ProblemError:
    """500: our fault, said without details."""
    return ProblemError(
        500, "internal", "Internal error", "the gateway failed; the trace id leads an operator to the reason"
    )


def of(error: Exception) -> ProblemError:
    """The problem that an exception means to a client."""
    match error:
        case ProblemError():
            return error
        case RequestValidationError():
            return _invalid([(entry["loc"][1:], entry["msg"]) for entry in error.errors()])
        case HTTPException():
            return _of_http(error)
        case ClientDisconnect():  # nobody reads this, but it is no fault of ours either
            return malformed("incomplete-body", "the connection ended before the body did")
        case WorksiteError():
            return _of_ours(error)
        case _:
            return internal()


def install(app: FastAPI) -> None:
    """Make every error that a handler raises a problem document."""

    async def answer(_: Request, error: Exception) -> Response:
        problem = of(error)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("answered %d: %s", problem.status, error)
        return problem.response()

    for kind in (ProblemError, HTTPException, RequestValidationError, ClientDisconnect, WorksiteError):
        app.add_exception_handler(kind, answer)


def _of_ours(error: WorksiteError) -> ProblemError:
    match error:
        case QueueFull():
            detail = "this tenant has as much waiting as it may; try again when some of it has been taken up"
            return ProblemError(429, "queue-full", "Queue full", detail, headers=_retry_after(QUEUE_RETRY_SECONDS))
        case BusUnavailable():
            return _unavailable("bus-unavailable", "the message bus does not answer")
        case ServiceUnavailable():
            return _unavailable("service-unavailable", "a service that this needs does not answer")
        case Retryable():
            return _unavailable("unavailable", "not possible right now")
        case PayloadTooLarge():
            detail = "the task is larger than a message may be: put details into the project's files"
            return ProblemError(413, "task-too-large", "Task too large", detail)
        case ArtifactMissing():
            return not_found("the artifact has expired")
        case _:
            return internal()


def _of_http(error: HTTPException) -> ProblemError:
    """Starlette's own: no such path, wrong method."""
    phrase = HTTPStatus(error.status_code).phrase
    slug = phrase.lower().replace(" ", "-")
    details = {404: "there is nothing at this path", 405: "this path does not take this method"}
    detail = details.get(error.status_code, phrase)
    return ProblemError(error.status_code, slug, phrase, detail, headers=error.headers)


def _unavailable(slug: str, detail: str) -> ProblemError:
    return ProblemError(503, slug, "Unavailable", f"{detail}; try again", headers=_retry_after(RETRY_SECONDS))


def _retry_after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def _invalid(found: Sequence[tuple[Sequence[Any], str]]) -> ProblemError:
    errors = [FieldError(field=_path(path), message=text.removeprefix("Value error, ")) for path, text in found]
    names = ", ".join(error.field or "body" for error in errors[:3])
    return ProblemError(
        422, "invalid-request", "Invalid request", f"does not fit: {names}", errors=errors[:_MAX_ERRORS]
    )


def _path(parts: Sequence[Any]) -> str:
    """An unknown field is named by the client, so its length is not ours to trust."""
    return ".".join(str(part) for part in parts)[:200]
