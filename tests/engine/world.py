"""The engine as tests drive it: real services on a real database, workers in processes of their own, real git."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psutil

from devteam.access.model import ENGINE
from devteam.adapters.git.linking import probe_repository
from devteam.customers.schemas import CustomerInput
from devteam.customers.service import CustomerService
from devteam.executions.lifecycle import Lifecycle
from devteam.executions.queries import attempts_of, customer_snapshot, output_page
from devteam.executions.schemas import AttemptView, CustomerSnapshot
from devteam.executions.service import ExecutionService
from devteam.kit.clock import utc_now
from devteam.kit.db import UNAVAILABLE, Database, sql
from devteam.projects.schemas import ProjectInput, ProjectPatch
from devteam.projects.service import ProjectService
from devteam.tasks.schemas import TaskInput, TaskView
from devteam.tasks.service import TaskService
from tests.integration.git_projects import Customer as Repository
from tests.integration.git_projects import git, make_customer

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds that a test waits for the engine; the machine may be busy with a lot else."""


def eventually(look: Callable[[], T | None], *, timeout: float = PATIENCE, what: str = "") -> T:
    """The first true answer; none is given while the database is away."""
    deadline = time.monotonic() + timeout
    while True:
        with suppress(*UNAVAILABLE):
            found = look()
            if found:
                return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:.0f} s: {what or look}")
        time.sleep(0.05)


class WorkerProcess:
    """A worker as a child process of the test."""

    def __init__(self, url: str, data: Path, log: Path, *, slots: int = 3) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.engine.worker_main", url, str(data), str(slots)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=Path(__file__).parents[2],
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> float:
        """kill -9; when."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        return time.monotonic()

    def stop(self) -> None:
        """End it cleanly."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.log.read_text()[-3000:]

    def errors(self) -> list[dict[str, Any]]:
        """What it logged as an error."""
        lines = self.log.read_text(errors="replace").splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in entries if entry.get("level") == "error"]


