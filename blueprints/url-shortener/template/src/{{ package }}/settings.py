"""Settings, read once from environment variables that start with ``SHORTENER_``."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .problems import InvalidUrl
from .urls import host_of, normal_host

MIN_API_TOKEN_LENGTH = 32


class ConfigurationError(Exception):
    """The environment does not describe a service that may run. Names variables, never their values."""


def _strong_token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if len(text) < MIN_API_TOKEN_LENGTH or not text.isascii():
        raise ValueError("needs at least 32 ASCII characters; try: openssl rand -hex 32")
    return token


def _origin(url: str) -> str:
    origin = url.removesuffix("/")
    try:
        host_of(origin)
    except InvalidUrl as error:
        raise ValueError(error.detail) from None
    if origin.count("/") != 2 or set("?#") & set(origin):
        raise ValueError("must be scheme and host without a path, such as https://go.example.com")
    return origin


def _sqlite_file(url: str) -> str:
    if not url.startswith("sqlite:///") or url in ("sqlite:///", "sqlite:///:memory:"):
        raise ValueError("must name an SQLite file, for example sqlite:///./links.db")
    return url


def _split(value: Any) -> Any:
    parts = value.split(",") if isinstance(value, str) else value
    return [part.strip() for part in parts if part.strip()]


def _host(text: str) -> str:
    try:
        return normal_host(text)
    except InvalidUrl:
        raise ValueError("must be hosts separated by commas, such as evil.example") from None


class Settings(BaseSettings):
    """What an operator may choose. Token and address have no default on purpose."""

    model_config = SettingsConfigDict(
        env_prefix="SHORTENER_", env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    api_token: Annotated[SecretStr, AfterValidator(_strong_token)]
    base_url: Annotated[str, AfterValidator(_origin)]
    database_url: Annotated[str, AfterValidator(_sqlite_file)] = "sqlite:///./links.db"
    denied_hosts: Annotated[
        frozenset[Annotated[str, AfterValidator(_host)]], BeforeValidator(_split), NoDecode
    ] = frozenset()
    code_length: int = Field(default=10, ge=8, le=32)
    max_url_length: int = Field(default=2048, ge=16, le=8192)
    max_body_bytes: int = Field(default=16 * 1024, ge=1)


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        ConfigurationError: names every variable that is missing or wrong.
    """
    try:
        return Settings.model_validate({})
    except ValidationError as error:
        faults = [
            f"{'_'.join(['SHORTENER', *map(str, fault['loc'][:1])]).upper()}: {fault['msg']}"
            for fault in error.errors(include_input=False)
        ]
        raise ConfigurationError("; ".join(faults)) from None
