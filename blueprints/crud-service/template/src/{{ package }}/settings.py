"""Settings, read once from environment variables that start with ``APP_``."""

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class ConfigurationError(Exception):
    """The environment does not describe a service that may run."""


def _sqlite_file(url: str) -> str:
    if not url.startswith("sqlite:///") or url in ("sqlite:///", "sqlite:///:memory:"):
        raise ValueError("must name an SQLite file, for example sqlite:///./data.db")
    return url


class Settings(BaseSettings):
    """What an operator may choose."""

    model_config = SettingsConfigDict(env_prefix="APP_", env_ignore_empty=True, frozen=True)

    database_url: Annotated[str, AfterValidator(_sqlite_file)] = "sqlite:///./data.db"
    max_body_bytes: int = Field(default=1024 * 1024, ge=1)


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        ConfigurationError: names every variable that is wrong.
    """
    try:
        return Settings.model_validate({})
    except ValidationError as error:
        faults = [
            f"{'_'.join(['APP', *map(str, fault['loc'])]).upper()}: {fault['msg']}"
            for fault in error.errors(include_input=False)
        ]
        raise ConfigurationError("; ".join(faults)) from None
