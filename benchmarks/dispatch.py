"""How long the dispatcher takes to decide, and how fair its decisions are.

The decision is what `Dispatcher.turn` does to choose a customer, on the real tables with every customer runnable:
read the candidates, read the weights with the leader's row locked, choose, store the weights. The limit is on that;
the commit, which waits for the disk, is printed beside it.

Fairness is counted over every window of 100 decisions in a row with one slot and all queues full: how far a
customer's count is from its weight's share, at worst.
"""

import argparse
import logging
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from uuid import UUID

from benchmarks.common import Figure, median, migrated, percentile, postgres, report, temporary_folder
from benchmarks.many_customers import fill
from devteam.customers.model import WEIGHTS, PriorityClass
from devteam.kit.clock import utc_now
from devteam.kit.db import Connection, Database
from devteam.kit.ids import new_id
from devteam.kit.log import configure_logging
from devteam.workers import repository as workers
from devteam.workflows.dispatch import Candidate, Weights, choose, read_candidates

LIMIT_MS = 5.0
WINDOW = 100


def lead(database: Database) -> UUID:
    """A worker that holds the leader's lease for long enough."""
    worker_id = new_id()
    with database.transaction() as connection:
        workers.join(
            connection,
            worker_id=worker_id,
            host="benchmark",
            pid=1,
            process_started="1",
            slots=1,
            isolation="none",
            lease=3600,
            now=utc_now(),
        )
        workers.lead(connection, worker_id, lease=3600)
    return worker_id


def decide(connection: Connection, weights: Weights, leader: UUID) -> int:
    """One decision; how many customers there were to choose from."""
    candidates = read_candidates(connection)
    current = weights.read(connection, leader)
    assert current is not None
    if choose(candidates, current) is None:
        raise RuntimeError("nobody could run")
    weights.store(connection, leader, current)
    return len(candidates)


def measure(database: Database, leader: UUID, decisions: int) -> tuple[list[float], list[float], int]:
    """Milliseconds per decision, without and with the commit, and the number of candidates."""
    decided, committed, seen = [], [], 0
    weights = Weights()
    for _ in range(decisions):
        begun = time.perf_counter()
        with database.transaction() as connection:
            seen = decide(connection, weights, leader)
            decided.append(1000 * (time.perf_counter() - begun))
        committed.append(1000 * (time.perf_counter() - begun))
    return decided, committed, seen


def worst_deviation(classes: Sequence[PriorityClass], decisions: int = 5000) -> float:
    """The largest distance of a customer's count from its share, over all windows."""
    candidates = [Candidate(f"{n:036}", WEIGHTS[each]) for n, each in enumerate(classes, start=1)]
    total = sum(candidate.weight for candidate in candidates)
    current: dict[str, float] = {}
    window: deque[str] = deque(maxlen=WINDOW)
    counts: Counter[str] = Counter()
    worst = 0.0
    for _ in range(decisions):
        if len(window) == WINDOW:
            counts[window[0]] -= 1
        chosen = choose(candidates, current)
        assert chosen is not None
        window.append(chosen.customer)
        counts[chosen.customer] += 1
        if len(window) == WINDOW:
            off = (abs(counts[each.customer] - WINDOW * each.weight / total) for each in candidates)
            worst = max(worst, *off)
    return worst


def run(*, customers: int, decisions: int) -> int:
    """Measure and report."""
    with temporary_folder() as folder, postgres(folder) as server:
        database = migrated(server.url)
        fill(database, customers=customers, tasks=10)
        leader = lead(database)
        measure(database, leader, 10)  # warm up
        decided, committed, seen = measure(database, leader, decisions)
        database.dispose()
    one_each = list(PriorityClass)
    fair = [
        Figure("fairness, three customers, one of each class", worst_deviation(one_each), "off", 1.0),
        Figure("fairness, 12 customers, four of each class", worst_deviation(one_each * 4), "off", 2.0),
        Figure("fairness, 60 customers, 20 of each class", worst_deviation(one_each * 20), "off", 2.0),
    ]
    lines = [
        Figure(f"decision among {seen} customers, median", median(decided), "ms", LIMIT_MS),
        Figure("decision, p99", percentile(decided, 0.99), "ms"),
        Figure("decision and commit, median", median(committed), "ms"),
        *fair,
    ]
    return report(f"Dispatch ({decisions} decisions)", lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--decisions", type=int, default=300)
    given = parser.parse_args()
    configure_logging("benchmark", level=logging.WARNING)
    return run(customers=given.customers, decisions=given.decisions)


if __name__ == "__main__":
    sys.exit(main())
