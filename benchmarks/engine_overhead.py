"""What the engine's own bookkeeping costs per attempt, beside raw DBOS and beside the bare SQL.

Three contenders, each in a process of its own on one embedded PostgreSQL, take turns for several rounds:

- `ours`: the real worker with dispatcher, leases, events, cards, gate results and monitoring. Executor, gate
  runner, workspaces and deliveries do nothing, and do it at once. Every attempt has one gate and goes through
  planning, execution, quality assurance, delivery and monitoring.
- `dbos`: what the attempt asks of DBOS and nothing else: a workflow of five steps, then one without a step, with
  the product's own DBOS settings, started from one thread with as many in flight as the worker has slots.
- `sql`: the attempt's state changes as bare transactions on the same tables, prepared by psycopg, from as many
  threads as there are slots: nine transactions of four to eight statements.

All three work off the same number of attempts at the same concurrency, and every figure is elapsed time per
attempt: with a dozen customers whose queues are equally long there is always enough to do, so this is the time
that the machine is kept busy by one attempt, not the latency of one (which holds waiting for wake-ups and fsync). CPU
time per attempt, of the process and of PostgreSQL together, stands beside it because elapsed time on a busy
machine also shows the neighbours. The ratios are medians of the rounds' ratios, whose turns are next to each other.
"""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url

from benchmarks.common import Child, Figure, cpu_seconds, median, obey, postgres, report, temporary_folder
from benchmarks.engine_contenders import SLOTS, BareSql, Ours, RawDbos
from devteam.kit.db import psycopg_conninfo
from devteam.kit.log import configure_logging

LIMIT = 2.5
NAMES = ("ours", "dbos", "sql")


def contend(name: str, url: str, folder: Path) -> None:
    """Be one contender."""
    contender = (
        RawDbos(url) if name == "dbos" else BareSql(url) if name == "sql" else Ours(url, folder, real=name == "git")
    )

    def act(order: dict[str, Any]) -> dict[str, Any]:
        if "prepare" in order:
            contender.prepare(order["prepare"])
            return {}
        used = time.process_time()
        return {"seconds": contender.go(), "cpu": time.process_time() - used}

    print("{}", flush=True)
    obey(act)
    contender.end()


class Contest:
    """All contenders on one server."""

    def __init__(self, folder: Path, url: str, server: int, names: Sequence[str]) -> None:
        self._server = server
        self._open = ExitStack()
        with self._open as opening:
            self._children = {name: self._child(opening, folder, url, name) for name in names}
            for child in self._children.values():
                child.answer()
            self._open = opening.pop_all()

    def _child(self, opening: ExitStack, folder: Path, url: str, name: str) -> Child:
        with psycopg.connect(psycopg_conninfo(url), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE bench_{name}")
        own = make_url(url).set(database=f"bench_{name}").render_as_string(hide_password=False)
        work = folder / name
        work.mkdir(mode=0o755)
        child = Child("benchmarks.engine_overhead", "--contender", name, "--url", own, "--folder", str(work))
        opening.callback(child.end)
        return child

    def measure(self, name: str, attempts: int) -> tuple[float, float]:
        """Milliseconds per attempt: elapsed, and CPU of the contender and the server."""
        child = self._children[name]
        child.ask(prepare=attempts)
        used = cpu_seconds(self._server)
        answer = child.ask()
        cpu = answer["cpu"] + cpu_seconds(self._server) - used
        return 1000 * answer["seconds"] / attempts, 1000 * cpu / attempts

    def end(self) -> None:
        """End all."""
        self._open.close()


def run(*, rounds: int, attempts: int, git_attempts: int) -> int:
    """Measure and report."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in (*NAMES, "git")}
    with temporary_folder() as folder, postgres(folder) as server:
        assert server.pid is not None
        contest = Contest(folder, server.url, server.pid, (*NAMES, "git"))
        try:
            for name in (*NAMES, "git"):
                contest.measure(name, SLOTS)  # warm up
            for _ in range(rounds):
                for name in NAMES:
                    taken[name].append(contest.measure(name, attempts))
            taken["git"].append(contest.measure("git", git_attempts))
        finally:
            contest.end()
    note = f"medians of {rounds} rounds of {attempts} attempts, {SLOTS} at once"
    return report(f"Engine overhead per attempt ({note})", figures(taken))


def figures(taken: dict[str, list[tuple[float, float]]]) -> list[Figure]:
    """The table's lines."""

    def ratio(name: str, peer: str, which: int) -> float:
        return median([a[which] / b[which] for a, b in zip(taken[name], taken[peer], strict=True)])

    def time_of(name: str, which: int) -> float:
        return median([values[which] for values in taken[name]])

    def line(name: str, label: str) -> Figure:
        return Figure(label, time_of(name, 0), "ms", note=f"{time_of(name, 1):.1f} ms of CPU")

    return [
        line("ours", "ours, ports that do nothing"),
        line("dbos", "raw DBOS, as many steps"),
        line("sql", "bare SQL transactions"),
        line("git", "ours, real git, small repository"),
        Figure("ours / raw DBOS", ratio("ours", "dbos", 0), "x", LIMIT, f"CPU: {ratio('ours', 'dbos', 1):.2f} x"),
        Figure("ours / bare SQL", ratio("ours", "sql", 0), "x", None, f"CPU: {ratio('ours', 'sql', 1):.2f} x"),
        Figure("raw DBOS / bare SQL", ratio("dbos", "sql", 0), "x", None, f"CPU: {ratio('dbos', 'sql', 1):.2f} x"),
    ]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--attempts", type=int, default=240, help="per round and contender")
    parser.add_argument("--git-attempts", type=int, default=48)
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    configure_logging("benchmark", level=logging.WARNING)
    if given.contender:
        contend(given.contender, given.url, given.folder)
        return 0
    return run(rounds=given.rounds, attempts=given.attempts, git_attempts=given.git_attempts)


if __name__ == "__main__":
    sys.exit(main())
