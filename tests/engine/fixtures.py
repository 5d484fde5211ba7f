"""Fixtures of the tests that run engines."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.databases import fresh_database, make_template
from tests.engine.world import Engine, engine


@pytest.fixture(scope="session")
def engine_template(postgres_url: str) -> str:
    return make_template(postgres_url)


@pytest.fixture
def engine_url(postgres_url: str, engine_template: str) -> Iterator[str]:
    """A migrated database for one test."""
    with fresh_database(postgres_url, engine_template) as url:
        yield url


@pytest.fixture
def lone_engine(engine_url: str, tmp_path: Path) -> Iterator[Engine]:
    """An engine of its own for a test that ends workers; no worker runs yet."""
    with engine(engine_url, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def working(postgres_url: str, engine_template: str) -> Iterator[Engine]:
    """An engine with one worker, for all tests of a module; each has its own customers."""
    folder = Path(tempfile.mkdtemp(prefix="devteam-engine-"))
    try:
        with fresh_database(postgres_url, engine_template) as url, engine(url, folder) as made:
            made.worker(slots=6)
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)
