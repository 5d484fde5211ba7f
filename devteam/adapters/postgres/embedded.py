"""The embedded PostgreSQL server: our own child process, reached over a private Unix socket only.

The server sits in a session of its own, so that a terminal's Ctrl-C reaches us and not it, and survives the
death of its owner. The next owner of the data folder ends such a leftover and starts its own server on the
same files.
"""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import psycopg
from sqlalchemy import URL

from devteam.adapters.postgres.data_folder import SOCKET_NAME, DataFolder
from devteam.adapters.postgres.server_binaries import server_binaries
from devteam.adapters.postgres.server_processes import cluster_name_of, end_server, server_pids
from devteam.kit.errors import DevTeamError
from devteam.kit.log import get_logger

log = get_logger(__name__)

RECOVERY_WAIT_SECONDS = 120.0
DATABASE = "devteam"
USER = "devteam"
_PORT = 5432  # names the socket; nothing listens on TCP
_MAX_LOG_BYTES = 10 * 1024 * 1024
_WAL_SEGMENT_BYTES = 16 * 1024 * 1024
_POLL_SECONDS = 0.02

# A small footprint when idle, and no promise to a client that a power cut could break.
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "huge_pages": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_level": "replica",
    "max_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "autovacuum": "on",
    "autovacuum_naptime": "2min",
    "jit": "off",
    "io_method": "sync",  # no input/output worker processes
    # Parallel queries need shared memory that small containers do not have, and our queries are short.
    "max_parallel_workers_per_gather": "0",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

# What a server says that starts while the remains of the last one are still going away.
_REMAINS = re.compile(r"pre-existing shared memory block|lock file .* already exists|is still in use")
_DISK_FULL = "No space left on device"
_FATAL = re.compile(r"(?:FATAL|PANIC|initdb: error|could not): *(.+)")


class PostgresFailed(DevTeamError):
    """The server could not be started; the message names the reason and the log."""

    code = "postgres_failed"


