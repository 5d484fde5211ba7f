"""Reads over executions and attempts; the caller has checked the scope."""

from datetime import datetime
from typing import Any
from uuid import UUID

from devteam.approvals.repository import approvals_of
from devteam.customers.schemas import CustomerCard
from devteam.executions.schemas import (
    AttemptView,
    CustomerSnapshot,
    DiffView,
    ExecutionView,
    FileStat,
    OutputPage,
    SystemTotals,
)
from devteam.incidents.repository import incidents_of
from devteam.kit.db import Connection, Row, sql
from devteam.kit.errors import NotFound
from devteam.projects.service import projects_of
from devteam.tasks.repository import tasks_of

NEWEST_ATTEMPTS = 50

USED = """(SELECT jsonb_build_object('calls', count(*), 'input_tokens', coalesce(sum(u.input_tokens), 0),
                      'cached_tokens', coalesce(sum(u.cached_tokens), 0),
                      'output_tokens', coalesce(sum(u.output_tokens), 0),
                      'cost_usd', CASE WHEN count(*) FILTER (WHERE u.cost_usd IS NULL
                          AND (u.status BETWEEN 200 AND 299 OR u.status = 499)) = 0
                          THEN coalesce(sum(u.cost_usd), 0) END,
                      'overshoot_usd', a.overshoot_usd)
                  FROM attempt_calls u WHERE u.attempt_id = a.id) AS used"""
"""What `Used` is made of, for an attempt `a`. A call that was refused costs nothing; one that went through, or
that its caller left in the middle (499), does.
"""

ATTEMPT_COLUMNS = f"""a.*, t.title AS task_title,
        coalesce(a.model, (SELECT m.model FROM attempt_calls m WHERE m.attempt_id = a.id ORDER BY m.id DESC LIMIT 1))
            AS used_model,
        coalesce((SELECT jsonb_agg(jsonb_build_object('phase', p.phase, 'round', p.round, 'run', p.run,
                      'started_at', p.started_at, 'ended_at', p.ended_at) ORDER BY p.ordinal)
                  FROM attempt_phases p WHERE p.attempt_id = a.id), '[]') AS phases,
        coalesce((SELECT jsonb_agg(jsonb_build_object('name', g.name, 'stage', g.stage, 'round', g.round,
                      'required', g.required, 'passed', g.passed, 'base_red', g.base_red, 'exit_code', g.exit_code,
                      'seconds', g.seconds, 'tests', g.tests, 'measures', g.measures, 'text', g.text,
                      'output_tail', g.output_tail, 'commit', g.commit) ORDER BY g.id)
                  FROM gate_results g WHERE g.attempt_id = a.id), '[]') AS gates,
        coalesce((SELECT jsonb_agg(jsonb_build_object('round', r.round, 'base_commit', r.base_commit,
                      'work_commit', r.work_commit, 'at', r.at) ORDER BY r.round)
                  FROM attempt_rounds r WHERE r.attempt_id = a.id), '[]') AS rounds,
        (SELECT jsonb_build_object('id', q.id, 'wanted', q.kind, 'task_id', q.task_id,
                    'base_attempt_id', q.base_attempt_id, 'attempt_id', q.attempt_id, 'from_round', q.from_round,
                    'from_ordinal', q.from_ordinal, 'start_commit', q.start_commit, 'executor', q.executor,
                    'model', q.model, 'budget_usd', q.budget_usd, 'instructions', q.instructions,
                    'author', q.author, 'requested_at', q.requested_at)
         FROM attempt_requests q WHERE q.attempt_id = a.id) AS request,
        {USED}"""
"""What `AttemptView` is made of, for an attempt `a` and its task `t`."""

_ATTEMPT = f"SELECT {ATTEMPT_COLUMNS} FROM attempts a JOIN tasks t ON t.id = a.task_id"


def execution_row(connection: Connection, customer_id: UUID) -> Row[Any] | None:
    """A customer's newest execution."""
    return connection.execute(
        sql("SELECT * FROM executions WHERE customer_id = :id ORDER BY id DESC LIMIT 1"), {"id": customer_id}
    ).first()


def execution_view(connection: Connection, execution_id: UUID) -> ExecutionView:
    """One execution. Raises NotFound."""
    row = connection.execute(sql("SELECT * FROM executions WHERE id = :id"), {"id": execution_id}).first()
    if row is None:
        raise NotFound("There is no such execution.")
    return ExecutionView.from_row(row)


def attempt_view(connection: Connection, attempt_id: UUID) -> AttemptView:
    """One attempt. Raises NotFound."""
    row = connection.execute(sql(f"{_ATTEMPT} WHERE a.id = :id"), {"id": attempt_id}).first()
    if row is None:
        raise NotFound("There is no such attempt.")
    return AttemptView.from_row(row)


def attempts_of(connection: Connection, customer_id: UUID, *, limit: int = NEWEST_ATTEMPTS) -> list[AttemptView]:
    """A customer's newest attempts, newest first."""
    rows = connection.execute(
        sql(f"{_ATTEMPT} WHERE a.customer_id = :id ORDER BY a.id DESC LIMIT :limit"),
        {"id": customer_id, "limit": limit},
    )
    return [AttemptView.from_row(row) for row in rows]


