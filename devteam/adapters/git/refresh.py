"""A worktree brought to a commit in place: only what differs is written anew, which counts in large repositories.

Whether a file is as it was checked out is told by an index that is kept out of everybody's reach, from the moment the
files were written: size, inode and the time of the last change, which nobody can set, have to be the same.
"""

import os
import shutil
import stat
from pathlib import Path

from devteam.adapters.git.command import GitError
from devteam.adapters.git.store import Session, remove_tree, worktree_registrations, write_file

_FOLDER_MODE = 0o755
_PLAIN_MODES = frozenset({0o644, 0o755, 0o664, 0o775, 0o600, 0o700})


def keep_index(index: Path, kept: Path) -> None:
    """Keep an index as it is, its own time included: by that git knows which files may have changed since."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    fresh = kept.with_name(f"{kept.name}.new")
    shutil.copy2(index, fresh)
    fresh.replace(kept)


def refresh_worktree(session: Session, path: Path, commit: str, kept: Path) -> bool:
    """Give the folder exactly the commit's files, and a registration with git as new; False when it has to be made
    from nothing, because nothing is known of it or something in it cannot be put right.
    """
    if path.is_symlink() or not path.is_dir() or not kept.is_file():
        return False
    try:
        index = session.scratch("index")
        shutil.copy2(kept, index)
        _make_plain(path)
        session.git("read-tree", "--reset", "-u", commit, work_tree=path, index_file=index)
        session.git("clean", "-ffdxq", work_tree=path, index_file=index)
        _register(session, path, commit, index)
        keep_index(index, kept)
    except (GitError, OSError):
        return False
    return True


def _make_plain(path: Path) -> None:
    """Take away what git does not look at: its own folders, special files, odd modes and shared files."""
    os.chmod(path, stat.S_IMODE(path.stat().st_mode) | 0o700)
    waiting = [os.fspath(path)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if entry.name.lower() == ".git":
                    remove_tree(Path(entry.path))
                elif stat.S_ISDIR(status.st_mode):
                    if stat.S_IMODE(status.st_mode) not in _PLAIN_MODES - {0o644, 0o664, 0o600}:
                        os.chmod(entry.path, _FOLDER_MODE)
                    waiting.append(entry.path)
                elif not stat.S_ISLNK(status.st_mode) and not _is_plain(status):
                    os.unlink(entry.path)


def _is_plain(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and stat.S_IMODE(status.st_mode) in _PLAIN_MODES


def _register(session: Session, path: Path, commit: str, index: Path) -> None:
    """A registration that nobody has touched, with the index of the files that are there."""
    empty = session.scratch("tree")
    session.git("worktree", "add", "--quiet", "--force", "--detach", "--no-checkout", empty, commit)
    admin = next(admin for admin, link in worktree_registrations(session.git_dir) if link == empty / ".git")
    write_file(path / ".git", f"gitdir: {admin}\n")
    write_file(admin / "gitdir", f"{path / '.git'}\n")
    shutil.copy2(index, admin / "index")
    remove_tree(empty)
