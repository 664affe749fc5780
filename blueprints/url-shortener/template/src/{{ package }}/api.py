"""The HTTP interface: translates between requests and use cases.

The endpoints are plain functions on purpose: they wait for the database, so FastAPI runs them in its
thread pool and the event loop stays free.
"""

import hmac
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator

from . import clicks, links
from .bodies import JsonRoute
from .context import Context
from .models import Link, State
from .problems import MEDIA_TYPE, NO_STORE, InvalidApiToken
from .schemas import (
    DayOut,
    HealthOut,
    LinkIn,
    LinkOut,
    LinkPatch,
    LinksOut,
    ProblemOut,
    StatisticsOut,
)

_PROBLEM: dict[str, Any] = {
    "description": "A problem document.",
    "content": {MEDIA_TYPE: {"schema": ProblemOut.model_json_schema()}},
}
# A stored redirect would go on after the link has ended, and nobody would count it.
_REDIRECT: dict[str, Any] = {
    "status_code": HTTPStatus.TEMPORARY_REDIRECT,
    "response_class": Response,
    "tags": ["visitors"],
}


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


InContext = Annotated[Context, Depends(_context)]
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


def _require_token(context: InContext, bearer: Bearer) -> None:
    presented = bearer.credentials if bearer else ""
    token = context.settings.api_token.get_secret_value()
    if not hmac.compare_digest(presented.encode(errors="replace"), token.encode()):
        raise InvalidApiToken


Code = Annotated[str, Path(), AfterValidator(str.lower)]
Before = Annotated[str | None, Query(), AfterValidator(lambda code: code and code.lower())]
Limit = Annotated[int, Query(ge=1, le=100)]
Days = Annotated[int, Query(ge=1, le=366)]

management = APIRouter(
    route_class=JsonRoute,
    dependencies=[Depends(_require_token)],
    responses={"4XX": _PROBLEM},
    tags=["links"],
)
public = APIRouter(responses={"4XX": _PROBLEM})


@management.post("/links", status_code=HTTPStatus.CREATED)
def create_link(body: LinkIn, response: Response, context: InContext) -> LinkOut:
    """Create a short link."""
    link = links.create(context, body.url, body.alias, body.expires_at)
    response.headers["Location"] = f"/links/{link.code}"
    return _show(context, link)


@management.get("/links")
def list_links(
    context: InContext, state: State | None = None, before: Before = None, limit: Limit = 50
) -> LinksOut:
    """List links, newest first."""
    page = links.list_links(context, state, before, limit)
    oldest = page[-1].code if len(page) == limit else None
    return LinksOut(links=[_show(context, link) for link in page], next=oldest)


@management.get("/links/{code}")
def show_link(code: Code, context: InContext) -> LinkOut:
    """Show a link and how often it was followed."""
    return _show(context, links.show(context, code))


@management.patch("/links/{code}")
def change_link(code: Code, body: Annotated[LinkPatch, Body()], context: InContext) -> LinkOut:
    """Disable or enable a link, or let it end at another time."""
    return _show(context, links.change(context, code, body))


@management.delete("/links/{code}", status_code=HTTPStatus.NO_CONTENT)
def delete_link(code: Code, context: InContext) -> None:
    """Erase a link and its statistics. Its code is never given again."""
    links.remove(context, code)


@management.get("/links/{code}/statistics")
def show_statistics(code: Code, context: InContext, days: Days = 30) -> StatisticsOut:
    """Count the clicks of a link, in all and on each of the last days (UTC)."""
    link, per_day = clicks.statistics(context, code, days)
    shown = [DayOut(date=day, clicks=count) for day, count in per_day]
    return StatisticsOut(code=link.code, clicks=link.clicks, days=shown)


@public.get("/healthz", tags=["operations"])
def health(context: InContext) -> HealthOut:
    """Tell whether the service and its database answer."""
    context.database.ping()
    return HealthOut()


@public.get("/{code}", **_REDIRECT)
def follow(code: Code, context: InContext) -> Response:
    """Follow a link, and count it."""
    link = clicks.destination(context, code)
    clicks.count(context, link)
    return _redirect(link)


@public.head("/{code}", **_REDIRECT)
def look_up(code: Code, context: InContext) -> Response:
    """Tell where a link leads. Programs ask so before people click, so it is not counted."""
    return _redirect(clicks.destination(context, code))


def _redirect(link: Link) -> Response:
    headers = {"Location": link.url, **NO_STORE}
    return Response(status_code=HTTPStatus.TEMPORARY_REDIRECT, headers=headers)


def _show(context: Context, link: Link) -> LinkOut:
    return LinkOut(
        code=link.code,
        short_url=f"{context.settings.base_url}/{link.code}",
        url=link.url,
        state=link.state(context.clock()),
        created_at=link.created_at,
        expires_at=link.expires_at,
        clicks=link.clicks,
    )
