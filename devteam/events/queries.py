"""Reads over the change log."""

from uuid import UUID

from devteam.events.schemas import ActivityPage, EventView
from devteam.kit.db import Connection, sql


def activity_page(connection: Connection, stream: UUID, *, before: int | None, limit: int) -> ActivityPage:
    """A stream's events, newest first, beginning below a version."""
    rows = connection.execute(
        sql(
            """SELECT * FROM events WHERE stream = :stream
               AND (CAST(:before AS bigint) IS NULL OR version < :before) ORDER BY version DESC LIMIT :limit"""
        ),
        {"stream": stream, "before": before, "limit": limit + 1},
    ).all()
    shown = [EventView.from_row(row) for row in rows[:limit]]
    following = str(shown[-1].seq) if len(rows) > limit else None
    return ActivityPage(items=shown, next_cursor=following)
