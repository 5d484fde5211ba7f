"""DevTeam's mirror of a project's repository, the worktrees that executors work in, and what is saved out of
them.

What an executor left behind is read with the mirror's own git directory and an index of our own: its `.git`
file, its index, its lock files, its branch and its commits do not matter, only the files do. A git repository
that an executor made inside the worktree is saved as the plain files it consists of (its own history is not),
because a bare link to a commit that exists nowhere else would lose the work; submodules that the project
already has stay submodules. Files that the ignore rules name are left out unless the base commit has them.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from devteam.adapters.git.command import (
    GitError,
    GitErrorKind,
    GitResult,
    check_branch,
    check_ref,
    check_sha,
    read_git,
    run_git,
)
from devteam.adapters.git.refresh import keep_index, refresh_worktree
from devteam.adapters.git.remote import normalise_repository
from devteam.adapters.git.store import (
    Session,
    make_repository,
    open_session,
    put_settings_back,
    remove_tree,
    worktree_registrations,
    write_file,
)

FETCH_TIMEOUT: Final = 900.0
DIFF_LIMIT: Final = 1_000_000
LEFTOVER_AGE: Final = 24 * 3600.0
"""Seconds after which a half-written pack of a killed fetch is removed."""


@dataclass(frozen=True)
class Diff:
    """A unified diff; `truncated` says that it was longer than was asked for."""

    text: str
    truncated: bool


class FileStat(NamedTuple):
    """Lines added and deleted in one file; both are 0 for a binary file."""

    path: str
    added: int
    deleted: int


@dataclass(frozen=True)
class Mirror:
    """A bare copy of a project's repository at `path`. Every method may be killed at any moment and run
    again.
    """

    path: Path
    repository: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(os.path.abspath(self.path)))
        object.__setattr__(self, "repository", normalise_repository(self.repository))

    def session(self) -> AbstractContextManager[Session]:
        """Exclusive use of the mirror. Not re-entrant: a method that opens one must not be called inside
        another.
        """
        return open_session(self.path)

    def read(self, *args: str, ok: tuple[int, ...] = (0,)) -> GitResult:
        """A git command that changes nothing and so needs no lock."""
        put_settings_back(self.path)
        return run_git(args, git_dir=self.path, ok=ok)

    # --- the customer's branches ---

    def fetch(self, timeout: float = FETCH_TIMEOUT) -> None:
        """Bring the mirror up to the customer's repository; a damaged one is set aside and fetched anew."""
        with self.session() as session:
            _remove_leftovers(self.path)
            try:
                self._fetch(session, timeout)
            except GitError as exc:
                if exc.kind is not GitErrorKind.CORRUPT or _is_whole(session):
                    raise
                self._rebuild(session, timeout)

    def _fetch(self, session: Session, timeout: float) -> None:
        session.git(
            "fetch", "--quiet", "--prune", "--force", "--no-write-fetch-head", "--no-recurse-submodules",
            "--",             self.repository, "+refs/heads/*:refs/remotes/origin/*",
            timeout=timeout, remote=True,
        )  # fmt: skip

    def _rebuild(self, session: Session, timeout: float) -> None:
        broken = self.path.with_name(f"{self.path.name}.broken")
        remove_tree(broken)
        self.path.rename(broken)
        make_repository(session)
        self._fetch(session, timeout)
        _rescue_own_refs(session, broken)

    def head(self, branch: str) -> str:
        """The commit of the customer's branch as last fetched."""
        ref = f"refs/remotes/origin/{check_branch(branch)}"
        found = self.read("rev-parse", "--quiet", "--verify", f"{ref}^{{commit}}", ok=(0, 1))
        if found.code != 0:
            raise GitError(GitErrorKind.BRANCH_NOT_FOUND, f"The repository has no branch named {branch}.")
        return found.text

    def is_placed(self, path: Path, commit: str) -> bool:
        """Whether the worktree was last made at that commit."""
        known = _recall(self.path, Path(os.path.abspath(path)))
        return known is not None and known.start == commit

    def has(self, commit: str) -> bool:
        """Whether the mirror holds the commit."""
        return self.read("cat-file", "-e", f"{check_sha(commit)}^{{commit}}", ok=(0, 1, 128)).code == 0

    def common_ancestor(self, one: str, other: str) -> str | None:
        """The newest commit that both hold; None when their histories never met."""
        return self.read("merge-base", check_sha(one), check_sha(other), ok=(0, 1)).text or None

    # --- worktrees ---

    def make_worktree(self, path: Path, branch_name: str, start_commit: str) -> None:
        """A worktree at `path` on a new or reset branch, holding exactly the files of that commit.

        Whatever is there already, from a killed run for example, is replaced; the folder itself stays the
        same one.
        """
        check_branch(branch_name)
        check_sha(start_commit)
        path = Path(os.path.abspath(path))
        with self.session() as session:
            _place_worktree(session, path, branch_name, start_commit)
            _remember(session, path, branch_name, start_commit)

    def reset_worktree(self, path: Path, commit: str) -> None:
        """Back to exactly that commit on the worktree's own branch, whatever an executor did to files or
        `.git`.
        """
        check_sha(commit)
        path = Path(os.path.abspath(path))
        with self.session() as session:
            known = _recall(self.path, path)
            if known is None:
                raise GitError(GitErrorKind.OTHER, f"There is no workspace at {path}.")
            _place_worktree(session, path, known.branch, commit)
            _index_file(self.path, path).unlink(missing_ok=True)  # it is to be that of the start

    def remove_worktree(self, path: Path) -> None:
        """Remove folder, registration and local branch; what was saved under other refs stays. Nothing there
        is fine.
        """
        path = Path(os.path.abspath(path))
        with self.session() as session:
            known = _recall(self.path, path)
            remove_tree(path)
            _unregister(self.path, path)
            if known is not None:
                session.git("update-ref", "-d", f"refs/heads/{known.branch}")
                session.git("update-ref", "-d", _start_ref(path))
                _record_file(self.path, path).unlink(missing_ok=True)
                _index_file(self.path, path).unlink(missing_ok=True)

    # --- saving work ---

    def snapshot(
        self, path: Path, *, base: str, message: str, ref: str, author_date: datetime, keep: str | None = None
    ) -> str | None:
        """Save the files in `path` as one commit on `base` under `ref`; None when they equal the base's
        files. `keep` is a second ref, which later snapshots leave where it is.

        Deterministic: the same files, base, message and date give the same hash.
        """
        check_sha(base)
        check_ref(ref)
        with self.session() as session:
            saved = _save(session, path, base, message, ref, author_date, ignore_errors=False)
            if saved is not None and keep is not None:
                session.git("update-ref", check_ref(keep), saved)
            return saved

    def salvage(self, path: Path, ref: str, message: str, date: datetime) -> str | None:
        """Like `snapshot`, for work cut short: on the worktree's start commit, leaving out files that cannot
        be read.
        """
        check_ref(ref)
        path = Path(os.path.abspath(path))
        with self.session() as session:
            known = _recall(self.path, path)
            if known is None:
                raise GitError(GitErrorKind.OTHER, f"There is no workspace at {path}.")
            return _save(session, path, known.start, message, ref, date, ignore_errors=True)

    def preserve(self, path: Path, ref: str, message: str, date: datetime) -> str | None:
        """Like `salvage`, but everything or nothing, read back from git, and with the commits that were made on the
        worktree's own branch: the proof that the folder may go.
        """
        check_ref(ref)
        path = Path(os.path.abspath(path))
        with self.session() as session:
            known = _recall(self.path, path)
            if known is None:
                raise GitError(GitErrorKind.OTHER, f"There is no workspace at {path}.")
            saved = _save(session, path, known.start, message, ref, date, ignore_errors=False)
            tip = session.git("rev-parse", "--quiet", "--verify", f"refs/heads/{known.branch}", ok=(0, 1)).text
            if tip and tip != known.start:
                session.git("update-ref", f"{ref}-commits", tip)
                session.check_readable(tip, known.start)
            if saved is not None:
                session.check_readable(session.git("rev-parse", "--verify", ref).text, known.start)
            return saved

    # --- looking at work ---

    def diff(self, base: str, commit: str, limit: int = DIFF_LIMIT) -> Diff:
        """The unified diff between two commits, `limit` bytes at most; binary files are only named."""
        args = ["diff-tree", "-p", *_DIFF_OPTIONS, check_sha(base), check_sha(commit), "--"]
        put_settings_back(self.path)
        output, truncated = read_git(args, git_dir=self.path, limit=limit)
        return Diff(output.decode("utf-8", errors="replace"), truncated)

    def diff_stat(self, base: str, commit: str) -> list[FileStat]:
        """What changed in each file between two commits; a renamed file stands under its new name."""
        output = self.read("diff-tree", "--numstat", "-z", *_DIFF_OPTIONS, check_sha(base), check_sha(commit), "--")
        return list(_parse_numstat(output.stdout))


