"""Workspaces and deliveries of attempts on git: the engine's ports over mirrors, worktrees and pushes."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from devteam.adapters.git.bundles import parse_bundle, receive
from devteam.adapters.git.command import GitError, GitErrorKind
from devteam.adapters.git.delivery import (
    Conflict,
    commit_message,
    find_by_trailer,
    is_ancestor,
    make_delivery_commit,
    merge_commit,
    push_base,
    push_branch,
    rebase_commits,
    rebase_onto,
    revert_commit,
)
from devteam.adapters.git.inspection import inspect, inspect_history
from devteam.adapters.git.store import IDENTITY, Identity, remove_tree
from devteam.adapters.git.workspace import Mirror
from devteam.executions.checks.changes import Changes
from devteam.executions.model import Phase
from devteam.executions.ports import BaseMoved, Delivered, DeliveryConflict, Job, Prepared, Reverted
from devteam.executions.requests import Start
from devteam.projects.schemas import DeliveryMode

ATTEMPT_TRAILER = "DevTeam-Attempt"
REVERT_TRIES = 5
"""How often a revert is made anew because somebody else pushed in between."""
_SLUG_LENGTH = 40


class GitWorkspaces:
    """Worktrees under `<data>/workspaces/<attempt>/tree` on mirrors under `<data>/mirrors/<project>.git`."""

    def __init__(self, mirrors: Path, workspaces: Path) -> None:
        self._mirrors = mirrors
        self._workspaces = workspaces

    def mirror(self, job: Job) -> Mirror:
        """The project's mirror."""
        return Mirror(self._mirrors / f"{job.project_id}.git", job.repository)

    def path(self, attempt_id: UUID) -> Path:
        """Where the attempt's worktree is or would be."""
        return self._workspaces / str(attempt_id) / "tree"

    def prepare(self, job: Job, bundle: bytes | None = None) -> Prepared:
        """Fetch, and make the worktree at the newest base commit, or where an earlier attempt is gone on from."""
        mirror = self.mirror(job)
        mirror.fetch()
        head, branch, path = mirror.head(job.base_branch), task_branch(job.task_id, job.title), self._make_path(job)
        start = Start() if job.again is None else job.again.start
        if start.start_commit is None:
            mirror.make_worktree(path, _local_branch(job), head)
            return Prepared(path, head, branch)
        if bundle is not None:
            with mirror.session() as session:
                receive(session, parse_bundle(bundle), f"refs/devteam/attempts/{job.ref.attempt_id}/handed")
        base = _required(start.base_commit)
        if not (mirror.has(base) and mirror.has(start.start_commit)):
            raise GitError(GitErrorKind.OTHER, "The work to go on from is not on this machine: another worker did it.")
        if job.by_person:
            # They may have brought their work up to date: then only what is beyond that is theirs.
            base = mirror.common_ancestor(head, start.start_commit) or base
        mirror.make_worktree(path, _local_branch(job), start.start_commit)
        return Prepared(path, base, start.branch or branch)

    def reset(self, job: Job, commit: str) -> Path:
        """Make the worktree anew at exactly the commit."""
        path = self._make_path(job)
        self.mirror(job).make_worktree(path, _local_branch(job), commit)
        return path

    def save(self, job: Job) -> str:
        """Snapshot the worktree; deterministic for the same files."""
        assert job.base_commit is not None
        saved = self.mirror(job).snapshot(
            self.path(job.ref.attempt_id),
            base=job.base_commit,
            message=f"Work of attempt {job.ref.attempt_id}\n",
            ref=f"refs/devteam/attempts/{job.ref.attempt_id}/work",
            author_date=job.started_at,
            keep=f"refs/devteam/attempts/{job.ref.attempt_id}/rounds/{job.round}",
        )
        return saved or job.base_commit

    def salvage(self, job: Job) -> str | None:
        """Keep the interrupted state of the worktree on a ref of its own per run."""
        path = self.path(job.ref.attempt_id)
        if job.base_commit is None or not path.is_dir():
            return None
        return self.mirror(job).salvage(
            path,
            f"refs/devteam/attempts/{job.ref.attempt_id}/salvage/{job.ref.run}",
            f"Interrupted work of attempt {job.ref.attempt_id}\n",
            job.started_at,
        )

    @contextmanager
    def checkout(self, job: Job, commit: str) -> Iterator[Path]:
        """A worktree for gates on another commit: beside the attempt's own, or that one before anybody works in it."""
        mirror = self.mirror(job)
        own = self.path(job.ref.attempt_id)
        if job.phase is Phase.PLANNING and own.is_dir() and mirror.is_placed(own, commit):
            try:
                yield own
            finally:
                self.reset(job, commit)
            return
        path = self._workspaces / str(job.ref.attempt_id) / f"base-{commit[:12]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        mirror.make_worktree(path, f"{_local_branch(job)}-base-{commit[:12]}", commit)
        try:
            yield path
        finally:
            mirror.remove_worktree(path)

    def changes(self, job: Job, base: str, commit: str) -> list[tuple[str, int | None, int | None]]:
        """Lines added and deleted per file."""
        return [(stat.path, stat.added, stat.deleted) for stat in self.mirror(job).diff_stat(base, commit)]

    def diff(self, job: Job, base: str, commit: str) -> tuple[str, bool]:
        """The unified diff, and whether it was cut."""
        found = self.mirror(job).diff(base, commit)
        return found.text, found.truncated

    def inspect(self, job: Job, base: str, commit: str, wants_text: Callable[[str], bool]) -> Changes:
        """All that changed, line by line, for checks."""
        return inspect(self.mirror(job), base, commit, wants_text)

    def inspect_history(self, job: Job, base: str, commit: str) -> Changes:
        """What each commit between the two changed by itself."""
        return inspect_history(self.mirror(job), base, commit)

    def files(self, job: Job, commit: str) -> Iterator[tuple[str, int]]:
        """Paths and sizes of a commit's files, links and submodules left out."""
        for entry in self.mirror(job).read("ls-tree", "-r", "-l", "-z", commit).items:
            about, _, path = entry.partition(b"\t")
            mode, _, _, size = about.split()
            if mode.startswith(b"100"):
                yield path.decode("utf-8", errors="replace"), int(size)

    def discard(self, job: Job) -> None:
        """Remove everything of the attempt's workspace folder."""
        self.mirror(job).remove_worktree(self.path(job.ref.attempt_id))
        remove_tree(self._workspaces / str(job.ref.attempt_id))

    def _make_path(self, job: Job) -> Path:
        path = self.path(job.ref.attempt_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class GitDeliveries:
    """Deliveries by branch, fast-forward or merge commit."""

    def __init__(self, workspaces: GitWorkspaces) -> None:
        self._workspaces = workspaces

    def deliver(
        self, job: Job, message: str, before_push: Callable[[], None]
    ) -> Delivered | BaseMoved | DeliveryConflict:
        """Push the work as the project wants it.

        All commits are deterministic, so a run after a crash makes the same ones and finds them pushed.
        """
        mirror = self._workspaces.mirror(job)
        base, work = _required(job.base_commit), _required(job.work_commit)
        onto = None if job.again is None else job.again.start.onto_commit
        commit = work
        if not job.by_person:
            commit = make_delivery_commit(mirror, work, onto or base, message, job.started_at, _author(job))
        if job.delivery_mode is DeliveryMode.BRANCH:
            branch = job.branch or task_branch(job.task_id, job.title)
            before_push()
            push_branch(mirror, commit, branch, earlier=[sha for sha in (job.commit, onto) if sha])
            return Delivered(commit, branch, None)
        mirror.fetch()
        head = mirror.head(job.base_branch)
        if is_ancestor(mirror, commit, head):
            return Delivered(commit, job.base_branch, self._merge_of(mirror, job, commit, head))
        if head != base:
            # The project's settings, which the commit's hash depends on, may have changed since an earlier run's push.
            done = find_by_trailer(mirror, head, ATTEMPT_TRAILER, str(job.ref.attempt_id), since=base)
            if done is not None:
                return Delivered(done, job.base_branch, done)
            return self._replay(mirror, job, work, base, head, message)
        merged = commit
        if job.delivery_mode is DeliveryMode.MERGE_COMMIT:
            text = _merge_message(job)
            merged = merge_commit(mirror, head, commit, text, job.started_at)
        before_push()
        moved = _push_unless_moved(mirror, merged, job.base_branch, head)
        if moved is not None:
            return self._replay(mirror, job, work, base, moved, message)
        return Delivered(commit, job.base_branch, merged)

    def _replay(
        self, mirror: Mirror, job: Job, work: str, base: str, head: str, message: str
    ) -> BaseMoved | DeliveryConflict:
        if job.by_person:
            replayed = rebase_commits(mirror, work, base, head)
        else:
            replayed = rebase_onto(mirror, work, base, head, message, job.started_at)
        if isinstance(replayed, Conflict):
            return DeliveryConflict(head, replayed.paths)
        return BaseMoved(base_commit=head, work_commit=replayed)

    def _merge_of(self, mirror: Mirror, job: Job, commit: str, head: str) -> str:
        """The commit on the base that brought the delivery in."""
        if job.delivery_mode is DeliveryMode.FAST_FORWARD:
            return commit
        return find_by_trailer(mirror, head, ATTEMPT_TRAILER, str(job.ref.attempt_id)) or commit

    def base_head(self, job: Job) -> str:
        """Fetch, and the base branch's newest commit."""
        mirror = self._workspaces.mirror(job)
        mirror.fetch()
        return mirror.head(job.base_branch)

    def contains(self, job: Job, commit: str) -> bool:
        """Whether the base as last fetched holds the commit."""
        mirror = self._workspaces.mirror(job)
        return is_ancestor(mirror, commit, mirror.head(job.base_branch))

    def revert(self, job: Job, reason: str, before_push: Callable[[], None]) -> Reverted | DeliveryConflict:
        """Take the delivery back on the base's newest commit, again and again while others push before us."""
        mirror = self._workspaces.mirror(job)
        mirror.fetch()
        for _ in range(REVERT_TRIES):
            result = self._revert(mirror, job, reason, before_push)
            if result is not None:
                return result
        raise GitError(GitErrorKind.PUSH_REJECTED, f"{job.base_branch} moved again before each of our pushes.")

    def _revert(
        self, mirror: Mirror, job: Job, reason: str, before_push: Callable[[], None]
    ) -> Reverted | DeliveryConflict | None:
        """One try on the base as last fetched; None when it moved."""
        merged = _required(job.merged_commit)
        head = mirror.head(job.base_branch)
        done = find_by_trailer(mirror, head, "DevTeam-Reverts", merged)
        if done is not None:
            return Reverted(done)
        message = commit_message(
            str(job.task_id),
            f"revert {job.title}",
            f"This reverts commit {merged}.\n\n{reason}",
            {ATTEMPT_TRAILER: str(job.ref.attempt_id), "DevTeam-Reverts": merged},
        )
        # A person's commits went onto the base one by one, ours as one.
        since = job.base_commit if job.by_person and merged == job.commit else None
        reverted = revert_commit(mirror, merged, head, message, job.started_at, since=since)
        if isinstance(reverted, Conflict):
            return DeliveryConflict(head, reverted.paths)
        before_push()
        moved = _push_unless_moved(mirror, reverted, job.base_branch, head)
        return Reverted(reverted) if moved is None else None


def _push_unless_moved(mirror: Mirror, sha: str, branch: str, head: str) -> str | None:
    """Move the branch from `head` to the commit; where it stands instead when somebody was quicker."""
    try:
        push_base(mirror, sha, branch, head)
    except GitError as exc:
        if exc.kind is not GitErrorKind.PUSH_REJECTED:
            raise
        mirror.fetch()
        now = mirror.head(branch)
        if now == head:
            raise  # nobody was: the repository itself refuses
        return now
    return None


def _author(job: Job) -> Identity:
    return job.author_name or IDENTITY[0], job.author_email or IDENTITY[1]


def delivery_message(job: Job, evidence: str, gates: Sequence[str]) -> str:
    """The delivery commit's message: what the task was, what was verified, and who did it."""
    body = "\n\n".join(part for part in (job.description.strip()[:2000], evidence) if part)
    trailers = _trailers(job) | ({"DevTeam-Gates": ", ".join(gates)} if gates else {})
    return commit_message(str(job.task_id), job.title, body, trailers)


def _merge_message(job: Job) -> str:
    return commit_message(str(job.task_id), f"merge {job.title}", "", _trailers(job))


def _trailers(job: Job) -> dict[str, str]:
    """Which attempt it was and who did it, as `git interpret-trailers` reads it."""
    model = job.used_model or job.model
    found = {ATTEMPT_TRAILER: str(job.ref.attempt_id), "DevTeam-Executor": job.executor, "DevTeam-Model": model}
    return {key: value for key, value in found.items() if value is not None}


def task_branch(task_id: UUID, title: str) -> str:
    """The branch a task is delivered on: `task/<task-id>-<kebab-title>`."""
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:_SLUG_LENGTH].strip("-")
    return f"task/{task_id}-{slug}" if slug else f"task/{task_id}"


def _local_branch(job: Job) -> str:
    """The worktree's own branch in the mirror, one per attempt, so that attempts never share one."""
    return f"attempt/{job.ref.attempt_id}"


def _required(commit: str | None) -> str:
    assert commit is not None
    return commit
