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
        if _gates_are_due(change, row):
            return
        broken = _broken_gate(change, row.id)
        if broken is not None:
            move_execution(change, row, _S.ERROR, code="post_execution_gate", reason=broken)
            change.record("execution_failed", "execution", row.id, reason=broken)
            change.show(execution_view(change.connection, row.id))
            return
        move_execution(change, row, _S.COMPLETED, code="queue_done", reason=_summary(row.failed, row.blocked))
        change.record("execution_completed", "execution", row.id, failed=row.failed, blocked=row.blocked)
    elif row.pause_requested is not None:
        move_execution(change, row, _S.PAUSED, code="paused_by_person", reason="Paused after the current task.")
        change.record("execution_paused", "execution", row.id)
    else:
        return
    change.show(execution_view(change.connection, row.id))


def _gates_are_due(change: CustomerChange, row: Row[Any]) -> bool:
    """Whether the end of the execution waits for gates; each project's newest delivery is given them once.

    Whoever looks after that delivery runs them.
    """
    change.connection.execute(
        sql(
            """WITH newest AS (
                   SELECT DISTINCT ON (a.project_id) a.id FROM attempts a
                   WHERE a.execution_id = :id AND a.outcome = 'succeeded' AND a.commit IS NOT NULL
                   ORDER BY a.project_id, a.finished_at DESC, a.id DESC)
               UPDATE attempts a SET closing = 'due', monitor_at = :now, version = a.version + 1
               FROM newest n, projects p
               WHERE a.id = n.id AND p.id = a.project_id AND a.closing IS NULL AND p.archived_at IS NULL
                 AND p.gates @> '[{"stage": "post_execution"}]'"""
        ),
        {"id": row.id, "now": change.now},
    )
    due = change.connection.execute(
        sql("SELECT count(*) FROM attempts WHERE execution_id = :id AND closing = 'due'"), {"id": row.id}
    ).scalar_one()
    if due and row.reason_code != "closing":
        change.connection.execute(
            sql(
                """UPDATE executions SET reason_code = 'closing', reason = :reason, version = version + 1
                   WHERE id = :id"""
            ),
            {"id": row.id, "reason": "The queue is done; the gates at the end of the execution run."},
        )
        change.show(execution_view(change.connection, row.id))
    return bool(due)


def _broken_gate(change: CustomerChange, execution_id: Any) -> str | None:
    """The first required gate of stage post_execution that does not hold, in a sentence."""
    found = change.connection.execute(
        sql(
            """SELECT p.name AS project, p.base_branch, g.name, g.text FROM attempts a
               JOIN projects p ON p.id = a.project_id
               JOIN gate_results g ON g.attempt_id = a.id AND g.stage = 'post_execution'
               WHERE a.execution_id = :id AND a.closing = 'failed' AND g.required AND g.passed IS FALSE
               ORDER BY g.id LIMIT 1"""
        ),
        {"id": execution_id},
    ).first()
    if found is None:
        return None
    place = f"{found.base_branch} of {found.project}"
    return f"Gate {found.name} fails on {place} at the end of the execution: {found.text}"


def check_again(change: CustomerChange, execution_id: Any) -> None:
    """Gates that failed at the end of the execution are run again: somebody mended what they found."""
    change.connection.execute(
        sql("UPDATE attempts SET closing = NULL WHERE execution_id = :id AND closing = 'failed'"),
        {"id": execution_id},
    )


def _summary(failed: int, blocked: int) -> str:
    if not failed and not blocked:
        return "Everything in the queue is done."
    parts = [f"{count} {word}" for count, word in ((failed, "failed"), (blocked, "blocked")) if count]
    return f"Nothing more can run by itself: {' and '.join(parts)}."
