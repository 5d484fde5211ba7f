"""Metrics that a timer computes: the health score (every 30 s) and the time remaining (every minute).

Both are recomputed at once when an attempt ends. Nothing is shown that was not measured: a part without
data is left out and the other weights are scaled up.
"""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from devteam.kit.clock import isoformat
from devteam.kit.db import Connection, Row, sql

HEALTH_INTERVAL = timedelta(seconds=30)
TIME_REMAINING_INTERVAL = timedelta(seconds=60)
_SAMPLES = 20
_TREND_STEP = 0.02
_BASIS_FOR_ANSWER = 3

_MEASURED = sql(
    """
    SELECT recent.succeeded, recent.finished, duration.basis, duration.low, duration.median, duration.high,
           problems.open, problems.total, running.phase_started_at, m.health, m.time_remaining
    FROM (SELECT count(*) FILTER (WHERE outcome = 'succeeded' AND monitoring IS DISTINCT FROM 'regressed') AS succeeded,
                 count(*) AS finished
          FROM (SELECT outcome, monitoring FROM attempts
                WHERE customer_id = :id AND outcome IN ('succeeded', 'failed') ORDER BY id DESC LIMIT 10) a) recent
    CROSS JOIN (SELECT count(*) AS basis,
                 percentile_cont(0.25) WITHIN GROUP (ORDER BY seconds) AS low,
                 percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median,
                 percentile_cont(0.75) WITHIN GROUP (ORDER BY seconds) AS high
          FROM (SELECT extract(epoch FROM finished_at - started_at)::double precision AS seconds FROM attempts
                WHERE customer_id = :id AND outcome IN ('succeeded', 'failed') ORDER BY id DESC LIMIT 50) a) duration
    CROSS JOIN (SELECT count(*) FILTER (WHERE status IN ('failed', 'blocked')) AS open,
                 count(*) FILTER (WHERE status NOT IN ('cancelled', 'skipped')) AS total
          FROM tasks WHERE customer_id = :id) problems
    LEFT JOIN (SELECT max(phase_started_at) AS phase_started_at FROM attempts
               WHERE customer_id = :id AND outcome IS NULL AND NOT frozen
                 AND awaiting_approval_id IS NULL) running ON true
    LEFT JOIN customer_metrics m ON m.customer_id = :id
    """
)


def refresh_metrics(connection: Connection, customer_id: UUID, *, now: datetime, force: bool = False) -> bool:
    """Compute what is due (with `force`: both) and store it; True when something that is shown changed."""
    row = connection.execute(_MEASURED, {"id": customer_id}).one()
    health, remaining = row.health, row.time_remaining
    if force or _due(health, HEALTH_INTERVAL, now):
        health = health_of(row, now)
    if force or _due(remaining, TIME_REMAINING_INTERVAL, now):
        remaining = time_remaining_of(row, now)
    connection.execute(
        sql(
            """INSERT INTO customer_metrics (customer_id, health, time_remaining, computed_at)
               VALUES (:id, CAST(:health AS jsonb), CAST(:remaining AS jsonb), :now)
               ON CONFLICT (customer_id) DO UPDATE SET health = excluded.health,
                   time_remaining = excluded.time_remaining, computed_at = excluded.computed_at"""
        ),
        {"id": customer_id, "health": json.dumps(health), "remaining": json.dumps(remaining), "now": now},
    )
    return _shown(health) != _shown(row.health) or _shown(remaining) != _shown(row.time_remaining)


def health_of(row: Row[Any], now: datetime) -> dict[str, Any]:
    """The health score as a weighted mean of its measured parts, with the trend over the last ten minutes."""
    parts = []
    if row.finished:
        text = f"{row.succeeded} of the last {row.finished} attempts succeeded"
        parts.append({"name": "recent success", "weight": 0.5, "value": row.succeeded / row.finished, "text": text})
    if row.total:
        text = f"{row.open} of {row.total} tasks failed or blocked"
        parts.append({"name": "open problems", "weight": 0.3, "value": 1 - row.open / row.total, "text": text})
    if row.phase_started_at is not None:
        parts.append(_freshness(row, now))
    weight = sum(part["weight"] for part in parts)
    score = round(sum(part["weight"] * part["value"] for part in parts) / weight, 3) if weight else None
    samples = [*(row.health or {}).get("samples", []), [isoformat(now), score]][-_SAMPLES:]
    return {
        "score": score,
        "trend": _trend(samples),
        "parts": [{**part, "value": round(part["value"], 3)} for part in parts],
        "samples": samples,
        "computed_at": isoformat(now),
    }


def _freshness(row: Row[Any], now: datetime) -> dict[str, Any]:
    """1 while the phase is no older than twice the usual attempt (at least ten minutes), falling to 0 at twice that."""
    age = max(0.0, (now - row.phase_started_at).total_seconds())
    usual = max(600.0, 2 * (row.median or 0.0))
    value = min(1.0, max(0.0, 2 - age / usual))
    text = f"the current phase began {age:.0f} s ago"
    return {"name": "freshness", "weight": 0.2, "value": value, "text": text}


def _trend(samples: list[list[Any]]) -> str | None:
    measured = [score for _, score in samples if score is not None]
    if not measured:
        return None
    change = measured[-1] - measured[0]
    if abs(change) < _TREND_STEP:
        return "steady"
    return "up" if change > 0 else "down"


def time_remaining_of(row: Row[Any], now: datetime) -> dict[str, Any]:
    """Seconds per task as quartiles of finished attempts; None below three of them."""
    enough = row.basis >= _BASIS_FOR_ANSWER
    return {
        "median": row.median if enough else None,
        "low": row.low if enough else None,
        "high": row.high if enough else None,
        "basis": row.basis,
        "confidence": confidence(row.basis),
        "computed_at": isoformat(now),
    }


def confidence(basis: int) -> str:
    """A word for how much history an estimate stands on."""
    if basis < _BASIS_FOR_ANSWER:
        return "unknown"
    if basis < 10:
        return "low"
    return "medium" if basis < 30 else "high"


def _due(stored: dict[str, Any] | None, interval: timedelta, now: datetime) -> bool:
    return stored is None or now - datetime.fromisoformat(stored["computed_at"]) >= interval


def _shown(stored: dict[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (stored or {}).items() if key not in ("samples", "computed_at")}
