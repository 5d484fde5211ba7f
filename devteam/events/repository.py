"""Append events and changes to a stream; read them back in order."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from devteam.events.model import CHANNEL, Event
from devteam.kit.db import Connection, Row, sql
from devteam.kit.ids import new_id

_APPEND = sql(
    f"""
    WITH head AS (
        UPDATE stream_heads SET version = version + :count WHERE stream = :stream RETURNING version
    ), facts AS (
        INSERT INTO events (stream, version, id, type, actor, subject_kind, subject_id, reason, data, at)
        SELECT :stream, head.version - :count + e.ordinal, e.id, e.type, :actor, e.subject_kind, e.subject_id,
               e.reason, e.data, :at
        FROM head, jsonb_to_recordset(CAST(:events AS jsonb)) AS e (
            ordinal integer, id uuid, type text, subject_kind text, subject_id uuid, reason text, data jsonb)
    ), live AS (
        INSERT INTO live_changes (stream, version, changes, at)
        SELECT :stream, head.version - :count + n, CASE WHEN n = :count THEN CAST(:changes AS jsonb) ELSE '[]' END, :at
        FROM head, generate_series(1, :count) AS n
    )
    SELECT head.version, pg_notify('{CHANNEL}', '') FROM head
    """
)


def lock_stream(connection: Connection, stream: UUID) -> int | None:
    """Take the stream's lock for the rest of the transaction; its version, or None when there is none."""
    return connection.execute(
        sql("SELECT version FROM stream_heads WHERE stream = :stream FOR UPDATE"), {"stream": stream}
    ).scalar()


def create_stream(connection: Connection, stream: UUID) -> None:
    """Open a stream; harmless when it is there."""
    connection.execute(
        sql("INSERT INTO stream_heads (stream) VALUES (:stream) ON CONFLICT DO NOTHING"), {"stream": stream}
    )


def append(
    connection: Connection,
    stream: UUID,
    *,
    actor: str,
    at: datetime,
    events: Sequence[Event],
    changes: Sequence[dict[str, Any]],
) -> int:
    """Write events and the changes that they caused, and wake the listeners at commit; the new version.

    A change without an event (a metric that a timer computed) takes a version too, so that live pages
    can prove themselves complete.
    """
    records = [
        {
            "ordinal": ordinal,
            "id": str(new_id()),
            "type": event.type,
            "subject_kind": event.subject_kind,
            "subject_id": str(event.subject_id) if event.subject_id else None,
            "reason": event.reason,
            "data": dict(event.data),
        }
        for ordinal, event in enumerate(events, start=1)
    ]
    row = connection.execute(
        _APPEND,
        {
            "stream": stream,
            "count": max(1, len(records)),
            "actor": actor,
            "at": at,
            "events": json.dumps(records),
            "changes": json.dumps(list(changes)),
        },
    ).one()
    return int(row.version)


def heads(connection: Connection) -> dict[UUID, int]:
    """Each stream's version."""
    return {row.stream: row.version for row in connection.execute(sql("SELECT stream, version FROM stream_heads"))}


def read_live(connection: Connection, stream: UUID, *, after: int) -> Sequence[Row[Any]]:
    """The changes and events of a stream after a version, in order: (version, changes, id, type, actor, ...)."""
    return connection.execute(
        sql(
            """
            SELECT l.version, l.changes, l.at, e.id, e.type, e.actor, e.subject_kind, e.subject_id, e.reason, e.data
            FROM live_changes l LEFT JOIN events e USING (stream, version)
            WHERE l.stream = :stream AND l.version > :after ORDER BY l.version
            """
        ),
        {"stream": stream, "after": after},
    ).all()


def purge_live_changes(connection: Connection, *, before: datetime) -> int:
    """Forget changes that no live page can still ask for."""
    return connection.execute(sql("DELETE FROM live_changes WHERE at < :before"), {"before": before}).rowcount
