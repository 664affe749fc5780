"""What every use case needs, built once per app."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from .database import Database
from .settings import Settings
from .urls import Destinations, host_of

Clock = Callable[[], datetime]
NewCode = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Context:
    """The settings and the parts made from them.

    ``clock`` returns the current UTC time, ``new_code`` a code of the given length.
    """

    settings: Settings
    database: Database
    destinations: Destinations
    clock: Clock
    new_code: NewCode


def build_context(settings: Settings, clock: Clock, new_code: NewCode) -> Context:
    """Assemble the parts. Opens no connection yet."""
    destinations = Destinations(
        own_host=host_of(settings.base_url),
        denied_hosts=settings.denied_hosts,
        max_length=settings.max_url_length,
    )
    return Context(settings, Database(settings.database_url), destinations, clock, new_code)
