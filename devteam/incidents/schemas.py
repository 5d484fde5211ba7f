"""Incidents as they are sent and shown."""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from devteam.incidents.model import IncidentClass, IncidentStatus
from devteam.kit.db import Row
from devteam.kit.wire import Input, UtcTime, View


class ResolutionInput(Input):
    """How an incident was settled."""

    resolution: str = Field(min_length=1, max_length=2000, pattern=r"\S")


class IncidentView(View):
    """Something that went wrong and matters. `count` says how often it happened, `lastAt` when for the last time.

    What `evidence` holds depends on `code`; secrets are masked in it and long texts cut.
    """

    kind: Literal["incident"] = "incident"
    id: UUID
    version: int
    customer_id: UUID
    project_id: UUID | None
    task_id: UUID | None
    task_title: str | None
    attempt_id: UUID | None
    incident_class: IncidentClass = Field(alias="class")
    code: str
    title: str
    evidence: dict[str, Any]
    status: IncidentStatus
    count: int
    opened_at: UtcTime
    last_at: UtcTime
    resolved_at: UtcTime | None
    resolved_by: str | None
    resolution: str | None

    @classmethod
    def from_row(cls, row: Row[Any]) -> "IncidentView":
        """From a row of `incidents` with `task_title`."""
        return cls(
            id=row.id,
            version=row.version,
            customer_id=row.customer_id,
            project_id=row.project_id,
            task_id=row.task_id,
            task_title=row.task_title,
            attempt_id=row.attempt_id,
            incident_class=row.incident_class,
            code=row.code,
            title=row.title,
            evidence=row.evidence,
            status=row.status,
            count=row.count,
            opened_at=row.opened_at,
            last_at=row.last_at,
            resolved_at=row.resolved_at,
            resolved_by=row.resolved_by,
            resolution=row.resolution,
        )


class IncidentPage(View):
    """Incidents, newest first; `nextCursor` is null at the end."""

    incidents: list[IncidentView]
    next_cursor: UUID | None
