"""Approvals as they are sent and shown."""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from devteam.approvals.model import ApprovalKind, ApprovalStatus
from devteam.kit.db import Row
from devteam.kit.wire import Input, UtcTime, View


class AnswerInput(Input):
    """What a person says. `text` goes to whoever asked."""

    approved: bool
    text: str | None = Field(default=None, min_length=1, max_length=20_000, pattern=r"\S")


class ApprovalView(View):
    """A question and, once there is one, its answer.

    What `data` holds depends on `kind`; `paths` in it names files of the repository. `answeredBy` is null when nobody
    answered in time.
    """

    kind: Literal["approval"] = "approval"
    id: UUID
    version: int
    customer_id: UUID
    project_id: UUID
    task_id: UUID
    task_title: str
    attempt_id: UUID
    asks: ApprovalKind
    status: ApprovalStatus
    title: str
    detail: str
    data: dict[str, Any]
    answer: str | None
    answered_by: str | None
    requested_at: UtcTime
    expires_at: UtcTime
    answered_at: UtcTime | None

    @classmethod
    def from_row(cls, row: Row[Any]) -> "ApprovalView":
        """From a row of `approvals` with `task_title`."""
        return cls(
            id=row.id,
            version=row.version,
            customer_id=row.customer_id,
            project_id=row.project_id,
            task_id=row.task_id,
            task_title=row.task_title,
            attempt_id=row.attempt_id,
            asks=row.kind,
            status=row.status,
            title=row.title,
            detail=row.detail,
            data=row.data,
            answer=row.answer,
            answered_by=row.answered_by,
            requested_at=row.requested_at,
            expires_at=row.expires_at,
            answered_at=row.answered_at,
        )


class ApprovalPage(View):
    """A stretch of the approvals in scope, newest first; `nextCursor` is null at its end."""

    approvals: list[ApprovalView]
    next_cursor: str | None
