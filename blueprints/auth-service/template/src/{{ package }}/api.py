"""The HTTP interface: translates between requests and use cases.

The endpoints are plain functions on purpose: they hash and wait for the database, so FastAPI runs
them in its thread pool and the event loop stays free.
"""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from . import accounts, audit, sessions
from .context import Context
from .models import Account
from .problems import MEDIA_TYPE, InvalidAccessToken
from .schemas import (
    AccountOut,
    CredentialsIn,
    EventOut,
    EventsOut,
    HealthOut,
    PasswordChangeIn,
    ProblemOut,
    RefreshTokenIn,
    TokensOut,
)
from .sessions import TokenPair

_PROBLEM: dict[str, Any] = {
    "description": "A problem document.",
    "content": {MEDIA_TYPE: {"schema": ProblemOut.model_json_schema()}},
}

MAX_EVENT_ID = 2**63 - 1  # what an SQLite integer holds

router = APIRouter(responses={"4XX": _PROBLEM})


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _ip(request: Request) -> str | None:
    return request.client.host if request.client else None


InContext = Annotated[Context, Depends(_context)]
Ip = Annotated[str | None, Depends(_ip)]
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


def _current_account(context: InContext, bearer: Bearer) -> Account:
    if bearer is None:
        raise InvalidAccessToken
    return sessions.authenticate(context, bearer.credentials)


CurrentAccount = Annotated[Account, Depends(_current_account)]


@router.post("/register", status_code=HTTPStatus.CREATED, tags=["accounts"])
def register(body: CredentialsIn, context: InContext, ip: Ip) -> AccountOut:
    """Create an account."""
    account = accounts.register(context, body.email, body.password.get_secret_value(), ip)
    return AccountOut.model_validate(account)


@router.post("/login", tags=["sessions"])
def login(body: CredentialsIn, response: Response, context: InContext, ip: Ip) -> TokensOut:
    """Begin a session: an access token and a refresh token for the right password."""
    pair = accounts.log_in(context, body.email, body.password.get_secret_value(), ip)
    return _tokens(context, pair, response)


@router.post("/refresh", tags=["sessions"])
def refresh(body: RefreshTokenIn, response: Response, context: InContext, ip: Ip) -> TokensOut:
    """Exchange a refresh token for new tokens. Each works once; reuse ends the whole session."""
    return _tokens(context, sessions.refresh(context, body.refresh_token, ip), response)


@router.post("/logout", status_code=HTTPStatus.NO_CONTENT, tags=["sessions"])
def logout(body: RefreshTokenIn, context: InContext, ip: Ip) -> None:
    """End the session of a refresh token: all its refresh and access tokens stop at once."""
    sessions.end(context, body.refresh_token, ip)


@router.get("/me", tags=["accounts"])
def me(account: CurrentAccount) -> AccountOut:
    """Show the caller's account."""
    return AccountOut.model_validate(account)


@router.post("/me/password", status_code=HTTPStatus.NO_CONTENT, tags=["accounts"])
def change_password(
    body: PasswordChangeIn, account: CurrentAccount, context: InContext, ip: Ip
) -> None:
    """Change the password. Ends every session of the account, this one too."""
    current, new = body.current_password, body.new_password
    accounts.change_password(
        context, account, current.get_secret_value(), new.get_secret_value(), ip
    )


@router.get("/me/events", tags=["accounts"])
def events(
    account: CurrentAccount,
    context: InContext,
    before: Annotated[int | None, Query(ge=1, le=MAX_EVENT_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> EventsOut:
    """List the caller's own audit events, newest first."""
    with context.database.read() as tx:
        page = audit.list_events(tx, account.id, before, limit)
    oldest = page[-1].id if len(page) == limit else None
    return EventsOut(events=[EventOut.model_validate(event) for event in page], next=oldest)


@router.get("/healthz", tags=["operations"])
def health(context: InContext) -> HealthOut:
    """Tell whether the service and its database answer."""
    context.database.ping()
    return HealthOut()


def _tokens(context: Context, pair: TokenPair, response: Response) -> TokensOut:
    response.headers["Cache-Control"] = "no-store"
    return TokensOut(
        access_token=pair.access_token,
        refresh_token=pair.refresh_token,
        expires_in=context.settings.access_token_seconds,
    )
