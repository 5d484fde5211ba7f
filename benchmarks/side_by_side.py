"""Twenty attempts of the built-in agent at once: fence, gateway, gates and delivery, with a model that answers at once.

Each attempt reads a file, edits it, runs a command and is sent back once by a gate. An error is an attempt that did not
succeed, or a process that was left.
"""

import argparse
import json
import shutil
import sys
import threading
import time
from pathlib import Path

import psutil

from benchmarks.common import Figure, median, postgres, report, temporary_folder
from devteam.access.model import ENGINE
from devteam.adapters.secret_box import SecretBox
from devteam.kit.clock import utc_now
from devteam.kit.db import Database
from devteam.migrations.run import migrate
from devteam.providers.schemas import PriceInput, ProviderInput
from devteam.providers.service import ProviderService
from tests.engine.world import Engine, engine, gate
from tests.peers.model_server import ModelServer, Seen, Step, call, say

MODEL = "scripted"
_FEEDBACK = "DevTeam checked your work"


def script(seen: Seen) -> Step:
    """What the model says, told from the conversation alone."""
    results = len(seen.results())
    if _FEEDBACK not in json.dumps(seen.messages):
        return call("read_file", path="a.txt") if results == 0 else say("Done, I believe.")
    steps = [call("edit_file", path="a.txt", old_text="one", new_text="two"), call("shell", command="cat a.txt")]
    return steps[results - 1] if results <= len(steps) else say("Now it says two.")


def offer(made: Engine, server: ModelServer) -> None:
    """The scripted model as the only one."""
    providers = ProviderService(made.database, utc_now, SecretBox(made.data / "run" / "secret.key"))
    wanted = {"name": "peer", "kind": "openai", "base_url": server.openai_url, "secret": "sk-of-the-peer-123"}
    providers.add(ENGINE, ProviderInput.model_validate({**wanted, "models": [MODEL]}))
    providers.set_price(ENGINE, PriceInput(model=MODEL, input_usd=3, cached_usd=0.3, output_usd=15))


class Memory:
    """The most memory that a process tree had, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self.most = 0
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            try:
                self.most = max(self.most, self._process.memory_info().rss)
            except psutil.NoSuchProcess:
                return

    def end(self) -> float:
        """Megabytes."""
        self._over.set()
        self._thread.join()
        return self.most / 1e6


def run(*, attempts: int) -> int:
    """Measure and report."""
    with temporary_folder() as folder, postgres(folder) as server, ModelServer(script) as model:
        database = Database(server.url)
        migrate(database)
        database.dispose()
        own = folder / "engine"
        own.mkdir()
        with engine(server.url, own) as made:
            worker = made.worker(slots=attempts)
            offer(made, model)
            lines = _measure(made, worker.pid, attempts)
    return report(f"{attempts} agents side by side", lines)


def _measure(made: Engine, worker: int, attempts: int) -> list[Figure]:
    gates = [gate("grep -q two a.txt", name="says two")]
    cases = [made.customer(executor="native", model=MODEL, gates=gates, budget_usd=1.0) for _ in range(attempts)]
    tasks = [case.task("", "Say two", description="The file a.txt says one.") for case in cases]
    memory, began = Memory(worker), time.monotonic()
    for case in cases:
        case.start()
    for case in cases:
        case.settled(timeout=600)
    elapsed, found = time.monotonic() - began, [case.attempt(task) for case, task in zip(cases, tasks, strict=True)]
    failed = [attempt for attempt in found if attempt.outcome != "succeeded" or attempt.round != 2]
    for attempt in failed:
        print(f"{attempt.outcome} in round {attempt.round}: {attempt.reason}")
    taken = [(a.finished_at - a.started_at).total_seconds() for a in found if a.finished_at is not None]
    left = [process for case in cases for process in case.processes()]
    for case in cases:
        shutil.rmtree(Path(case.folder))
    return [
        Figure("attempts that failed", len(failed), "of them", 0),
        Figure("processes left", len(left), "processes", 0),
        Figure("all of them", elapsed, "s", None, f"one: median {median(taken):.1f} s, two rounds each"),
        Figure("memory of the worker at most", memory.end(), "MB", None, "its gateway included"),
    ]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attempts", type=int, default=20)
    return run(attempts=parser.parse_args().attempts)


if __name__ == "__main__":
    sys.exit(main())
