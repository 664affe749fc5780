"""Which gateway to talk to, and in whose name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import httpx2
from authlib.integrations.httpx_client import AsyncOAuth2Client
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from worksite.cli.client.refusals import TooMany, problem
from worksite.cli.client.repeating import repeated, token_transport
from worksite.cli.stack import disk
from worksite.cli.stack.state import CLIENT_ID, State

DEFAULT_TENANT, DEFAULT_ROLE = "local", "developer"


class NoAccess(Exception):
    """There is no gateway to talk to or it refuses us; the text says what to do."""


class ClientSettings(BaseSettings):
    """Where the gateway is when it is not the one `worksite up` started here."""

    model_config = SettingsConfigDict(env_prefix="WORKSITE_", extra="ignore", frozen=True)

    url: str | None = Field(default=None, description="the gateway; default: the stack running on this machine")
    token: SecretStr | None = Field(default=None, description="a bearer token; default: one from the gateway's issuer")
    client_id: str = Field(default=CLIENT_ID, description="OAuth2 client of the gateway's issuer")
    client_secret: SecretStr | None = Field(default=None, description="its secret; default: the state directory's")


@dataclass(frozen=True)
class Access:
    """A gateway and how to get a token for it."""

    url: str
    state: State
    settings: ClientSettings

    @classmethod
    def find(cls, state_dir: Path) -> Access:
        """Raises NoAccess when nothing is running and no WORKSITE_URL is set."""
        state, settings = State(state_dir), ClientSettings()
        if settings.url and not settings.url.startswith(("http://", "https://")):
            raise NoAccess(f"WORKSITE_URL: {settings.url!r} is no http(s) address")
        url = settings.url or _running(state)
        if url is None and state.root.is_dir() and state.in_use():
            raise NoAccess(f"the stack on {state_dir} is not ready yet, or about to stop: try again in some seconds")
        if url is None:
            raise NoAccess(f"no stack is running on {state_dir}: start one with 'worksite up', or set WORKSITE_URL")
        return cls(url.rstrip("/"), state, settings)

    def has_stopped(self) -> bool:
        """Was this the stack on this machine, and is it gone?"""
        return self.settings.url is None and not self.state.in_use()

    def full_disk(self) -> Path | None:
        """The directory of the stack on this machine, if its disk is full."""
        return self.state.root if self.settings.url is None and disk.is_full(self.state.nats) else None

    async def token(self, tenant: str = DEFAULT_TENANT, role: str = DEFAULT_ROLE) -> str:
        """A bearer token by the client-credentials grant (RFC 6749 section 4.4). Raises NoAccess, TooMany."""
        if self.settings.token:
            return self.settings.token.get_secret_value()
        client_class: Any = AsyncOAuth2Client  # untyped
        async with client_class(
            self.settings.client_id, self._client_secret(), trust_env=False, transport=token_transport()
        ) as client:
            client.register_compliance_hook("access_token_response", _refused)  # RFC 6749 knows no 429
            wanted = {"grant_type": "client_credentials", "tenant": tenant, "role": role}
            try:
                answer = await repeated(lambda: client.fetch_token(f"{self.url}/oauth/token", **wanted))
                return str(answer["access_token"])
            except (NoAccess, TooMany):
                raise
            except Exception as error:  # Authlib documents neither its transport's errors nor its own
                raise NoAccess(f"no token from {self.url}: {error or type(error).__name__}") from error

    def _client_secret(self) -> str:
        if self.settings.client_secret:
            return self.settings.client_secret.get_secret_value()
        try:
            return self.state.secret("cli", "client_secret")
        except FileNotFoundError as error:
            raise NoAccess("no credentials: set WORKSITE_TOKEN or WORKSITE_CLIENT_SECRET") from error


def _refused(answer: httpx2.Response) -> httpx2.Response:
    """Raises for what is no answer of RFC 6749, so that Authlib need not make sense of it."""
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise TooMany(answer)
    if answer.is_error and answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        raise NoAccess(f"no token: {problem(answer)}")
    return answer


def _running(state: State) -> str | None:
    if not state.root.is_dir() or not state.in_use():
        return None
    try:
        return str(json.loads(state.description.read_text())["gateway_url"])
    except (FileNotFoundError, ValueError, KeyError):
        return None
