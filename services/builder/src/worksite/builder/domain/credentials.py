"""Which token opens a remote, and for whom. They come from the settings alone and go into no message, URL or log."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError
from worksite.builder.domain.urls import below, place_of


def _has_a_place(url: str) -> str:
    if place_of(url) is None or urlsplit(url).scheme not in ("https", "http"):
        raise ValueError("write https://host/path/, without user, query, dots or percent signs in it")
    return url


def _fits_a_header(token: SecretStr) -> SecretStr:
    """Else a client would refuse the header later, and repeat the token in its error."""
    if not _PRINTABLE.fullmatch(token.get_secret_value()):
        raise ValueError("write printable ASCII without blanks, as the git host shows it")
    return token


Address = Annotated[str, AfterValidator(_has_a_place)]
Token = Annotated[SecretStr, Field(min_length=8), AfterValidator(_fits_a_header)]
_PRINTABLE = re.compile(r"[!-~]+")


class Credential(BaseModel):
    """A token for the repositories below a URL."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Address = Field(description="of the host, or of a path there: it opens all repositories below it")
    tenants: Annotated[tuple[str, ...], Field(min_length=1)] | Literal["*"] = Field(description="who may use it")
    token: Token = Field(description="GitLab: of a project or group, scopes api and write_repository")
    username: str = Field(default="oauth2", pattern=r"^[!-9;-~]+$", description="what git sends with it")
    api: Address | None = Field(default=None, description="of GitLab; default: /api/v4 on the same host")

    @property
    def api_url(self) -> str:
        """Without a slash at its end."""
        parts = urlsplit(self.url)
        return (self.api or f"{parts.scheme}://{parts.netloc}/api/v4").rstrip("/")

    @property
    def header(self) -> str:
        """For HTTP basic authentication, which git hosts take tokens in."""
        return f"Authorization: Basic {b64encode(self._pair.encode()).decode()}"

    @property
    def secrets(self) -> tuple[str, str]:
        """What must not be shown, in every form that it is sent in."""
        return self.token.get_secret_value(), b64encode(self._pair.encode()).decode()

    @property
    def _pair(self) -> str:
        return f"{self.username}:{self.token.get_secret_value()}"


_LIST: TypeAdapter[tuple[Credential, ...]] = TypeAdapter(tuple[Credential, ...])


def parse(text: str) -> tuple[Credential, ...]:
    """Read a JSON list. Raises ValueError, which repeats nothing of it."""
    try:
        return _LIST.validate_json(text)
    except ValidationError as error:
        found = error.errors(include_input=False, include_context=False, include_url=False)
        raise ValueError("; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)) from None


def chosen(credentials: Sequence[Credential], tenant: str, url: str) -> Credential | None:
    """The one that a tenant may use for a repository: of several, the one for the longest path."""
    fitting = [one for one in credentials if one.tenants == "*" or tenant in one.tenants]
    places = [(place, one) for one in fitting if (place := place_of(one.url)) and below(place, url) is not None]
    return max(places, key=lambda found: len(found[0]), default=(None, None))[1]
