"""The bare repository behind a mirror: who may use it now, and that it is in a usable state.

Everything here assumes that the previous user was killed in the middle. One file lock per mirror serialises
the engine; the git children keep that lock open too, so whoever holds it knows that no git of the engine is
still at work. The mirror's settings are rewritten before each use, since an executor shares them through its
worktree.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from devteam.adapters.git.command import Argument, GitError, GitErrorKind, GitResult, run_git

Identity = tuple[str, str]
"""A name and an address."""
IDENTITY: Final[Identity] = ("DevTeam", "devteam@localhost")
EXCLUDED: Final = (
    "__pycache__/", "*.pyc", ".pytest_cache/", ".ruff_cache/", ".mypy_cache/", "*.egg-info/", "node_modules/",
    ".coverage",
)  # fmt: skip
LOCK_WAIT: Final = 900.0
"""Seconds to wait for another user of the mirror; a first fetch may take long."""
ORPHAN_AGE: Final = 60.0
"""Seconds after which a git lock file is stale where the running processes cannot be seen."""

_CONFIG: Final = f"""\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\tsymlinks = true
\tautocrlf = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[user]
\tname = {IDENTITY[0]}
\temail = {IDENTITY[1]}
"""
# What an executor could leave behind to change how later commands of the engine behave.
_FOREIGN: Final = (
    "config.worktree", "commondir", "info/attributes", "info/grafts", "objects/info/alternates", "shallow",
)  # fmt: skip


@dataclass(frozen=True)
class Session:
    """The right to change a mirror, for as long as its lock is held."""

    git_dir: Path
    lock_fd: int

    def git(self, *args: Argument, **options: Any) -> GitResult:
        """Run git in the mirror; the options are those of `run_git`."""
        return run_git(args, git_dir=self.git_dir, keep_fds=(self.lock_fd,), **options)

    def scratch(self, name: str) -> Path:
        """A fresh path for a temporary file or folder; what is left there is removed by the next session."""
        folder = self.git_dir / "devteam" / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{uuid4().hex}-{name}"

    def commit_tree(
        self, tree: str, parents: Sequence[str], message: str, date: datetime, author: Identity = IDENTITY
    ) -> str:
        """A commit of that tree, committed by DevTeam whoever stands as its author.

        Same tree, parents, message, date and author give the same hash, on any machine.
        """
        args: list[Argument] = ["commit-tree", tree]
        for parent in parents:
            args += ["-p", parent]
        text = message.replace("\0", "").encode("utf-8", errors="replace")
        return self.git(*args, "-F", "-", stdin=text, env=_signature(date, author)).text

    def commit_like(self, commit: str, tree: str, parent: str) -> str:
        """A commit of that tree with author, dates and message of another one; the same each time it is made."""
        shown = self.git("show", "--no-patch", "--no-show-signature", "--format=%an%n%ae%n%at%n%ct%n%B", commit)
        name, email, authored, committed, message = shown.stdout.split(b"\n", 4)
        env = {
            "GIT_AUTHOR_NAME": _person(name),
            "GIT_AUTHOR_EMAIL": _person(email),
            "GIT_AUTHOR_DATE": f"@{int(authored)} +0000",
            "GIT_COMMITTER_NAME": IDENTITY[0],
            "GIT_COMMITTER_EMAIL": IDENTITY[1],
            "GIT_COMMITTER_DATE": f"@{int(committed)} +0000",
        }
        return self.git("commit-tree", tree, "-p", parent, "-F", "-", stdin=message, env=env).text

    def tree(self, commit: str) -> str:
        """The hash of a commit's tree."""
        return self.git("rev-parse", "--verify", f"{commit}^{{tree}}").text

    def check_readable(self, commit: str, known: str) -> None:
        """Raise GitError unless every object that the commit adds to the known one can be read."""
        added = self.git("rev-list", "--objects", "--no-object-names", commit, "--not", known)
        for line in self.git("cat-file", "--batch-check", stdin=added.stdout).text.splitlines():
            if len(line.split()) != 3:
                raise GitError(GitErrorKind.CORRUPT, f"The saved work {commit[:12]} cannot be read back.", line)


def _person(text: bytes) -> str:
    """A name or an address as git takes it; it refuses empty ones."""
    return text.decode("utf-8", errors="replace").strip() or "unknown"


def _signature(date: datetime, author: Identity) -> dict[str, str]:
    if date.tzinfo is None:
        raise ValueError("a commit's date needs a time zone")
    stamp = f"@{int(date.timestamp())} +0000"
    return {
        f"GIT_{role}_{part}": value
        for role, (name, email) in (("AUTHOR", author), ("COMMITTER", IDENTITY))
        for part, value in (("NAME", name), ("EMAIL", email), ("DATE", stamp))
    }


