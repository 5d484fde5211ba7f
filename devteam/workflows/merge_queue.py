"""One at a time for what moves a branch: deliveries, and reverts of deliveries, of all workers."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from devteam.executions.ports import Held, Job
from devteam.kit.db import UNAVAILABLE, Connection, Database, sql

_LOOK_SECONDS = 0.1


class MergeQueue:
    """The turn is held by a connection: whoever dies gives it back, and git's own check at the push fences the rest."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def turn(self, job: Job, held: Held) -> Iterator[None]:
        """While the block lasts, nobody else delivers to the job's base branch; a stop reaches who waits."""
        key = turn_key(job.repository, job.base_branch)
        with self._database.statement() as connection:
            while not _takes(connection, key):
                held.checkpoint()
                time.sleep(_LOOK_SECONDS)
            try:
                yield
            finally:
                with suppress(*UNAVAILABLE):  # then the connection is gone, and the turn with it
                    connection.execute(sql("SELECT pg_advisory_unlock(:key)"), {"key": key})


def turn_key(repository: str, branch: str) -> int:
    """The same for two projects on one branch of one repository."""
    digest = hashlib.blake2b(f"delivery\0{repository}\0{branch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _takes(connection: Connection, key: int) -> bool:
    return bool(connection.execute(sql("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one())
