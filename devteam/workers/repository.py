"""SQL of workers and of the leader's lease. Leases are judged by the database's clock alone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from devteam.events.model import SYSTEM_STREAM, Event
from devteam.events.repository import append, create_stream, lock_stream
from devteam.kit.db import Connection, Row, sql
from devteam.workers.schemas import WorkerView

LEADER_ROLE = "dispatcher"


def join(
    connection: Connection,
    *,
    worker_id: UUID,
    host: str,
    pid: int,
    process_started: str,
    slots: int,
    isolation: str,
    lease: float,
    now: datetime,
) -> None:
    """Register a worker."""
    connection.execute(
        sql(
            """INSERT INTO workers (id, host, pid, process_started, slots, isolation, state, started_at, heartbeat_at,
                   lease_expires_at)
               VALUES (:id, :host, :pid, :process_started, :slots, :isolation, 'alive', :now, :now,
                   now() + make_interval(secs => :lease))"""
        ),
        {
            "id": worker_id,
            "host": host,
            "pid": pid,
            "process_started": process_started,
            "slots": slots,
            "isolation": isolation,
            "lease": lease,
            "now": now,
        },
    )
    _tell(connection, worker_id, "worker_joined", now, slots=slots)


def heartbeat(connection: Connection, worker_id: UUID, *, lease: float, now: datetime) -> bool:
    """Renew the worker's lease; False when it was declared dead and must start anew under another id."""
    return (
        connection.execute(
            sql(
                """UPDATE workers SET heartbeat_at = :now, lease_expires_at = now() + make_interval(secs => :lease)
                   WHERE id = :id AND state <> 'dead'"""
            ),
            {"id": worker_id, "lease": lease, "now": now},
        ).rowcount
        == 1
    )


def renew_attempts(
    connection: Connection, worker_id: UUID, runs: Sequence[tuple[UUID, int]], *, lease: float
) -> set[tuple[UUID, int]]:
    """Renew the leases of the runs that this worker is alive in; those that it still holds."""
    if not runs:
        return set()
    rows = connection.execute(
        sql(
            """UPDATE attempts a SET lease_expires_at = now() + make_interval(secs => :lease)
               FROM unnest(CAST(:ids AS uuid[]), CAST(:runs AS integer[])) AS held (id, run)
               WHERE a.id = held.id AND a.run = held.run AND a.worker_id = :worker_id
                 AND a.lease_expires_at IS NOT NULL RETURNING a.id, a.run"""
        ),
        {
            "ids": [attempt_id for attempt_id, _ in runs],
            "runs": [run for _, run in runs],
            "worker_id": worker_id,
            "lease": lease,
        },
    )
    return {(row.id, row.run) for row in rows}


def lead(connection: Connection, worker_id: UUID, *, lease: float) -> bool:
    """Take or renew the leader's lease; whether this worker leads."""
    return (
        connection.execute(
            sql(
                """INSERT INTO leader (role, worker_id, expires_at)
                   VALUES (:role, :worker_id, now() + make_interval(secs => :lease))
                   ON CONFLICT (role) DO UPDATE SET worker_id = excluded.worker_id, expires_at = excluded.expires_at
                   WHERE leader.worker_id = excluded.worker_id OR leader.expires_at < now()
                      OR EXISTS (SELECT 1 FROM workers w WHERE w.id = leader.worker_id AND w.state = 'dead')
                   RETURNING role"""
            ),
            {"role": LEADER_ROLE, "worker_id": worker_id, "lease": lease},
        ).first()
        is not None
    )


def living_on(connection: Connection, host: str) -> Sequence[Row[Any]]:
    """The workers of a host that are not known to be dead."""
    return connection.execute(sql("SELECT * FROM workers WHERE host = :host AND state <> 'dead'"), {"host": host}).all()


def lapsed(connection: Connection) -> list[UUID]:
    """The workers whose lease ran out."""
    rows = connection.execute(sql("SELECT id FROM workers WHERE state <> 'dead' AND lease_expires_at < now()"))
    return [row.id for row in rows]


def bury(connection: Connection, worker_id: UUID, *, event: str, now: datetime) -> None:
    """Declare a worker dead: it can never again renew anything under this id."""
    done = connection.execute(
        sql("UPDATE workers SET state = 'dead', version = version + 1 WHERE id = :id AND state <> 'dead'"),
        {"id": worker_id},
    )
    if done.rowcount:
        _tell(connection, worker_id, event, now)


def _tell(connection: Connection, worker_id: UUID, event: str, now: datetime, **data: Any) -> None:
    create_stream(connection, SYSTEM_STREAM)
    lock_stream(connection, SYSTEM_STREAM)
    view = WorkerView.from_row(
        connection.execute(
            sql(
                """SELECT w.*, (SELECT count(*) FROM attempts a
                                WHERE a.worker_id = w.id AND a.outcome IS NULL AND NOT a.frozen
                                  AND a.awaiting_approval_id IS NULL) AS slots_used
                   FROM workers w WHERE w.id = :id"""
            ),
            {"id": worker_id},
        ).one()
    ).wire()
    change = {
        "kind": "worker",
        "id": view["id"],
        "version": view["version"],
        "set": {key: value for key, value in view.items() if key not in ("kind", "id", "version")},
        "unset": [],
    }
    if view["state"] == "dead":
        change["removed"] = True
    append(
        connection,
        SYSTEM_STREAM,
        actor="engine",
        at=now,
        events=[Event(event, "worker", worker_id, data=data)],
        changes=[change],
    )
