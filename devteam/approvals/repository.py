"""SQL of approvals. What changes one runs inside an open change of its customer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from devteam.approvals.model import ALLOWS_PATHS, APPROVAL_MOVES, OUTLIVES_ATTEMPT, ApprovalKind, ApprovalStatus
from devteam.approvals.schemas import ApprovalView
from devteam.customers.change import CustomerChange
from devteam.kit.db import Connection, Row, sql
from devteam.kit.errors import IllegalMove, NotFound
from devteam.kit.ids import new_id

TITLE_LIMIT = 300
DETAIL_LIMIT = 20_000
NEWEST_ANSWERED = 50
"""Answered questions that a customer's page shows beside all that wait."""

_APPROVAL = "SELECT p.*, t.title AS task_title FROM approvals p JOIN tasks t ON t.id = p.task_id"


@dataclass(frozen=True)
class Asked:
    """A question as it is stored; the same fingerprint of one attempt and kind is one question."""

    attempt_id: UUID
    kind: ApprovalKind
    title: str
    detail: str
    data: Mapping[str, Any]
    fingerprint: str
    expires_at: datetime


def approval(connection: Connection, approval_id: UUID) -> ApprovalView:
    """One question. Raises NotFound."""
    row = connection.execute(sql(f"{_APPROVAL} WHERE p.id = :id"), {"id": approval_id}).first()
    if row is None:
        raise NotFound("There is no such approval.")
    return ApprovalView.from_row(row)


def approvals_of(connection: Connection, customer_id: UUID) -> list[ApprovalView]:
    """What a customer's page shows: every question that waits and the newest of the others, newest first."""
    rows = connection.execute(
        sql(
            f"""{_APPROVAL} WHERE p.customer_id = :id AND (p.status = 'pending' OR p.id IN (
                    SELECT id FROM approvals WHERE customer_id = :id AND status <> 'pending'
                    ORDER BY id DESC LIMIT :limit))
                ORDER BY p.id DESC"""
        ),
        {"id": customer_id, "limit": NEWEST_ANSWERED},
    )
    return [ApprovalView.from_row(row) for row in rows]


def approvals_page(
    connection: Connection,
    scope: Sequence[UUID] | None,
    *,
    status: Sequence[ApprovalStatus],
    before: UUID | None,
    limit: int,
) -> list[ApprovalView]:
    """Questions of customers in scope (None: all), newest first, below an id."""
    rows = connection.execute(
        sql(
            f"""{_APPROVAL}
                WHERE (CAST(:scope AS uuid[]) IS NULL OR p.customer_id = ANY(:scope))
                  AND (:any_status OR p.status = ANY(CAST(:status AS text[])))
                  AND (CAST(:before AS uuid) IS NULL OR p.id < :before)
                ORDER BY p.id DESC LIMIT :limit"""
        ),
        {
            "scope": None if scope is None else list(scope),
            "any_status": not status,
            "status": [each.value for each in status],
            "before": before,
            "limit": limit,
        },
    )
    return [ApprovalView.from_row(row) for row in rows]


def approved_paths(connection: Connection, attempt_id: UUID) -> frozenset[str]:
    """Protected files that a person allowed this attempt to change, as paths in the repository."""
    rows = connection.execute(
        sql(
            """SELECT DISTINCT path FROM approvals,
                   jsonb_array_elements_text(CASE jsonb_typeof(data -> 'paths') WHEN 'array' THEN data -> 'paths'
                                             ELSE '[]' END) AS path
               WHERE attempt_id = :id AND status = 'approved' AND kind = ANY(CAST(:kinds AS text[]))"""
        ),
        {"id": attempt_id, "kinds": [kind.value for kind in ALLOWS_PATHS]},
    )
    return frozenset(row.path for row in rows)


