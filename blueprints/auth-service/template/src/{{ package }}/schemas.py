"""Request and response bodies."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from .passwords import MAX_PASSWORD_LENGTH

# What HTML forms accept (WHATWG HTML, "valid e-mail address"), with at least two domain labels.
_LOCAL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = rf"^{_LOCAL}@{_LABEL}(?:\.{_LABEL})+$"

Email = Annotated[str, Field(max_length=254, pattern=_EMAIL), AfterValidator(str.lower)]


def _require_unicode(password: SecretStr) -> SecretStr:
    # JSON can escape half a surrogate pair, which is no character and has no UTF-8 to hash.
    if any("\ud800" <= character <= "\udfff" for character in password.get_secret_value()):
        raise ValueError("contains half a surrogate pair")
    return password


PasswordText = Annotated[
    SecretStr,
    Field(min_length=1, max_length=MAX_PASSWORD_LENGTH),
    AfterValidator(_require_unicode),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Response(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class CredentialsIn(_Request):
    """An e-mail address and a password."""

    email: Email
    password: PasswordText


class RefreshTokenIn(_Request):
    """A refresh token."""

    refresh_token: str = Field(min_length=1, max_length=200)


class PasswordChangeIn(_Request):
    """The current password, once more, and the new one."""

    current_password: PasswordText
    new_password: PasswordText


class AccountOut(_Response):
    """An account as its owner sees it."""

    id: str
    email: str
    created_at: datetime


class TokensOut(_Response):
    """A token response in the form of RFC 6749, section 5.1."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = Field(default="Bearer")
    expires_in: int = Field(description="Lifetime of the access token in seconds.")


class EventOut(_Response):
    """One entry of the audit log."""

    id: int
    action: str
    at: datetime
    ip: str | None


class EventsOut(_Response):
    """Audit events, newest first. ``next`` is the value of ``before`` for the following page."""

    events: list[EventOut]
    next: int | None


class HealthOut(_Response):
    """The service answers and so does its database."""

    status: Literal["ok"] = "ok"


class ProblemOut(_Response):
    """An error (RFC 9457); ``code`` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str
