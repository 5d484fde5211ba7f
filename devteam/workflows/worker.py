"""A worker: starts what is assigned to it, carries out what people command, heartbeats, and leads if it may."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from devteam.durable.engine import Durable
from devteam.events.model import CHANNEL
from devteam.executions.lifecycle import RunRef, release_watch, rerun
from devteam.executions.model import PauseMode, Stop
from devteam.kit.clock import Clock
from devteam.kit.db import UNAVAILABLE, Database, Row, psycopg_conninfo, sql
from devteam.kit.ids import new_id
from devteam.kit.log import get_logger
from devteam.workers import repository as workers
from devteam.workflows.handle import RunHandle
from devteam.workflows.leader import Leader
from devteam.workflows.monitor import DeliveryWatch
from devteam.workflows.run_attempt import BEGIN, END, AttemptPhases, Tools

log = get_logger(__name__)

TICK = 1.0
RERUN_PAUSE = 0.5
"""Seconds between the unexplained end of a run and the next one, so that a lasting fault is no busy loop."""
THREADS = 1000
"""Frozen attempts and watches hold a thread each beside the slots; threads are made when they are needed."""
_MIN_TURN = 0.02

_ASSIGNED = sql(
    """
    SELECT a.id, a.run, a.customer_id, a.stop_requested, a.frozen, a.outcome IS NOT NULL AS watching,
           e.status AS execution_status, e.pause_requested
    FROM attempts a JOIN executions e ON e.id = a.execution_id
    WHERE a.worker_id = :worker_id
      AND (a.outcome IS NULL
           OR ((a.monitoring = 'watching' OR a.closing = 'due') AND a.lease_expires_at > now()))
    ORDER BY a.stop_requested IS NULL, a.id
    """
)


@dataclass(frozen=True)
class WorkerSettings:
    """`slots` attempts at once; lease, heartbeat, and the time between two looks for what can be cleared away, in
    seconds.
    """

    slots: int
    lease: float = 3.0
    heartbeat: float = 1.0
    upkeep: float = 600.0


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
        upkeep: Callable[[], object] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tools = tools
        self._settings = settings
        self._isolation = isolation
        self._make_leader = make_leader
        self._upkeep = upkeep
        self.worker_id = new_id()
        self._leader = make_leader(self.worker_id)
        self._handles: dict[tuple[UUID, int], RunHandle] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._wake_leader = threading.Event()
        self._starters = ThreadPoolExecutor(max(1, min(settings.slots, 8)), thread_name_prefix="start")
        self._stopping = threading.Event()
        self._durable = Durable(database.url, executor_id=str(self.worker_id), threads=THREADS)
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
            threading.Thread(target=self._lead, name="lead", daemon=True),
            threading.Thread(target=self._keep_up, name="upkeep", daemon=True),
        ]
        for thread in threads:
            thread.start()
        log.info("worker_ready", worker=str(self.worker_id), slots=self._settings.slots)
        self._take_turns(self._wake, self._turn)
        self._leave()

    def _lead(self) -> None:
        """Beside the turns: a leader that waits for the database to commit keeps no run from its orders."""
        self._take_turns(self._wake_leader, self._lead_a_turn)

    def _lead_a_turn(self) -> None:
        self._leader.turn()  # looked up each time: a worker that was declared dead comes back with another leader

    def _keep_up(self) -> None:
        """Beside everything else, and never at once: what it clears away has time."""
        while not self._stopping.wait(self._settings.upkeep):
            self._guarded(self._upkeep)

    def _take_turns(self, wake: threading.Event, turn: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            wake.wait(TICK)
            wake.clear()
            self._guarded(turn)
            self._stopping.wait(_MIN_TURN)

    def _wake_all(self) -> None:
        self._wake.set()
        self._wake_leader.set()

    def stop(self) -> None:
        """End `run` soon; running attempts are interrupted and go on at the next start."""
        self._stopping.set()
        self._wake_all()

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
        self._starters.shutdown()
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
        with self._database.transaction() as connection:
            alive = workers.heartbeat(connection, self.worker_id, lease=self._settings.lease, now=self._clock())
        if not alive:
            self._rejoin()
            return
        living = {(handle.ref.attempt_id, handle.ref.run): handle for handle in self._living()}
        with self._database.transaction() as connection:
            held = workers.renew_attempts(connection, self.worker_id, list(living), lease=self._settings.lease)
        for key in living.keys() - held:
            if not living[key].done.is_set():
                living[key].fence()
        if self._leader.keep_lease():
            self._wake_leader.set()  # what a dead leader left waits already

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
                    self._wake_all()
                    while not self._stopping.is_set():
                        for _ in connection.notifies(timeout=TICK, stop_after=1):
                            self._wake_all()
            except psycopg.OperationalError:
                self._stopping.wait(0.5)

    def _turn(self) -> None:
        with self._database.transaction() as connection:
            rows = connection.execute(_ASSIGNED, {"worker_id": self.worker_id}).all()
        self._forget_ended(rows)
        for row in rows:
            self._guarded(partial(self._attend, row))

    def _attend(self, row: Row[Any]) -> None:
        """Start what is new, restart what ended without an answer, command what runs."""
        handle = self._handles.get((row.id, row.run))
        if handle is None:
            self._start(row)
        elif handle.done.is_set():
            self._restart(handle)
        elif row.stop_requested is not None:
            handle.stop(Stop(row.stop_requested))
        elif row.watching:
            return
        elif row.pause_requested == PauseMode.NOW:
            self._freeze(handle)
        elif row.frozen and row.execution_status == "active":
            handle.resume()
            self._tools.lifecycle.thawed(handle.ref)
        elif handle.paused and not row.frozen:
            handle.resume()

    def _freeze(self, handle: RunHandle) -> None:
        try:
            if handle.pause():
                self._tools.lifecycle.frozen(handle.ref)
        except RuntimeError as exc:
            log.error("freeze_failed", attempt=str(handle.ref.attempt_id), error=str(exc))

    def _start(self, row: Row[Any]) -> None:
        """Begin a run. Whatever this worker still does for earlier runs of the attempt is over."""
        ref = RunRef(row.id, row.run, row.customer_id)
        earlier = [handle for handle in self._living() if handle.ref.attempt_id == row.id]
        for other in earlier:
            other.fence()
        paused = row.frozen or row.pause_requested == PauseMode.NOW
        handle = RunHandle(ref, watching=row.watching, paused=paused and not row.watching, earlier=earlier)
        if row.stop_requested is not None:
            handle.stop(Stop(row.stop_requested))
        with self._lock:
            self._handles[(ref.attempt_id, ref.run)] = handle
        workflow = self._watch_workflow if row.watching else self._attempt_workflow
        name = "watch" if row.watching else "attempt"

        def begin() -> None:
            try:
                self._durable.start(workflow, f"{name}:{ref.attempt_id}:{ref.run}", str(ref.attempt_id), ref.run)
            except Exception:
                handle.finished()  # whether it was recorded is unknown, so this id is used up: the next run goes on
                raise

        self._starters.submit(self._guarded, begin)  # each waits for a commit, which they do together

    def _restart(self, handle: RunHandle) -> None:
        """The run's workflow is over but its attempt is not: a database outage ended its thread, say."""
        if time.monotonic() - handle.done_at < RERUN_PAUSE:
            return
        log.warning("run_ended_without_answer", attempt=str(handle.ref.attempt_id), run=handle.ref.run)
        with self._database.transaction() as connection:
            if handle.watching:
                release_watch(connection, handle.ref)
            else:
                rerun(connection, handle.ref, lease=self._settings.lease, now=self._clock())

    def _living(self) -> list[RunHandle]:
        with self._lock:
            return [handle for handle in self._handles.values() if not handle.done.is_set()]

    def _forget_ended(self, rows: Sequence[Row[Any]]) -> None:
        """Runs that are done here and in the database. One that is done here alone stays known: its workflow's id
        is used up, so it must never be started as if it were new.
        """
        assigned = {(row.id, row.run) for row in rows}
        with self._lock:
            ended = [key for key, handle in self._handles.items() if handle.done.is_set() and key not in assigned]
            for key in ended:
                del self._handles[key]

    def _guarded(self, act: Callable[[], object]) -> None:
        try:
            act()
        except UNAVAILABLE as exc:
            log.warning("database_away", error=str(exc)[:200])
            self._leader.lost_database()
        except Exception:
            log.exception("worker_error")

    # --- workflows ---

    def _run_attempt(self, attempt_id: str, run: int) -> str:
        handle = self._handles[(UUID(attempt_id), run)]
        try:
            phase = BEGIN
            while phase != END:
                phase = self._attempt_step(attempt_id, run, phase)
            return END
        finally:
            handle.finished()
            self._wake.set()

    def _run_phase(self, attempt_id: str, run: int, phase: str) -> str:
        handle = self._handles[(UUID(attempt_id), run)]
        return AttemptPhases(self._tools, handle).step(phase)

    def _watch_delivery(self, attempt_id: str, run: int) -> str:
        handle = self._handles[(UUID(attempt_id), run)]
        try:
            DeliveryWatch(self._tools, handle, self._clock).look()
            return END
        finally:
            handle.finished()
            self._wake.set()


def host_identity() -> str:
    """The host, its boot and the process namespace, so that process ids mean something."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = [boot.read_text().strip() if boot.exists() else "unknown"]
    parts += [str(namespace.readlink())] if namespace.exists() else []
    return ":".join([socket.gethostname(), *parts])


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
