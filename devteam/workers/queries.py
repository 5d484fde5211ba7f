"""Reads over workers."""

from typing import Any

from devteam.kit.db import Connection, Row, sql
from devteam.kit.wire import View
from devteam.workers.schemas import WorkerView

_SHOW_DEAD_FOR = "1 hour"


class WorkerLoad(WorkerView):
    """A worker and how many of its slots are taken."""

    slots_used: int

    @classmethod
    def from_row(cls, row: Row[Any]) -> "WorkerLoad":
        """From a row of `workers` with `slots_used`."""
        return cls(**WorkerView.from_row(row).model_dump(), slots_used=row.slots_used)


class WorkerList(View):
    """Workers that live or died lately, oldest first."""

    workers: list[WorkerLoad]


def worker_list(connection: Connection) -> WorkerList:
    """Workers that live or died lately, oldest first."""
    rows = connection.execute(
        sql(
            f"""SELECT w.*, (SELECT count(*) FROM attempts a
                             WHERE a.worker_id = w.id AND a.outcome IS NULL AND NOT a.frozen) AS slots_used
                FROM workers w
                WHERE w.state <> 'dead' OR w.heartbeat_at > now() - interval '{_SHOW_DEAD_FOR}' ORDER BY w.id"""
        )
    )
    return WorkerList(workers=[WorkerLoad.from_row(row) for row in rows])
