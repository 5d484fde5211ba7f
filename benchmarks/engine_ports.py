"""The ports of the engine with nothing behind them: its own bookkeeping is all that is left."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from devteam.adapters.http_probe import GuardedHttpProbe, Reach
from devteam.executions.checks.changes import Changes, FileChange
from devteam.executions.lifecycle import Lifecycle
from devteam.executions.ports import CommandEnd, Delivered, GateRun, Held, Job, Prepared, Reverted
from devteam.kit.clock import utc_now
from devteam.kit.db import Database
from devteam.projects.schemas import Command
from devteam.workflows.ask import PersonAsker
from devteam.workflows.run_attempt import Tools
from devteam.workflows.verify import Verifier

_DONE = CommandEnd(exit_code=0, signal=None, timed_out=False, seconds=0.0, isolation="none")


class NoExecutor:
    """Work that is done at once."""

    iterates = False

    def obstacle(self, job: Job) -> None:
        return None

    def run(self, job: Job, workspace: Path, held: Held, on_output: Callable[[str], None]) -> CommandEnd:
        return _DONE


class NoGates:
    """Gates that hold at once."""

    def run(
        self, command: Command, timeout: float, job: Job, folder: Path, held: Held, on_output: Callable[[str], None]
    ) -> GateRun:
        return GateRun(_DONE, None, "")


class NoRepository:
    """Workspaces and deliveries that keep only what the engine is told: one commit name per project."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._heads: dict[UUID, str] = {}

    def prepare(self, job: Job, bundle: bytes | None = None) -> Prepared:
        return Prepared(self.path(job.ref.attempt_id), self.base_head(job), f"task/{job.task_id}")

    def reset(self, job: Job, commit: str) -> Path:
        return self.path(job.ref.attempt_id)

    def save(self, job: Job) -> str:
        return hashlib.sha1(job.ref.attempt_id.bytes, usedforsecurity=False).hexdigest()

    def salvage(self, job: Job) -> str | None:
        return None

    @contextmanager
    def checkout(self, job: Job, commit: str) -> Iterator[Path]:
        yield self._root

    def changes(self, job: Job, base: str, commit: str) -> list[tuple[str, int | None, int | None]]:
        return [("a.py", 1, 1)]

    def diff(self, job: Job, base: str, commit: str) -> tuple[str, bool]:
        return "-a\n+b\n", False

    def inspect(self, job: Job, base: str, commit: str, wants_text: Callable[[str], bool]) -> Changes:
        return Changes([FileChange("a.py", "M", 1, 1)])

    def inspect_history(self, job: Job, base: str, commit: str) -> Changes:
        return Changes([])

    def files(self, job: Job, commit: str) -> list[tuple[str, int]]:
        return [("a.py", 1)]

    def discard(self, job: Job) -> None:
        return None

    def path(self, attempt_id: UUID) -> Path:
        return self._root

    def deliver(self, job: Job, message: str, before_push: Callable[[], None]) -> Delivered:
        assert job.work_commit is not None
        before_push()
        self._heads[job.project_id] = job.work_commit
        return Delivered(job.work_commit, job.base_branch, job.work_commit)

    def base_head(self, job: Job) -> str:
        return self._heads.get(job.project_id, "0" * 40)

    def contains(self, job: Job, commit: str) -> bool:
        return True

    def revert(self, job: Job, reason: str, before_push: Callable[[], None]) -> Reverted:
        raise AssertionError("nothing regresses here")


def no_tools(database: Database, root: Path) -> Tools:
    """Ports that do nothing, around the real bookkeeping."""
    repository = NoRepository(root)
    return Tools(
        database=database,
        lifecycle=Lifecycle(database, utc_now),
        workspaces=repository,
        deliveries=repository,
        executors={"command": NoExecutor()},
        verifier=Verifier(database, utc_now, NoGates(), repository, GuardedHttpProbe(Reach.OFF)),
        message=lambda job, evidence, gates: job.title,
        sweep=lambda attempt_id: 0,
        asker=PersonAsker(database, utc_now),
    )
