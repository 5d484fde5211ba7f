"""SQL of tasks; every function works inside the caller's transaction and its customer's lock."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from devteam.kit.db import Connection, Row, sql
from devteam.kit.errors import NotFound
from devteam.tasks.model import FINAL, TaskStatus
from devteam.tasks.rules import GAP, check_move, position_between
from devteam.tasks.schemas import TaskDetail, TaskView

_COLUMNS = """t.*, ARRAY(SELECT d.depends_on_id FROM task_dependencies d WHERE d.task_id = t.id
              ORDER BY d.depends_on_id) AS depends_on"""


@dataclass(frozen=True)
class TaskState:
    """What a move needs to know of a task."""

    id: UUID
    status: str


def task_row(connection: Connection, customer_id: UUID, task_id: UUID) -> Row[Any]:
    """One task of the customer. Raises NotFound."""
    row = connection.execute(
        sql(f"SELECT {_COLUMNS} FROM tasks t WHERE t.customer_id = :customer_id AND t.id = :id"),
        {"customer_id": customer_id, "id": task_id},
    ).first()
    if row is None:
        raise NotFound("There is no such task.")
    return row


def task_view(connection: Connection, customer_id: UUID, task_id: UUID) -> TaskView:
    """One task as lists show it."""
    return TaskView.from_row(task_row(connection, customer_id, task_id))


def task_detail(connection: Connection, customer_id: UUID, task_id: UUID) -> TaskDetail:
    """One task with everything."""
    return TaskDetail.from_row(task_row(connection, customer_id, task_id))


def tasks_of(connection: Connection, customer_id: UUID) -> list[TaskView]:
    """All tasks of a customer in queue order."""
    rows = connection.execute(
        sql(f"SELECT {_COLUMNS} FROM tasks t WHERE t.customer_id = :customer_id ORDER BY t.position, t.id"),
        {"customer_id": customer_id},
    )
    return [TaskView.from_row(row) for row in rows]


def tasks_page(
    connection: Connection,
    customer_id: UUID,
    *,
    statuses: Sequence[str],
    project_id: UUID | None,
    after: tuple[float, UUID] | None,
    limit: int,
) -> list[TaskView]:
    """One page of a customer's tasks in queue order."""
    rows = connection.execute(
        sql(
            f"""SELECT {_COLUMNS} FROM tasks t WHERE t.customer_id = :customer_id
                AND (:any_status OR t.status = ANY(:statuses))
                AND (CAST(:project_id AS uuid) IS NULL OR t.project_id = :project_id)
                AND (CAST(:after_id AS uuid) IS NULL OR (t.position, t.id) > (:after_position, :after_id))
                ORDER BY t.position, t.id LIMIT :limit"""
        ),
        {
            "customer_id": customer_id,
            "any_status": not statuses,
            "statuses": list(statuses),
            "project_id": project_id,
            "after_position": after[0] if after else 0.0,
            "after_id": after[1] if after else None,
            "limit": limit,
        },
    )
    return [TaskView.from_row(row) for row in rows]


def insert_task(connection: Connection, values: Mapping[str, Any]) -> None:
    """A new task with these column values."""
    connection.execute(
        sql(
            """INSERT INTO tasks (id, customer_id, project_id, title, description, command, acceptance_criteria,
                   mode, priority, position, estimate_seconds, assignee, kind, labels, executor, model, status,
                   reason_code, reason, created_at)
               VALUES (:id, :customer_id, :project_id, :title, :description, CAST(:command AS jsonb),
                   CAST(:acceptance_criteria AS jsonb), :mode, :priority, :position, :estimate_seconds, :assignee,
                   :task_kind, :labels, :executor, :model, :status, :reason_code, :reason, :created_at)"""
        ),
        {
            **values,
            "command": None if values["command"] is None else json.dumps(values["command"]),
            "acceptance_criteria": json.dumps(values["acceptance_criteria"]),
        },
    )


def update_task(connection: Connection, task_id: UUID, values: Mapping[str, Any]) -> None:
    """Set columns of a task; the names come from our own code, never from a caller."""
    encoded = {
        key: json.dumps(value) if key in ("command", "acceptance_criteria") and value is not None else value
        for key, value in values.items()
    }
    assignments = ", ".join(
        f"{key} = CAST(:{key} AS jsonb)" if key in ("command", "acceptance_criteria") else f"{key} = :{key}"
        for key in encoded
    )
    connection.execute(
        sql(f"UPDATE tasks SET {assignments}, version = version + 1 WHERE id = :task_id"),
        {**encoded, "task_id": task_id},
    )


