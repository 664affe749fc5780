"""Lists that come in pages: what a client asks for, and where the next page is."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from worksite.gateway import problems
from worksite.gateway.domain import cursors

MAX_LIMIT = 200

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="at most so many")]
Cursor = Annotated[
    str | None, Query(max_length=cursors.MAX_LENGTH, description="`next` of the page before, or left out")
]


def position(kind: cursors.Kind, cursor: str | None) -> str | None:
    """Where the page before ended; None for the first. Raises a 400 problem."""
    if cursor is None:
        return None
    found = cursors.decode(kind, cursor)
    if found is None:
        raise problems.malformed("malformed-cursor", "cursor must be the `next` of a page of this list, unchanged")
    return found


def link_next(request: Request, response: Response, cursor: str | None) -> None:
    """Say it in the header as well (RFC 8288), relative to the list and with the same filters."""
    if cursor is not None:
        query = request.url.include_query_params(cursor=cursor).query
        response.headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