def ask(change: CustomerChange, asked: Asked) -> ApprovalView:
    """Put a question, or find it as it was put before."""
    connection = change.connection
    approval_id = connection.execute(
        sql(
            """INSERT INTO approvals (id, customer_id, project_id, task_id, attempt_id, kind, title, detail, data,
                   fingerprint, requested_at, expires_at)
               SELECT :id, customer_id, project_id, task_id, id, :kind, :title, :detail, CAST(:data AS jsonb),
                   :fingerprint, :now, :expires_at
               FROM attempts WHERE id = :attempt_id
               ON CONFLICT (attempt_id, kind, fingerprint) DO NOTHING RETURNING id"""
        ),
        {
            "id": new_id(),
            "attempt_id": asked.attempt_id,
            "kind": asked.kind.value,
            "title": asked.title[:TITLE_LIMIT],
            "detail": asked.detail[:DETAIL_LIMIT],
            "data": json.dumps(dict(asked.data)),
            "fingerprint": asked.fingerprint,
            "now": change.now,
            "expires_at": asked.expires_at,
        },
    ).scalar()
    if approval_id is None:
        return _found(connection, asked)
    view = approval(connection, approval_id)
    change.record("approval_requested", "approval", view.id, title=view.title)
    change.show(view)
    return view


def _found(connection: Connection, asked: Asked) -> ApprovalView:
    row = connection.execute(
        sql(f"{_APPROVAL} WHERE p.attempt_id = :attempt_id AND p.kind = :kind AND p.fingerprint = :fingerprint"),
        {"attempt_id": asked.attempt_id, "kind": asked.kind.value, "fingerprint": asked.fingerprint},
    ).one()
    return ApprovalView.from_row(row)


def settle(
    change: CustomerChange, view: ApprovalView, after: ApprovalStatus, *, text: str | None = None
) -> ApprovalView:
    """End a question by a legal move. Raises IllegalMove."""
    if after not in APPROVAL_MOVES[view.status]:
        raise IllegalMove(f"An approval cannot go from {view.status} to {after}.")
    by_person = after is not ApprovalStatus.EXPIRED
    change.connection.execute(
        sql(
            """UPDATE approvals SET status = :status, answer = :text, answered_by = :by, answered_at = :now,
                   version = version + 1 WHERE id = :id"""
        ),
        {
            "id": view.id,
            "status": after.value,
            "text": text,
            "by": change.actor.name if by_person else None,
            "now": change.now,
        },
    )
    settled = approval(change.connection, view.id)
    if by_person:
        change.record("approval_answered", "approval", view.id, reason=text, title=view.title, answer=after.value)
    else:
        change.record("approval_expired", "approval", view.id, reason=text, title=view.title)
    change.show(settled)
    return settled


def waiting_proposals(connection: Connection, attempt_id: UUID) -> int:
    """Follow-up tasks that an attempt proposed and nobody answered yet."""
    return int(
        connection.execute(
            sql("SELECT count(*) FROM approvals WHERE attempt_id = :id AND kind = :kind AND status = 'pending'"),
            {"id": attempt_id, "kind": ApprovalKind.FOLLOW_UP_TASK.value},
        ).scalar_one()
    )


def take_answers(connection: Connection, attempt_id: UUID) -> list[ApprovalView]:
    """Answers to what an agent asked without waiting, oldest first; each is given once."""
    rows = connection.execute(
        sql(
            """UPDATE approvals SET data = data || '{"told": true}'
               WHERE attempt_id = :id AND kind = :kind AND status <> 'pending' AND data @> '{"wait": false}'
                 AND NOT data ? 'told' RETURNING id"""
        ),
        {"id": attempt_id, "kind": ApprovalKind.AGENT_QUESTION.value},
    ).all()
    return [approval(connection, row.id) for row in sorted(rows, key=lambda row: row.id)]


def expire_all(change: CustomerChange, attempt_id: UUID, reason: str) -> None:
    """End what an attempt still asks: it has ended, so no answer can matter any more."""
    rows: Sequence[Row[Any]] = change.connection.execute(
        sql(
            f"""{_APPROVAL} WHERE p.attempt_id = :id AND p.status = 'pending'
                  AND NOT p.kind = ANY(CAST(:outliving AS text[])) ORDER BY p.id"""
        ),
        {"id": attempt_id, "outliving": [kind.value for kind in OUTLIVES_ATTEMPT]},
    ).all()
    for row in rows:
        settle(change, ApprovalView.from_row(row), ApprovalStatus.EXPIRED, text=reason)


def overdue(connection: Connection, now: datetime) -> Sequence[Row[Any]]:
    """Questions that nobody answered in time: (id, customer_id)."""
    return connection.execute(
        sql(
            """SELECT id, customer_id FROM approvals WHERE status = 'pending' AND expires_at <= :now
               ORDER BY customer_id, id LIMIT 100"""
        ),
        {"now": now},
    ).all()
