"""A worker: starts what is assigned to it, carries out what people command, heartbeats, and leads if it may."""

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from devteam.durable.engine import Durable
from devteam.events.model import CHANNEL
from devteam.executions.lifecycle import RunRef, rerun
from devteam.executions.model import PauseMode, Stop
from devteam.kit.clock import Clock
from devteam.kit.db import Database, OperationalError, Row, psycopg_conninfo, sql
from devteam.kit.ids import new_id
from devteam.kit.log import get_logger
from devteam.workers import repository as workers
from devteam.workflows.handle import RunHandle
from devteam.workflows.leader import Leader
from devteam.workflows.monitor import DeliveryWatch
from devteam.workflows.run_attempt import BEGIN, END, AttemptPhases, Tools

log = get_logger(__name__)

TICK = 1.0
_MIN_TURN = 0.02

_ASSIGNED = sql(
    """
    SELECT a.id, a.run, a.customer_id, a.stop_requested, a.frozen, a.outcome IS NOT NULL AS watching,
           e.status AS execution_status, e.pause_requested
    FROM attempts a JOIN executions e ON e.id = a.execution_id
    WHERE a.worker_id = :worker_id
      AND (a.outcome IS NULL OR (a.monitoring = 'watching' AND a.lease_expires_at > now()))
    """
)


@dataclass(frozen=True)
class WorkerSettings:
    """`slots` attempts at once; lease and heartbeat in seconds."""

    slots: int
    lease: float = 3.0
    heartbeat: float = 1.0


