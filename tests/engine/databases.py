"""Databases that are ready for the engine: copied from one that was migrated, which takes some 50 ms."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from sqlalchemy import make_url

from devteam.durable.engine import Durable
from devteam.kit.db import Database, psycopg_conninfo
from devteam.migrations.run import migrate

TEMPLATE = "engine_template"


def make_template(postgres_url: str) -> str:
    """A database with every table, the durable engine's as well."""
    with psycopg.connect(psycopg_conninfo(postgres_url), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone():
            return TEMPLATE  # made for another folder of tests
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    url = make_url(postgres_url).set(database=TEMPLATE).render_as_string(hide_password=False)
    database = Database(url)
    migrate(database)
    durable = Durable(url, executor_id="template", threads=1)
    durable.launch()
    durable.stop()
    database.dispose()
    return TEMPLATE


@contextmanager
def fresh_database(postgres_url: str, template: str) -> Iterator[str]:
    """A database of its own."""
    name = f"engine_{uuid4().hex}"
    with psycopg.connect(psycopg_conninfo(postgres_url), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
