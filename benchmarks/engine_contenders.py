"""The contenders of `benchmarks.engine_overhead`."""

import json
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from uuid import UUID, uuid4

import psycopg

from benchmarks.common import add_customers, migrated
from benchmarks.engine_ports import no_tools
from devteam.access.model import ENGINE
from devteam.durable.engine import Durable
from devteam.entrypoints.worker import build_worker
from devteam.executions.service import ExecutionService
from devteam.kit.clock import utc_now
from devteam.kit.db import psycopg_conninfo, sql
from devteam.kit.ids import new_id
from devteam.tasks.schemas import TaskCommand, TaskInput
from devteam.tasks.service import TaskService
from devteam.workflows.worker import WorkerSettings

CUSTOMERS = 24
SLOTS = 8


class Ours:
    """The real worker in this process; a round fills the queues and lets it work them off."""

    def __init__(self, url: str, folder: Path, *, real: bool) -> None:
        self._database = migrated(url, pool_size=SLOTS + 8)
        self._made = add_customers(
            self._database, CUSTOMERS, repository=str(folder / "origins" / "{number}.git"), gates=[_gate()]
        )
        if real:
            make_repositories(folder / "origins", CUSTOMERS)
        folder.joinpath("work").mkdir(mode=0o755)
        tools = None if real else no_tools(self._database, folder / "work")
        self._worker = build_worker(self._database, folder / "work", WorkerSettings(slots=SLOTS), tools=tools)
        self._thread = threading.Thread(target=self._worker.run)
        self._thread.start()

    def prepare(self, attempts: int) -> None:
        """Fill the queues."""
        tasks = TaskService(self._database, utc_now)
        for number in range(attempts):
            customer_id, project_id = self._made[number % CUSTOMERS]
            tasks.add(ENGINE, customer_id, _task(project_id))
        self._customers = sorted(customer_id for customer_id, _ in self._made[: min(attempts, CUSTOMERS)])

    def go(self) -> float:
        """Work the queues off; seconds."""
        executions = ExecutionService(self._database, utc_now)
        with self._database.all_or_nothing():
            for customer_id in self._customers:
                executions.start(ENGINE, customer_id)
        begun = time.time()
        while self._count_pending() or self._count("outcome IS NULL OR monitoring = 'watching'"):
            time.sleep(0.2)
        if self._count("monitoring IS DISTINCT FROM 'passed'"):
            raise RuntimeError("an attempt of the benchmark did not succeed")
        with self._database.transaction() as connection:
            ended = connection.execute(sql("SELECT max(at) FROM events WHERE type = 'monitoring_ended'")).scalar_one()
        return float(ended.timestamp() - begun)

    def _count(self, condition: str) -> int:
        with self._database.transaction() as connection:
            return int(connection.execute(sql(f"SELECT count(*) FROM attempts WHERE {condition}")).scalar_one())

    def _count_pending(self) -> int:
        with self._database.transaction() as connection:
            return int(connection.execute(sql("SELECT count(*) FROM tasks WHERE status = 'pending'")).scalar_one())

    def end(self) -> None:
        """Stop the worker."""
        self._worker.stop()
        self._thread.join()
        self._database.dispose()


def _gate() -> dict[str, Any]:
    return {"name": "tests", "argv": ["true"]}


def _task(project_id: UUID) -> TaskInput:
    return TaskInput(project_id=project_id, title="Change a line", command=TaskCommand(script="echo x >> a.py"))


