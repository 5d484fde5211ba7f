"""A worker in a process of its own, for tests: `python -m tests.engine.worker_main URL DATA SLOTS`."""

import signal
import sys
from pathlib import Path

from devteam.adapters.http_probe import Reach
from devteam.entrypoints.worker import build_tools, build_worker
from devteam.kit.clock import utc_now
from devteam.kit.db import Database
from devteam.kit.log import configure_logging
from devteam.migrations.run import migrate
from devteam.workflows.worker import WorkerSettings


def main(url: str, data: str, slots: str) -> None:
    """Work until SIGTERM."""
    configure_logging("worker")
    database = Database(url, application_name="test worker")
    migrate(database)
    tools = build_tools(database, Path(data), utc_now, http_gates=Reach.PRIVATE)
    worker = build_worker(database, Path(data), WorkerSettings(slots=int(slots)), tools=tools)
    signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
    worker.run()
    database.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
