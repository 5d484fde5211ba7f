"""The data folder: everything that one engine keeps on this machine, owned by one process at a time."""

import errno
import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from devteam.kit.errors import Refused
from devteam.kit.log import get_logger

log = get_logger(__name__)

MIN_FREE_BYTES = 200 * 1024 * 1024
SOCKET_NAME = ".s.PGSQL.5432"
# The shortest limit of the supported systems (macOS: 104 bytes with the closing zero; Linux: 108).
_MAX_SOCKET_PATH = 103
_SUBFOLDERS = ("postgres", "mirrors", "workspaces", "run")
# PostgreSQL refuses to run as root; these accounts are tried in turn, none is ever created.
_SERVER_ACCOUNTS = ("postgres", "pgserver", "nobody")


class DataFolderRefused(Refused):
    """The folder cannot be used; the message is one sentence that says why and what to do."""

    code = "data_folder_refused"


class DataFolderInUse(DataFolderRefused):
    """Another living process owns the folder."""

    code = "data_folder_in_use"


@dataclass(frozen=True)
class ServerAccount:
    """The unprivileged account that the database server runs as when we are root."""

    uid: int
    gid: int
    name: str

    @property
    def process_arguments(self) -> dict[str, Any]:
        """Arguments of `subprocess` that start a child under this account and no further groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


class DataFolder:
    """An open data folder. Whoever holds it is its only owner until `close` or the end of the process."""

    def __init__(self, path: Path, lock: int, account: ServerAccount | None) -> None:
        self.path = path
        self.account = account
        self._lock: int | None = lock

    @classmethod
    def open(cls, path: Path, *, min_free: int = MIN_FREE_BYTES) -> Self:
        """Create the folder if needed and become its owner.

        `min_free`: bytes that must be free on its disk. Raises `DataFolderInUse` or `DataFolderRefused`.
        """
        path = path.expanduser().resolve()
        try:
            ours = _create(path)
            _require_free_space(path, min_free)
            lock = _take_ownership(path)
        except OSError as error:
            raise _refusal(path, error) from error
        try:
            account = _server_account(path) if os.geteuid() == 0 else None
            _lay_out(path, ours, account)
        except BaseException as error:
            os.close(lock)
            if isinstance(error, OSError):
                raise _refusal(path, error) from error
            raise
        return cls(path, lock, account)

    @property
    def postgres(self) -> Path:
        """Database files and the server's log."""
        return self.path / "postgres"

    @property
    def mirrors(self) -> Path:
        """Mirrors of the customers' repositories."""
        return self.path / "mirrors"

    @property
    def workspaces(self) -> Path:
        """Working trees of attempts."""
        return self.path / "workspaces"

    @property
    def run(self) -> Path:
        """What exists only while the engine runs: its address, its local token."""
        return self.path / "run"

    def socket_folder(self) -> Path:
        """The private folder (0700) of the database's socket, created if needed.

        Lies inside the data folder unless the path is too long for a Unix socket.
        """
        inside = self.postgres / "socket"
        folder = inside if _fits_socket(inside) else self._short_socket_folder()
        try:
            _private_folder(folder, self.account)
        except OSError as error:
            raise _refusal(folder, error) from error
        if folder != inside:
            log.info("socket_folder_elsewhere", reason="the data folder's path is too long", folder=str(folder))
        return folder

    def _short_socket_folder(self) -> Path:
        name = f"devteam-{os.geteuid()}-{hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]}"
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        # Root's runtime folder is closed to the server's account.
        if runtime and self.account is None and os.access(runtime, os.W_OK | os.X_OK):
            folder = Path(runtime) / name
            if _fits_socket(folder):
                return folder
        return Path("/tmp") / name  # noqa: S108 - a private folder whose owner and mode are checked

    def close(self) -> None:
        """Give up ownership; harmless when done twice."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _create(path: Path) -> bool:
    """Make the folder; True when it is ours to set up: made by us (now or earlier), or given to us empty."""
    if not path.exists():
        path.mkdir(mode=0o700, parents=True)
        return True
    if not path.is_dir():
        raise DataFolderRefused(f"the data folder {path} is not a folder; choose another with --data")
    ours = (path / "owner.lock").exists() or not any(path.iterdir())
    return ours and path.stat().st_uid == os.geteuid()


def _require_free_space(path: Path, min_free: int) -> None:
    free = shutil.disk_usage(path).free
    if free < min_free:
        raise DataFolderRefused(
            f"the disk of the data folder {path} is full: {free // 2**20} MB are free, "
            f"{-(-min_free // 2**20)} MB are needed; free some space, or choose another with --data"
        )


def _take_ownership(path: Path) -> int:
    lock = os.open(path / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n{datetime.now(UTC).isoformat(timespec='seconds')}\n".encode(), 0)
    except BlockingIOError as error:
        owner = os.pread(lock, 200, 0).decode(errors="replace").split("\n")[0] or "unknown"
        os.close(lock)
        raise DataFolderInUse(
            f"the data folder {path} is in use by process {owner}; stop it, or choose another with --data",
            extra={"pid": int(owner) if owner.isdigit() else None},
        ) from error
    except OSError:
        os.close(lock)
        raise
    return lock


def _server_account(path: Path) -> ServerAccount:
    """The owner of database files that exist already, else the first suitable account of this machine."""
    with suppress(FileNotFoundError):
        owner = (path / "postgres" / "cluster").stat()
        if owner.st_uid != 0:
            return ServerAccount(owner.st_uid, owner.st_gid, _account_name(owner.st_uid))
    for name in _SERVER_ACCOUNTS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return ServerAccount(entry.pw_uid, entry.pw_gid, name)
    raise DataFolderRefused(
        "PostgreSQL does not run as root and this machine has no account for it "
        f"({', '.join(_SERVER_ACCOUNTS)}); create one, or start DevTeam as an ordinary user"
    )


def _account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _lay_out(path: Path, ours: bool, account: ServerAccount | None) -> None:
    if ours:
        _close_to_others(path, account)
    for name in _SUBFOLDERS:
        _private_folder(path / name, account if name == "postgres" else None)
    if account:
        _require_traversable(path / "postgres", account)


def _close_to_others(path: Path, account: ServerAccount | None) -> None:
    """Only this user enters; the server's account passes through to its own subfolder, but cannot list."""
    if account is None:
        path.chmod(0o700)
    else:
        os.chown(path, 0, account.gid)
        path.chmod(0o710)


