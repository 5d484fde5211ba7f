"""An agent that floods a gigabyte of output, and one that leaves a large file: what the worker and the store keep.

Both work through the whole engine. The file is of random bytes, so that nothing can make it small. The flood's work is
delivered; the file is more than the secret scan looks through, which says so, round after round.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import Figure, postgres, report, temporary_folder
from benchmarks.side_by_side import Memory
from devteam.kit.db import Database
from devteam.migrations.run import migrate
from devteam.workflows.output import LIMIT
from tests.engine.world import Engine, engine
from tests.integration.agent_world import AGENT

GROWN_LIMIT_MB = 200.0
STORED_LIMIT_MB = 21.0


def agent_program(folder: Path) -> Path:
    """The misbehaving agent, executable inside the fence."""
    program = folder / "agent"
    program.write_text(f"#!{sys.executable} -IS\n{AGENT.read_text(encoding='utf-8')}", encoding="utf-8")
    program.chmod(0o755)
    return program


def figures(made: Engine, worker: int, *, flood_mb: int, file_mb: int) -> Iterator[Figure]:
    """The table's lines."""
    program = str(agent_program(made.folder))
    for behaviour, size, name in (("flood_and_work", flood_mb, "output"), ("large_file", file_mb, "file")):
        case = made.customer(executor="acp", agent_command=[program, behaviour, str(size)])
        task = case.task("", "Do it")
        before, began = Memory(worker), time.monotonic()
        time.sleep(0.3)
        at_rest, memory = before.end(), Memory(worker)
        case.start()
        case.settled(timeout=1200)
        attempt, most = case.attempt(task), memory.end()
        title = f"{size} MB of {name}"
        ending = "delivered" if attempt.reason is None else attempt.reason.text
        yield Figure(f"{title}: attempts without an end", int(attempt.outcome is None), "", 0, ending)
        note = f"{time.monotonic() - began:.1f} s in all; {most:.0f} MB at most"
        yield Figure(f"{title}: the worker grew by", max(0.0, most - at_rest), "MB", GROWN_LIMIT_MB, note)
        length = "SELECT coalesce(sum(length(text)), 0) FROM attempt_output WHERE attempt_id = :id"
        stored = int(made.scalar(length, id=attempt.id)) / 1e6
        yield Figure(f"{title}: output stored", stored, "MB", STORED_LIMIT_MB, f"{LIMIT / 1e6:.0f} MB and a note")


def run(*, flood_mb: int, file_mb: int) -> int:
    """Measure and report."""
    with temporary_folder() as folder, postgres(folder) as server:
        database = Database(server.url)
        migrate(database)
        database.dispose()
        own = folder / "engine"
        own.mkdir()
        with engine(server.url, own) as made:
            worker = made.worker(slots=1)
            lines = list(figures(made, worker.pid, flood_mb=flood_mb, file_mb=file_mb))
    return report("Agents that send and leave too much", lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flood-mb", type=int, default=1000)
    parser.add_argument("--file-mb", type=int, default=500)
    given = parser.parse_args()
    return run(flood_mb=given.flood_mb, file_mb=given.file_mb)


if __name__ == "__main__":
    sys.exit(main())
