"""Turns saved work into commits for the customer's repository, pushes them, and takes them back.

All commits are made from trees, without a checked-out branch, and are deterministic: a run that is repeated
after a crash arrives at the same hashes and finds its pushes already done.
"""

import re
import textwrap
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from devteam.adapters.git.command import GitError, GitErrorKind, check_branch, check_ref, check_sha
from devteam.adapters.git.remote import remote_head
from devteam.adapters.git.store import IDENTITY, Identity, Session, remove_tree
from devteam.adapters.git.workspace import Mirror

SUBJECT_LENGTH: Final = 72
PUSH_TIMEOUT: Final = 300.0
TASK_TRAILER: Final = "DevTeam-Task"


@dataclass(frozen=True)
class Conflict:
    """The two sides changed the same places of these files."""

    paths: tuple[str, ...]


def commit_message(task_id: str, title: str, body: str, trailers: Mapping[str, str]) -> str:
    """The message of a delivery: subject, wrapped body and a block of trailers that always names the task.

    The subject carries the end of the task's id, since ids made at about the same time begin alike.
    """
    subject = _one_line(f"Task {task_id[-8:]}: {_one_line(title)}")
    if len(subject) > SUBJECT_LENGTH:
        subject = subject[: SUBJECT_LENGTH - 1].rstrip() + "…"
    block = {TASK_TRAILER: task_id} | dict(trailers)
    parts = [subject, _wrapped(body), "\n".join(f"{key}: {_one_line(value)}" for key, value in block.items())]
    return "\n\n".join(part for part in parts if part) + "\n"


def _one_line(text: str) -> str:
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())


def _wrapped(body: str) -> str:
    lines = [
        textwrap.fill(line.rstrip(), SUBJECT_LENGTH, break_long_words=False, break_on_hyphens=False)
        for line in re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", body).strip().splitlines()
    ]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines))
    # git looks for trailers above the first such line only, taking it for the begin of a patch or the end of a message.
    return re.sub(r"^(?=---(\s|$)|. -+ >8 -+)", " ", text, flags=re.MULTILINE)


# --- making commits -------------------------------------------------------------------------------


def make_delivery_commit(
    mirror: Mirror, work_commit: str, parent: str, message: str, date: datetime, author: Identity = IDENTITY
) -> str:
    """The work's files as one commit on `parent`, which must be the commit that the work was based on."""
    _check(work_commit, parent)
    with mirror.session() as session:
        return session.commit_tree(session.tree(work_commit), [parent], message, date, author)


def rebase_onto(
    mirror: Mirror, work_commit: str, base: str, new_base: str, message: str, date: datetime
) -> str | Conflict:
    """What the work changed since `base`, as one commit on `new_base`.

    Answers `new_base` itself when it already holds all of the work.
    """
    _check(work_commit, base, new_base)
    with mirror.session() as session:
        return _apply(session, base, work_commit, new_base, message, date)


def rebase_commits(mirror: Mirror, work_commit: str, base: str, new_base: str) -> str | Conflict:
    """The commits since `base`, one by one on `new_base`, each with its own author, date and message.

    Answers `new_base` itself when it already holds all of them.
    """
    _check(work_commit, base, new_base)
    with mirror.session() as session:
        listed = session.git("rev-list", "--reverse", "--first-parent", f"{base}..{work_commit}").text.split()
        before, current = base, new_base
        for commit in listed:
            merged = _merge_trees(session, session.tree(before), session.tree(current), session.tree(commit))
            if isinstance(merged, Conflict):
                return merged
            if merged != session.tree(current):
                current = session.commit_like(commit, merged, current)
            before = commit
        return current


def merge_commit(mirror: Mirror, base_head: str, delivery_commit: str, message: str, date: datetime) -> str:
    """A merge of a delivery that stands on `base_head`, even though the branch could simply move forward."""
    _check(base_head, delivery_commit)
    if not is_ancestor(mirror, base_head, delivery_commit):
        raise GitError(GitErrorKind.CONFLICT, "The delivery does not stand on the branch it is to be merged into.")
    with mirror.session() as session:
        return session.commit_tree(session.tree(delivery_commit), [base_head, delivery_commit], message, date)


def revert_commit(
    mirror: Mirror, commit: str, onto_head: str, message: str, date: datetime, *, since: str | None = None
) -> str | Conflict:
    """A commit on `onto_head` that takes back what `commit` brought, with all before it back to `since` if that is
    given; a merge is taken back against its first parent.

    Answers `onto_head` itself when nothing of the commit is left in it.
    """
    _check(commit, onto_head)
    with mirror.session() as session:
        parents = session.git("rev-list", "--parents", "--max-count=1", commit).text.split()[1:]
        before = (
            since or (parents[0] if parents else None) or session.git("hash-object", "-t", "tree", "-w", "--stdin").text
        )
        return _apply(session, commit, before, onto_head, message, date)


def _apply(session: Session, base: str, changed: str, target: str, message: str, date: datetime) -> str | Conflict:
    """The change from `base` to `changed` made on top of the commit `target`."""
    merged = _merge_trees(session, session.tree(base), session.tree(target), session.tree(changed))
    if isinstance(merged, Conflict):
        return merged
    if merged == session.tree(target):
        return target
    return session.commit_tree(merged, [target], message, date)


