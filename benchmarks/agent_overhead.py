"""What the engine adds to an agent's work: everything that an attempt takes but the agent and the gates themselves.

A worker does tasks one after the other, in the fence, with an agent that adds a line at once and a gate that is `true`:
fetch of the mirror, worktree, gate on the base, the agent's fence, snapshot, diff, a clean tree for the gates, their
fences, push, clean-up, and every record of it. The agent's and the gate's own moments count too, so the figures are
upper bounds. Work is handed over as a branch, or merged at once: then the base moves, and gates run on each new one
twice more, before the next attempt and after the merge. The first attempt fills the mirror and stands apart.

The repositories are made by `git fast-import` of random files, the same ones each time: 50 MB with a short history, and
200 MB whose history holds 2 GB.
"""

import argparse
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.common import Figure, median, postgres, report, temporary_folder
from devteam.kit.db import Database
from devteam.migrations.run import migrate
from tests.engine.world import Case, Engine, engine, gate
from tests.integration.agent_world import AGENT

FILE_BYTES = 50_000
_WHEN = 1_750_000_000
_COMMITTER = b"Benchmark <benchmark@localhost>"


@dataclass(frozen=True)
class Size:
    """A repository: megabytes in its tree, how often all of it was rewritten, and what an attempt may take there."""

    name: str
    tree_mb: int
    versions: int
    limit: float

    @property
    def title(self) -> str:
        """For the table."""
        return f"{self.tree_mb} MB checked out, {self.tree_mb * self.versions} MB of history"


SIZES = (Size("tiny", 1, 1, 2.0), Size("small", 50, 1, 2.0), Size("large", 200, 10, 5.0))


def fill(repository: Path, size: Size) -> None:
    """Put the size's commits on `main` of a bare repository, in place of what is there."""
    command = ["git", "-c", "core.compression=0", "-c", "core.bigFileThreshold=1", "fast-import", "--force", "--quiet"]
    with subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE) as importing:
        assert importing.stdin is not None
        _write(importing.stdin, size)
    if importing.returncode != 0:
        raise RuntimeError("the repository could not be made")


def _write(stream: IO[bytes], size: Size) -> None:
    source = random.Random(size.name)  # noqa: S311 - the same bytes each time are what is wanted
    files = size.tree_mb * 1_000_000 // FILE_BYTES
    for version in range(size.versions):
        stream.write(b"commit refs/heads/main\ncommitter %s %d +0000\ndata 6\nChange\n" % (_COMMITTER, _WHEN + version))
        for number in range(files):
            stream.write(b"M 644 inline src/%03d/%05d.bin\ndata %d\n" % (number // 100, number, FILE_BYTES))
            stream.write(source.randbytes(FILE_BYTES) + b"\n")
        stream.write(b"M 644 inline a.txt\ndata 4\none\n\n\n")


def agent_program(folder: Path) -> Path:
    """The agent that appends a line and is done, executable inside the fence."""
    program = folder / "agent"
    program.write_text(f"#!{sys.executable} -IS\n{AGENT.read_text(encoding='utf-8')}", encoding="utf-8")
    program.chmod(0o755)
    return program


def work(made: Engine, size: Size, delivery: str, attempts: int) -> tuple[float, list[float]]:
    """Seconds of the first attempt, and from its end to the end of all, per attempt."""
    command = [str(agent_program(made.folder)), "appends"]
    case = made.customer(executor="acp", agent_command=command, gates=[gate("true")], delivery_mode=delivery)
    fill(case.repository.bare, size)
    first = _run(case, 1)[0]
    taken = _run(case, attempts)
    shutil.rmtree(case.folder)
    return first, taken


def _run(case: Case, count: int) -> list[float]:
    """Seconds from the start of the execution to the next attempt's end, and so on."""
    tasks = [case.task("", f"Change {number}") for number in range(count)]
    began = time.time()
    case.start()
    case.settled(timeout=600)
    ends = sorted(attempt.finished_at.timestamp() for attempt in map(case.attempt, tasks) if attempt.finished_at)
    failed = [attempt.reason for attempt in map(case.attempt, tasks) if attempt.outcome != "succeeded"]
    if failed:
        raise RuntimeError(f"attempts failed: {failed}")
    return [end - start for start, end in zip([began, *ends], ends, strict=False)]


def figures(made: Engine, sizes: list[Size], attempts: int) -> Iterator[Figure]:
    """The table's lines."""
    for size in sizes:
        for delivery, words in (("branch", "as a branch"), ("fast_forward", "merged")):
            first, taken = work(made, size, delivery, attempts)
            note = f"median of {attempts}, worst {max(taken):.2f} s; the first one filled the mirror in {first:.1f} s"
            yield Figure(f"attempt {words}: {size.title}", median(taken), "s", size.limit, note)


def run(*, names: list[str], attempts: int) -> int:
    """Measure and report."""
    sizes = [size for size in SIZES if size.name in names]
    with temporary_folder() as folder, postgres(folder) as server:
        database = Database(server.url)
        migrate(database)
        database.dispose()
        own = folder / "engine"
        own.mkdir()
        with engine(server.url, own) as made:
            made.worker(slots=1)
            lines = list(figures(made, sizes, attempts))
    return report("What the engine adds to an agent's work", lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=[size.name for size in SIZES], default=["small", "large"])
    parser.add_argument("--attempts", type=int, default=5)
    given = parser.parse_args()
    return run(names=given.sizes, attempts=given.attempts)


if __name__ == "__main__":
    sys.exit(main())
