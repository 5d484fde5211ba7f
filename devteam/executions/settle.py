"""Moves of an execution that follow from the state of its queue."""

from typing import Any

from devteam.customers.change import CustomerChange
from devteam.executions.model import EXECUTION_MOVES, ExecutionStatus
from devteam.executions.queries import execution_view
from devteam.kit.db import Row, sql
from devteam.kit.errors import IllegalMove

_S = ExecutionStatus


def move_execution(
    change: CustomerChange,
    row: Row[Any],
    after: ExecutionStatus,
    *,
    code: str | None = None,
    reason: str | None = None,
) -> None:
    """Change an execution's status by a legal move; any pause that was requested is over. Raises IllegalMove."""
    before = ExecutionStatus(row.status)
    if after not in EXECUTION_MOVES[before]:
        raise IllegalMove(f"An execution cannot go from {before} to {after}.")
    change.connection.execute(
        sql(
            """UPDATE executions SET status = :status, reason_code = :code, reason = :reason, pause_requested = NULL,
                   started_at = CASE WHEN :status = 'active' THEN coalesce(started_at, :now) ELSE started_at END,
                   finished_at = CASE WHEN :final THEN CAST(:now AS timestamptz) END, version = version + 1
               WHERE id = :id"""
        ),
        {
            "id": row.id,
            "status": after.value,
            "code": code,
            "reason": reason,
            "now": change.now,
            "final": after in (_S.COMPLETED, _S.ABORTED),
        },
    )


def running_attempts(change: CustomerChange) -> int:
    """How many attempts of the customer run, frozen ones included."""
    return int(
        change.connection.execute(
            sql("SELECT count(*) FROM attempts WHERE customer_id = :id AND outcome IS NULL"),
            {"id": change.customer_id},
        ).scalar_one()
    )


def settle(change: CustomerChange) -> None:
    """Complete the execution when its queue holds nothing more that the engine could ever start by itself;
    carry out a pause that waited for the running task to end.
    """
    row = change.connection.execute(
        sql(
            """SELECT e.*, left_over.* FROM executions e CROSS JOIN (
                   SELECT count(*) FILTER (
                              WHERE status = 'pending' AND mode = 'autonomous' AND assignee IS NULL) AS own,
                          count(*) FILTER (WHERE status = 'blocked') AS blocked,
                          count(*) FILTER (WHERE status = 'failed') AS failed
                   FROM tasks WHERE customer_id = :id) left_over
               WHERE e.customer_id = :id AND e.status IN ('queued', 'active')
                 AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.customer_id = :id AND a.outcome IS NULL)"""
        ),
        {"id": change.customer_id},
    ).first()
    if row is None:
        return
    if row.own == 0:
        move_execution(change, row, _S.COMPLETED, code="queue_done", reason=_summary(row.failed, row.blocked))
        change.record("execution_completed", "execution", row.id, failed=row.failed, blocked=row.blocked)
    elif row.pause_requested is not None:
        move_execution(change, row, _S.PAUSED, code="paused_by_person", reason="Paused after the current task.")
        change.record("execution_paused", "execution", row.id)
    else:
        return
    change.show(execution_view(change.connection, row.id))


def _summary(failed: int, blocked: int) -> str:
    if not failed and not blocked:
        return "Everything in the queue is done."
    parts = [f"{count} {word}" for count, word in ((failed, "failed"), (blocked, "blocked")) if count]
    return f"Nothing more can run by itself: {' and '.join(parts)}."
