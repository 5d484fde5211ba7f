"""The HTTP application, served on a free port, on a real PostgreSQL."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import make_url

from devteam.access.service import AccessService
from devteam.entrypoints.web import create_app
from devteam.kit.db import Database, psycopg_conninfo
from devteam.kit.settings import WebSettings
from devteam.migrations.run import migrate
from devteam.projects.ports import RepositoryHead
from tests.functional.world import World


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str) -> str:
    """The name of a migrated database that each test's own one is copied from, which takes some 50 ms."""
    name = "migrated_template"
    with psycopg.connect(psycopg_conninfo(postgres_url), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    database = Database(make_url(postgres_url).set(database=name).render_as_string(hide_password=False))
    migrate(database)
    database.dispose()
    return name


@contextmanager
def fresh_database(postgres_url: str, template: str) -> Iterator[str]:
    """A migrated, empty database."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(psycopg_conninfo(postgres_url), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def migrated_url(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """A migrated, empty database for one test."""
    with fresh_database(postgres_url, migrated_template) as url:
        yield url


def probe_nothing(repository: str, base_branch: str | None) -> RepositoryHead:
    """Takes every repository for a sound one."""
    return RepositoryHead(repository=repository, base_branch=base_branch or "main", commit="0" * 40)


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port of this machine; gives its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            deadline = time.monotonic() + 20
            while not server.started:
                assert thread.is_alive() and time.monotonic() < deadline, "the server did not start"
                time.sleep(0.005)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], str]]:
    """Serve any application until the test ends."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(serving(app))


@contextmanager
def served_world(url: str) -> Iterator[World]:
    """The application on a database, served."""
    with ExitStack() as stack:
        data = Path(stack.enter_context(TemporaryDirectory(prefix="devteam-test-")))
        app = create_app(WebSettings(database_url=url, data_folder=data), probe=probe_nothing)
        provided = app.state.provided
        address = stack.enter_context(serving(app))
        client = stack.enter_context(httpx.Client(base_url=address, timeout=30))
        yield World(app, client, address, provided[Database], provided[AccessService])


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    """The application on a fresh database."""
    with served_world(migrated_url) as world:
        yield world


@pytest.fixture(scope="module")
def shared_world(postgres_url: str, migrated_template: str) -> Iterator[World]:
    """The application on a database that the tests of a module share; for those that leave nothing behind."""
    with fresh_database(postgres_url, migrated_template) as url, served_world(url) as world:
        yield world
