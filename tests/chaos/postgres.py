"""An engine on a database server of its own that may be killed, and the storm of kills that it must survive."""

import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from devteam.adapters.postgres import DataFolder, EmbeddedPostgres
from devteam.executions.schemas import CustomerSnapshot
from devteam.kit.db import Database
from devteam.migrations.run import migrate
from tests.engine.world import Case, Engine, engine, eventually, gate


@dataclass
class Storm:
    """An engine whose database server can be killed."""

    engine: Engine
    server: EmbeddedPostgres

    def kill(self) -> None:
        """kill -9 of the server's first process; the others end by themselves."""
        pid = self.server.pid
        assert pid is not None
        psutil.Process(pid).send_signal(signal.SIGKILL)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While the block lasts, a killed server is started again at once."""
        until = threading.Event()
        watcher = threading.Thread(target=self.server.watch, args=(until,), kwargs={"interval": 0.2})
        watcher.start()
        try:
            yield
        finally:
            until.set()
            watcher.join()


@contextmanager
def storm() -> Iterator[Storm]:
    """A server, and an engine without a worker on it."""
    folder = Path(tempfile.mkdtemp(prefix="devteam-storm-"))
    folder.chmod(0o711)
    try:
        with DataFolder.open(folder / "pg") as data, EmbeddedPostgres(data, settings={"fsync": "off"}) as server:
            database = Database(server.url)
            migrate(database)
            database.dispose()
            with engine(server.url, folder) as made:
                yield Storm(made, server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def kill_often(storm: Storm, *, times: int, customers: int, tasks: int, chance: random.Random) -> list[str]:
    """Kill the server again and again while work goes on; what is stranded 30 s after the last time it is back."""
    cases = [_queue(storm.engine, tasks) for _ in range(customers)]
    with storm.watched():
        for _ in range(times):
            time.sleep(chance.uniform(0.2, 1.5))
            killed = storm.server.pid
            storm.kill()
            eventually(partial(_is_back, storm, killed), what="the server is back")
            eventually(lambda: storm.engine.scalar("SELECT 1"), what="the server answers")
        back = time.monotonic()
        progress = [_progress(case) for case in cases]
        while time.monotonic() - back < 30:
            if all(_is_settled(case.snapshot()) for case in cases):
                break
            time.sleep(0.2)
        return [problem for case, before in zip(cases, progress, strict=True) for problem in _problems(case, before)]


def _is_back(storm: Storm, killed: int | None) -> bool:
    return storm.server.pid not in (None, killed)


def _queue(made: Engine, tasks: int) -> Case:
    case = made.customer(gates=[gate("test -e README.md")])
    for number in range(tasks):
        case.task(
            f"sleep 0.2; echo {number} > file{number}; echo {number} >> {case.folder}/ran", title=f"Task {number}"
        )
    case.start()
    return case


def _is_settled(seen: CustomerSnapshot) -> bool:
    done = seen.execution is not None and seen.execution.status == "completed"
    return done and all(attempt.monitoring != "watching" for attempt in seen.attempts)


def _progress(case: Case) -> tuple[int, int]:
    return case.engine.scalar("SELECT version FROM stream_heads WHERE stream = :c", c=case.customer_id), 0


def _problems(case: Case, before: tuple[int, int]) -> list[str]:
    """What went wrong with a customer's queue. One that is still being worked through is not stranded."""
    seen = case.snapshot()
    found = [f"{task.title} is {task.status}: {task.status_reason}" for task in seen.tasks if _is_wrong(task.status)]
    if not _is_settled(seen) and _progress(case) == before:
        found.append(f"nothing happened for 30 s: {seen.customer.model_dump_json()}")
    for attempt in seen.attempts:
        commits = case.deliveries(attempt, "main")
        if len(commits) > 1:
            found.append(f"{attempt.task_title} was delivered {len(commits)} times")
        if attempt.outcome == "succeeded" and len(commits) != 1:
            found.append(f"{attempt.task_title} was not delivered")
    return found


def _is_wrong(status: str) -> bool:
    return status in ("failed", "blocked", "cancelled", "skipped")
