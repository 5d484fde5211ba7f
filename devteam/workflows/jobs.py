"""Read an attempt as its phases need it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from devteam.executions.lifecycle import RunRef
from devteam.executions.model import Phase
from devteam.executions.ports import Again, Job
from devteam.executions.requests import PERSON, RequestKind, Start
from devteam.kit.db import Database, Row, sql
from devteam.kit.errors import Fenced
from devteam.projects.routing import ROUTES, as_routes
from devteam.projects.rules import Choice, Obstacle, Routing, Traits, size_of
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
                       p.delivery_mode, p.gates, p.monitoring_window_seconds, p.agent_command, p.budget_usd,
                       p.author_name, p.author_email,
                       (SELECT m.model FROM attempt_calls m WHERE m.attempt_id = a.id ORDER BY m.id DESC LIMIT 1)
                           AS used_model,
                       p.egress_allow, p.protected_paths,
                       p.refused_commands,
                       q.kind AS wanted, q.base_attempt_id, q.from_round, q.from_ordinal, q.start_commit,
                       q.base_commit AS start_base, q.onto_commit, q.branch AS start_branch, q.by_agent,
                       q.budget_usd AS wanted_budget, q.instructions, q.author,
                       p.routes, p.executor AS default_executor, p.model AS default_model,
                       t.kind, t.labels, t.estimate_seconds, q.executor AS asked_executor,
                       coalesce(q.executor, t.executor) AS own_executor, coalesce(q.model, t.model) AS own_model,
                       (SELECT coalesce(jsonb_agg(e), '[]') FROM attempts b, jsonb_array_elements(b.passed_over) e
                        WHERE b.task_id = t.id AND b.id <> a.id) AS failed_before
                   FROM attempts a JOIN tasks t ON t.id = a.task_id JOIN projects p ON p.id = a.project_id
                   LEFT JOIN attempt_requests q ON q.attempt_id = a.id
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
        model=row.default_model if row.route is None else row.model,
        agent_command=None if row.agent_command is None else tuple(row.agent_command),
        budget_usd=row.wanted_budget or row.budget_usd,
        egress=tuple(row.egress_allow),
        protected_paths=tuple(row.protected_paths),
        refused_commands=tuple(row.refused_commands),
        session_id=row.session_id,
        again=None if row.wanted is None else _again(row),
        author_name=row.author_name,
        author_email=row.author_email,
        used_model=row.used_model,
        base_moves=row.base_moves,
        routing=None if row.executor == PERSON else _routing(row),
        route=row.route,
        passed_over={_choice(entry): Obstacle(entry["code"], entry["text"]) for entry in row.passed_over},
        # Whoever asks for an executor after it failed means it.
        failed_before=frozenset(_choice(entry) for entry in row.failed_before if row.asked_executor is None),
    )


def _again(row: Row[Any]) -> Again:
    """What a person asked of the attempt."""
    return Again(
        kind=RequestKind(row.wanted),
        base_attempt_id=row.base_attempt_id,
        start=Start(
            base_commit=row.start_base,
            start_commit=row.start_commit,
            onto_commit=row.onto_commit,
            branch=row.start_branch,
            by_agent=row.by_agent,
        ),
        from_round=row.from_round,
        from_ordinal=row.from_ordinal,
        instructions=row.instructions,
        author=row.author,
    )


def _routing(row: Row[Any]) -> Routing:
    return Routing(
        default=Choice(row.default_executor, row.default_model),
        traits=Traits(row.kind, size_of(row.estimate_seconds), labels=frozenset(row.labels)),
        routes=as_routes(ROUTES.validate_python(row.routes)),
        executor=row.own_executor,
        model=row.own_model,
    )


def _choice(entry: Mapping[str, Any]) -> Choice:
    return Choice(entry["executor"], entry["model"])