def _merge_trees(session: Session, base: str, ours: str, theirs: str) -> str | Conflict:
    """The three-way merge of trees.

    git's own merge wants files to work on, so it gets a throw-away folder with an index of its own that no
    branch, HEAD or registered worktree knows of.
    """
    if ours in (base, theirs):
        return theirs
    if base == theirs:
        return ours
    folder, index = session.scratch("merge"), session.scratch("index")
    folder.mkdir()
    try:
        session.git("read-tree", ours, index_file=index)
        session.git("checkout-index", "--all", "--quiet", "-u", work_tree=folder, index_file=index)
        outcome = session.git(
            "merge-recursive", base, "--", ours, theirs, work_tree=folder, index_file=index, ok=(0, 1)
        )
        if outcome.code == 0:
            return session.git("write-tree", index_file=index).text
        return Conflict(_conflicting_paths(session, folder, index))
    finally:
        remove_tree(folder)
        index.unlink(missing_ok=True)


def _conflicting_paths(session: Session, folder: Path, index: Path) -> tuple[str, ...]:
    listing = session.git("ls-files", "--unmerged", "-z", work_tree=folder, index_file=index)
    names = {item.split(b"\t", 1)[1] for item in listing.items}
    return tuple(sorted(name.decode("utf-8", errors="replace") for name in names))


# --- asking ---------------------------------------------------------------------------------------


def is_ancestor(mirror: Mirror, a: str, b: str) -> bool:
    """Whether commit `a` is `b` or one of its ancestors."""
    _check(a, b)
    return mirror.read("merge-base", "--is-ancestor", a, b, ok=(0, 1)).code == 0


def find_by_trailer(mirror: Mirror, ref: str, key: str, value: str, *, since: str | None = None) -> str | None:
    """The newest commit reachable from `ref` (a commit or a full ref name), but not from `since`, with exactly this
    trailer.
    """
    start = ref if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", ref) else check_ref(ref)
    if mirror.read("rev-parse", "--quiet", "--verify", f"{start}^{{commit}}", ok=(0, 1)).code != 0:
        return None
    found = mirror.read(
        "log", "--no-show-signature", "-z", "--fixed-strings", f"--grep={key}: {value}",
        f"--format=%H%n%(trailers:key={key},valueonly,unfold)", start,
        *([] if since is None else [f"^{check_sha(since)}"]), "--",
    )  # fmt: skip
    for entry in found.items:
        commit, *values = entry.decode("utf-8", errors="replace").splitlines()
        if value in values:
            return commit
    return None


# --- pushing --------------------------------------------------------------------------------------


def push_branch(mirror: Mirror, sha: str, branch: str, *, earlier: Collection[str] = ()) -> None:
    """Put the commit at the branch of the customer's repository. Already there: nothing happens.

    A branch that exists is replaced only while it stands at a commit that DevTeam put there: one that this
    mirror pushed, or one of `earlier`, which the caller remembers from another worker.
    """
    check_sha(sha)
    check_branch(branch)
    with mirror.session() as session:
        # Both notes, because a kill can fall between the push and its record: what was about to be pushed is
        # ours as well.
        pushed, pushing = f"refs/devteam/pushed/{branch}/done", f"refs/devteam/pushed/{branch}/begun"
        current = remote_head(mirror.repository, branch)
        if current != sha:
            ours = {_resolve(session, pushed), _resolve(session, pushing), None, *earlier}
            if current not in ours:
                raise GitError(
                    GitErrorKind.PUSH_REJECTED,
                    f"The branch {branch} of the project's repository holds work that is not DevTeam's.",
                )
            if current is not None and current == _resolve(session, pushing):
                session.git("update-ref", pushed, current)
            session.git("update-ref", pushing, sha)
            _push(session, mirror, sha, branch, current)
        session.git("update-ref", pushed, sha)


def push_base(mirror: Mirror, sha: str, base_branch: str, expected_old: str) -> None:
    """Move the customer's branch forward from `expected_old` to the commit, or fail because the branch has
    moved.

    Already there, or already grown beyond the commit: nothing happens.
    """
    _check(sha, expected_old)
    check_branch(base_branch)
    if not is_ancestor(mirror, expected_old, sha):
        raise GitError(GitErrorKind.PUSH_REJECTED, f"The delivery does not stand on the head of {base_branch}.")
    try:
        with mirror.session() as session:
            if remote_head(mirror.repository, base_branch) != sha:
                _push(session, mirror, sha, base_branch, expected_old)
            session.git("update-ref", f"refs/remotes/origin/{base_branch}", sha)
    except GitError as exc:
        if exc.kind is not GitErrorKind.PUSH_REJECTED or not _has_grown_beyond(mirror, sha, base_branch):
            raise


def _has_grown_beyond(mirror: Mirror, sha: str, branch: str) -> bool:
    if remote_head(mirror.repository, branch) is None:
        return False
    mirror.fetch()
    return is_ancestor(mirror, sha, mirror.head(branch))


def _push(session: Session, mirror: Mirror, sha: str, branch: str, current: str | None) -> None:
    ref = f"refs/heads/{branch}"
    session.git(
        "push", "--porcelain", "--no-verify", "--no-recurse-submodules",
        f"--force-with-lease={ref}:{current or ''}",
        "--", mirror.repository, f"{sha}:{ref}",
        timeout=PUSH_TIMEOUT, remote=True,
    )  # fmt: skip


def _resolve(session: Session, ref: str) -> str | None:
    return session.git("rev-parse", "--quiet", "--verify", ref, ok=(0, 1)).text or None


def _check(*commits: str) -> None:
    for commit in commits:
        check_sha(commit)
