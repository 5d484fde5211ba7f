"""The commands that are, or look at, the engine's own processes. What they need is imported when they run."""

import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.cli import render
from devteam.cli.client import data_folder
from devteam.cli.failure import CliError, one_line
from devteam.cli.options import Data, Json, Url

if TYPE_CHECKING:
    from rich.status import Status

DEFAULT_PORT = 8321
Host = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")]
Port = Annotated[
    int | None, typer.Option("--port", min=0, max=65_535, help="Without it 8321, or the next that is free.")
]
Slots = Annotated[int, typer.Option("--slots", min=1, max=256, help="Attempts that run at once.")]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Open no page.")]


def up(
    data: Data = None,
    port: Port = None,
    host: Host = "127.0.0.1",
    slots: Slots = 4,
    no_browser: NoBrowser = False,
) -> None:
    """Run everything on this machine: database, page and worker, until Ctrl-C."""
    from devteam.entrypoints.up import UpSettings, run_up

    _log_warnings("up")
    settings = UpSettings(data=data_folder(data), host=host, port=port, slots=slots, database_url=_given_database_url())
    with _Waiting("Starting ...") as waiting:
        raise typer.Exit(run_up(settings, open_browser=not no_browser and render.is_terminal(), say=waiting.say))


def demo(
    data: Data = None,
    port: Port = None,
    exit_when_done: Annotated[
        bool, typer.Option("--exit-when-done", help="End when all queues are worked through.")
    ] = False,
    no_browser: NoBrowser = False,
    summary: Annotated[
        Path | None, typer.Option("--summary", metavar="FILE", help="Write what became of everything as JSON.")
    ] = None,
    repository: Annotated[
        list[Path] | None, typer.Option("--repository", metavar="PATH", help="One of your own instead; repeatable.")
    ] = None,
    slots: Slots = 4,
) -> None:
    """Let five customers' open-source packages be worked on, by a real engine."""
    from devteam.entrypoints.demo import DemoSettings, run_demo

    _log_warnings("demo")
    if summary is not None and not summary.absolute().parent.is_dir():
        raise CliError(f"There is no folder {summary.absolute().parent} for the summary.")
    settings = DemoSettings(
        data=None if data is None else data_folder(data),
        port=port,
        slots=slots,
        exit_when_done=exit_when_done,
        open_browser=not no_browser and render.is_terminal(),
        summary=summary,
        repositories=repository or (),
    )
    with _Waiting("Preparing ...") as waiting:
        raise typer.Exit(run_demo(settings, say=waiting.say))


def web(data: Data = None, host: Host = "127.0.0.1", port: Port = None) -> None:
    """Serve the API and the page from a database: DATABASE_URL, or that of a running `up`."""
    url = _joined_database(data)
    with _listening(host, port) as listener:
        from devteam.entrypoints.serve import serve_web

        address, number = listener.getsockname()[:2]
        render.say(f"Serving on http://{address}:{number}")
        sys.stdout.flush()
        serve_web(url, data_folder(data), host=host, port=number, descriptor=listener.fileno())


def worker(data: Data = None, slots: Slots = 4) -> None:
    """Work on attempts from a database: DATABASE_URL, or that of a running `up`."""
    url = _joined_database(data)
    folder = data_folder(data)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise CliError(f"The data folder {folder} cannot be used: {exc.strerror}.") from exc
    from devteam.entrypoints.serve import serve_worker

    serve_worker(url, folder, slots=slots)


def migrate(data: Data = None) -> None:
    """Bring the database to this program's revision: DATABASE_URL, or that in the data folder."""
    url = _given_database_url()
    if url is None and data is None:
        raise CliError("Set DATABASE_URL, or name a data folder with --data.")
    _log_warnings("migrate")
    with _own_database(data_folder(data)) if url is None else _named_database(url) as (address, place):
        _migrate(address, place)


