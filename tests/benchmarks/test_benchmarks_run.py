"""Every benchmark runs and prints its table, at a tiny size: nothing here is about time."""

import subprocess
import sys
from pathlib import Path

import pytest

SMALL = {
    "engine_overhead": ("--rounds", "1", "--attempts", "8", "--git-attempts", "2"),
    "dispatch": ("--customers", "20", "--decisions", "5"),
    "live_latency": ("--sockets", "4", "--rate", "20", "--seconds", "1", "--customers", "5"),
    "overview_latency": ("--customers", "20", "--tasks", "10", "--requests", "5"),
    "idle": ("--rest", "0", "--seconds", "1", "--starts", "1"),
    "recovery": ("--kills", "1", "--pause", "0"),
    "gateway": ("--calls", "5", "--streams", "5"),
    "abort": ("--aborts", "2"),
    "worker_kills": ("--times", "1", "--customers", "1"),
    "agent_overhead": ("--sizes", "tiny", "--attempts", "1"),
    "side_by_side": ("--attempts", "2"),
    "hostile_agent": ("--flood-mb", "1", "--file-mb", "1"),
}
HEADINGS = {
    "engine_overhead": ("ours / raw DBOS", "ours / bare SQL", "raw DBOS / bare SQL", "real git"),
    "dispatch": ("decision among 20 customers", "fairness"),
    "live_latency": ("commit to socket, p99", "never got"),
    "overview_latency": ("overview, p99", "customer's page, p99"),
    "idle": ("memory (PSS)", "CPU over", "later start"),
    "recovery": ("running again, worst",),
    "gateway": ("added to a whole call, p50", "did not come whole"),
    "abort": ("p99", "orphans"),
    "worker_kills": ("orphans", "p99"),
    "agent_overhead": ("as a branch", "merged"),
    "side_by_side": ("attempts that failed", "processes left"),
    "hostile_agent": ("MB of output", "MB of file"),
}


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", SMALL)
def test_benchmark_runs_and_prints_its_table(name: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *SMALL[name]],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ended.returncode in (0, 1), ended.stderr  # 1: a limit was missed, which at this size means nothing
    assert "Traceback" not in ended.stderr
    printed = " ".join(ended.stdout.split())
    for heading in HEADINGS[name]:
        assert heading in printed
