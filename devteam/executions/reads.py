"""What people read of the engine's work, each read begun inside the caller's scope."""

import json
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from devteam.access.model import Actor
from devteam.access.rules import Permission, check
from devteam.customers.schemas import CustomerCard
from devteam.events.queries import activity_page
from devteam.events.schemas import ActivityPage
from devteam.executions import queries, requests
from devteam.executions.requests import AttemptRequest
from devteam.executions.schemas import (
    AttemptView,
    CustomerSnapshot,
    DiffView,
    ExecutionView,
    OutputPage,
    SystemTotals,
)
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, sql
from devteam.kit.errors import NotFound
from devteam.kit.wire import View
from devteam.workers.queries import worker_list
from devteam.workers.schemas import WorkerList

_CARDS = sql(
    """
    SELECT coalesce(string_agg(k.view::text, ',' ORDER BY c.id), '') FROM customer_cards k
    JOIN customers c ON c.id = k.customer_id
    WHERE c.archived_at IS NULL AND (CAST(:scope AS uuid[]) IS NULL OR c.id = ANY(:scope))
    """
)


class Overview(View):
    """All customers in scope that are not archived, with the sums over them, as of the live topic's position."""

    epoch: str
    seq: int
    customers: list[CustomerCard]
    system: SystemTotals


class ExecutionAnswer(View):
    """The execution after a command."""

    execution: ExecutionView


class TaskAttempts(View):
    """All attempts at a task, oldest first, and what a person asked of the next one, if somebody did."""

    attempts: list[AttemptView]
    request: AttemptRequest | None


class LivePosition:
    """Where the live topics stand, so that a page may go on from a read: told by whoever runs the live part."""

    def __init__(
        self,
        overview: Callable[[], tuple[str, int]] = lambda: ("", 0),
        customer_epoch: Callable[[], str] = lambda: "",
    ) -> None:
        self.overview = overview
        self.customer_epoch = customer_epoch


class ExecutionReads:
    """Reads of customers' pages, executions, attempts, activity and workers."""

    def __init__(self, database: Database, clock: Clock, live: LivePosition) -> None:
        self._database = database
        self._clock = clock
        self._live = live

    def overview(self, actor: Actor) -> tuple[bytes, bytes]:
        """The overview as JSON, in two parts: the live topic's position, and the content.

        The cards go out as they are stored, without being taken apart and rebuilt.
        """
        check(actor, Permission.READ)
        # Read before the cards: changes that follow are absolute, so being shown twice does them no harm.
        epoch, seq = self._live.overview()
        scope = None if actor.customers is None else list(actor.customers)
        with self._database.snapshot() as connection:
            cards: str = connection.execute(_CARDS, {"scope": scope}).scalar_one()
            system = self._totals(connection, actor).model_dump_json(by_alias=True)
        position = f'{{"epoch":{json.dumps(epoch)},"seq":{seq},'
        return position.encode(), f'"customers":[{cards}],"system":{system}}}'.encode()

    def customer(self, actor: Actor, customer_id: UUID) -> CustomerSnapshot:
        """Everything of a customer's page."""
        check(actor, Permission.READ, customer_id)
        with self._database.snapshot() as connection:
            return queries.customer_snapshot(connection, customer_id, epoch=self._live.customer_epoch())

    def activity(self, actor: Actor, customer_id: UUID, *, before: int | None, limit: int) -> ActivityPage:
        """What happened to a customer, newest first."""
        check(actor, Permission.READ, customer_id)
        with self._database.transaction() as connection:
            known = connection.execute(sql("SELECT 1 FROM customers WHERE id = :id"), {"id": customer_id}).scalar()
            if known is None:
                raise NotFound("There is no such customer.")
            return activity_page(connection, customer_id, before=before, limit=limit)

    def execution(self, actor: Actor, execution_id: UUID) -> ExecutionView:
        """One execution."""
        with self._database.transaction() as connection:
            view = queries.execution_view(connection, execution_id)
        if not actor.sees(view.customer_id):
            raise NotFound("There is no such execution.")
        check(actor, Permission.READ, view.customer_id)
        return view

    def attempt(self, actor: Actor, attempt_id: UUID) -> AttemptView:
        """One attempt with its phases and gates."""
        with self._database.transaction() as connection:
            self._check_attempt(connection, actor, attempt_id)
            return queries.attempt_view(connection, attempt_id)

    def output(self, actor: Actor, attempt_id: UUID, *, offset: int, limit: int) -> OutputPage:
        """A stretch of an attempt's output."""
        with self._database.transaction() as connection:
            self._check_attempt(connection, actor, attempt_id)
            return queries.output_page(connection, attempt_id, offset=offset, limit=limit)

    def diff(self, actor: Actor, attempt_id: UUID) -> DiffView:
        """What an attempt changed against its base."""
        with self._database.transaction() as connection:
            self._check_attempt(connection, actor, attempt_id)
            return queries.attempt_diff(connection, attempt_id)

    def attempts_of_task(self, actor: Actor, task_id: UUID) -> TaskAttempts:
        """All attempts at a task."""
        with self._database.transaction() as connection:
            customer_id = connection.execute(
                sql("SELECT customer_id FROM tasks WHERE id = :id"), {"id": task_id}
            ).scalar()
            if customer_id is None or not actor.sees(customer_id):
                raise NotFound("There is no such task.")
            check(actor, Permission.READ, customer_id)
            return TaskAttempts(
                attempts=queries.attempts_of_task(connection, task_id), request=requests.waiting(connection, task_id)
            )

    def workers(self, actor: Actor) -> WorkerList:
        """Workers that live or died lately."""
        check(actor, Permission.READ)
        with self._database.transaction() as connection:
            return worker_list(connection)

    def system(self, actor: Actor) -> SystemTotals:
        """Sums over the customers in scope, and the state of the workers."""
        check(actor, Permission.READ)
        with self._database.snapshot() as connection:
            return self._totals(connection, actor)

    def _totals(self, connection: Connection, actor: Actor) -> SystemTotals:
        return queries.system_totals(connection, actor.customers, today=_begin_of_day(self._clock()))

    def _check_attempt(self, connection: Connection, actor: Actor, attempt_id: UUID) -> None:
        customer_id = connection.execute(
            sql("SELECT customer_id FROM attempts WHERE id = :id"), {"id": attempt_id}
        ).scalar()
        if customer_id is None or not actor.sees(customer_id):
            raise NotFound("There is no such attempt.")
        check(actor, Permission.READ, customer_id)


def _begin_of_day(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
