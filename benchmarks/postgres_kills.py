"""Kill the database server again and again under working attempts, and count what is stranded afterwards.

    python -m benchmarks.postgres_kills [--times 30] [--seed 1]

Goal: nothing is stranded 30 s after the server is back for the last time, and no delivery is made twice.
"""

import argparse
import random
import sys
import time

from benchmarks.common import Figure, report
from tests.chaos.postgres import kill_often, storm


def main() -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    began = time.monotonic()
    with storm() as made:
        made.engine.worker(slots=4)
        chance = random.Random(wanted.seed)  # noqa: S311 - a schedule that can be repeated
        problems = kill_often(made, times=wanted.times, customers=4, tasks=wanted.times, chance=chance)
        done = made.engine.scalar("SELECT count(*) FROM tasks WHERE status = 'completed'")
        runs = made.engine.scalar("SELECT coalesce(sum(run - 1), 0) FROM attempts WHERE monitoring IS NULL")
    for problem in problems:
        print(problem)
    note = f"{done} tasks completed in {time.monotonic() - began:.0f} s, {runs} runs begun again"
    return report(
        f"{wanted.times} kills of the database server", [Figure("stranded or wrong", len(problems), "", 0.0, note)]
    )


if __name__ == "__main__":
    sys.exit(main())
