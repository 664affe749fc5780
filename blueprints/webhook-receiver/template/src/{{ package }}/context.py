"""What every use case needs, built once per app."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from .database import Database
from .settings import Settings
from .signatures import parse_secret

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Context:
    """The settings and the parts made from them. ``clock`` returns the current UTC time."""

    settings: Settings
    database: Database
    keys: Mapping[str, tuple[bytes, ...]]
    clock: Clock


def build_context(settings: Settings, clock: Clock) -> Context:
    """Assemble the parts. Opens no connection yet."""
    keys = {
        source: tuple(parse_secret(secret.get_secret_value()) for secret in secrets)
        for source, secrets in settings.secrets.items()
    }
    return Context(settings, Database(settings.database_url), keys, clock)