def make_repositories(folder: Path, count: int) -> None:
    """Small bare repositories with one commit."""
    folder.mkdir(parents=True)
    source = folder / "source"
    git = ["git", "-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    subprocess.run([*git, "init", "-q", "-b", "main", str(source)], check=True)
    (source / "a.py").write_text("x\n")
    subprocess.run([*git, "-C", str(source), "add", "a.py"], check=True)
    subprocess.run([*git, "-C", str(source), "commit", "-q", "-m", "Begin"], check=True)
    for number in range(count):
        target = str(folder / f"{number}.git")
        subprocess.run([*git, "clone", "-q", "--bare", "--no-hardlinks", str(source), target], check=True)


class RawDbos:
    """The same workflows with nothing in them."""

    def __init__(self, url: str) -> None:
        self._durable = Durable(url, executor_id=str(uuid4()), threads=4 * SLOTS + 16)
        self._step = self._durable.step("attempt_phase", lambda attempt, run, phase: f"{phase}+")
        self._attempt = self._durable.workflow("run_attempt", self._five_steps)
        self._watch = self._durable.workflow("watch_delivery", self._no_step)
        self._ended: SimpleQueue[str | None] = SimpleQueue()
        self._durable.launch()

    def _five_steps(self, attempt: str, run: int) -> str:
        phase = "begin"
        for _ in range(5):
            phase = self._step(attempt, run, phase)
        self._ended.put(attempt)
        return "end"

    def _no_step(self, _attempt: str, _run: int) -> str:
        self._ended.put(None)
        return "end"

    def prepare(self, attempts: int) -> None:
        """Choose the names."""
        self._names = [str(new_id()) for _ in range(attempts)]

    def go(self) -> float:
        """Run a pair of workflows for each name; seconds."""
        begun = time.time()
        ids = iter(self._names)
        left = 2 * len(self._names)
        for _ in range(SLOTS):
            self._start(next(ids, None))
        while left:
            attempt = self._ended.get()
            left -= 1
            if attempt is not None:
                self._durable.start(self._watch, f"watch:{attempt}:2", attempt, 2)
                self._start(next(ids, None))
        return time.time() - begun

    def _start(self, attempt: str | None) -> None:
        if attempt is not None:
            self._durable.start(self._attempt, f"attempt:{attempt}:1", attempt, 1)

    def end(self) -> None:
        """Stop DBOS."""
        self._durable.stop()


_VIEW = json.dumps([{"kind": "attempt", "id": "0" * 36, "version": 1, "set": {"text": "x" * 1500}, "unset": []}])
_LOCK = "SELECT version FROM stream_heads WHERE stream = %(customer)s FOR UPDATE"
_HELD = "SELECT * FROM attempts WHERE id = %(attempt)s AND run = 1"
_APPEND = """
    WITH head AS (UPDATE stream_heads SET version = version + 1 WHERE stream = %(customer)s RETURNING version),
         fact AS (INSERT INTO events (stream, version, id, type, actor, subject_kind, subject_id, at)
                  SELECT %(customer)s, version, %(event)s, %(type)s, 'engine', 'attempt', %(attempt)s, now() FROM head),
         live AS (INSERT INTO live_changes (stream, version, changes, at)
                  SELECT %(customer)s, version, %(view)s::jsonb, now() FROM head)
    SELECT pg_notify('devteam_events', '')"""
_ASSIGN = (
    _LOCK,
    "SELECT * FROM tasks WHERE id = %(task)s",
    """INSERT INTO attempts (id, customer_id, execution_id, task_id, project_id, number, executor, phase,
           phase_started_at, started_at, lease_expires_at)
       VALUES (%(attempt)s, %(customer)s, %(execution)s, %(task)s, %(project)s, 1, 'command', 'planning', now(), now(),
           now() + interval '3 s')""",
    """INSERT INTO attempt_phases (attempt_id, ordinal, phase, round, run, started_at)
       VALUES (%(attempt)s, 1, 'planning', 1, 1, now())""",
    "UPDATE tasks SET status = 'in_progress', version = version + 1, started_at = now() WHERE id = %(task)s",
    _APPEND,
)
_ENTER = (
    _LOCK,
    _HELD,
    "UPDATE attempt_phases SET ended_at = now() WHERE attempt_id = %(attempt)s AND ended_at IS NULL",
    """INSERT INTO attempt_phases (attempt_id, ordinal, phase, round, run, started_at)
       SELECT %(attempt)s, max(ordinal) + 1, %(phase)s, 1, 1, now() FROM attempt_phases
       WHERE attempt_id = %(attempt)s""",
    """UPDATE attempts SET phase = %(phase)s, phase_started_at = now(), version = version + 1
       WHERE id = %(attempt)s""",
    _APPEND,
)
_GATE = (
    _LOCK,
    _HELD,
    """INSERT INTO gate_results (id, attempt_id, round, stage, name, required, passed, text, created_at)
       VALUES (%(event)s, %(attempt)s, 1, %(stage)s, 'tests', true, true, 'Passed.', now())""",
    _APPEND,
)
_DIFF = ("INSERT INTO attempt_diffs (attempt_id, diff, truncated) VALUES (%(attempt)s, 'x', false)",)
_FINISH = (
    _LOCK,
    _HELD,
    "UPDATE attempt_phases SET ended_at = now() WHERE attempt_id = %(attempt)s AND ended_at IS NULL",
    """UPDATE attempts SET phase = 'monitoring', monitoring = 'watching', outcome = 'succeeded', finished_at = now(),
           version = version + 1 WHERE id = %(attempt)s""",
    """UPDATE tasks SET status = 'completed', finished_at = now(), version = version + 1 WHERE id = %(task)s""",
    _APPEND,
)
_END = (
    _LOCK,
    _HELD,
    "UPDATE attempts SET monitoring = 'passed', version = version + 1 WHERE id = %(attempt)s",
    _APPEND,
)
_PHASES: Sequence[tuple[Sequence[str], dict[str, str]]] = (
    (_ASSIGN, {}),
    (_ENTER, {"phase": "execution"}),
    (_DIFF, {}),
    (_ENTER, {"phase": "quality_assurance"}),
    (_GATE, {"stage": "post_task"}),
    (_ENTER, {"phase": "delivery"}),
    (_FINISH, {}),
    (_GATE, {"stage": "post_merge"}),
    (_END, {}),
)


class BareSql:
    """The state changes alone."""

    def __init__(self, url: str) -> None:
        self._database = migrated(url)
        self._made = add_customers(self._database, CUSTOMERS, repository="none")
        self._connections: SimpleQueue[psycopg.Connection[Any]] = SimpleQueue()
        for _ in range(SLOTS):
            self._connections.put(psycopg.connect(psycopg_conninfo(url), prepare_threshold=1))
        self._executions = {customer: self._execution(customer) for customer, _ in self._made}

    def _execution(self, customer_id: UUID) -> UUID:
        execution_id = new_id()
        with self._database.transaction() as connection:
            connection.execute(
                sql(
                    """INSERT INTO executions (id, customer_id, status, created_at, started_at)
                       VALUES (:id, :customer_id, 'active', now(), now())"""
                ),
                {"id": execution_id, "customer_id": customer_id},
            )
        return execution_id

    def prepare(self, attempts: int) -> None:
        """Fill the queues."""
        tasks = TaskService(self._database, utc_now)
        self._queues: dict[UUID, list[tuple[UUID, UUID, UUID]]] = {customer: [] for customer, _ in self._made}
        for number in range(attempts):
            customer, project = self._made[number % CUSTOMERS]
            self._queues[customer].append((customer, project, tasks.add(ENGINE, customer, _task(project)).id))

    def go(self) -> float:
        """Run every queued attempt's transactions; seconds."""
        begun = time.time()
        with ThreadPoolExecutor(SLOTS) as pool:
            list(pool.map(self._queue, self._queues.values()))
        return time.time() - begun

    def _queue(self, queue: Sequence[tuple[UUID, UUID, UUID]]) -> None:
        connection = self._connections.get()
        for customer, project, task in queue:
            values = {"customer": customer, "project": project, "task": task, "attempt": new_id(), "view": _VIEW}
            values["execution"] = self._executions[customer]
            for statements, more in _PHASES:
                given = {**values, **more, "event": new_id(), "type": "attempt_phase"}
                with connection.transaction():
                    for statement in statements:
                        connection.execute(statement, given)
        self._connections.put(connection)

    def end(self) -> None:
        """Close everything."""
        while not self._connections.empty():
            self._connections.get().close()
        self._database.dispose()
