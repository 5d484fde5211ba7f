"""Workers as shown."""

from typing import Any, Literal
from uuid import UUID

from devteam.kit.db import Row
from devteam.kit.wire import UtcTime, View


class WorkerView(View):
    """A worker with its slots."""

    kind: Literal["worker"] = "worker"
    id: UUID
    version: int
    host: str
    pid: int
    slots: int
    slots_used: int
    state: Literal["alive", "draining", "dead"]
    isolation: str
    started_at: UtcTime
    heartbeat_at: UtcTime

    @classmethod
    def from_row(cls, row: Row[Any]) -> "WorkerView":
        """From a row of `workers` with `slots_used`."""
        return cls(
            id=row.id,
            version=row.version,
            host=row.host,
            pid=row.pid,
            slots=row.slots,
            slots_used=row.slots_used,
            state=row.state,
            isolation=row.isolation,
            started_at=row.started_at,
            heartbeat_at=row.heartbeat_at,
        )


class WorkerList(View):
    """Workers that live or died lately."""

    workers: list[WorkerView]