_DIFF_OPTIONS: Final = ("-r", "--find-renames", "--no-color", "--no-ext-diff", "--no-textconv")


def _parse_numstat(output: bytes) -> Iterator[FileStat]:
    fields = iter(output.split(b"\0"))
    for field in fields:
        if not field:
            continue
        added, deleted, name = field.split(b"\t", 2)
        if not name:  # a rename: the old and the new name follow as fields of their own
            next(fields)
            name = next(fields)
        lines = [0 if count == b"-" else int(count) for count in (added, deleted)]
        yield FileStat(name.decode("utf-8", errors="replace"), *lines)


# --- mirror upkeep --------------------------------------------------------------------------------


def _remove_leftovers(path: Path) -> None:
    for pattern in (
        "objects/pack/tmp_*",
        "objects/pack/.tmp-*",
        "objects/??/tmp_obj_*",
        "objects/tmp_objdir-*",
    ):
        for leftover in path.glob(pattern):
            with suppress(FileNotFoundError):
                if time.time() - leftover.lstat().st_mtime > LEFTOVER_AGE:
                    remove_tree(leftover)


def _is_whole(session: Session) -> bool:
    """Whether the mirror's own objects are all there: if so, the customer's repository is the damaged one."""
    check = ("fsck", "--connectivity-only", "--no-dangling", "--no-progress", "--no-reflogs")
    return session.git(*check, ok=range(256), timeout=FETCH_TIMEOUT).code == 0


