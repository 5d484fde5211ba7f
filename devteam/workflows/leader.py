"""What only one worker does at a time: dispatch, find lost work, compute metrics, tidy up."""

import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from devteam.access.model import ENGINE
from devteam.approvals.service import ApprovalService
from devteam.customers.change import customer_change
from devteam.customers.metrics import HEALTH_INTERVAL, refresh_metrics
from devteam.durable.engine import purge
from devteam.events.repository import purge_live_changes
from devteam.executions.lifecycle import assign_watch, reassign
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, sql
from devteam.kit.log import get_logger
from devteam.workers import repository as workers
from devteam.workflows.dispatch import Dispatcher

log = get_logger(__name__)

RECONCILE_INTERVAL = 1.0
WATCH_INTERVAL = 0.05
METRICS_INTERVAL = 5.0
APPROVALS_INTERVAL = 5.0
TIDY_INTERVAL = 60.0
LIVE_CHANGES_KEPT = timedelta(minutes=10)
WORKFLOWS_KEPT = timedelta(days=1)


class Leader:
    """Acts while this worker holds the lease row `dispatcher`."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        worker_id: UUID,
        *,
        lease: float,
        host: str,
        is_alive: Callable[[int, str], bool],
    ) -> None:
        self._database = database
        self._clock = clock
        self._worker_id = worker_id
        self._lease = lease
        self._host = host
        self._is_alive = is_alive
        self._approvals = ApprovalService(database, clock)
        self._dispatcher = Dispatcher(database, clock, lease=lease)
        self._leads = False
        self._sure_since = self._last_turn = _seconds_since_boot()
        self._due = dict.fromkeys(("reconcile", "watches", "metrics", "approvals", "tidy"), 0.0)

    def keep_lease(self) -> bool:
        """Take or renew the lease, and bury workers of this host whose process is gone; True when it was taken."""
        with self._database.transaction() as connection:
            for row in workers.living_on(connection, self._host):
                if not self._is_alive(row.pid, row.process_started):
                    log.warning("worker_process_gone", worker=str(row.id))
                    workers.bury(connection, row.id, event="worker_lost", now=self._clock())
            led, self._leads = self._leads, workers.lead(connection, self._worker_id, lease=self._lease)
        taken = self._leads and not led
        if taken:
            log.info("leading", worker=str(self._worker_id))
        return taken

    def lost_database(self) -> None:
        """While the database was away nobody could renew a lease: give everybody time to do so."""
        self._sure_since = _seconds_since_boot()

    def turn(self) -> None:
        """Everything that is due now."""
        slept, self._last_turn = _seconds_since_boot() - self._last_turn, _seconds_since_boot()
        if slept > self._lease:
            self.lost_database()  # the machine or this process was suspended: others may have been as well
        if not self._leads:
            return
        self._dispatcher.turn(self._worker_id)
        if self._is_due("reconcile", RECONCILE_INTERVAL):
            self._reconcile()
        if self._is_due("watches", WATCH_INTERVAL):
            self._assign_watches()
        if self._is_due("metrics", METRICS_INTERVAL):
            self._metrics()
        if self._is_due("approvals", APPROVALS_INTERVAL):
            self._approvals.expire_overdue()
        if self._is_due("tidy", TIDY_INTERVAL):
            self._tidy()

    def _is_due(self, name: str, interval: float) -> bool:
        if time.monotonic() < self._due[name]:
            return False
        self._due[name] = time.monotonic() + interval
        return True

    # --- lost work ---

    def _reconcile(self) -> None:
        """Give attempts of dead workers their next run."""
        sure = self._is_sure()
        with self._database.transaction() as connection:
            if sure:
                for worker_id in workers.lapsed(connection):
                    workers.bury(connection, worker_id, event="worker_lost", now=self._clock())
            lost = connection.execute(
                sql(
                    """SELECT a.id, a.customer_id FROM attempts a LEFT JOIN workers w ON w.id = a.worker_id
                       WHERE a.outcome IS NULL
                         AND (w.state = 'dead' OR (:sure AND a.lease_expires_at < now())) ORDER BY a.id"""
                ),
                {"sure": sure},
            ).all()
        for row in lost:
            with self._database.transaction() as connection:
                holder = self._any_worker(connection)
                if holder is None:
                    return
                again = reassign(connection, row.id, row.customer_id, holder, lease=self._lease, now=self._clock())
            log.warning("attempt_lost", attempt=str(row.id), goes_on=again)

    def _is_sure(self) -> bool:
        """A lease that only lapsed counts once this worker has had the database for longer than a lease: its holder
        could have renewed it all that time.
        """
        return _seconds_since_boot() - self._sure_since > 1.5 * self._lease

    def _any_worker(self, connection: Connection) -> UUID | None:
        """The least loaded living worker: lost work held a slot before, so it does not wait for a free one."""
        row = connection.execute(
            sql(
                """SELECT w.id FROM workers w
                   LEFT JOIN attempts a ON a.worker_id = w.id AND a.outcome IS NULL AND NOT a.frozen
                    AND a.awaiting_approval_id IS NULL
                   WHERE w.state = 'alive' AND w.lease_expires_at > now() AND w.slots > 0
                   GROUP BY w.id ORDER BY count(a.id) - w.slots, w.id LIMIT 1"""
            )
        ).first()
        return None if row is None else row.id

    def _assign_watches(self) -> None:
        """Give deliveries that want a look to workers, no more at once than there are slots."""
        with self._database.statement() as connection:
            due = connection.execute(
                sql(
                    """SELECT a.id, a.customer_id FROM attempts a LEFT JOIN workers w ON w.id = a.worker_id
                       WHERE a.monitor_at <= :now AND (a.monitoring = 'watching' OR (a.closing = 'due' AND EXISTS (
                               SELECT 1 FROM executions e WHERE e.id = a.execution_id AND e.status = 'active')))
                         AND (a.lease_expires_at IS NULL OR w.state = 'dead' OR (:sure AND a.lease_expires_at < now()))
                       ORDER BY a.monitor_at, a.id
                       LIMIT greatest(0, (SELECT coalesce(sum(slots), 0) FROM workers WHERE state = 'alive')
                           - (SELECT count(*) FROM attempts b JOIN workers v ON v.id = b.worker_id
                              WHERE (b.monitoring = 'watching' OR b.closing = 'due')
                                AND b.lease_expires_at >= now() AND v.state = 'alive'))"""
                ),
                {"now": self._clock(), "sure": self._is_sure()},
            ).all()
        for row in due:
            with self._database.transaction() as connection:
                worker_id = self._any_worker(connection)
                if worker_id is None:
                    return
                assign_watch(connection, row.id, row.customer_id, worker_id, lease=10 * self._lease, now=self._clock())

    # --- timers ---

    def _metrics(self) -> None:
        """Refresh the metrics of customers with an open execution, each at its interval."""
        with self._database.transaction() as connection:
            due = connection.execute(
                sql(
                    """SELECT e.customer_id FROM executions e LEFT JOIN customer_metrics m USING (customer_id)
                       WHERE e.status NOT IN ('completed', 'aborted')
                         AND (m.computed_at IS NULL OR m.computed_at <= :before) LIMIT 200"""
                ),
                {"before": self._clock() - HEALTH_INTERVAL},
            ).all()
        for row in due:
            with customer_change(self._database, row.customer_id, ENGINE, self._clock) as change:
                if refresh_metrics(change.connection, row.customer_id, now=change.now):
                    change.show(change.refresh().card)

    def _tidy(self) -> None:
        now = self._clock()
        with self._database.transaction() as connection:
            purge_live_changes(connection, before=now - LIVE_CHANGES_KEPT)
        purge(self._database, before=now - WORKFLOWS_KEPT)


def _seconds_since_boot() -> float:
    """A clock that goes on while the machine sleeps, and is never set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
