"""Clears away what nobody needs any more in a worker's data folder: by age and by size, after the proof that all of it
is in git.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from devteam.access.model import ENGINE
from devteam.customers.change import customer_change
from devteam.executions.ports import Job
from devteam.executions.queries import attempt_view
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, Row, sql
from devteam.kit.errors import DevTeamError
from devteam.kit.log import get_logger
from devteam.kit.settings import UpkeepSettings
from devteam.workflows.jobs import load_job

LEFTOVER_AGE = timedelta(hours=1)
"""What an attempt should have removed itself, but was killed over, goes after this."""

log = get_logger(__name__)

_MAY_GO = """a.outcome IS NOT NULL AND a.monitoring IS DISTINCT FROM 'watching' AND a.taken_over_by IS NULL
             AND NOT EXISTS (SELECT 1 FROM attempt_requests q WHERE q.base_attempt_id = a.id
                             AND q.attempt_id IS NULL AND q.withdrawn_at IS NULL)"""
"""Nothing runs in the workspace, no person has taken it over, and no attempt is to go on from it."""


class Folders(Protocol):
    """The folders of attempts on this machine, and the mirrors beside them."""

    def attempts(self) -> Iterable[UUID]:
        """The attempts that have a folder."""
        ...

    def size(self, attempt_id: UUID) -> int:
        """Bytes on disk."""
        ...

    def preserve(self, job: Job) -> str | None:
        """Put all of a workspace into git and read it back. Raises DevTeamError when that is not possible."""
        ...

    def discard(self, job: Job) -> None:
        """Remove the folder; the refs in the mirror stay."""
        ...

    def repack(self, every: timedelta, now: datetime) -> int:
        """Pack the mirrors that were not packed for that long; how many."""
        ...


class Upkeep:
    """One look at a time; of several workers on one data folder one looks."""

    def __init__(
        self, database: Database, clock: Clock, folders: Folders, data: Path, settings: UpkeepSettings
    ) -> None:
        self._database = database
        self._clock = clock
        self._folders = folders
        self._lock = data / "run" / "upkeep.lock"
        self._settings = settings
        self._sizes: dict[UUID, int] = {}

    def look(self) -> list[UUID]:
        """Clear away what is due; the attempts whose workspaces went."""
        with self._alone() as alone:
            if not alone:
                return []
            gone = self._reclaim(self._ended(list(self._folders.attempts())))
            self._folders.repack(timedelta(days=self._settings.mirror_repack_days), self._clock())
            return gone

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        held = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(held)

    def _ended(self, attempts: list[UUID]) -> Sequence[Row[Any]]:
        """Those whose workspaces may go, the oldest first."""
        with self._database.statement() as connection:
            return connection.execute(
                sql(
                    f"""SELECT a.id, a.run, a.customer_id, a.finished_at, a.workspace_kept FROM attempts a
                        WHERE a.id = ANY(:ids) AND {_MAY_GO} ORDER BY a.finished_at, a.id"""
                ),
                {"ids": attempts},
            ).all()

    def _reclaim(self, rows: Sequence[Row[Any]]) -> list[UUID]:
        now, gone = self._clock(), []
        # A workspace does not change after its attempt, so each is measured once.
        self._sizes = {row.id: self._sizes.get(row.id) or self._folders.size(row.id) for row in rows}
        total = sum(self._sizes.values())
        for row in rows:
            kept = timedelta(days=self._settings.workspace_retention_days) if row.workspace_kept else LEFTOVER_AGE
            over = row.workspace_kept and total > self._settings.workspaces_max_bytes
            if (over or row.finished_at + kept <= now) and self._clear(row):
                gone.append(row.id)
                total -= self._sizes.pop(row.id)
        return gone

    def _clear(self, row: Row[Any]) -> bool:
        """Prove that the state is in git, say that the workspace goes, and remove it; killed in between, what is left
        goes at a later look.
        """
        job = load_job(self._database, row.id, row.run)
        try:
            saved = self._folders.preserve(job)
        except (DevTeamError, OSError) as exc:
            log.warning("workspace_not_reclaimed", attempt=str(row.id), error=str(exc))
            return False
        if not self._record(row, saved):
            return False
        self._folders.discard(job)
        log.info("workspace_reclaimed", attempt=str(row.id), bytes=self._sizes[row.id])
        return True

    def _record(self, row: Row[Any], saved: str | None) -> bool:
        """False when somebody needs the workspace after all."""
        with customer_change(self._database, row.customer_id, ENGINE, self._clock) as change:
            if not _still_may_go(change.connection, row):
                return False
            if row.workspace_kept:
                title = attempt_view(change.connection, row.id).task_title
                size = self._sizes[row.id]
                change.record("workspace_reclaimed", "attempt", row.id, title=title, commit=saved, bytes=size)
                change.show(attempt_view(change.connection, row.id))
        return True


def _still_may_go(connection: Connection, row: Row[Any]) -> bool:
    changed = connection.execute(
        sql(
            f"""UPDATE attempts a SET workspace_kept = false, version = version + 1
                WHERE a.id = :id AND a.run = :run AND {_MAY_GO} RETURNING a.id"""
        ),
        {"id": row.id, "run": row.run},
    ).first()
    return changed is not None
