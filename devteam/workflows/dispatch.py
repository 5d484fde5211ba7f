"""The dispatcher's turn: which customer gets the next free slot, by smooth weighted round robin."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import NamedTuple
from uuid import UUID

from devteam.customers.model import WEIGHTS, PriorityClass
from devteam.executions.lifecycle import RunRef, assign
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, sql
from devteam.kit.ids import new_id
from devteam.kit.log import get_logger

log = get_logger(__name__)

_STAMP_WIDTH = 32
_KEY_WIDTH = 12
_SMALLEST = 0.005


class Candidate(NamedTuple):
    """A customer that could run now."""

    customer: str
    weight: float

    @property
    def key(self) -> str:
        """Under which its current weight is kept: the random end of the id, so that a thousand are a short text."""
        return self.customer[-_KEY_WIDTH:]


def choose(candidates: Sequence[Candidate], current: MutableMapping[str, float]) -> Candidate | None:
    """The customer whose turn it is; `current` holds each customer's current weight and is updated.

    Smooth weighted round robin as in nginx: every candidate's current weight grows by its weight, the largest
    one is chosen and pays the sum of all weights. Ties go to the smaller id, so the choice is deterministic.
    """
    if not candidates:
        return None
    best, best_weight, total = candidates[0], float("-inf"), 0.0
    for candidate in candidates:
        customer, weight = candidate
        key = customer[-_KEY_WIDTH:]
        grown = current.get(key, 0.0) + weight
        current[key] = grown
        total += weight
        if grown > best_weight or (grown == best_weight and customer < best.customer):
            best, best_weight = candidate, grown
    current[best.key] = best_weight - total
    return best


class Weights:
    """The customers' current weights, which survive in the row of the leader's lease.

    They are kept in memory as well: of what is stored only the stamp is read, unless somebody else has written.
    """

    def __init__(self) -> None:
        self._stamp = ""
        self._known: dict[str, float] = {}

    def read(self, connection: Connection, leader: UUID) -> dict[str, float] | None:
        """A copy, with the lease row locked; None when somebody else leads."""
        row = connection.execute(
            sql(
                """SELECT left(stored, :width) AS stamp, CASE WHEN left(stored, :width) <> :stamp
                              THEN substr(stored, :width + 1) END AS fresh
                   FROM (SELECT coalesce(state ->> 'weights', '') AS stored FROM leader
                         WHERE role = 'dispatcher' AND worker_id = :worker_id AND expires_at > now() FOR UPDATE) l"""
            ),
            {"worker_id": leader, "stamp": self._stamp, "width": _STAMP_WIDTH},
        ).first()
        if row is None:
            return None
        if row.fresh is not None:
            self._stamp, self._known = row.stamp, _unpacked(row.fresh)
        return dict(self._known)

    def store(self, connection: Connection, leader: UUID, weights: Mapping[str, float]) -> None:
        """Keep whoever owes or is owed something."""
        kept = {key: value for key, value in weights.items() if abs(value) > _SMALLEST}
        stamp = new_id().hex
        connection.execute(
            sql(
                """UPDATE leader SET state = jsonb_build_object('weights', CAST(:stored AS text))
                   WHERE role = 'dispatcher' AND worker_id = :worker_id"""
            ),
            {"stored": stamp + _packed(kept), "worker_id": leader},
        )
        # Should the transaction fail, the stamp in the row is another one and everything is read again.
        self._stamp, self._known = stamp, kept


def _packed(weights: Mapping[str, float]) -> str:
    """One line per customer, in hundredths: the database compresses and writes it at every decision."""
    return "\n".join([f"{key}{round(100 * value)}" for key, value in weights.items()])


def _unpacked(text: str) -> dict[str, float]:
    return {line[:_KEY_WIDTH]: int(line[_KEY_WIDTH:]) / 100 for line in text.split("\n") if line}


class Dispatcher:
    """Gives free slots to customers; acts only in the worker that holds the lease row `dispatcher`."""

    def __init__(self, database: Database, clock: Clock, *, lease: float) -> None:
        self._database = database
        self._clock = clock
        self._lease = lease
        self._weights = Weights()

    def turn(self, leader: UUID) -> list[RunRef]:
        """Fill the free slots; one transaction per attempt, which holds the customer's new weight too."""
        started: list[RunRef] = []
        refused: set[str] = set()
        while True:
            with self._database.transaction() as connection:
                worker = _freest_worker(connection)
                if worker is None:
                    return started
                candidates = [c for c in read_candidates(connection) if c.customer not in refused]
                if not candidates:
                    return started
                weights = self._weights.read(connection, leader)
                if weights is None:
                    return started
                chosen = choose(candidates, weights)
                assert chosen is not None
                ref = assign(connection, UUID(chosen.customer), worker, lease=self._lease, now=self._clock())
                if ref is None:
                    refused.add(chosen.customer)
                    continue
                self._weights.store(connection, leader, weights)
            started.append(ref)
            log.info("attempt_assigned", attempt=str(ref.attempt_id), customer=str(ref.customer_id))


def read_candidates(connection: Connection) -> list[Candidate]:
    """Every customer that could run now. One text per class: a thousand rows would cost more than the choice."""
    rows = connection.execute(
        sql(
            """SELECT c.priority_class, string_agg(k.customer_id::text, ' ') AS customers
               FROM executions e
               JOIN customer_cards k ON k.customer_id = e.customer_id AND k.next_task_id IS NOT NULL
               JOIN customers c ON c.id = e.customer_id AND c.archived_at IS NULL
               WHERE e.status IN ('queued', 'active') AND e.pause_requested IS NULL
                 AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.customer_id = e.customer_id AND a.outcome IS NULL)
               GROUP BY c.priority_class"""
        )
    )
    return [
        Candidate(customer, weight)
        for row in rows
        for weight in [WEIGHTS[PriorityClass(row.priority_class)]]
        for customer in row.customers.split()
    ]


def _freest_worker(connection: Connection) -> UUID | None:
    """The living worker with the most free slots; attempts that are frozen or wait for a person hold none."""
    row = connection.execute(
        sql(
            """SELECT w.id FROM workers w
               LEFT JOIN attempts a ON a.worker_id = w.id AND a.outcome IS NULL AND NOT a.frozen
                    AND a.awaiting_approval_id IS NULL
               WHERE w.state = 'alive' AND w.lease_expires_at > now()
               GROUP BY w.id, w.slots HAVING w.slots > count(a.id)
               ORDER BY w.slots - count(a.id) DESC, w.id LIMIT 1"""
        )
    ).first()
    return None if row is None else row.id
