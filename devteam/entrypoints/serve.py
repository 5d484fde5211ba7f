"""The processes that `devteam up` supervises: `python -m devteam.entrypoints.serve web|worker`.

They read their orders from the environment, end when their standard input does, because then the supervisor
is gone, and wait for the database to be there and migrated.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from devteam.kit.db import Database, OperationalError
from devteam.kit.errors import DevTeamError
from devteam.kit.log import configure_logging, get_logger
from devteam.migrations.run import HEAD, current_revision

if TYPE_CHECKING:
    from devteam.adapters.http_probe import Reach

SCHEMA_PATIENCE = 150.0

log = get_logger(__name__)


def serve_web(database_url: str, data: Path, *, host: str, port: int, descriptor: int | None = None) -> None:
    """Serve HTTP until SIGTERM or SIGINT; `descriptor` is a listening socket that somebody else opened."""
    import uvicorn

    from devteam.entrypoints.web import create_app
    from devteam.kit.settings import WebSettings

    configure_logging("web")
    app = create_app(WebSettings(database_url=database_url, data_folder=data))
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        fd=descriptor,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        ws_max_size=1024 * 1024,
        ws_per_message_deflate=False,  # live frames are shared by all pages; compressing is done per page
        ws_ping_interval=20,
        timeout_graceful_shutdown=3,
        proxy_headers=False,
    )
    uvicorn.Server(config).run()


def serve_worker(database_url: str, data: Path, *, slots: int) -> None:
    """Run attempts until SIGTERM or SIGINT; the running ones go on at the next start."""
    from devteam.adapters.fences import FenceChoice
    from devteam.entrypoints.worker import build_tools, build_worker
    from devteam.kit.clock import utc_now
    from devteam.kit.settings import UpkeepSettings
    from devteam.workflows.worker import WorkerSettings

    configure_logging("worker")
    database = Database(database_url, pool_size=slots + 8, application_name="devteam-worker")
    await_schema(database)
    allow_unfenced = os.environ.get("DEVTEAM_ALLOW_UNFENCED") == "1"
    tools = build_tools(
        database,
        data,
        utc_now,
        fence=FenceChoice.from_environment(os.environ),
        allow_unfenced=allow_unfenced,
        http_gates=http_gates(),
        egress=egress(),
    )
    upkeep = UpkeepSettings()
    timing = WorkerSettings(slots=slots, upkeep=upkeep.upkeep_interval_seconds)
    worker = build_worker(database, data, timing, tools=tools, upkeep=upkeep)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    try:
        worker.run()
    finally:
        database.dispose()


def http_gates() -> "Reach":
    """Which servers gates may ask: `DEVTEAM_HTTP_GATES` is off, public or private. Raises DevTeamError."""
    return _reach("DEVTEAM_HTTP_GATES")


def egress() -> "Reach":
    """Which hosts projects may let agents reach: `DEVTEAM_EGRESS` is off, public or private. Raises DevTeamError."""
    return _reach("DEVTEAM_EGRESS")


def _reach(variable: str) -> "Reach":
    from devteam.adapters.http_probe import Reach

    wanted = os.environ.get(variable, Reach.PUBLIC.value)
    if wanted not in list(Reach):
        raise DevTeamError(f"{variable} is '{wanted}'; use one of {', '.join(Reach)}.", code="bad_setting")
    return Reach(wanted)


def await_schema(database: Database, *, patience: float = SCHEMA_PATIENCE) -> None:
    """Wait until the database answers and is at this program's revision. Raises DevTeamError when it never is."""
    deadline = time.monotonic() + patience
    problem = ""
    while time.monotonic() < deadline:
        try:
            found = current_revision(database)
        except OperationalError:
            problem = "The database does not answer."
        else:
            if found == HEAD:
                return
            problem = f"The database is at revision {found}, not {HEAD}: run `devteam migrate`."
        time.sleep(0.1)
    raise DevTeamError(problem, code="database_unavailable")


def end_with_stdin() -> None:
    """Send this process SIGTERM when its standard input ends."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()


def main() -> None:
    """Become what the first argument says."""
    end_with_stdin()
    url, data = os.environ["DATABASE_URL"], Path(os.environ["DEVTEAM_DATA"])
    kinds: dict[str, Callable[[], None]] = {
        "web": lambda: serve_web(url, data, host="", port=0, descriptor=int(os.environ["DEVTEAM_SOCKET"])),
        "worker": lambda: serve_worker(url, data, slots=int(os.environ["DEVTEAM_SLOTS"])),
    }
    kinds[sys.argv[1]]()


if __name__ == "__main__":
    main()
