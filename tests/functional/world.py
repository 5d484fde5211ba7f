"""The running application as tests see it: people with roles who call it, and shortcuts to fill it."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI

from devteam.access.model import ENGINE, Role
from devteam.access.service import AccessService
from devteam.kit.db import Database, sql
from devteam.kit.ids import new_id

API = "/api/devteam"


@dataclass
class Caller:
    """Somebody with an API token."""

    client: httpx.Client
    token: str
    user_id: UUID

    def call(self, method: str, path: str, json: Any = None, **headers: str) -> httpx.Response:
        """Send a request; header names are written with underscores."""
        sent = {"Authorization": f"Bearer {self.token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(method, path if path.startswith("/h") else API + path, json=json, headers=sent)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.call("GET", path, **headers)

    def post(self, path: str, json: Any = None, **headers: str) -> httpx.Response:
        return self.call("POST", path, json, **headers)

    def patch(self, path: str, json: Any = None, **headers: str) -> httpx.Response:
        return self.call("PATCH", path, json, **headers)


@dataclass
class World:
    """The running application with shortcuts to fill it."""

    app: FastAPI
    client: httpx.Client
    origin: str
    database: Database
    access: AccessService
    _admin: list[Caller] = field(default_factory=list)

    def caller(self, role: Role = Role.ADMIN, customers: set[UUID] | None = None) -> Caller:
        """A new user of that role; `customers` None grants all."""
        granted = None if customers is None else frozenset(customers)
        user, _ = self.access.create_user(ENGINE, name=f"{role.value} {uuid4().hex[:8]}", role=role, customers=granted)
        return Caller(self.client, self.access.create_api_token(ENGINE, user.id), user.id)

    @property
    def admin(self) -> Caller:
        if not self._admin:
            self._admin.append(self.caller())
        return self._admin[0]

    def customer(self, name: str = "") -> UUID:
        answer = self.admin.post("/customers", {"name": name or f"Customer {uuid4().hex[:8]}"})
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["id"])

    def project(self, customer_id: UUID, name: str = "main") -> UUID:
        answer = self.admin.post(
            f"/customers/{customer_id}/projects", {"name": name, "repository": "/srv/repository.git"}
        )
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["id"])

    def task(self, customer_id: UUID, project_id: UUID, title: str = "Tidy up", **fields: Any) -> UUID:
        answer = self.admin.post(
            f"/customers/{customer_id}/tasks", {"projectId": str(project_id), "title": title, **fields}
        )
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["id"])

    def provider(self, name: str = "", **fields: Any) -> UUID:
        wanted = {"name": name or f"Provider {uuid4().hex[:8]}", "kind": "openai", "baseUrl": "http://models.test/v1"}
        answer = self.admin.post("/providers", {**wanted, **fields})
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["id"])

    def execution(self, customer_id: UUID) -> UUID:
        answer = self.admin.post("/executions", {"customerId": str(customer_id)})
        assert answer.status_code in (200, 201), answer.text
        return UUID(answer.json()["execution"]["id"])

    def attempt(
        self,
        customer_id: UUID,
        project_id: UUID,
        task_id: UUID,
        execution_id: UUID,
        *,
        executor: str = "command",
        phase: str = "execution",
        outcome: str | None = "failed",
    ) -> UUID:
        """An attempt as the engine would have left it: a finished one, or with `outcome` None one that runs."""
        attempt_id = new_id()
        with self.database.transaction() as connection:
            connection.execute(
                sql(
                    """INSERT INTO attempts (id, customer_id, execution_id, task_id, project_id, number, executor,
                           phase, phase_started_at, outcome, started_at, finished_at)
                       VALUES (:id, :customer, :execution, :task, :project, 1, :executor, :phase, now(),
                           :outcome, now(), CASE WHEN CAST(:outcome AS text) IS NOT NULL THEN now() END)"""
                ),
                {
                    "id": attempt_id,
                    "customer": customer_id,
                    "execution": execution_id,
                    "task": task_id,
                    "project": project_id,
                    "executor": executor,
                    "phase": phase,
                    "outcome": outcome,
                },
            )
        return attempt_id

    def approval(self, attempt_id: UUID) -> UUID:
        """A question of an attempt that waits for a person."""
        approval_id = new_id()
        with self.database.transaction() as connection:
            connection.execute(
                sql(
                    """INSERT INTO approvals (id, customer_id, project_id, task_id, attempt_id, kind, title, detail,
                           fingerprint, requested_at, expires_at)
                       SELECT :id, customer_id, project_id, task_id, id, 'agent_question', 'May I?', '', :fingerprint,
                           now(), now() + interval '1 day' FROM attempts WHERE id = :attempt"""
                ),
                {"id": approval_id, "attempt": attempt_id, "fingerprint": str(approval_id)},
            )
        return approval_id

    def incident(self, attempt_id: UUID) -> UUID:
        """Something that went wrong in an attempt and is open."""
        incident_id = new_id()
        with self.database.transaction() as connection:
            connection.execute(
                sql(
                    """INSERT INTO incidents (id, customer_id, project_id, task_id, attempt_id, class, code, title,
                           evidence, status, opened_at, last_at)
                       SELECT :id, customer_id, project_id, task_id, id, 'INTERVENTION_REQUIRED', 'outside_workspace',
                           'A file outside', '{}', 'open', now(), now() FROM attempts WHERE id = :attempt"""
                ),
                {"id": incident_id, "attempt": attempt_id},
            )
        return incident_id

    def count(self, table: str) -> int:
        with self.database.transaction() as connection:
            return int(connection.execute(sql(f"SELECT count(*) FROM {table}")).scalar_one())
