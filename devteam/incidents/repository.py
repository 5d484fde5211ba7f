"""SQL of incidents."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from devteam.customers.change import CustomerChange
from devteam.incidents.model import IncidentClass, IncidentStatus
from devteam.incidents.rules import merged
from devteam.incidents.schemas import IncidentView
from devteam.kit.db import Connection, sql
from devteam.kit.errors import NotFound
from devteam.kit.ids import new_id

NEWEST_INCIDENTS = 200
"""Settled and open ones on a customer's page; all of them are read page by page."""

_INCIDENT = """SELECT i.*, i.class AS incident_class, t.title AS task_title
               FROM incidents i LEFT JOIN tasks t ON t.id = i.task_id"""


@dataclass(frozen=True)
class Opening:
    """What happened, and during which attempt."""

    project_id: UUID
    task_id: UUID
    attempt_id: UUID
    incident_class: IncidentClass
    code: str
    title: str
    evidence: Mapping[str, Any]


def open_incident(change: CustomerChange, opening: Opening) -> IncidentView:
    """Record it; the same of the same attempt again counts up, while nobody has settled it."""
    found = change.connection.execute(
        sql(
            """SELECT id, evidence FROM incidents
               WHERE attempt_id = :attempt_id AND code = :code AND status <> 'resolved'"""
        ),
        {"attempt_id": opening.attempt_id, "code": opening.code},
    ).first()
    if found is None:
        return _insert(change, opening)
    change.connection.execute(
        sql(
            """UPDATE incidents SET count = count + 1, evidence = CAST(:evidence AS jsonb), last_at = :now,
                   version = version + 1 WHERE id = :id"""
        ),
        {"id": found.id, "evidence": json.dumps(merged(found.evidence, opening.evidence)), "now": change.now},
    )
    view = incident_view(change.connection, found.id)
    change.show(view)
    return view


def _insert(change: CustomerChange, opening: Opening) -> IncidentView:
    incident_id = new_id()
    change.connection.execute(
        sql(
            """INSERT INTO incidents (id, customer_id, project_id, task_id, attempt_id, class, code, title, evidence,
                   status, opened_at, last_at)
               VALUES (:id, :customer_id, :project_id, :task_id, :attempt_id, :class, :code, :title,
                   CAST(:evidence AS jsonb), 'open', :now, :now)"""
        ),
        {
            "id": incident_id,
            "customer_id": change.customer_id,
            "project_id": opening.project_id,
            "task_id": opening.task_id,
            "attempt_id": opening.attempt_id,
            "class": opening.incident_class.value,
            "code": opening.code,
            "title": opening.title,
            "evidence": json.dumps(dict(opening.evidence)),
            "now": change.now,
        },
    )
    view = incident_view(change.connection, incident_id)
    change.record("incident_opened", "incident", incident_id, title=view.title, code=view.code)
    change.show(view)
    return view


def move_incident(
    change: CustomerChange, incident_id: UUID, to: IncidentStatus, *, resolution: str | None = None
) -> IncidentView:
    """Put it into another state; the caller has checked that it may go there."""
    resolved = to is IncidentStatus.RESOLVED
    change.connection.execute(
        sql(
            """UPDATE incidents SET status = :status, resolution = :resolution, resolved_at = :at, resolved_by = :by,
                   version = version + 1 WHERE id = :id"""
        ),
        {
            "id": incident_id,
            "status": to.value,
            "resolution": resolution,
            "at": change.now if resolved else None,
            "by": change.actor.name if resolved else None,
        },
    )
    view = incident_view(change.connection, incident_id)
    change.show(view)
    return view


def incident_view(connection: Connection, incident_id: UUID) -> IncidentView:
    """One incident. Raises NotFound."""
    row = connection.execute(sql(f"{_INCIDENT} WHERE i.id = :id"), {"id": incident_id}).first()
    if row is None:
        raise NotFound("There is no such incident.")
    return IncidentView.from_row(row)


def incidents_of(connection: Connection, customer_id: UUID) -> list[IncidentView]:
    """A customer's newest incidents, newest first."""
    rows = connection.execute(
        sql(f"{_INCIDENT} WHERE i.customer_id = :id ORDER BY i.id DESC LIMIT :limit"),
        {"id": customer_id, "limit": NEWEST_INCIDENTS},
    )
    return [IncidentView.from_row(row) for row in rows]


def incidents_page(
    connection: Connection,
    customers: Sequence[UUID] | None,
    *,
    statuses: Sequence[str],
    before: UUID | None,
    limit: int,
) -> list[IncidentView]:
    """Incidents of the given customers (None: of all), newest first, beginning below an id; all states if none is
    given.
    """
    rows = connection.execute(
        sql(
            f"""{_INCIDENT}
                WHERE (CAST(:scope AS uuid[]) IS NULL OR i.customer_id = ANY(:scope))
                  AND (:every OR i.status = ANY(:statuses)) AND (CAST(:before AS uuid) IS NULL OR i.id < :before)
                ORDER BY i.id DESC LIMIT :limit"""
        ),
        {
            "scope": None if customers is None else list(customers),
            "every": not statuses,
            "statuses": list(statuses),
            "before": before,
            "limit": limit,
        },
    )
    return [IncidentView.from_row(row) for row in rows]


def critical_of(connection: Connection, attempt_id: UUID) -> str | None:
    """The title of a critical incident of an attempt that nobody has settled, None when there is none."""
    found: str | None = connection.execute(
        sql(
            """SELECT title FROM incidents WHERE attempt_id = :id AND class = 'CRITICAL' AND status <> 'resolved'
               ORDER BY id LIMIT 1"""
        ),
        {"id": attempt_id},
    ).scalar()
    return found
