"""What every endpoint needs, built once per app."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from .database import Database
from .settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """The settings, the database made from them, and ``clock``, which returns the current UTC time."""

    settings: Settings
    database: Database
    clock: Callable[[], datetime]