class Worker:
    """One worker process. `run` blocks until `stop` is called."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        tools: Tools,
        settings: WorkerSettings,
        *,
        isolation: str,
        make_leader: Callable[[UUID], Leader],
    ) -> None:
        self._database = database
        self._clock = clock
        self._tools = tools
        self._settings = settings
        self._isolation = isolation
        self._make_leader = make_leader
        self.worker_id = new_id()
        self._leader = make_leader(self.worker_id)
        self._handles: dict[UUID, RunHandle] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._durable = Durable(database.url, executor_id=str(self.worker_id), threads=4 * settings.slots + 16)
        self._attempt_step = self._durable.step("attempt_phase", self._run_phase)
        self._attempt_workflow = self._durable.workflow("run_attempt", self._run_attempt)
        self._watch_workflow = self._durable.workflow("watch_delivery", self._watch_delivery)

    # --- life ---

    def run(self) -> None:
        """Join, work until stopped, leave."""
        self._durable.launch()
        self._join()
        threads = [
            threading.Thread(target=self._heartbeats, name="heartbeat", daemon=True),
            threading.Thread(target=self._listen, name="listen", daemon=True),
        ]
        for thread in threads:
            thread.start()
        log.info("worker_ready", worker=str(self.worker_id), slots=self._settings.slots)
        while not self._stopping.is_set():
            self._wake.wait(TICK)
            self._wake.clear()
            self._guarded(self._turn)
            self._stopping.wait(_MIN_TURN)
        self._leave()

    def stop(self) -> None:
        """End `run` soon; running attempts are interrupted and go on at the next start."""
        self._stopping.set()
        self._wake.set()

    def _join(self) -> None:
        with self._database.transaction() as connection:
            workers.join(
                connection,
                worker_id=self.worker_id,
                host=host_identity(),
                pid=os.getpid(),
                process_started=process_started(os.getpid()),
                slots=self._settings.slots,
                isolation=self._isolation,
                lease=self._settings.lease,
                now=self._clock(),
            )

    def _leave(self) -> None:
        handles = self._living()
        for handle in handles:
            handle.stop(None)
        deadline = time.monotonic() + 10
        for handle in handles:
            handle.done.wait(max(0.0, deadline - time.monotonic()))
        self._guarded(self._say_goodbye)
        self._durable.stop()

    def _say_goodbye(self) -> None:
        with self._database.transaction() as connection:
            workers.bury(connection, self.worker_id, event="worker_left", now=self._clock())

    # --- heartbeat ---

    def _heartbeats(self) -> None:
        while not self._stopping.is_set():
            self._guarded(self._heartbeat)
            self._stopping.wait(self._settings.heartbeat)

    def _heartbeat(self) -> None:
        """Renew the leases of the worker and of every run whose thread is alive."""
        living = {handle.ref.attempt_id: handle for handle in self._living()}
        with self._database.transaction() as connection:
            alive = workers.heartbeat(connection, self.worker_id, lease=self._settings.lease, now=self._clock())
            held = workers.renew_attempts(
                connection,
                self.worker_id,
                [(attempt_id, handle.ref.run) for attempt_id, handle in living.items()],
                lease=self._settings.lease,
            )
        if not alive:
            self._rejoin()
            return
        for attempt_id in living.keys() - held:
            if not living[attempt_id].done.is_set():
                living[attempt_id].fence()
        self._leader.keep_lease()

    def _rejoin(self) -> None:
        """This worker was declared dead, after a freeze say: nothing that it runs is its own any more."""
        log.warning("worker_declared_dead", worker=str(self.worker_id))
        for handle in self._living():
            handle.fence()
        self.worker_id = new_id()
        self._leader = self._make_leader(self.worker_id)
        self._join()

    # --- turns ---

    def _listen(self) -> None:
        """Turn notifications into wake-ups; without the database the tick goes on."""
        while not self._stopping.is_set():
            try:
                with psycopg.connect(psycopg_conninfo(self._database.url), autocommit=True) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._wake.set()
                    while not self._stopping.is_set():
                        for _ in connection.notifies(timeout=TICK, stop_after=1):
                            self._wake.set()
            except psycopg.OperationalError:
                self._stopping.wait(0.5)

    def _turn(self) -> None:
        with self._database.transaction() as connection:
            rows = connection.execute(_ASSIGNED, {"worker_id": self.worker_id}).all()
        for row in rows:
            self._attend(row)
        self._leader.turn()

    def _attend(self, row: Row[Any]) -> None:
        """Start what is new, restart what ended without an answer, command what runs."""
        handle = self._handles.get(row.id)
        if handle is None or handle.ref.run != row.run:
            self._start(RunRef(row.id, row.run, row.customer_id), watching=row.watching, paused=row.frozen)
        elif handle.watching != row.watching:
            return  # its last step has just ended; the next assignment brings a new run
        elif handle.done.is_set():
            self._restart(handle)
        elif row.stop_requested is not None:
            handle.stop(Stop(row.stop_requested))
        elif row.pause_requested == PauseMode.NOW and not row.frozen and not row.watching:
            self._freeze(handle)
        elif row.frozen and row.execution_status == "active":
            handle.resume()
            self._tools.lifecycle.thawed(handle.ref)
        elif handle.paused and not row.frozen and row.pause_requested is None:
            handle.resume()

    def _freeze(self, handle: RunHandle) -> None:
        try:
            if handle.pause():
                self._tools.lifecycle.frozen(handle.ref)
        except RuntimeError as exc:
            log.error("freeze_failed", attempt=str(handle.ref.attempt_id), error=str(exc))

    def _start(self, ref: RunRef, *, watching: bool, paused: bool) -> None:
        handle = RunHandle(ref, watching=watching, paused=paused)
        with self._lock:
            self._handles[ref.attempt_id] = handle
        workflow = self._watch_workflow if watching else self._attempt_workflow
        name = "watch" if watching else "attempt"
        self._durable.start(workflow, f"{name}:{ref.attempt_id}:{ref.run}", str(ref.attempt_id), ref.run)

    def _restart(self, handle: RunHandle) -> None:
        """The run's workflow is over but its attempt is not: a database outage ended its thread."""
        if handle.watching:
            with self._lock:
                self._handles.pop(handle.ref.attempt_id, None)
            return
        log.warning("run_ended_without_answer", attempt=str(handle.ref.attempt_id), run=handle.ref.run)
        with self._database.transaction() as connection:
            rerun(connection, handle.ref, lease=self._settings.lease, now=self._clock())

    def _living(self) -> list[RunHandle]:
        with self._lock:
            for attempt_id in [key for key, handle in self._handles.items() if handle.done.is_set()]:
                if not self._kept(self._handles[attempt_id]):
                    del self._handles[attempt_id]
            return [handle for handle in self._handles.values() if not handle.done.is_set()]

    def _kept(self, handle: RunHandle) -> bool:
        """A handle that is done is remembered for a while, so that its run is not started twice."""
        return time.monotonic() - handle.done_at < 60

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except OperationalError as exc:
            log.warning("database_away", error=str(exc.orig)[:200])
            self._leader.lost_database()
        except Exception:
            log.exception("worker_error")

    # --- workflows ---

    def _run_attempt(self, attempt_id: str, run: int) -> str:
        handle = self._handles[UUID(attempt_id)]
        try:
            phase = BEGIN
            while phase != END:
                phase = self._attempt_step(attempt_id, run, phase)
            return END
        finally:
            handle.finished()
            self._wake.set()

    def _run_phase(self, attempt_id: str, run: int, phase: str) -> str:
        handle = self._handles[UUID(attempt_id)]
        return AttemptPhases(self._tools, handle).step(phase)

    def _watch_delivery(self, attempt_id: str, run: int) -> str:
        handle = self._handles[UUID(attempt_id)]
        try:
            DeliveryWatch(self._tools, handle, self._clock).look()
            return END
        finally:
            handle.finished()
            self._wake.set()


def host_identity() -> str:
    """The host and its boot, so that process ids mean something."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()}:{boot.read_text().strip() if boot.exists() else 'unknown'}"


def process_started(pid: int) -> str:
    """When a process began, in clock ticks since boot: tells a process from a later one with the same id.

    Empty when there is no such process.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
