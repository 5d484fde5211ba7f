"""How long it takes from an abort until nothing of an agent is left.

The agent ignores signals and the protocol's cancel, and so do the grandchildren that it has put into sessions of their
own. After each abort every process of the machine is looked at: one that still belongs to the attempt is an orphan.
"""

import argparse
import sys
import time

from benchmarks.common import Figure, median, percentile, report, temporary_folder
from tests.integration.agent_world import AgentWorld

ABORT_LIMIT = 2.0


def run(*, aborts: int) -> int:
    """Measure and report."""
    seconds: list[float] = []
    orphans = 0
    fewest = 1 << 30
    with temporary_folder() as folder:
        world = AgentWorld(folder)
        for _ in range(aborts):
            attempt = world.start("stubborn")
            attempt.wait_for("plan")
            fewest = min(fewest, len(attempt.marked()))
            control = attempt.control
            began = time.monotonic()
            control.terminate()
            attempt.end()
            seconds.append(time.monotonic() - began)
            orphans += len(attempt.marked())
        kind = world.enclosure.report().kind
    return report(
        "From an abort to nothing left",
        [
            Figure("p50", median(seconds), "s", None, f"{aborts} aborts, fence: {kind}"),
            Figure("p99", percentile(seconds, 0.99), "s", ABORT_LIMIT, f"worst {max(seconds):.2f} s"),
            Figure("orphans", orphans, "processes", 0, f"at least {fewest} processes were aborted each time"),
        ],
    )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aborts", type=int, default=50)
    return run(aborts=parser.parse_args().aborts)


if __name__ == "__main__":
    sys.exit(main())
