"""What `devteam up` takes while nothing happens, and how long it takes to start.

Memory is the proportional set size (what is shared between processes counts once, in shares) of the supervisor, the
web process, the worker and all of PostgreSQL. CPU is what the same processes use over a while, after a while of rest.
The start is timed from the command to the page's first answer: the first one makes the database, the second finds it.
"""

import argparse
import sys
import time
from collections.abc import Sequence

import psutil

from benchmarks.common import Figure, median, report, temporary_folder
from benchmarks.running_engine import running_engine

MEMORY_LIMIT_MB = 400.0
CPU_LIMIT = 3.0
START_LIMIT = 3.0


def kind(process: psutil.Process) -> str:
    """Which part of the product a process is."""
    words = process.cmdline()
    if process.name() == "postgres":
        return "PostgreSQL"
    return words[-1] if words[-1:] in (["web"], ["worker"]) else "supervisor"


def memory(processes: Sequence[psutil.Process]) -> dict[str, float]:
    """Megabytes by part."""
    parts: dict[str, float] = {}
    for process in processes:
        parts[kind(process)] = parts.get(kind(process), 0.0) + process.memory_full_info().pss / 1e6
    return parts


def cpu(processes: Sequence[psutil.Process]) -> dict[str, float]:
    """Seconds by part."""
    parts: dict[str, float] = {}
    for process in processes:
        times = process.cpu_times()
        used = times.user + times.system + times.children_user + times.children_system
        parts[kind(process)] = parts.get(kind(process), 0.0) + used
    return parts


def run(*, rest: float, seconds: float, starts: int) -> int:
    """Measure and report."""
    later: list[float] = []
    with temporary_folder() as folder:
        data = folder / "data"
        with running_engine(data) as engine:
            first = engine.seconds
        for _ in range(starts - 1):
            with running_engine(data) as engine:
                later.append(engine.seconds)
        with running_engine(data) as engine:
            later.append(engine.seconds)
            time.sleep(rest)
            before = cpu(engine.processes())
            time.sleep(seconds)
            after = cpu(engine.processes())
            held = memory(engine.processes())
    used = {part: 100 * (after[part] - before.get(part, 0.0)) / seconds for part in after}
    return report(
        "The idle engine, and its start",
        [
            Figure("memory (PSS)", sum(held.values()), "MB", MEMORY_LIMIT_MB, _parts(held, "MB")),
            Figure(f"CPU over {seconds:.0f} s", sum(used.values()), "% of a core", CPU_LIMIT, _parts(used, "%")),
            Figure("first start to ready", first, "s", None, "makes the database"),
            Figure("later start to ready, median", median(later), "s", START_LIMIT, f"worst {max(later):.1f} s"),
        ],
    )


def _parts(values: dict[str, float], unit: str) -> str:
    return ", ".join(f"{part} {value:.3g} {unit}" for part, value in sorted(values.items()))


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rest", type=float, default=10, help="seconds before the measurement")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--starts", type=int, default=3, help="later starts")
    given = parser.parse_args()
    return run(rest=given.rest, seconds=given.seconds, starts=given.starts)


if __name__ == "__main__":
    sys.exit(main())
