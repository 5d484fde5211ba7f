"""How soon work goes on after its worker was killed.

A real `devteam up` works at a task that only waits; again and again its worker process is killed with SIGKILL, no
sooner than a process counts as one that lives well (the supervisor starts one that dies again and again at its start
more and more slowly). The time runs from the kill to the begin of the attempt's next run as the database records it:
the supervisor has started a worker, which has taken the lead and the attempt. Beside it stands the time until the
command itself runs again in the workspace, which it says by a file.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.common import Figure, median, report, temporary_folder
from benchmarks.running_engine import RunningEngine, running_engine
from devteam.kit.db import psycopg_conninfo

LIMIT_SECONDS = 5.0
PATIENCE = 60.0


def make_repository(folder: Path) -> Path:
    """A bare repository with one commit."""
    source, origin = folder / "source", folder / "origin.git"
    git = ["git", "-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    subprocess.run([*git, "init", "-q", "-b", "main", str(source)], check=True)
    (source / "a.py").write_text("x\n")
    subprocess.run([*git, "-C", str(source), "add", "a.py"], check=True)
    subprocess.run([*git, "-C", str(source), "commit", "-q", "-m", "Begin"], check=True)
    subprocess.run([*git, "clone", "-q", "--bare", str(source), str(origin)], check=True)
    return origin


def start_work(engine: RunningEngine, origin: Path, sign: Path) -> None:
    """One customer with one task that says when it begins and then waits."""
    customer = engine.command("/customers", {"name": "Customer"})["id"]
    project = engine.command(f"/customers/{customer}/projects", {"name": "project", "repository": str(origin)})["id"]
    script = f"date +%s.%N >> {sign}\nsleep 3600"
    task = {"projectId": project, "title": "Wait", "command": {"script": script, "timeLimitSeconds": 7200}}
    engine.command(f"/customers/{customer}/tasks", task)
    engine.command("/executions", {"customerId": customer})


class Attempt:
    """The attempt as the database and its command show it."""

    def __init__(self, engine: RunningEngine, sign: Path) -> None:
        self._connection: psycopg.Connection[Any] = psycopg.connect(
            psycopg_conninfo(engine.database_url), autocommit=True
        )
        self._sign = sign

    def begins(self) -> list[float]:
        """When the command began, each time."""
        return [float(line) for line in self._sign.read_text().split()] if self._sign.exists() else []

    def run(self) -> int:
        """The number of its current run."""
        row = self._connection.execute("SELECT max(run) FROM attempts").fetchone()
        return 0 if row is None or row[0] is None else int(row[0])

    def await_begin(self, count: int) -> float:
        """When the command began for the given time."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            begins = self.begins()
            if len(begins) >= count:
                return begins[count - 1]
            time.sleep(0.02)
        raise RuntimeError("the work did not go on")

    def await_run_after(self, run: int) -> float:
        """When a later run began."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.run() > run:
                return time.time()
            time.sleep(0.02)
        raise RuntimeError("the attempt got no next run")

    def close(self) -> None:
        """Leave the database."""
        self._connection.close()


def kill(worker: psutil.Process) -> float:
    """SIGKILL; when."""
    at = time.time()
    worker.kill()
    return at


def run(*, kills: int, pause: float) -> int:
    """Measure and report."""
    runs: list[float] = []
    works: list[float] = []
    with temporary_folder() as folder:
        sign = folder / "begins"
        with running_engine(folder / "data") as engine:
            start_work(engine, make_repository(folder), sign)
            attempt = Attempt(engine, sign)
            attempt.await_begin(1)
            for number in range(kills):
                time.sleep(pause + number / kills)  # somewhere else between two heartbeats each time
                before = attempt.run()
                killed = kill(engine.worker())
                runs.append(attempt.await_run_after(before) - killed)
                works.append(attempt.await_begin(number + 2) - killed)
            attempt.close()
    return report(
        f"Recovery of a killed worker's attempt ({kills} kills)",
        [
            Figure("kill to the next run, median", median(runs), "s"),
            Figure("kill to the next run, worst", max(runs), "s"),
            Figure("kill to the command running again, median", median(works), "s"),
            Figure("kill to the command running again, worst", max(works), "s", LIMIT_SECONDS),
        ],
    )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--pause", type=float, default=11, help="seconds of work between kills, at least")
    given = parser.parse_args()
    return run(kills=given.kills, pause=given.pause)


if __name__ == "__main__":
    sys.exit(main())
