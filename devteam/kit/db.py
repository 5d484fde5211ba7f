"""PostgreSQL access: one engine per process, explicit transactions, rows as named tuples."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, Row, TextClause, create_engine, event, make_url, text
from sqlalchemy.exc import InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

__all__ = [
    "UNAVAILABLE",
    "Connection",
    "Database",
    "Engine",
    "OperationalError",
    "Row",
    "psycopg_conninfo",
    "sql",
]

UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeout)
"""What is raised while the database is away, restarting, or has no connection to give."""

_joined: ContextVar[Connection | None] = ContextVar("joined", default=None)


_TRUSTED_SECONDS = 0.25
"""A connection that worked this short a time ago is handed out without asking whether it still does."""


@lru_cache(1024)
def sql(statement: str) -> TextClause:
    """A statement with `:named` parameters, taken apart once."""
    return text(statement)


class Database:
    """The process's connection pool. A connection that died while nobody used it is replaced before use."""

    def __init__(self, url: str, *, pool_size: int = 10, application_name: str = "devteam") -> None:
        self.url = normalise_url(url)
        self.engine: Engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=10,
            connect_args={
                "application_name": application_name,
                "connect_timeout": 5,
                "options": "-c timezone=UTC -c lock_timeout=15000 -c idle_in_transaction_session_timeout=60000",
            },
        )
        _ask_idle_connections(self.engine)
        self._single = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: commits at the end of the block, rolls back when it raises.

        Inside `all_or_nothing` it is a savepoint of that transaction.
        """
        outer = _joined.get()
        if outer is not None and outer.engine is self.engine:
            with outer.begin_nested():
                yield outer
            return
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def statement(self) -> Iterator[Connection]:
        """For a single statement, which is a transaction by itself: a third of the way to the server and back.

        Inside `all_or_nothing` it is part of that transaction.
        """
        outer = _joined.get()
        if outer is not None and outer.engine is self.engine:
            yield outer
            return
        with self._single.connect() as connection:
            yield connection

    @contextmanager
    def all_or_nothing(self) -> Iterator[Connection]:
        """One transaction that every `transaction()` opened inside the block joins.

        Use cases open their own transactions; this is how a caller makes several of them, or one of them and a
        record of its own, commit together. Whoever locks several customers inside must do so in order of their ids.
        """
        with self.engine.begin() as connection:
            token = _joined.set(connection)
            try:
                yield connection
            finally:
                _joined.reset(token)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A read-only transaction whose statements all see the same state."""
        with self.engine.connect() as connection:
            with connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True).begin():
                yield connection

    def dispose(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


def _ask_idle_connections(engine: Engine) -> None:
    """Ask a pooled connection whether it still works, but not one that was in use a moment ago."""

    @event.listens_for(engine, "checkin")
    def note(_: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: Any, record: Any, _: Any) -> None:
        used = record.info.get("used")
        if used is None or time.monotonic() - used < _TRUSTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as exc:
            raise InvalidatePoolError from exc  # all the pool's connections are of that age


def normalise_url(url: str) -> str:
    """Use the psycopg 3 driver whatever spelling of a PostgreSQL URL was given."""
    for prefix in ("postgres://", "postgresql://", "postgresql+psycopg2://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def psycopg_conninfo(url: str) -> str:
    """The same database for plain psycopg, which LISTEN needs."""
    parsed = make_url(normalise_url(url))
    parts: dict[str, Any] = {
        "host": parsed.query.get("host") or parsed.host,
        "port": parsed.port,
        "dbname": parsed.database,
        "user": parsed.username,
        "password": parsed.password,
        "sslmode": parsed.query.get("sslmode"),
    }
    return psycopg.conninfo.make_conninfo(**{key: value for key, value in parts.items() if value is not None})
