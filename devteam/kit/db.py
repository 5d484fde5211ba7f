"""PostgreSQL access: one engine per process, explicit transactions, rows as named tuples."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, Row, TextClause, create_engine, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError
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


def sql(statement: str) -> TextClause:
    """A statement with `:named` parameters."""
    return text(statement)


class Database:
    """The process's connection pool. A dead connection is replaced before use, never handed out."""

    def __init__(self, url: str, *, pool_size: int = 10, application_name: str = "devteam") -> None:
        self.url = normalise_url(url)
        self.engine: Engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            pool_timeout=10,
            connect_args={
                "application_name": application_name,
                "connect_timeout": 5,
                "options": "-c timezone=UTC -c lock_timeout=15000 -c idle_in_transaction_session_timeout=60000",
            },
        )

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
