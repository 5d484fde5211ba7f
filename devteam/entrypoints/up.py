"""Everything on one machine: PostgreSQL, the web process and a worker, started, watched and stopped together."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devteam.access.service import AccessService
from devteam.adapters.postgres import DataFolder, EmbeddedPostgres, default_data_folder
from devteam.kit.clock import utc_now
from devteam.kit.db import Database
from devteam.kit.errors import Conflict, DevTeamError
from devteam.migrations.run import migrate

DEFAULT_PORT = 8321
READY_SECONDS = 120.0
STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.2
_LOG_LIMIT = 10_000_000
_FIRST_RESTART, _SLOWEST_RESTART = 0.1, 5.0
_LIVES_WELL_SECONDS = 10.0


@dataclass(frozen=True)
class UpSettings:
    """How `devteam up` runs. Without a port the default one is taken, or the next that is free."""

    data: Path | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    slots: int = 4
    database_url: str | None = None


class EngineFailed(DevTeamError):
    """The engine did not come up; the message says which part and where its log is."""

    code = "engine_failed"


class _Child:
    """A supervised process that is started again when it ends."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path, descriptors: tuple[int, ...]) -> None:
        self.name = name
        self._environment = environment
        self._log = log
        self._descriptors = descriptors
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._pause = _FIRST_RESTART
        self._start_at = 0.0

    def start(self) -> None:
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT:
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "devteam.entrypoints.serve", self.name],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(self._environment),
                pass_fds=self._descriptors,
                start_new_session=True,
            )
        self._started = time.monotonic()

    def keep_running(self) -> None:
        """Start it again when it has ended, more slowly the more often that happens at once."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is None:
            if now - self._started > _LIVES_WELL_SECONDS:
                self._pause = _FIRST_RESTART
            return
        if self._process is not None:
            self._close()
            self._start_at = now + self._pause
            self._pause = min(self._pause * 2, _SLOWEST_RESTART)
        if now >= self._start_at:
            self.start()

    def stop(self) -> None:
        """Ask it to end, and insist after a while."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def _close(self) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()
        self._process = None


class Engine:
    """A running engine on a data folder. Use it from the main thread of its process."""

    def __init__(self, settings: UpSettings) -> None:
        self._settings = settings
        self._data = DataFolder.open((settings.data or default_data_folder()).absolute())
        self._postgres = None if settings.database_url else EmbeddedPostgres(self._data, follow_parent=True)
        self._socket: socket.socket | None = None
        self._children: list[_Child] = []
        self._database: Database | None = None
        self.first_start = False

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self._data.path

    @property
    def url(self) -> str:
        """Where the page is."""
        assert self._socket is not None
        host, port = self._socket.getsockname()[:2]
        return f"http://{host}:{port}"

    def start(self) -> None:
        """Bring everything up and wait until the page answers. Raises DevTeamError."""
        self._socket = _listen(self._settings.host, self._settings.port)
        database_url = self._postgres.url if self._postgres is not None else self._settings.database_url
        assert database_url is not None
        if self._postgres is not None:
            self._postgres.start()
        # The children import for a second; meanwhile the database is migrated, which they wait for.
        self._children = [self._child("web", database_url), self._child("worker", database_url)]
        for child in self._children:
            child.start()
        self._database = Database(database_url, pool_size=1, application_name="devteam-up")
        self.first_start = migrate(self._database)
        self._write_address()
        self._await_ready()

    def _child(self, name: str, database_url: str) -> _Child:
        assert self._socket is not None
        inherited = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TZ", "LC_ALL")}
        environment = {
            **inherited,
            **{key: value for key, value in os.environ.items() if key.startswith(("DEVTEAM_", "PYTHON"))},
            "DATABASE_URL": database_url,
            "DEVTEAM_DATA": str(self.folder),
            "DEVTEAM_SOCKET": str(self._socket.fileno()),
            "DEVTEAM_SLOTS": str(self._settings.slots),
        }
        descriptors = (self._socket.fileno(),) if name == "web" else ()
        return _Child(name, environment, self._data.run / f"{name}.log", descriptors)

    def _access(self) -> AccessService:
        assert self._database is not None
        return AccessService(self._database, utc_now)

    def _write_address(self) -> None:
        """Tell local clients where the engine is, and give them the administrator's token."""
        _write_private(self._data.run / "token", self._access().ensure_local_token())
        _write_private(self._data.run / "engine.json", json.dumps({"url": self.url, "pid": os.getpid()}))

    def login_link(self) -> str:
        """A one-time link that signs the administrator in."""
        return f"{self.url}/login?token={self._access().ensure_admin('admin')}"

    def token(self) -> str:
        """The local administrator's API token."""
        return (self._data.run / "token").read_text().strip()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise EngineFailed(f"The page did not come up; see {self._data.run / 'web.log'}.")
            self.look_after()
            time.sleep(0.05)

    def _answers(self) -> bool:
        assert self._socket is not None
        host, port = self._socket.getsockname()[:2]
        connection = http.client.HTTPConnection(host, port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def look_after(self) -> None:
        """One round of supervision: whatever has died is started again."""
        if self._postgres is not None:
            self._postgres.ensure_running()
        for child in self._children:
            child.keep_running()

    def supervise(self, until: Callable[[], bool]) -> None:
        """Look after everything until told to stop."""
        while not until():
            self.look_after()
            time.sleep(_LOOK_SECONDS)

    def stop(self) -> None:
        """Stop everything; what ran goes on at the next start."""
        (self._data.run / "engine.json").unlink(missing_ok=True)
        for child in reversed(self._children):
            child.stop()
        if self._database is not None:
            self._database.dispose()
        if self._postgres is not None:
            self._postgres.stop()
        if self._socket is not None:
            self._socket.close()
        self._data.close()


class Interrupts:
    """SIGINT and SIGTERM as a flag: a first one ends in order, a second one is ignored while that happens."""

    def __init__(self) -> None:
        self.seen = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, *_: Any) -> None:
        self.seen = True


def run_up(settings: UpSettings, *, open_browser: bool, say: Callable[[str], None] = print) -> int:
    """`devteam up`: run until Ctrl-C. Returns the exit code."""
    interrupts = Interrupts()
    engine = Engine(settings)
    try:
        engine.start()
        say(f"DevTeam runs on {engine.url} (data in {engine.folder})")
        if engine.first_start or open_browser:
            link = engine.login_link()
            say(f"Sign in once with this link: {link}")
            if open_browser:
                webbrowser.open(link)
        else:
            say("Sign in with a link from: devteam login-link")
        say("Ctrl-C stops everything; running work goes on at the next start.")
        engine.supervise(lambda: interrupts.seen)
        say("Stopping ...")
    finally:
        engine.stop()
    return 0


def _listen(host: str, port: int | None) -> socket.socket:
    """A listening socket. Raises Conflict when the wanted port is taken."""
    wanted = [port] if port is not None else [*range(DEFAULT_PORT, DEFAULT_PORT + 20), 0]
    for candidate in wanted:
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
        except OSError as exc:
            listener.close()
            problem = exc
            continue
        listener.listen(512)
        listener.set_inheritable(True)
        return listener
    raise Conflict(f"Port {wanted[0]} of {host} cannot be used: {problem.strerror}.", code="port_taken")


def _write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)
