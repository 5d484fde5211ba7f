"""The dispatcher's turn: which customer gets the next free slot, by smooth weighted round robin."""

import json
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from devteam.customers.model import WEIGHTS, PriorityClass
from devteam.executions.lifecycle import RunRef, assign
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, sql
from devteam.kit.log import get_logger

log = get_logger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A customer that could run now, with the task that would be next."""

    customer_id: UUID
    weight: float
    task_id: UUID


def choose(candidates: Sequence[Candidate], current: MutableMapping[str, float]) -> Candidate | None:
    """The customer whose turn it is; `current` holds each customer's current weight and is updated.

    Smooth weighted round robin as in nginx: every candidate's current weight grows by its weight, the largest
    one is chosen and pays the sum of all weights. Ties go to the smaller id, so the choice is deterministic.
    """
    if not candidates:
        return None
    best, best_weight, total = candidates[0], float("-inf"), 0.0
    for candidate in candidates:
        key = str(candidate.customer_id)
        grown = current.get(key, 0.0) + candidate.weight
        current[key] = grown
        total += candidate.weight
        if grown > best_weight or (grown == best_weight and candidate.customer_id < best.customer_id):
            best, best_weight = candidate, grown
    current[str(best.customer_id)] = best_weight - total
    return best


class Dispatcher:
    """Gives free slots to customers; acts only in the worker that holds the lease row `dispatcher`."""

    def __init__(self, database: Database, clock: Clock, *, lease: float) -> None:
        self._database = database
        self._clock = clock
        self._lease = lease

    def turn(self, leader: UUID) -> list[RunRef]:
        """Fill the free slots; one transaction per attempt, which holds the customer's new weight too."""
        started: list[RunRef] = []
        refused: set[UUID] = set()
        while True:
            with self._database.transaction() as connection:
                worker = _freest_worker(connection)
                if worker is None:
                    return started
                candidates = [c for c in read_candidates(connection) if c.customer_id not in refused]
                if not candidates:
                    return started
                weights = _read_weights(connection, leader)
                if weights is None:
                    return started
                chosen = choose(candidates, weights)
                assert chosen is not None
                ref = assign(
                    connection, chosen.customer_id, chosen.task_id, worker, lease=self._lease, now=self._clock()
                )
                if ref is None:
                    refused.add(chosen.customer_id)
                    continue
                _store_weights(connection, leader, weights, candidates)
            started.append(ref)
            log.info("attempt_assigned", attempt=str(ref.attempt_id), customer=str(ref.customer_id))


def read_candidates(connection: Connection) -> list[Candidate]:
    """Every customer that could run now."""
    rows = connection.execute(
        sql(
            """SELECT k.customer_id, c.priority_class, k.next_task_id
               FROM executions e
               JOIN customer_cards k ON k.customer_id = e.customer_id AND k.next_task_id IS NOT NULL
               JOIN customers c ON c.id = e.customer_id AND c.archived_at IS NULL
               WHERE e.status IN ('queued', 'active') AND e.pause_requested IS NULL
                 AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.customer_id = e.customer_id AND a.outcome IS NULL)
               ORDER BY k.customer_id"""
        )
    )
    return [Candidate(row.customer_id, WEIGHTS[PriorityClass(row.priority_class)], row.next_task_id) for row in rows]


def _freest_worker(connection: Connection) -> UUID | None:
    """The living worker with the most free slots; frozen attempts hold none."""
    row = connection.execute(
        sql(
            """SELECT w.id FROM workers w
               LEFT JOIN attempts a ON a.worker_id = w.id AND a.outcome IS NULL AND NOT a.frozen
               WHERE w.state = 'alive' AND w.lease_expires_at > now()
               GROUP BY w.id, w.slots HAVING w.slots > count(a.id)
               ORDER BY w.slots - count(a.id) DESC, w.id LIMIT 1"""
        )
    ).first()
    return None if row is None else row.id


def _read_weights(connection: Connection, leader: UUID) -> dict[str, float] | None:
    """The current weights, with the lease row locked; None when somebody else leads."""
    row = connection.execute(
        sql(
            """SELECT state FROM leader WHERE role = 'dispatcher' AND worker_id = :worker_id AND expires_at > now()
               FOR UPDATE"""
        ),
        {"worker_id": leader},
    ).first()
    return None if row is None else dict(row.state.get("weights", {}))


def _store_weights(
    connection: Connection, leader: UUID, weights: Mapping[str, float], candidates: Sequence[Candidate]
) -> None:
    """Keep what still matters: customers that could run, and whoever owes or is owed more than a rounding error."""
    living = {str(candidate.customer_id) for candidate in candidates}
    kept = {key: round(value, 6) for key, value in weights.items() if key in living or abs(value) > 0.01}
    connection.execute(
        sql("UPDATE leader SET state = CAST(:state AS jsonb) WHERE role = 'dispatcher' AND worker_id = :worker_id"),
        {"state": json.dumps({"weights": kept}), "worker_id": leader},
    )
