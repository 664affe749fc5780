"""The SQLite database: one engine, short read and write transactions."""

from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.orm import Session, sessionmaker

from .models import Base

_WRITE = "takes_the_write_lock"


class Database:
    """Hands out transactions that commit when their block ends and roll back when it raises.

    A write transaction takes SQLite's write lock at its start (``BEGIN IMMEDIATE``), so what it
    reads cannot change before it writes. That an alias is given once rests on that.
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        event.listen(self._engine, "connect", _configure_connection)
        event.listen(self._engine, "begin", _begin)
        self._reader = sessionmaker(self._engine, expire_on_commit=False)
        self._writer = sessionmaker(
            self._engine.execution_options(**{_WRITE: True}), expire_on_commit=False
        )

    def create_schema(self) -> None:
        """Create the tables that are missing; existing tables are left as they are."""
        Base.metadata.create_all(self._engine)

    def read(self) -> AbstractContextManager[Session]:
        """Begin a transaction that only reads."""
        return self._reader.begin()

    def write(self) -> AbstractContextManager[Session]:
        """Begin a transaction that may write; at most one runs at a time."""
        return self._writer.begin()

    def ping(self) -> None:
        """Raise ``SQLAlchemyError`` when the database cannot answer."""
        with self.read() as tx:
            tx.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()


def _configure_connection(connection: Any, _record: object) -> None:
    # The driver would begin transactions by its own rules; _begin does it instead.
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a link may stand on paper soon
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
