"""What the benchmarks share: a database of their own, processes of their own, one table at the end."""

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from rich.console import Console
from rich.table import Table

from devteam.access.model import ENGINE
from devteam.adapters.postgres import DataFolder, EmbeddedPostgres
from devteam.customers.model import PriorityClass
from devteam.customers.schemas import CustomerInput
from devteam.customers.service import CustomerService
from devteam.kit.clock import utc_now
from devteam.kit.db import Database
from devteam.migrations.run import migrate
from devteam.projects.ports import RepositoryHead
from devteam.projects.schemas import DeliveryMode, ProjectInput
from devteam.projects.service import ProjectService


@dataclass(frozen=True)
class Figure:
    """One line of the table: lower is better, `limit` is in the same unit; None where nothing was promised."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def over(self) -> bool:
        """Whether the figure misses its limit."""
        return self.limit is not None and not self.value <= self.limit


def report(title: str, figures: Sequence[Figure]) -> int:
    """Print the table; the exit code: 1 when a limit is missed."""
    table = Table(title=f"{title}\n{machine()}", title_justify="left")
    for heading in ("figure", "value", "limit", ""):
        table.add_column(heading, justify="right" if heading in ("value", "limit") else "left")
    table.add_column("note", overflow="fold")
    for figure in figures:
        limit = "" if figure.limit is None else f"{figure.limit:g} {figure.unit}"
        verdict = "" if figure.limit is None else "[red]over[/red]" if figure.over else "[green]ok[/green]"
        table.add_row(figure.name, f"{figure.value:.3g} {figure.unit}", limit, verdict, figure.note)
    Console(width=None if sys.stdout.isatty() else 130).print(table)
    return int(any(figure.over for figure in figures))


def machine() -> str:
    """What the figures were measured on, and how busy it was besides."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load of the last minute {load:.1f}"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that the database's account can enter, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="devteam-benchmark-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    """The embedded server with the product's own settings, on a fresh data folder."""
    with DataFolder.open(folder / "data") as data, EmbeddedPostgres(data, follow_parent=True) as server:
        yield server


def migrated(url: str, *, pool_size: int = 10) -> Database:
    """A database with the product's tables."""
    database = Database(url, pool_size=pool_size, application_name="devteam-benchmark")
    migrate(database)
    return database


def add_customers(
    database: Database, count: int, *, repository: str, gates: Sequence[Any] = ()
) -> list[tuple[UUID, UUID]]:
    """Customers with a project each, made by the real use cases: (customer, project)."""
    customers = CustomerService(database, utc_now)
    projects = ProjectService(database, utc_now, lambda url, branch: RepositoryHead(url, branch or "main", "0" * 40))
    made = []
    for number in range(count):
        customer = customers.create(
            ENGINE, CustomerInput(name=f"Customer {number}", priority_class=PriorityClass.STANDARD)
        )
        project = projects.create(
            ENGINE,
            customer.id,
            ProjectInput(
                name="project",
                repository=repository.format(number=number),
                base_branch="main",
                delivery_mode=DeliveryMode.FAST_FORWARD,
                gates=list(gates),
                monitoring_window_seconds=0,
            ),
        )
        made.append((customer.id, project.id))
    return made


class Child:
    """A process of this benchmark that is told what to do by lines of JSON and answers by such lines."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **order: Any) -> dict[str, Any]:
        """Send an order and wait for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line from the process."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the benchmark ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def end(self) -> None:
        """Let it end by closing its input; insist after a while."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def obey(act: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The other end of `Child`: carry out orders until the input ends."""
    for line in sys.stdin:
        print(json.dumps(act(json.loads(line))), flush=True)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process and its living descendants have used, dead descendants included."""
    total = 0.0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