def doctor(as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Look at everything that the engine needs here, and say what to do."""
    from devteam.cli.doctor import Machine, run_doctor, web_app_folder
    from devteam.entrypoints.worker import probe_isolation

    machine = Machine(data_folder(data), _given_database_url(), web_app_folder(), url, probe_isolation)
    raise typer.Exit(run_doctor(machine, as_json=as_json))


def agent() -> None:
    """Be the built-in coding agent, for an editor or engine that speaks the Agent Client Protocol on stdio.

    The model is named by OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL, or the same with ANTHROPIC.
    """
    from devteam.agent.acp import main as serve_agent

    serve_agent()


def version() -> None:
    """Print the version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    import devteam

    try:
        found = installed("devteam")
    except PackageNotFoundError:
        found = getattr(devteam, "__version__", "unknown")
    render.say(f"devteam {found}")


COMMANDS: Mapping[str, Callable[..., None]] = {
    "up": up,
    "demo": demo,
    "web": web,
    "worker": worker,
    "migrate": migrate,
    "doctor": doctor,
    "agent": agent,
    "version": version,
}


class _Waiting:
    """A spinner on a terminal until something is said for the second time; lines elsewhere."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._spinner: Status | None = None

    def __enter__(self) -> "_Waiting":
        if render.is_terminal():
            self._spinner = render.console().status(self._text)
            self._spinner.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def say(self, line: str) -> None:
        """A line of progress: what ends in dots is being waited for."""
        if self._spinner is not None and line.endswith("..."):
            self._spinner.update(render.plain(line))
            return
        self._end()
        render.say(line)
        sys.stdout.flush()

    def _end(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None


def _given_database_url() -> str | None:
    return os.environ.get("DEVTEAM_DATABASE_URL") or os.environ.get("DATABASE_URL") or None


def _joined_database(data: Path | None) -> str:
    """The named database, else that of an engine which runs on the data folder. Raises CliError."""
    url = _given_database_url()
    if url is not None:
        return _checked(url)
    from devteam.adapters.postgres import running_database_url

    folder = data_folder(data)
    try:
        found = running_database_url(folder)
    except OSError:
        found = None
    if found is None:
        raise CliError(f"Set DATABASE_URL, or start `devteam up` on {folder}: there is no database to join.")
    return found


def _checked(url: str) -> str:
    from sqlalchemy.exc import SQLAlchemyError

    from devteam.kit.db import Database

    try:
        Database(url).dispose()
    except (SQLAlchemyError, ValueError) as exc:
        raise CliError("DATABASE_URL is no address of a database.") from exc
    return url


@contextmanager
def _listening(host: str, port: int | None) -> Iterator[socket.socket]:
    """A listening socket. Raises CliError when the address cannot be used."""
    wanted = [port] if port is not None else [*range(DEFAULT_PORT, DEFAULT_PORT + 20), 0]
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for number in wanted:
            try:
                listener.bind((host, number))
                break
            except OSError as exc:
                if number == wanted[-1]:
                    raise CliError(f"Port {number} of {host} cannot be used: {exc.strerror}.") from exc
        listener.listen(512)
        yield listener


@contextmanager
def _named_database(url: str) -> Iterator[tuple[str, str]]:
    yield _checked(url), "the database of DATABASE_URL"


@contextmanager
def _own_database(folder: Path) -> Iterator[tuple[str, str]]:
    """The database in the data folder; started for the moment unless an engine runs on it."""
    from devteam.adapters.postgres import DataFolder, EmbeddedPostgres, running_database_url

    running = running_database_url(folder) if folder.exists() else None
    if running is not None:
        yield running, f"the running database in {folder}"
        return
    with DataFolder.open(folder) as opened, EmbeddedPostgres(opened) as postgres:
        yield postgres.url, f"the database in {folder}"


def _migrate(url: str, place: str) -> None:
    from devteam.kit.db import Database, OperationalError
    from devteam.migrations.run import HEAD
    from devteam.migrations.run import migrate as run_migrations

    database = Database(url, pool_size=1, application_name="devteam-migrate")
    try:
        changed = run_migrations(database)
    except OperationalError as exc:
        raise CliError(f"{place} does not answer: {one_line(str(exc.orig))[:300]}") from exc
    finally:
        database.dispose()
    render.say(f"Migrated {place} to revision {HEAD}." if changed else f"Nothing to do: {place} is at revision {HEAD}.")


def _log_warnings(process: str) -> None:
    """Of the parts' logs, a person at the terminal needs the warnings."""
    import logging

    from devteam.kit.log import configure_logging

    configure_logging(process, level=logging.WARNING)
