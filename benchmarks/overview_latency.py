"""How long the overview takes with a thousand customers and a hundred thousand tasks, and one customer's page.

The real web process answers over a kept connection to one client in another process, one request after the other,
time from the request to the last byte of the body. Half of the tasks are done and have an attempt each.
"""

import argparse
import logging
import sys
import time
from collections.abc import Sequence

from benchmarks.common import Figure, median, migrated, percentile, postgres, report, temporary_folder
from benchmarks.many_customers import fill
from benchmarks.web_process import WebProcess, web_process
from devteam.kit.log import configure_logging

LIMIT_MS = 100.0


def ask(web: WebProcess, paths: Sequence[str]) -> tuple[list[float], int]:
    """Milliseconds of each request, and the size of the last body in bytes."""
    connection = web.connect()
    taken, size = [], 0
    for path in paths:
        begun = time.perf_counter()
        size = len(web.get(connection, path))
        taken.append(1000 * (time.perf_counter() - begun))
    connection.close()
    return taken, size


def run(*, customers: int, tasks: int, requests: int) -> int:
    """Measure and report."""
    with temporary_folder() as folder, postgres(folder) as server:
        database = migrated(server.url)
        ids = fill(database, customers=customers, tasks=tasks)
        with web_process(database, folder) as web:
            overview = ["/api/devteam/executions"] * requests
            pages = [f"/api/devteam/customers/{ids[(7919 * n) % len(ids)]}" for n in range(requests)]
            ask(web, overview[:10] + pages[:10])  # warm up
            whole, whole_size = ask(web, overview)
            page, page_size = ask(web, pages)
        database.dispose()
    return report(
        f"Overview with {customers} customers and {customers * tasks} tasks ({requests} requests each)",
        [
            Figure("overview, median", median(whole), "ms", note=f"{whole_size / 1000:.0f} kB"),
            Figure("overview, p99", percentile(whole, 0.99), "ms", LIMIT_MS),
            Figure("customer's page, median", median(page), "ms", note=f"{page_size / 1000:.0f} kB, {tasks} tasks"),
            Figure("customer's page, p99", percentile(page, 0.99), "ms", LIMIT_MS),
        ],
    )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=100, help="of each customer")
    parser.add_argument("--requests", type=int, default=200)
    given = parser.parse_args()
    configure_logging("benchmark", level=logging.WARNING)
    return run(customers=given.customers, tasks=given.tasks, requests=given.requests)


if __name__ == "__main__":
    sys.exit(main())
