"""Start workflows whose finished steps are recorded in PostgreSQL.

DBOS makes sure that the next step happens; the product's own tables are the truth about state. A workflow
whose worker died, or whose thread a database outage killed, is never resumed: its attempt gets a new run
under a new workflow id, which goes on from the recorded phase.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID, _workflow_commands

from devteam.kit.db import Database, normalise_url, sql

P = ParamSpec("P")
R = TypeVar("R")

WORKFLOW_VERSION = "1"
"""Version of the workflows' interface; raise it when a step's name, order or arguments change."""

SCHEMA = "dbos"


class Durable:
    """DBOS in this process. Register workflows and steps first, then launch."""

    def __init__(self, database_url: str, *, executor_id: str, threads: int) -> None:
        config = DBOSConfig(
            name="devteam",
            system_database_url=normalise_url(database_url),
            dbos_system_schema=SCHEMA,
            executor_id=executor_id,
            application_version=WORKFLOW_VERSION,
            serializer=DBOSPortableJSONSerializer(),
            log_level="WARNING",
            console_log_level="WARNING",
            max_executor_threads=threads,
            sys_db_pool_size=20,
            use_listen_notify=True,
            # Nothing here sends messages or waits for schedules; DBOS would look a hundred times a second.
            notification_coalesce_sec=1.0,
            scheduler_polling_interval_sec=600.0,
            enable_otlp=False,
        )
        self._dbos = DBOS(config=config)

    def workflow(self, name: str, function: Callable[P, R]) -> Callable[P, R]:
        """Make a function durable; its arguments are JSON."""
        return DBOS.workflow(name=name)(_plain(function))

    def step(self, name: str, function: Callable[P, R]) -> Callable[P, R]:
        """A step of a workflow: its result, which is JSON, is recorded once it has ended."""
        return DBOS.step(name=name)(_plain(function))

    def launch(self) -> None:
        """Create or update DBOS's tables and begin.

        DBOS waits for a database that is away with pauses that double up to a minute and more. An error instead ends
        the workflow at once, and the attempt's next run goes on where it was as soon as the database is back.
        """
        # It looks each second for delayed workflows and time limits, of which there are none.
        _workflow_commands._BACKGROUND_JOBS_INTERVAL_SEC = 30.0  # noqa: SLF001 - there is no setting for it
        DBOS.launch()
        self._dbos._sys_db._retry_connection_errors = False  # noqa: SLF001 - a test guards the name

    def start(self, workflow: Callable[..., Any], workflow_id: str, *args: Any) -> None:
        """Run a workflow in the background; the same id again does not start a second one."""
        with SetWorkflowID(workflow_id):
            DBOS.start_workflow(workflow, *args)

    def stop(self) -> None:
        """End this process's part; running steps are not waited for."""
        DBOS.destroy(workflow_completion_timeout_sec=0)


def _plain(function: Callable[P, R]) -> Callable[P, R]:
    """DBOS writes an attribute onto what it decorates, which a bound method does not take."""

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    return call


def purge(database: Database, *, before: datetime, limit: int = 1000) -> int:
    """Forget workflows that were last touched before a time: nothing ever resumes them; how many."""
    with database.transaction() as connection:
        return connection.execute(
            sql(
                f"""DELETE FROM {SCHEMA}.workflow_status WHERE workflow_uuid IN (
                        SELECT workflow_uuid FROM {SCHEMA}.workflow_status WHERE updated_at < :before LIMIT :limit)"""
            ),
            {"before": int(before.timestamp() * 1000), "limit": limit},
        ).rowcount
