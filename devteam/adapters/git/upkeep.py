"""What clears away workspaces and tidies mirrors: nothing goes before its state was read back from git."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from devteam.adapters.git.attempts import GitWorkspaces
from devteam.adapters.git.store import open_session
from devteam.executions.ports import Job

REPACK_TIMEOUT = 600.0


class GitUpkeep:
    """The folders under `<data>/workspaces` and the mirrors under `<data>/mirrors`."""

    def __init__(self, workspaces: GitWorkspaces, data: Path, folder_size: Callable[[Sequence[Path]], int]) -> None:
        self._workspaces = workspaces
        self._folder = data / "workspaces"
        self._mirrors = data / "mirrors"
        self._folder_size = folder_size

    def attempts(self) -> Iterator[UUID]:
        """The attempts that have a folder here."""
        for place in sorted(self._folder.glob("*-*-*-*-*")) if self._folder.is_dir() else ():
            with suppress(ValueError):
                yield UUID(place.name)

    def size(self, attempt_id: UUID) -> int:
        """Bytes on disk of an attempt's folder."""
        return self._folder_size([self._folder / str(attempt_id)])

    def preserve(self, job: Job) -> str | None:
        """Put all of a workspace into git and read it back; the commit, or None when it holds nothing of its own.

        Raises GitError unless every file could be saved and every object can be read.
        """
        path = self._workspaces.path(job.ref.attempt_id)
        if not path.is_dir():
            return None
        ref, message = f"refs/devteam/attempts/{job.ref.attempt_id}/kept", f"Kept of attempt {job.ref.attempt_id}\n"
        return self._workspaces.mirror(job).preserve(path, ref, message, job.started_at)

    def discard(self, job: Job) -> None:
        """Remove the attempt's folder; the refs stay."""
        self._workspaces.discard(job)

    def repack(self, every: timedelta, now: datetime) -> int:
        """Put the loose objects and small packs of mirrors together that were not for that long; how many were.

        Objects that nothing refers to are kept too.
        """
        return sum(self._repack(path, every, now) for path in sorted(self._mirrors.glob("*.git")) if path.is_dir())

    def _repack(self, path: Path, every: timedelta, now: datetime) -> bool:
        stamp = path / "devteam" / "repacked"
        with suppress(OSError, ValueError):
            if now - datetime.fromisoformat(stamp.read_text(encoding="ascii")) < every:
                return False
        with open_session(path) as session:
            session.git("repack", "-d", "-l", "-q", "--geometric=2", timeout=REPACK_TIMEOUT)
            stamp.parent.mkdir(exist_ok=True)
            stamp.write_text(now.isoformat(), encoding="ascii")
        return True
