"""Reads over workers."""

from devteam.kit.db import Connection, sql
from devteam.workers.schemas import WorkerList, WorkerView

_SHOW_DEAD_FOR = "1 hour"


def worker_list(connection: Connection) -> WorkerList:
    """Workers that live or died lately, oldest first."""
    rows = connection.execute(
        sql(
            f"""SELECT w.*, (SELECT count(*) FROM attempts a
                             WHERE a.worker_id = w.id AND a.outcome IS NULL AND NOT a.frozen
                               AND a.awaiting_approval_id IS NULL) AS slots_used
                FROM workers w
                WHERE w.state <> 'dead' OR w.heartbeat_at > now() - interval '{_SHOW_DEAD_FOR}' ORDER BY w.id"""
        )
    )
    return WorkerList(workers=[WorkerView.from_row(row) for row in rows])
