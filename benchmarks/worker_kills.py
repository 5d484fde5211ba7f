"""Kill the worker again and again while attempts run, and count what outlives it.

    python -m benchmarks.worker_kills [--times 100] [--customers 3]

Each attempt's command has put grandchildren into sessions of their own, and all of them ignore signals that can be
ignored. After each kill -9 every process that carried an attempt's mark is looked for until it is gone: one that still
lives after twice the limit is an orphan. The next worker takes the same attempts up, or the next ones once the engine
gives up an attempt that lost its worker twenty times.
"""

import argparse
import sys
import time

import psutil

from benchmarks.common import Figure, median, percentile, report
from devteam.executions.lifecycle import MAX_RUNS_IN_PHASE
from tests.chaos.postgres import storm
from tests.engine.world import Case, Engine, WorkerProcess

LIMIT_SECONDS = 2.0
PATIENCE = 90.0
FEWEST = 4
SCRIPT = """trap '' TERM HUP INT
for n in 1 2; do setsid sh -c 'trap "" TERM HUP INT; while :; do sleep 600; done' & done
while :; do sleep 600; done"""


def main() -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--customers", type=int, default=3)
    wanted = parser.parse_args()
    seconds, orphans, fewest = [], 0, 1 << 30
    with storm() as made:
        cases = [_working(made.engine, wanted.times // MAX_RUNS_IN_PHASE + 2) for _ in range(wanted.customers)]
        for number in range(wanted.times):
            worker = made.engine.worker(slots=wanted.customers)
            seen = _await_work(cases)
            fewest = min(fewest, len(seen))
            taken, left = _kill(worker, seen)
            seconds.append(taken)
            orphans += len(left)
            print(f"\r{number + 1} of {wanted.times}", end="", file=sys.stderr)
    note = f"at least {fewest} processes of {wanted.customers} attempts each time"
    return report(
        f"{wanted.times} kills of a worker",
        [
            Figure("orphans", orphans, "processes", 0, note),
            Figure("kill to nothing left, p50", median(seconds), "s"),
            Figure("p99", percentile(seconds, 0.99), "s", LIMIT_SECONDS, f"worst {max(seconds):.2f} s"),
        ],
    )


def _working(engine: Engine, tasks: int) -> Case:
    case = engine.customer()
    for _ in range(tasks):
        case.task(SCRIPT, time_limit=7200)
    case.start()
    return case


def _await_work(cases: list[Case]) -> list[psutil.Process]:
    """All processes of all attempts, when each attempt's command has started what it starts."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        trees = [case.processes() for case in cases]
        if all(sum(_is_sleeper(process) for process in tree) >= FEWEST - 1 for tree in trees):
            return [process for tree in trees for process in tree]
        time.sleep(0.05)
    raise RuntimeError("the attempts were not taken up again")


def _is_sleeper(process: psutil.Process) -> bool:
    try:
        return process.name() == "sleep"
    except psutil.Error:
        return False


def _kill(worker: WorkerProcess, seen: list[psutil.Process]) -> tuple[float, list[psutil.Process]]:
    """How long it took until nothing was left, and what was left at the limit."""
    began = worker.kill()
    left = seen
    while left and time.monotonic() - began < 2 * LIMIT_SECONDS:
        left = [process for process in left if _lives(process)]
        time.sleep(0.01)
    return time.monotonic() - began, left


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    sys.exit(main())
