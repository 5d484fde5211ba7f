"""Facts that the sums need beside the customers' cards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from devteam.kit.db import Connection, sql
from devteam.workers.queries import worker_list


@dataclass(frozen=True, slots=True)
class FactsWanted:
    """Which facts to read: `customers` are those whose finished tasks to count again, None for all."""

    today: datetime
    customers: Sequence[UUID] | None


@dataclass(frozen=True, slots=True)
class Facts:
    """The workers, and how many tasks each customer completed since `today` began."""

    today: datetime
    workers: Sequence[dict[str, Any]]
    slots: int
    slots_used: int
    workers_alive: int
    completed_today: Mapping[str, int]


def read_facts(connection: Connection, wanted: FactsWanted) -> Facts:
    """Read the facts."""
    workers = worker_list(connection).workers
    alive = [worker for worker in workers if worker.state == "alive"]
    used = connection.execute(
        sql("SELECT count(*) FROM attempts WHERE outcome IS NULL AND NOT frozen AND awaiting_approval_id IS NULL")
    ).scalar_one()
    return Facts(
        today=wanted.today,
        workers=[worker.wire() for worker in workers],
        slots=sum(worker.slots for worker in alive),
        slots_used=used,
        workers_alive=len(alive),
        completed_today=_completed(connection, wanted),
    )


def _completed(connection: Connection, wanted: FactsWanted) -> dict[str, int]:
    some = wanted.customers
    counted = connection.execute(
        sql(
            """SELECT customer_id, count(*) AS completed FROM tasks
               WHERE status = 'completed' AND finished_at >= :today
                 AND (:every OR customer_id = ANY(CAST(:customers AS uuid[]))) GROUP BY customer_id"""
        ),
        {"today": wanted.today, "every": some is None, "customers": list(some or ())},
    )
    return dict.fromkeys(map(str, some or ()), 0) | {str(row.customer_id): row.completed for row in counted}