def move_task(
    connection: Connection,
    task: Row[Any] | TaskState,
    after: TaskStatus,
    *,
    now: datetime,
    reason_code: str | None = None,
    reason: str | None = None,
    attempt_id: UUID | None = None,
) -> TaskView:
    """Change a task's status by a legal move, which `attempt_id` makes its newest attempt. Raises IllegalMove."""
    check_move(TaskStatus(task.status), after)
    row = connection.execute(
        sql(
            f"""UPDATE tasks t SET status = :status, reason_code = :reason_code, reason = :reason,
                   version = version + 1,
                   started_at = CASE WHEN :starts THEN coalesce(started_at, :now) ELSE started_at END,
                   finished_at = CASE WHEN :final THEN CAST(:now AS timestamptz) END,
                   attempts = CASE WHEN CAST(:attempt_id AS uuid) IS NULL THEN attempts ELSE attempts + 1 END,
                   last_attempt_id = coalesce(CAST(:attempt_id AS uuid), last_attempt_id)
               WHERE id = :id RETURNING {_COLUMNS}"""
        ),
        {
            "id": task.id,
            "status": after.value,
            "reason_code": reason_code,
            "reason": reason,
            "starts": after is TaskStatus.IN_PROGRESS,
            "final": after in FINAL,
            "now": now,
            "attempt_id": attempt_id,
        },
    ).one()
    return TaskView.from_row(row)


def set_dependencies(connection: Connection, customer_id: UUID, task_id: UUID, wanted: Iterable[UUID]) -> None:
    """Replace a task's dependencies."""
    connection.execute(sql("DELETE FROM task_dependencies WHERE task_id = :id"), {"id": task_id})
    for dependency in wanted:
        connection.execute(
            sql("INSERT INTO task_dependencies (customer_id, task_id, depends_on_id) VALUES (:c, :t, :d)"),
            {"c": customer_id, "t": task_id, "d": dependency},
        )


def dependency_graph(connection: Connection, customer_id: UUID) -> dict[UUID, list[UUID]]:
    """Each task's dependencies, for one customer."""
    graph: dict[UUID, list[UUID]] = defaultdict(list)
    rows = connection.execute(
        sql("SELECT task_id, depends_on_id FROM task_dependencies WHERE customer_id = :id"), {"id": customer_id}
    )
    for row in rows:
        graph[row.task_id].append(row.depends_on_id)
    return graph


def dependants(connection: Connection, task_id: UUID) -> Sequence[Row[Any]]:
    """The tasks that depend directly on this one."""
    return connection.execute(
        sql(
            f"""SELECT {_COLUMNS} FROM tasks t JOIN task_dependencies d ON d.task_id = t.id
                WHERE d.depends_on_id = :id ORDER BY t.position, t.id"""
        ),
        {"id": task_id},
    ).all()


def dependencies(connection: Connection, task_id: UUID) -> Sequence[Row[Any]]:
    """The tasks that this one depends on."""
    return connection.execute(
        sql(
            f"""SELECT {_COLUMNS} FROM tasks t JOIN task_dependencies d ON d.depends_on_id = t.id
                WHERE d.task_id = :id ORDER BY t.position, t.id"""
        ),
        {"id": task_id},
    ).all()


def head_position(connection: Connection, customer_id: UUID) -> float:
    """A position before every task that is not finished."""
    first = connection.execute(
        sql(
            """SELECT min(position) FROM tasks WHERE customer_id = :id
               AND status NOT IN ('completed', 'failed', 'skipped', 'cancelled')"""
        ),
        {"id": customer_id},
    ).scalar()
    return GAP if first is None else float(first) - GAP


def tail_position(connection: Connection, customer_id: UUID) -> float:
    """A position after every task."""
    last = connection.execute(
        sql("SELECT max(position) FROM tasks WHERE customer_id = :id"), {"id": customer_id}
    ).scalar()
    return GAP if last is None else float(last) + GAP


def position_before(connection: Connection, customer_id: UUID, moving: UUID, before: Row[Any]) -> float | None:
    """A position directly before another task; None when the queue must be renumbered first."""
    previous = connection.execute(
        sql(
            """SELECT max(position) FROM tasks WHERE customer_id = :customer_id AND id <> :moving
               AND (position, id) < (:position, :before)"""
        ),
        {"customer_id": customer_id, "moving": moving, "position": before.position, "before": before.id},
    ).scalar()
    return position_between(None if previous is None else float(previous), float(before.position))


def renumber(connection: Connection, customer_id: UUID) -> list[UUID]:
    """Spread the queue's positions evenly again, keeping the order; the tasks whose position changed."""
    rows = connection.execute(
        sql(
            """UPDATE tasks t SET position = n.ordinal * :gap, version = t.version + 1
               FROM (SELECT id, row_number() OVER (ORDER BY position, id) AS ordinal
                     FROM tasks WHERE customer_id = :id) n
               WHERE n.id = t.id AND t.position <> n.ordinal * :gap RETURNING t.id"""
        ),
        {"id": customer_id, "gap": GAP},
    )
    return [row.id for row in rows]
