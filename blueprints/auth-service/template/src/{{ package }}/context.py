"""What every use case needs, built once per app."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from .database import Database
from .passwords import Passwords
from .settings import Settings
from .tokens import AccessTokens

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Context:
    """The settings and the parts made from them. ``clock`` returns the current UTC time."""

    settings: Settings
    database: Database
    passwords: Passwords
    access_tokens: AccessTokens
    clock: Clock


def build_context(settings: Settings, clock: Clock) -> Context:
    """Assemble the parts. Opens no connection yet."""
    return Context(
        settings=settings,
        database=Database(settings.database_url),
        passwords=Passwords(settings),
        access_tokens=AccessTokens(settings),
        clock=clock,
    )
