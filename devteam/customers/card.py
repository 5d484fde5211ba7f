"""Compute a customer's card from the tables: the read model that the overview and the dispatcher share."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from devteam.customers.schemas import CurrentTask, CustomerCard, HealthPart, TimeRemaining
from devteam.customers.waiting import CustomerFacts, WaitReason, activity, reason_to_wait
from devteam.kit.db import Connection, Row, sql
from devteam.kit.wire import Reason

_FACTS = sql(
    """
    SELECT c.id, c.name, c.priority_class, c.time_zone, c.archived_at, c.created_at,
           e.id AS execution_id, e.status, e.reason_code, e.reason, e.pause_requested,
           a.id AS attempt_id, a.task_id, a.number, a.phase, a.phase_started_at, a.frozen, a.stop_requested,
           a.awaiting_approval_id, a.title AS task_title,
           t.completed, t.failed, t.blocked, t.blocked_by_dependency, t.pending, t.running, t.manual_open,
           i.incidents_open, i.incidents_waiting, w.approvals_pending,
           n.id AS next_task_id, m.health, m.time_remaining, k.version AS card_version
    FROM customers c
    LEFT JOIN LATERAL (
        SELECT id, status, reason_code, reason, pause_requested FROM executions
        WHERE customer_id = c.id ORDER BY id DESC LIMIT 1) e ON true
    LEFT JOIN LATERAL (
        SELECT at.id, at.task_id, at.number, at.phase, at.phase_started_at, at.frozen, at.stop_requested,
               at.awaiting_approval_id, tk.title
        FROM attempts at JOIN tasks tk ON tk.id = at.task_id
        WHERE at.customer_id = c.id AND at.outcome IS NULL ORDER BY at.id DESC LIMIT 1) a ON true
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE status = 'completed') AS completed,
               count(*) FILTER (WHERE status = 'failed') AS failed,
               count(*) FILTER (WHERE status = 'blocked') AS blocked,
               count(*) FILTER (WHERE status = 'blocked' AND reason_code = 'dependency') AS blocked_by_dependency,
               count(*) FILTER (WHERE status = 'pending') AS pending,
               count(*) FILTER (WHERE status IN ('in_progress', 'verifying', 'error_solving')) AS running,
               count(*) FILTER (WHERE status = 'pending' AND (mode = 'manual' OR assignee IS NOT NULL)) AS manual_open
        FROM tasks WHERE customer_id = c.id) t
    CROSS JOIN LATERAL (
        SELECT count(*) AS incidents_open,
               count(*) FILTER (WHERE status IN ('open', 'escalated')
                                AND class IN ('INTERVENTION_REQUIRED', 'CRITICAL')) AS incidents_waiting
        FROM incidents WHERE customer_id = c.id AND status <> 'resolved') i
    CROSS JOIN LATERAL (
        SELECT count(*) AS approvals_pending FROM approvals WHERE customer_id = c.id AND status = 'pending') w
    LEFT JOIN LATERAL (
        SELECT q.id FROM tasks q
        WHERE q.customer_id = c.id AND q.status = 'pending' AND q.mode = 'autonomous' AND q.assignee IS NULL
          AND NOT EXISTS (SELECT 1 FROM task_dependencies d JOIN tasks p ON p.id = d.depends_on_id
                          WHERE d.task_id = q.id AND p.status <> 'completed')
        ORDER BY q.position, q.id LIMIT 1) n ON true
    LEFT JOIN customer_metrics m ON m.customer_id = c.id
    LEFT JOIN customer_cards k ON k.customer_id = c.id
    WHERE c.id = :customer_id
    """
)

_STORE = sql(
    """
    INSERT INTO customer_cards (customer_id, version, next_task_id, view)
    VALUES (:customer_id, :version, :next_task_id, CAST(:view AS jsonb))
    ON CONFLICT (customer_id) DO UPDATE
    SET version = excluded.version, next_task_id = excluded.next_task_id, view = excluded.view
    """
)


_NEXT_TASK = sql(
    """
    SELECT q.id FROM tasks q
    WHERE q.customer_id = :id AND q.status = 'pending' AND q.mode = 'autonomous' AND q.assignee IS NULL
      AND NOT EXISTS (SELECT 1 FROM task_dependencies d JOIN tasks p ON p.id = d.depends_on_id
                      WHERE d.task_id = q.id AND p.status <> 'completed')
    ORDER BY q.position, q.id LIMIT 1
    """
)


@dataclass(frozen=True)
class StoredCard:
    """A card as stored, with what the dispatcher needs of it."""

    card: CustomerCard
    next_task_id: UUID | None


def next_task(connection: Connection, customer_id: UUID) -> UUID | None:
    """The task that the engine would start next, as the tables are now."""
    return connection.execute(_NEXT_TASK, {"id": customer_id}).scalar()


def refresh_card(connection: Connection, customer_id: UUID, *, now: datetime) -> StoredCard:
    """Compute the card anew and store it under the next version; call it at the end of every change."""
    row = connection.execute(_FACTS, {"customer_id": customer_id}).one()
    card = _card(row, now)
    connection.execute(
        _STORE,
        {
            "customer_id": customer_id,
            "version": card.version,
            "next_task_id": row.next_task_id,
            "view": json.dumps(card.wire()),
        },
    )
    return StoredCard(card=card, next_task_id=row.next_task_id)


def _card(row: Row[Any], now: datetime) -> CustomerCard:
    facts = CustomerFacts(
        archived=row.archived_at is not None,
        status=row.status,
        reason=row.reason,
        pause_requested=row.pause_requested is not None,
        stopping=row.stop_requested is not None,
        running=row.attempt_id is not None,
        awaiting_approval=row.awaiting_approval_id is not None,
        has_next=row.next_task_id is not None,
        pending=row.pending,
        blocked=row.blocked,
        manual=row.manual_open,
    )
    total = row.completed + row.failed + row.blocked + row.pending + row.running
    health = row.health or {}
    return CustomerCard(
        id=row.id,
        version=(row.card_version or 0) + 1,
        name=row.name,
        priority_class=row.priority_class,
        time_zone=row.time_zone,
        archived=facts.archived,
        created_at=row.created_at,
        execution_id=row.execution_id,
        execution_status=row.status,
        execution_status_detail=row.status,
        activity=activity(facts),
        status_reason=Reason.of(row.reason_code, row.reason),
        pause_requested=row.pause_requested,
        progress=round(row.completed / total, 4) if total else 0.0,
        tasks_total=total,
        tasks_completed=row.completed,
        tasks_failed=row.failed,
        tasks_blocked=row.blocked,
        tasks_pending=row.pending,
        needs_you=_needs_you(row),
        incidents_open=row.incidents_open,
        approvals_pending=row.approvals_pending,
        health_score=health.get("score"),
        health_trend=health.get("trend"),
        health_parts=[HealthPart(**part) for part in health.get("parts", [])],
        current_task=_current_task(row),
        time_remaining=_time_remaining(row, left=row.pending + row.running),
        wait_reason=_wire_reason(reason_to_wait(facts)),
        last_update=now,
    )


def _needs_you(row: Row[Any]) -> int:
    """How many things wait for a person."""
    stopped = 1 if row.status == "error" else 0
    unmet = row.failed + row.blocked - row.blocked_by_dependency
    return int(unmet + stopped + row.incidents_waiting + row.approvals_pending)


def _current_task(row: Row[Any]) -> CurrentTask | None:
    if row.attempt_id is None:
        return None
    return CurrentTask(
        task_id=row.task_id,
        title=row.task_title,
        attempt_id=row.attempt_id,
        attempt_number=row.number,
        phase=row.phase,
        phase_started_at=row.phase_started_at,
        frozen=row.frozen,
    )


def _time_remaining(row: Row[Any], *, left: int) -> TimeRemaining:
    stored = row.time_remaining
    if not stored or stored["median"] is None:
        basis = stored["basis"] if stored else 0
        return TimeRemaining(
            seconds=None, low_seconds=None, high_seconds=None, basis=basis, confidence="unknown", computed_at=None
        )
    return TimeRemaining(
        seconds=round(stored["median"] * left, 1),
        low_seconds=round(stored["low"] * left, 1),
        high_seconds=round(stored["high"] * left, 1),
        basis=stored["basis"],
        confidence=stored["confidence"],
        computed_at=datetime.fromisoformat(stored["computed_at"]),
    )


def _wire_reason(reason: WaitReason | None) -> Reason | None:
    return None if reason is None else Reason(code=reason.code, text=reason.text)
