"""Fixtures that every kind of test may use."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from devteam.adapters.postgres import DataFolder, EmbeddedPostgres
from devteam.kit.db import psycopg_conninfo


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A short temporary folder that the database's account can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="devteam-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A running embedded PostgreSQL, one for the whole session. Nothing in it must survive a power cut."""
    folder = Path(tempfile.mkdtemp(prefix="devteam-test-"))
    try:
        with DataFolder.open(folder) as data, EmbeddedPostgres(data, settings={"fsync": "off"}) as postgres:
            yield postgres.url
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """A fresh, empty database for one test."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(psycopg_conninfo(postgres_url), autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        connection.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(psycopg.sql.Identifier(name)))