def _private_folder(folder: Path, account: ServerAccount | None) -> None:
    """Make a folder that only `account` (or this user) may enter, or check that it is one."""
    owner = account.uid if account else os.geteuid()
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if account:
            os.chown(folder, account.uid, account.gid)
        return
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise DataFolderRefused(f"{folder} is not a folder; move it away, or choose another with --data")
    if account and found.st_uid == 0 and not any(folder.iterdir()):
        os.chown(folder, account.uid, account.gid)  # a start that was killed between mkdir and chown
    elif found.st_uid != owner and os.geteuid() != 0:
        raise DataFolderRefused(f"{folder} belongs to user {_account_name(found.st_uid)}; choose another with --data")
    elif account and found.st_uid != owner:
        raise DataFolderRefused(
            f"{folder} belongs to user {_account_name(found.st_uid)}, the database runs as {account.name}; "
            "choose another with --data"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)


def _require_traversable(folder: Path, account: ServerAccount) -> None:
    """Ask as that account, so that access lists and mounts count, and name the first closed folder."""
    steps = [str(step) for step in [*reversed(folder.parents), folder]]
    script = 'for step; do cd "$step" 2>/dev/null || { printf %s "$step"; exit 1; }; done'
    try:
        answer = subprocess.run(
            ["/bin/sh", "-c", script, "sh", *steps],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            **account.process_arguments,
        )
    except PermissionError as error:
        raise DataFolderRefused(
            f"PostgreSQL does not run as root and this root may not switch to the account {account.name}; "
            "start DevTeam as an ordinary user"
        ) from error
    if answer.returncode != 0:
        raise DataFolderRefused(
            f"the database runs as user {account.name}, who cannot enter {answer.stdout}; "
            f"open it for passing through (chmod o+x), or choose another with --data"
        )


def _fits_socket(folder: Path) -> bool:
    return len(os.fsencode(folder / SOCKET_NAME)) <= _MAX_SOCKET_PATH


def _refusal(path: Path, error: OSError) -> DataFolderRefused:
    match error.errno:
        case errno.EACCES | errno.EPERM | errno.EROFS:
            why = "is not writable for this user"
        case errno.ENOTDIR | errno.EEXIST:
            why = "cannot be created because a file is in the way"
        case errno.ENOSPC | errno.EDQUOT:
            why = "is on a full disk"
        case errno.ENAMETOOLONG:
            why = "has too long a name"
        case _:
            why = f"cannot be used ({error.strerror or error})"
    where = f" ({error.filename})" if error.filename and str(error.filename) != str(path) else ""
    return DataFolderRefused(f"the data folder {path} {why}{where}; choose another with --data")