@dataclass
class Engine:
    """A database with services, a data folder, and workers that tests start."""

    database: Database
    folder: Path
    workers: list[WorkerProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.data = self.folder / "data"
        self.data.mkdir(exist_ok=True)
        self.customers = CustomerService(self.database, utc_now)
        self.projects = ProjectService(self.database, utc_now, probe_repository)
        self.tasks = TaskService(self.database, utc_now)
        self.executions = ExecutionService(self.database, utc_now)
        self.lifecycle = Lifecycle(self.database, utc_now)

    def worker(self, *, slots: int = 3) -> WorkerProcess:
        """Start a worker and wait until it has joined."""
        worker = WorkerProcess(self.database.url, self.data, self.folder / f"worker-{uuid4().hex[:8]}.log", slots=slots)
        self.workers.append(worker)
        eventually(lambda: self._has_joined(worker), what=f"worker joined: {worker.log.read_text()[-2000:]}")
        return worker

    def _has_joined(self, worker: WorkerProcess) -> bool:
        assert worker.process.poll() is None, worker.log.read_text()[-3000:]
        return bool(self.scalar("SELECT count(*) FROM workers WHERE pid = :pid AND state = 'alive'", pid=worker.pid))

    def close(self) -> None:
        """End every worker, by force where it must be."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGCONT)
                worker.process.send_signal(signal.SIGTERM)
        for worker in self.workers:
            try:
                worker.process.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
        self.database.dispose()

    def scalar(self, statement: str, **values: Any) -> Any:
        with self.database.transaction() as connection:
            return connection.execute(sql(statement), values).scalar()

    def customer(self, **project: Any) -> "Case":
        """A customer with a repository and a project on it."""
        folder = self.folder / f"repository-{uuid4().hex[:8]}"
        folder.mkdir()
        repository = make_customer(folder, {"README.md": "Hello\n", "a.txt": "one\n"})
        customer = self.customers.create(ENGINE, CustomerInput(name=f"Customer {uuid4().hex[:8]}"))
        wanted = {"delivery_mode": "fast_forward", "monitoring_window_seconds": 0, **project}
        made = self.projects.create(
            ENGINE,
            customer.id,
            ProjectInput.model_validate({"name": "p", "repository": str(repository.bare), **wanted}),
        )
        return Case(self, customer.id, made.id, repository, folder)


@dataclass
class Case:
    """One customer of a test."""

    engine: Engine
    customer_id: UUID
    project_id: UUID
    repository: Repository
    folder: Path

    def task(self, script: str = "echo hi >> a.txt", title: str = "Change", **fields: Any) -> UUID:
        """Add a task that runs a script."""
        limit = fields.pop("time_limit", 120)
        command = {"script": script, "time_limit_seconds": limit} if script else None
        wanted = {"project_id": self.project_id, "title": title, "command": command, **fields}
        return self.engine.tasks.add(ENGINE, self.customer_id, TaskInput.model_validate(wanted)).id

    def start(self) -> UUID:
        return self.engine.executions.start(ENGINE, self.customer_id)[0].id

    def run(self) -> CustomerSnapshot:
        """Work through the queue, monitoring included."""
        self.start()
        return self.settled()

    def settled(self, timeout: float = PATIENCE) -> CustomerSnapshot:
        """Wait until the execution is completed and nothing is watched any more."""

        def look() -> CustomerSnapshot | None:
            seen = self.snapshot()
            done = seen.execution is not None and seen.execution.status == "completed"
            return seen if done and all(attempt.monitoring != "watching" for attempt in seen.attempts) else None

        try:
            return eventually(look, timeout=timeout)
        except AssertionError:
            raise AssertionError(f"not settled: {self.snapshot().model_dump_json(indent=1)}") from None

    def snapshot(self) -> CustomerSnapshot:
        with self.engine.database.snapshot() as connection:
            return customer_snapshot(connection, self.customer_id)

    def view(self, task_id: UUID) -> TaskView:
        return next(task for task in self.snapshot().tasks if task.id == task_id)

    def attempt(self, task_id: UUID) -> AttemptView:
        """The newest attempt at a task."""
        return next(attempt for attempt in self.attempts() if attempt.task_id == task_id)

    def attempts(self) -> list[AttemptView]:
        with self.engine.database.transaction() as connection:
            return attempts_of(connection, self.customer_id)

    def output(self, attempt: AttemptView) -> str:
        with self.engine.database.transaction() as connection:
            return output_page(connection, attempt.id, offset=0, limit=10_000_000).text

    def in_phase(self, phase: str) -> AttemptView:
        """Wait until an attempt is in the phase."""

        def look() -> AttemptView | None:
            return next((a for a in self.attempts() if a.phase == phase and a.outcome is None), None)

        return eventually(look, what=f"phase {phase}")

    def gates(self, gates: Sequence[dict[str, Any]]) -> None:
        """Give the project these gates."""
        self.engine.projects.edit(ENGINE, self.project_id, ProjectPatch.model_validate({"gates": list(gates)}))

    def hold(self, name: str = "hold") -> "Hold":
        return Hold(self.folder / f"{name}-reached", self.folder / f"{name}-go")

    def subjects(self, branch: str = "main") -> list[str]:
        return git(self.repository.bare, "log", "--format=%s", branch).splitlines()

    def deliveries(self, attempt: AttemptView, ref: str = "--all") -> list[str]:
        """The commits of the customer's repository that carry the attempt's trailer."""
        found = git(
            self.repository.bare, "log", ref, "--format=%H", "--fixed-strings", f"--grep=DevTeam-Attempt: {attempt.id}"
        )
        return found.splitlines()

    def show(self, path: str, branch: str = "main") -> str:
        return git(self.repository.bare, "show", f"{branch}:{path}")

    def hook(self, script: str) -> None:
        """What runs in the customer's repository before a push is taken."""
        file = self.repository.bare / "hooks" / "pre-receive"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def processes(self) -> list[psutil.Process]:
        """Every living process of the customer's attempts, or under its folder."""
        ids = {str(attempt.id) for attempt in self.attempts()}
        return [process for process, run in marked() if run.split(":")[0] in ids]

    def assert_no_process_is_left(self) -> None:
        eventually(lambda: not self.processes(), timeout=10, what=f"no process left, but {self.processes()}")


@dataclass(frozen=True)
class Hold:
    """A place where a script waits until the test lets it go on."""

    reached: Path
    go: Path

    def script(self) -> str:
        reached, go = shlex.quote(str(self.reached)), shlex.quote(str(self.go))
        return f"touch {reached}; while [ ! -e {go} ]; do sleep 0.05; done"

    def await_reached(self) -> None:
        eventually(self.reached.exists, what=f"{self.reached.name}")

    def release(self) -> None:
        self.go.touch()


def marked() -> Iterator[tuple[psutil.Process, str]]:
    """Every living process that carries a run's marker."""
    for process in psutil.process_iter():
        try:
            run = process.environ().get("DEVTEAM_RUN")
            if run and process.status() != psutil.STATUS_ZOMBIE:
                yield process, run
        except psutil.Error:
            continue


def gate(script: str, name: str = "check", **fields: Any) -> dict[str, Any]:
    """A gate that runs a script."""
    return {"name": name, "script": script, **fields}


@contextmanager
def engine(url: str, folder: Path) -> Iterator[Engine]:
    """An engine without a worker yet."""
    made = Engine(Database(url), folder)
    try:
        yield made
    finally:
        made.close()


def texts(items: Sequence[Any]) -> list[str]:
    """The codes of reasons."""
    return [item.reason.code if item.reason else "" for item in items]


def states(processes: Sequence[psutil.Process]) -> set[str]:
    """Their states."""
    found: set[str] = set()
    for process in processes:
        try:
            found.add(process.status())
        except psutil.NoSuchProcess:
            continue
    return found


def is_root() -> bool:
    return os.geteuid() == 0