def _rescue_own_refs(session: Session, broken: Path) -> None:
    """Take over from a damaged mirror what only DevTeam has; whatever cannot be read stays in the folder set
    aside.
    """
    listing = run_git(["for-each-ref", "--format=%(refname)", "refs/devteam"], git_dir=broken, ok=range(256))
    for ref in listing.text.splitlines():
        with suppress(GitError):
            session.git("fetch", "--quiet", "--no-write-fetch-head", "--", broken, f"+{ref}:{ref}")
    for record in (broken / "devteam" / "worktrees").glob("*.json"):
        target = session.git_dir / "devteam" / "worktrees" / record.name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, record.read_text(encoding="utf-8"))


# --- worktree upkeep ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Worktree:
    branch: str
    start: str


def _key(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:20]


def _start_ref(path: Path) -> str:
    return f"refs/devteam/worktrees/{_key(path)}"


def _record_file(git_dir: Path, path: Path) -> Path:
    return git_dir / "devteam" / "worktrees" / f"{_key(path)}.json"


def _remember(session: Session, path: Path, branch: str, start: str) -> None:
    """Note what the worktree began as, outside the reach of its `.git` file; the ref keeps the commit from
    being pruned.
    """
    file = _record_file(session.git_dir, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    session.git("update-ref", _start_ref(path), start)
    write_file(file, json.dumps({"path": os.fspath(path), "branch": branch, "start": start}))


def _recall(git_dir: Path, path: Path) -> _Worktree | None:
    try:
        noted = json.loads(_record_file(git_dir, path).read_text(encoding="utf-8"))
        return _Worktree(check_branch(noted["branch"]), check_sha(noted["start"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _index_file(git_dir: Path, path: Path) -> Path:
    """The index of the files as they were checked out."""
    return git_dir / "devteam" / "worktrees" / f"{_key(path)}.index"


def _place_worktree(session: Session, path: Path, branch: str, commit: str) -> None:
    """Refresh what is there, or begin from an empty folder; the registration is a new one every time, so there is
    nothing that a killed run could spoil.
    """
    session.git("rev-parse", "--quiet", "--verify", f"{commit}^{{commit}}")
    _unregister(session.git_dir, path)
    session.git("worktree", "prune", "--expire=now")
    kept = _index_file(session.git_dir, path)
    if not refresh_worktree(session, path, commit, kept):
        kept.unlink(missing_ok=True)
        _check_out(session, path, commit)
    # The branch is set by hand because git refuses one that another worktree, such as a kept one, still
    # holds.
    session.git("update-ref", f"refs/heads/{branch}", commit)
    for admin in _registrations_of(session.git_dir, path):
        run_git(["symbolic-ref", "HEAD", f"refs/heads/{branch}"], git_dir=admin)
        if not kept.is_file():
            keep_index(admin / "index", kept)


def _check_out(session: Session, path: Path, commit: str) -> None:
    """All files of the commit into the emptied folder."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(path.stat().st_mode | 0o700)
    for entry in path.iterdir():
        remove_tree(entry)
    session.git("worktree", "add", "--quiet", "--force", "--detach", path, commit, timeout=FETCH_TIMEOUT)


def _unregister(git_dir: Path, path: Path) -> None:
    for admin in _registrations_of(git_dir, path):
        remove_tree(admin)


def _registrations_of(git_dir: Path, path: Path) -> list[Path]:
    dot_git = os.path.realpath(path / ".git")
    places = {os.fspath(path / ".git"), os.path.join(os.path.realpath(path.parent), path.name, ".git")}
    # A `.git` that is itself a link elsewhere must not hide the registration, hence the comparison by name
    # first.
    return [
        admin
        for admin, gitdir in worktree_registrations(git_dir)
        if os.fspath(gitdir) in places or os.path.realpath(gitdir) == dot_git
    ]


# --- saving ---------------------------------------------------------------------------------------


def _save(
    session: Session, path: Path, base: str, message: str, ref: str, date: datetime, *, ignore_errors: bool
) -> str | None:
    tree = _quick_tree(session, path, base) if not ignore_errors else None
    tree = tree or _tree_of_files(session, path, base, ignore_errors=ignore_errors)
    if tree == session.tree(base):
        return None
    commit = session.commit_tree(tree, [base], message, date)
    session.git("update-ref", ref, commit)
    return commit


def _quick_tree(session: Session, path: Path, base: str) -> str | None:
    """The tree without reading files that are as they were checked out; None where that might be another tree:
    attributes that changed can mean another content of every file.
    """
    known, kept = _recall(session.git_dir, path), _index_file(session.git_dir, path)
    if known is None or known.start != base or not kept.is_file():
        return None
    index = session.scratch("index")
    shutil.copy2(kept, index)
    tree = _tree_in(session, path, index, ignore_errors=False)
    changed = session.git("diff-tree", "-r", "--name-only", "-z", base, tree, "--")
    return None if any(name.rpartition(b"/")[2] == b".gitattributes" for name in changed.items) else tree


def _tree_of_files(session: Session, path: Path, base: str, *, ignore_errors: bool) -> str:
    index = session.scratch("index")
    session.git("read-tree", base, index_file=index)
    return _tree_in(session, path, index, ignore_errors=ignore_errors)


def _tree_in(session: Session, path: Path, index: Path, *, ignore_errors: bool) -> str:
    nested = list(_nested_repositories(session, path, index))
    linked = _checked_out_submodules(session, path, index)
    chosen = b"\0".join([b".", *(b":(exclude,top,literal)" + folder for folder in (*nested, *linked))])
    _add_files(session, path, index, chosen, ignore_errors=ignore_errors)
    if linked:  # only which commit they are at, which is read without starting anything
        session.git("update-index", "-z", "--stdin", work_tree=path, index_file=index, stdin=b"\0".join(linked))
    for folder in nested:
        files = _not_ignored(session, path, index, _files_inside(session, path, folder))
        session.git(
            "update-index",
            "--add",
            "-z",
            "--stdin",
            work_tree=path,
            index_file=index,
            stdin=b"\0".join(files),
        )
    return session.git("write-tree", index_file=index).text


def _add_files(session: Session, path: Path, index: Path, chosen: bytes, *, ignore_errors: bool) -> None:
    args = ["add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul"]
    if not ignore_errors:
        session.git(*args, work_tree=path, index_file=index, stdin=chosen)
        return
    args.append("--ignore-errors")
    try:
        session.git(*args, work_tree=path, index_file=index, stdin=chosen, ok=(0, 1))
    except GitError:
        # Attributes that the executor wrote can make git give up altogether; then the bytes are saved as they
        # are.
        remove_tree(index.with_name(f"{index.name}.lock"))
        attributes = session.git_dir / "info" / "attributes"
        write_file(attributes, "* !working-tree-encoding !filter !text !eol !ident\n")
        try:
            session.git(*args, work_tree=path, index_file=index, stdin=chosen, ok=(0, 1))
        finally:
            attributes.unlink(missing_ok=True)


def _checked_out_submodules(session: Session, path: Path, index: Path) -> list[bytes]:
    """The submodules that have a repository of their own in the worktree.

    To tell whether files in one were changed, `git add` starts a git inside it, which obeys the settings that it finds
    there and would run their filters: as the engine, outside of every fence.
    """
    entries = session.git("ls-files", "--stage", "-z", index_file=index).items
    links = [entry.split(b"\t", 1)[1] for entry in entries if entry.startswith(b"160000 ")]
    top = os.fsencode(path)
    return [link for link in links if os.path.lexists(os.path.join(top, link, b".git"))]


def _nested_repositories(session: Session, path: Path, index: Path) -> Iterator[bytes]:
    """The repositories below `path` that are neither ignored nor submodules; git lists them with a slash at
    the end.
    """
    listing = session.git("ls-files", "--others", "--exclude-standard", "-z", work_tree=path, index_file=index)
    return (item.rstrip(b"/") for item in listing.items if item.endswith(b"/"))


def _files_inside(session: Session, path: Path, folder: bytes) -> list[bytes]:
    """The files of a nested repository and of those inside it, as paths from the worktree's top."""
    inside = Path(os.fsdecode(os.path.join(os.fsencode(path), folder)))
    nothing = session.scratch("index")
    listing = session.git("ls-files", "--others", "--exclude-standard", "-z", work_tree=inside, index_file=nothing)
    files: list[bytes] = []
    for item in listing.items:
        name = folder + b"/" + item
        files += _files_inside(session, path, name.rstrip(b"/")) if item.endswith(b"/") else [name]
    return files


def _not_ignored(session: Session, path: Path, index: Path, files: list[bytes]) -> list[bytes]:
    """Those files that the worktree's own ignore rules let through as well."""
    answer = session.git(
        "check-ignore",
        "-z",
        "--stdin",
        "--no-index",
        work_tree=path,
        index_file=index,
        stdin=b"\0".join(files),
        ok=(0, 1),
    )
    ignored = set(answer.items)
    return [file for file in files if file not in ignored]
