"""What the engine relies on in DBOS, some of which is not part of its public interface."""

import inspect
import threading
import time

import pytest
from dbos._sys_db import SystemDatabase, db_retry
from sqlalchemy.exc import OperationalError

from devteam.durable.engine import Durable, purge
from devteam.kit.clock import utc_now
from devteam.kit.db import Database, sql


def test_the_switch_that_turns_waiting_for_the_database_off_is_still_there() -> None:
    assert "retry_connection_errors" in inspect.signature(SystemDatabase.__init__).parameters

    class Away:
        _is_sqlite = False
        _retry_connection_errors = False

        @db_retry(initial_backoff=30.0)
        def ask(self) -> None:
            raise OperationalError("SELECT 1", {}, Exception("gone"), connection_invalidated=True)

    began = time.monotonic()
    with pytest.raises(OperationalError):
        Away().ask()
    assert time.monotonic() - began < 10


def test_a_workflow_runs_once_per_id_and_records_its_steps(engine_url: str) -> None:
    ended, ran = threading.Event(), list[str]()
    durable = Durable(engine_url, executor_id="test", threads=4)

    def note(word: str) -> str:
        ran.append(word)
        return word

    step = durable.step("note", note)

    def work(word: str) -> str:
        try:
            return str(step(word))
        finally:
            ended.set()

    workflow = durable.workflow("work", work)
    durable.launch()
    try:
        assert durable._dbos._sys_db._retry_connection_errors is False
        durable.start(workflow, "work:1", "once")
        assert ended.wait(20)
        database = Database(engine_url)
        deadline = time.monotonic() + 20
        while _status(database) != "SUCCESS" and time.monotonic() < deadline:
            time.sleep(0.02)
        durable.start(workflow, "work:1", "twice")
        assert ran == ["once"] and _status(database) == "SUCCESS"
        assert purge(database, before=utc_now()) >= 0
        database.dispose()
    finally:
        durable.stop()


def _status(database: Database) -> str | None:
    with database.transaction() as connection:
        found = connection.execute(sql("SELECT status FROM dbos.workflow_status WHERE workflow_uuid = 'work:1'"))
        return found.scalar()