def attempts_of_task(connection: Connection, task_id: UUID) -> list[AttemptView]:
    """All attempts at a task, oldest first."""
    rows = connection.execute(sql(f"{_ATTEMPT} WHERE a.task_id = :id ORDER BY a.number"), {"id": task_id})
    return [AttemptView.from_row(row) for row in rows]


def customer_snapshot(connection: Connection, customer_id: UUID, *, epoch: str = "") -> CustomerSnapshot:
    """Everything of a customer's page; consistent when the transaction is REPEATABLE READ. Raises NotFound."""
    head = connection.execute(
        sql(
            """SELECT h.version, k.view FROM stream_heads h JOIN customer_cards k ON k.customer_id = h.stream
               WHERE h.stream = :id"""
        ),
        {"id": customer_id},
    ).first()
    if head is None:
        raise NotFound("There is no such customer.")
    execution = execution_row(connection, customer_id)
    return CustomerSnapshot(
        epoch=epoch,
        seq=head.version,
        customer=CustomerCard.model_validate(head.view),
        execution=None if execution is None else ExecutionView.from_row(execution),
        projects=projects_of(connection, customer_id),
        tasks=tasks_of(connection, customer_id),
        attempts=attempts_of(connection, customer_id),
        approvals=approvals_of(connection, customer_id),
        incidents=incidents_of(connection, customer_id),
    )


def output_page(connection: Connection, attempt_id: UUID, *, offset: int, limit: int) -> OutputPage:
    """A stretch of an attempt's output, at most `limit` characters and then the rest of the chunk."""
    rows = connection.execute(
        sql(
            """SELECT "offset", text FROM attempt_output
               WHERE attempt_id = :id AND "offset" + length(text) > :offset ORDER BY "offset" LIMIT 1000"""
        ),
        {"id": attempt_id, "offset": offset},
    ).all()
    outcome = connection.execute(sql("SELECT outcome FROM attempts WHERE id = :id"), {"id": attempt_id}).scalar()
    parts: list[str] = []
    at = offset
    for row in rows:
        if at - offset >= limit:
            break
        parts.append(row.text[max(0, at - row.offset) :])
        at = row.offset + len(row.text)
    reached_end = not rows or at >= rows[-1].offset + len(rows[-1].text)
    return OutputPage(
        offset=offset,
        next_offset=at,
        text="".join(parts),
        complete=outcome is not None and reached_end and len(rows) < 1000,
    )


def attempt_diff(connection: Connection, attempt_id: UUID) -> DiffView:
    """What an attempt changed; empty while nothing was saved."""
    row = connection.execute(
        sql(
            """SELECT a.diff_stat, d.diff, d.truncated FROM attempts a
               LEFT JOIN attempt_diffs d ON d.attempt_id = a.id WHERE a.id = :id"""
        ),
        {"id": attempt_id},
    ).first()
    if row is None:
        raise NotFound("There is no such attempt.")
    return DiffView(
        diff=row.diff or "",
        truncated=bool(row.truncated),
        files=[FileStat(path=path, added=added, deleted=deleted) for path, added, deleted in row.diff_stat or []],
    )


def system_totals(connection: Connection, customers: frozenset[UUID] | None, *, today: datetime) -> SystemTotals:
    """Sums over the given customers (None = all); `today` is when the day began."""
    scope = None if customers is None else list(customers)
    row = connection.execute(
        sql(
            """
            SELECT count(*) AS customers,
                count(*) FILTER (WHERE view ->> 'executionStatus' = 'active') AS active,
                count(*) FILTER (WHERE view -> 'currentTask' <> 'null') AS running,
                coalesce(sum((view ->> 'tasksPending')::int), 0) AS pending,
                coalesce(sum((view ->> 'needsYou')::int), 0) AS needs_you
            FROM customer_cards k JOIN customers c ON c.id = k.customer_id
            WHERE c.archived_at IS NULL AND (CAST(:scope AS uuid[]) IS NULL OR c.id = ANY(:scope))
            """
        ),
        {"scope": scope},
    ).one()
    done = connection.execute(
        sql(
            """SELECT count(*) FROM tasks WHERE status = 'completed' AND finished_at >= :today
               AND (CAST(:scope AS uuid[]) IS NULL OR customer_id = ANY(:scope))"""
        ),
        {"scope": scope, "today": today},
    ).scalar_one()
    workers = connection.execute(
        sql(
            """SELECT count(*) AS alive, coalesce(sum(slots), 0) AS slots,
                   (SELECT count(*) FROM attempts
                    WHERE outcome IS NULL AND NOT frozen AND awaiting_approval_id IS NULL) AS used
               FROM workers WHERE state = 'alive'"""
        )
    ).one()
    return SystemTotals(
        version=1,
        customers=row.customers,
        active_executions=row.active,
        running_attempts=row.running,
        slots=workers.slots,
        slots_used=workers.used,
        tasks_pending=row.pending,
        tasks_completed_today=done,
        needs_you=row.needs_you,
        workers_alive=workers.alive,
    )
