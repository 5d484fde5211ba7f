"""Read an attempt as its phases need it."""

from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from devteam.executions.lifecycle import RunRef
from devteam.executions.model import Phase
from devteam.executions.ports import Job
from devteam.kit.db import Database, sql
from devteam.kit.errors import Fenced
from devteam.projects.schemas import DeliveryMode, Gate
from devteam.tasks.schemas import Criterion, TaskCommand

_GATES = TypeAdapter(list[Gate])
_CRITERIA: TypeAdapter[list[Any]] = TypeAdapter(list[Criterion])


def load_job(database: Database, attempt_id: UUID, run: int) -> Job:
    """The attempt with its task and project. Raises Fenced when another run holds it."""
    with database.statement() as connection:
        row = connection.execute(
            sql(
                """SELECT a.*, t.title, t.description, t.command, t.acceptance_criteria, p.repository, p.base_branch,
                       p.delivery_mode, p.gates, p.monitoring_window_seconds, p.model, p.agent_command, p.budget_usd
                   FROM attempts a JOIN tasks t ON t.id = a.task_id JOIN projects p ON p.id = a.project_id
                   WHERE a.id = :id AND a.run = :run"""
            ),
            {"id": attempt_id, "run": run},
        ).first()
    if row is None:
        raise Fenced("Another run holds this attempt.")
    return Job(
        ref=RunRef(attempt_id, run, row.customer_id),
        phase=Phase(row.phase),
        round=row.round,
        frozen=row.frozen,
        number=row.number,
        task_id=row.task_id,
        title=row.title,
        description=row.description,
        command=None if row.command is None else TaskCommand.model_validate(row.command),
        criteria=_CRITERIA.validate_python(row.acceptance_criteria),
        project_id=row.project_id,
        repository=row.repository,
        base_branch=row.base_branch,
        delivery_mode=DeliveryMode(row.delivery_mode),
        gates=_GATES.validate_python(row.gates),
        monitoring_window=row.monitoring_window_seconds,
        executor=row.executor,
        started_at=row.started_at,
        branch=row.branch,
        base_commit=row.base_commit,
        work_commit=row.work_commit,
        commit=row.commit,
        merged_commit=row.merged_commit,
        monitor_until=row.monitor_until,
        model=row.model,
        agent_command=None if row.agent_command is None else tuple(row.agent_command),
        budget_usd=row.budget_usd,
        session_id=row.session_id,
    )