@contextmanager
def open_session(path: Path) -> Iterator[Session]:
    """Hold the mirror's lock and leave the repository usable: made when missing, repaired when half-made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_name(f"{path.name}.in-use"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(lock)
        session = Session(path, lock)
        make_repository(session)
        yield session
    finally:
        os.close(lock)


def _take(lock: int) -> None:
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise GitError(
                    GitErrorKind.TIMED_OUT, "DevTeam's copy of the repository was in use for too long."
                ) from None
            time.sleep(0.02)


def make_repository(session: Session) -> None:
    """Leave a usable bare repository at the session's place."""
    _make_when_missing(session)
    _settle(session.git_dir)
    _remove_stale_locks(session.git_dir)


def _make_when_missing(session: Session) -> None:
    """Make the bare repository beside its place and rename it there, so that it is whole or absent."""
    path = session.git_dir
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        path.unlink()
    if path.is_dir():
        return
    fresh = path.with_name(f"{path.name}.new")
    remove_tree(fresh)
    run_git(
        ["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--", fresh],
        keep_fds=(session.lock_fd,),
    )
    fresh.rename(path)


def _settle(path: Path) -> None:
    """Put back what git needs to see a repository here, and our settings in place of anybody else's."""
    for folder in ("objects/info", "objects/pack", "refs/heads", "info"):
        (path / folder).mkdir(parents=True, exist_ok=True)
    _ensure(path / "HEAD", "ref: refs/heads/main\n")
    _ensure(path / "info" / "exclude", "\n".join(EXCLUDED) + "\n")
    put_settings_back(path)
    remove_tree(path / "devteam" / "scratch")


def put_settings_back(path: Path) -> None:
    """Undo what an executor may have written into the mirror's settings: git would run programs that they
    name.
    """
    if not path.is_dir():
        return
    _ensure(path / "config", _CONFIG)
    for name in _FOREIGN:
        (path / name).unlink(missing_ok=True)


def _ensure(file: Path, content: str) -> None:
    with suppress(OSError):
        if not file.is_symlink() and file.read_bytes() == content.encode():
            return
    write_file(file, content)


def write_file(file: Path, content: str) -> None:
    """Replace a file in one step: readers and a killed writer see the old content or the new."""
    fresh = file.with_name(f"{file.name}.{uuid4().hex}.new")
    fresh.write_text(content, encoding="utf-8")
    fresh.replace(file)


def worktree_registrations(path: Path) -> list[tuple[Path, Path]]:
    """The folder inside the mirror and the `.git` file outside that git registered, for each worktree."""
    found = []
    for admin in (path / "worktrees").glob("*"):
        try:
            gitdir = Path(os.fsdecode((admin / "gitdir").read_bytes().rstrip(b"\n")))
        except OSError:
            gitdir = Path("/nonexistent")
        found.append((admin, gitdir))
    return found


def _remove_stale_locks(path: Path) -> None:
    """Remove the *.lock files of killed gits.

    No git of the engine runs (we hold the mirror's lock), but an executor may use git in its worktree at this
    very moment.
    """
    locks = {file: file.lstat().st_mtime_ns for file in _lock_files(path)}
    if not locks:
        return
    somebody = _git_at_work([path, *(gitdir.parent for _, gitdir in worktree_registrations(path))])
    for file, changed in locks.items():
        with suppress(FileNotFoundError):
            status = file.lstat()
            old = somebody is None and time.time() - status.st_mtime > ORPHAN_AGE
            if status.st_mtime_ns == changed and (somebody is False or old):
                file.unlink()


def _lock_files(path: Path) -> list[Path]:
    patterns = ("*.lock", "refs/**/*.lock", "worktrees/*/*.lock", "objects/info/**/*.lock", "logs/**/*.lock")
    return [file for pattern in patterns for file in path.glob(pattern)]


def _git_at_work(folders: Sequence[Path]) -> bool | None:
    """Whether a git process works in one of the folders; None when this machine does not let us see."""
    if not Path("/proc/self/cwd").exists():
        return None
    unseen = False
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if not (process / "comm").read_text().startswith("git"):
                continue
            cwd = Path(os.readlink(process / "cwd"))
            words = (process / "cmdline").read_bytes() + b"\0" + (process / "environ").read_bytes()
        except PermissionError:
            unseen = True
            continue
        except OSError:
            continue  # it has ended
        if any(cwd.is_relative_to(folder) or os.fsencode(folder) in words for folder in folders):
            return True
    return None if unseen else False


def remove_tree(path: Path) -> None:
    """Remove a file or a whole folder, read-only parts included; nothing there is fine. Never follows a
    symlink.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)  # a pipe, too, which opening would wait for
        return
    with suppress(OSError):
        shutil.rmtree(path)
        return
    for folder, names, _ in os.walk(path):
        os.chmod(folder, 0o700)
        for name in names:
            child = os.path.join(folder, name)
            if not os.path.islink(child):
                os.chmod(child, 0o700)
    try:
        shutil.rmtree(path)
    except OSError as exc:
        raise GitError(GitErrorKind.OTHER, f"The folder {path} cannot be removed: {exc.strerror}.", str(exc)) from exc