class EmbeddedPostgres:
    """One server on one data folder. Methods block; they may be called from several threads."""

    def __init__(
        self, data: DataFolder, *, settings: Mapping[str, str] | None = None, follow_parent: bool = False
    ) -> None:
        """`settings` are server settings on top of, or instead of, our own.

        With `follow_parent` the server ends by itself when the thread that started it does, by whatever death;
        start it from a thread that lives as long as the server should.
        """
        self._follow_parent = follow_parent
        self._data = data
        self._settings = {**_SETTINGS, **(settings or {})}
        self._cluster = data.postgres / "cluster"
        self._log_file = data.postgres / "server.log"
        self._sockets = data.socket_folder()
        self._binaries: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._wait = RECOVERY_WAIT_SECONDS
        self._wanted = threading.Event()
        self._lock = threading.RLock()

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database, for any local process of this user."""
        return _url(self._sockets)

    @property
    def pid(self) -> int | None:
        """The server's process id while it lives."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def is_alive(self) -> bool:
        """Whether the server process lives; it may still be recovering."""
        return self.pid is not None

    def start(self, *, wait: float = RECOVERY_WAIT_SECONDS) -> None:
        """Bring the server up, creating its files and the database at the first start.

        Waits up to `wait` seconds for crash recovery and raises `PostgresFailed` when that is not enough (the
        server then goes on recovering: call again to wait longer) or the server ends.
        """
        with self._lock:
            self._wanted.set()
            self._wait = wait
            self._bring_up()
            self._create_database()

    def ensure_running(self) -> bool:
        """Restart a server that died, unless it was stopped on purpose; True when it had to be restarted."""
        with self._lock:
            if not self._wanted.is_set() or self.is_alive():
                return False
            log.warning("postgres_died", returncode=self._process.returncode if self._process else None)
            self._bring_up()
            log.info("postgres_restarted", pid=self.pid)
            return True

    def watch(
        self, until: threading.Event, *, interval: float = 0.5, on_restart: Callable[[], None] | None = None
    ) -> None:
        """Keep the server running until `until` is set; for a thread of its own. `interval` in seconds."""
        while not until.wait(interval):
            try:
                if self.ensure_running() and on_restart is not None:
                    on_restart()
            except (PostgresFailed, OSError) as error:
                log.error("postgres_not_restarted", reason=str(error))

    def stop(self) -> None:
        """End the server: fast shutdown, after 20 s an immediate one; harmless when it does not run."""
        self._wanted.clear()
        with self._lock:
            if self._cluster.exists():
                end_server(cluster_name_of(self._cluster))
            if self._process is not None:
                self._process.wait()
                self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _bring_up(self) -> None:
        try:
            self._bring_up_unguarded()
        except (OSError, ModuleNotFoundError) as error:
            if _DISK_FULL in str(error):
                raise self._failure(str(error)) from error
            raise PostgresFailed(f"the database did not start: {str(error)[:500]}") from error

    def _bring_up_unguarded(self) -> None:
        deadline = time.monotonic() + self._wait
        if self._binaries is None:
            self._binaries = server_binaries(self._data)
        if not self._cluster.exists():
            self._create_cluster(self._binaries)
        if not self.is_alive():
            self._end_leftovers()
            self._process = self._spawn(self._binaries)
        while not self._wait_until_ready(deadline):
            # The remains of the last server were in the way, and now are gone.
            self._end_leftovers()
            self._process = self._spawn(self._binaries)

    def _create_cluster(self, binaries: Path) -> None:
        """Create the files under another name first: a start that is killed leaves no half-made ones."""
        partial = self._cluster.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        self._make_own_folder(partial)
        command = [str(binaries / "initdb"), "-D", str(partial), "-U", USER, "--encoding=UTF8"]
        # The built-in locale sorts the same on every system and with every C library.
        command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += ["--auth-local=trust", "--auth-host=reject", "--no-instructions", "--no-clean"]
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd=self._data.postgres,
            env=_environment(),
            start_new_session=True,
            check=False,
            **self._account_arguments(),
        )
        if answer.returncode != 0:
            failure = self._failure(answer.stdout + answer.stderr)  # looks at the disk before it is emptied
            shutil.rmtree(partial, ignore_errors=True)
            raise failure
        partial.rename(self._cluster)

    def _make_own_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        if self._data.account:
            os.chown(folder, self._data.account.uid, self._data.account.gid)

    def _account_arguments(self) -> dict[str, Any]:
        return self._data.account.process_arguments if self._data.account else {}

    def _end_leftovers(self) -> None:
        """End what an earlier owner or a killed server left: processes, then the files that name them."""
        if end_server(cluster_name_of(self._cluster)):
            log.info("postgres_leftovers_ended")
        if _answers(self._sockets / SOCKET_NAME):
            # Its processes are not ours to see, so it runs in another container on the same files.
            raise PostgresFailed(
                f"another PostgreSQL server answers on {self._sockets}, out of reach from here "
                "(another container?); stop it, or choose another folder with --data"
            )
        # The pids in these files are dead, or by now belong to strangers.
        for stale in (
            self._cluster / "postmaster.pid",
            self._sockets / SOCKET_NAME,
            self._sockets / f"{SOCKET_NAME}.lock",
        ):
            stale.unlink(missing_ok=True)

    def _spawn(self, binaries: Path) -> subprocess.Popen[bytes]:
        settings = {
            **self._settings,
            "cluster_name": cluster_name_of(self._cluster),
            "unix_socket_directories": _quoted(self._sockets),
        }
        command = [str(binaries / "postgres"), "-D", str(self._cluster), "-p", str(_PORT)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self._open_log() as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._data.postgres,
                env=_environment(),
                start_new_session=True,
                umask=0o077,
                preexec_fn=_end_with_parent if self._follow_parent else None,
                **self._account_arguments(),
            )

    def _open_log(self) -> IO[bytes]:
        with suppress(FileNotFoundError):
            if self._log_file.stat().st_size > _MAX_LOG_BYTES:
                self._log_file.replace(self._log_file.with_suffix(".log.1"))
        # The folder belongs to the server's account: as root, follow no link that it may have put there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        output = os.fdopen(os.open(self._log_file, flags, 0o600), "ab")
        self._log_start = output.seek(0, os.SEEK_END)
        return output

    def _wait_until_ready(self, deadline: float) -> bool:
        """True when the server takes connections, False when remains ended it: worth another try."""
        process = self._process
        assert process is not None
        while True:
            if not self._wanted.is_set():
                raise PostgresFailed("the database was stopped while it started")
            if self._says_ready(process.pid):
                return True
            late = time.monotonic() > deadline
            if process.poll() is not None:
                said = self._log_since_start()
                if _REMAINS.search(said) and not late:
                    time.sleep(_POLL_SECONDS)
                    return False
                raise self._failure(said)
            if late:
                raise PostgresFailed(
                    f"the database is still recovering after {self._wait:.0f} s; its log is {self._log_file}"
                )
            time.sleep(_POLL_SECONDS)

    def _says_ready(self, pid: int) -> bool:
        """The postmaster writes its state into its pid file; asking costs no connection."""
        lines = _pid_file_lines(self._cluster)
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _log_since_start(self) -> str:
        with self._log_file.open("rb") as file:
            file.seek(self._log_start)
            return file.read(100_000).decode(errors="replace")

    def _failure(self, said: str) -> PostgresFailed:
        # The server's last words are often about what the full disk led to, not about the disk.
        if _DISK_FULL in said or shutil.disk_usage(self._data.path).free < _WAL_SEGMENT_BYTES:
            return PostgresFailed(f"the disk of the data folder {self._data.path} is full; the database cannot start")
        reasons = _FATAL.findall(said)
        reason = reasons[-1].strip() if reasons else "no reason given"
        return PostgresFailed(f"the database did not start: {reason}; its log is {self._log_file}")

    def _create_database(self) -> None:
        conninfo = psycopg.conninfo.make_conninfo(
            host=str(self._sockets), port=_PORT, user=USER, dbname="postgres", connect_timeout=10
        )
        with psycopg.connect(conninfo, autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(DATABASE)))


def _end_with_parent() -> None:
    """In the server's process before it begins: a fast shutdown when the parent dies (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGINT, 0, 0, 0)


def running_database_url(path: Path) -> str | None:
    """The database of the engine that runs on this data folder, for processes that join it, if any."""
    cluster = path.expanduser().resolve() / "postgres" / "cluster"
    lines = _pid_file_lines(cluster)
    if len(lines) < 5 or not server_pids(cluster_name_of(cluster)):
        return None
    return _url(Path(lines[4].strip()))


def _url(sockets: Path) -> str:
    return URL.create(
        "postgresql+psycopg", username=USER, port=_PORT, database=DATABASE, query={"host": str(sockets)}
    ).render_as_string(hide_password=False)


def _pid_file_lines(cluster: Path) -> list[str]:
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _quoted(folder: Path) -> str:
    """The folder as one entry of a server setting that takes a list of folders."""
    return '"' + str(folder).replace('"', '""') + '"'


def _environment() -> dict[str, str]:
    """A clean environment: no `PG*` variable or locale of the user's shell may change the server."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True
