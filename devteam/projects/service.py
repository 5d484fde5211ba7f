"""Use cases on projects."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from devteam.access.model import Actor
from devteam.access.rules import Permission, check
from devteam.customers.change import CustomerChange, customer_change
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, sql
from devteam.kit.errors import Conflict, Invalid, NotFound, Stale
from devteam.kit.ids import new_id
from devteam.kit.wire import Input
from devteam.projects.ports import RepositoryProbe
from devteam.projects.routing import ROUTES
from devteam.projects.schemas import ProjectInput, ProjectPatch, ProjectView, check_own_agent

_CLEARABLE = frozenset({"model", "budget_usd", "author_name", "author_email"})
"""What an edit can take away by sending null."""


class ProjectService:
    """Link, edit, archive and read projects."""

    def __init__(self, database: Database, clock: Clock, probe: RepositoryProbe) -> None:
        self._database = database
        self._clock = clock
        self._probe = probe

    def create(self, actor: Actor, customer_id: UUID, wanted: ProjectInput) -> ProjectView:
        """Link a repository. It is looked at first, so that a wrong one is refused with the reason."""
        check(actor, Permission.COMMAND, customer_id)
        head = self._probe(wanted.repository, wanted.base_branch)
        project_id = new_id()
        try:
            with customer_change(self._database, customer_id, actor, self._clock) as change:
                change.connection.execute(
                    sql(
                        """INSERT INTO projects (id, customer_id, name, repository, base_branch, executor,
                               author_name, author_email, agent_command, model, budget_usd, egress_allow, routes,
                               protected_paths, refused_commands, delivery_mode, gates, monitoring_window_seconds,
                               created_at)
                           VALUES (:id, :customer_id, :name, :repository, :base_branch, :executor,
                               :author_name, :author_email, CAST(:agent_command AS jsonb), :model, :budget_usd,
                               CAST(:egress_allow AS jsonb), CAST(:routes AS jsonb), CAST(:protected_paths AS jsonb),
                               CAST(:refused_commands AS jsonb), :delivery_mode, CAST(:gates AS jsonb), :window,
                               :now)"""
                    ),
                    {
                        "id": project_id,
                        "customer_id": customer_id,
                        "name": wanted.name,
                        "repository": head.repository,
                        "base_branch": head.base_branch,
                        "executor": wanted.executor.value,
                        "agent_command": None if wanted.agent_command is None else json.dumps(wanted.agent_command),
                        "model": wanted.model,
                        "budget_usd": wanted.budget_usd,
                        "egress_allow": json.dumps(wanted.egress_allow),
                        "routes": _json(wanted.routes),
                        "author_name": wanted.author_name,
                        "author_email": wanted.author_email,
                        "protected_paths": json.dumps(wanted.protected_paths),
                        "refused_commands": json.dumps(wanted.refused_commands),
                        "delivery_mode": wanted.delivery_mode.value,
                        "gates": _json(wanted.gates),
                        "window": wanted.monitoring_window_seconds,
                        "now": change.now,
                    },
                )
                view = project_view(change.connection, project_id)
                change.record("project_created", "project", project_id, name=wanted.name)
                change.show(view)
        except IntegrityError as exc:
            raise Conflict(f"This customer already has a project called {wanted.name}.", code="name_taken") from exc
        return view

    def edit(
        self, actor: Actor, project_id: UUID, patch: ProjectPatch, *, if_version: int | None = None
    ) -> ProjectView:
        """Change a project's settings; running attempts keep what they began with."""
        customer_id = self._customer_of(actor, project_id)
        check(actor, Permission.COMMAND, customer_id)
        values = patch.model_dump(exclude_unset=True, exclude_none=True, mode="json")
        values |= {field: None for field in _CLEARABLE & patch.model_fields_set if getattr(patch, field) is None}
        try:
            with customer_change(self._database, customer_id, actor, self._clock) as change:
                before = project_view(change.connection, project_id)
                if if_version is not None and if_version != before.version:
                    raise Stale("Somebody changed this project in the meantime.", extra={"version": before.version})
                if values:
                    self._update(change, project_id, before, values)
                view = project_view(change.connection, project_id)
                if values:
                    change.record("project_changed", "project", project_id, fields=sorted(values))
                    change.show(view)
        except IntegrityError as exc:
            raise Conflict(f"This customer already has a project called {patch.name}.", code="name_taken") from exc
        return view

    def _update(self, change: CustomerChange, project_id: UUID, before: ProjectView, values: dict[str, Any]) -> None:
        if values.get("archived"):
            self._check_can_archive(change, project_id)
        agent_command = values.get("agent_command", before.agent_command)
        try:
            check_own_agent(before.executor, ROUTES.validate_python(values.get("routes", before.routes)), agent_command)
        except ValueError as exc:
            text = str(exc)
            raise Invalid.field("routes", f"{text[:1].upper()}{text[1:]}.") from exc
        change.connection.execute(
            sql(
                """UPDATE projects SET name = :name, delivery_mode = :delivery_mode, gates = CAST(:gates AS jsonb),
                       monitoring_window_seconds = :window, model = :model, budget_usd = :budget_usd,
                       agent_command = CAST(:agent_command AS jsonb), routes = CAST(:routes AS jsonb),
                       author_name = :author_name, author_email = :author_email,
                       egress_allow = CAST(:egress_allow AS jsonb), protected_paths = CAST(:protected_paths AS jsonb),
                       refused_commands = CAST(:refused_commands AS jsonb),
                       archived_at = CASE WHEN :archived THEN coalesce(archived_at, :now) END, version = version + 1
                   WHERE id = :id"""
            ),
            {
                "id": project_id,
                "name": values.get("name", before.name),
                "delivery_mode": values.get("delivery_mode", before.delivery_mode.value),
                "gates": _json(before.gates) if "gates" not in values else json.dumps(values["gates"]),
                "agent_command": None if agent_command is None else json.dumps(agent_command),
                "routes": _json(before.routes) if "routes" not in values else json.dumps(values["routes"]),
                "author_name": values.get("author_name", before.author_name),
                "author_email": values.get("author_email", before.author_email),
                "window": values.get("monitoring_window_seconds", before.monitoring_window_seconds),
                "model": values.get("model", before.model),
                "budget_usd": values.get("budget_usd", before.budget_usd),
                "egress_allow": json.dumps(values.get("egress_allow", before.egress_allow)),
                "protected_paths": json.dumps(values.get("protected_paths", before.protected_paths)),
                "refused_commands": json.dumps(values.get("refused_commands", before.refused_commands)),
                "archived": values.get("archived", before.archived),
                "now": change.now,
            },
        )

    def _check_can_archive(self, change: CustomerChange, project_id: UUID) -> None:
        unfinished = change.connection.execute(
            sql(
                """SELECT count(*) FROM tasks WHERE project_id = :id
                   AND status NOT IN ('completed', 'failed', 'skipped', 'cancelled')"""
            ),
            {"id": project_id},
        ).scalar_one()
        if unfinished:
            raise Conflict(
                f"{unfinished} tasks of this project are not finished; cancel them first.", code="tasks_open"
            )

    def get(self, actor: Actor, project_id: UUID) -> ProjectView:
        """One project."""
        check(actor, Permission.READ, self._customer_of(actor, project_id))
        with self._database.transaction() as connection:
            return project_view(connection, project_id)

    def _customer_of(self, actor: Actor, project_id: UUID) -> UUID:
        with self._database.transaction() as connection:
            customer_id = connection.execute(
                sql("SELECT customer_id FROM projects WHERE id = :id"), {"id": project_id}
            ).scalar()
        if customer_id is None or not actor.sees(customer_id):
            raise NotFound("There is no such project.")
        return UUID(str(customer_id))


def project_view(connection: Connection, project_id: UUID) -> ProjectView:
    """One project by id. Raises NotFound."""
    row = connection.execute(sql("SELECT * FROM projects WHERE id = :id"), {"id": project_id}).first()
    if row is None:
        raise NotFound("There is no such project.")
    return ProjectView.from_row(row)


def projects_of(connection: Connection, customer_id: UUID) -> list[ProjectView]:
    """A customer's projects that are not archived, oldest first."""
    rows = connection.execute(
        sql("SELECT * FROM projects WHERE customer_id = :id AND archived_at IS NULL ORDER BY id"), {"id": customer_id}
    )
    return [ProjectView.from_row(row) for row in rows]


def _json(values: Sequence[Input]) -> str:
    return json.dumps([value.model_dump(mode="json") for value in values])
