"""The share of the machine that an attempt may use: beyond it there is a clear end, and nothing is left afterwards."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from devteam.adapters.fences import Limiter, ResourceLimits, find_bubblewrap, find_hierarchies, folder_size
from devteam.adapters.processes import RunningCommand, kill_marked, marked_processes
from tests.integration.fence_world import FenceWorld

pytestmark = pytest.mark.skipif(find_bubblewrap() is None, reason="bubblewrap 0.8 or newer is not installed")

SMALL = ResourceLimits(cpu=1.0, memory=128 * 2**20, storage=64 * 2**20, processes=40)
HIERARCHIES = find_hierarchies()


def needs(controller: str) -> pytest.MarkDecorator:
    missing = controller not in HIERARCHIES.parents
    return pytest.mark.skipif(missing, reason=f"this machine offers no control group for {controller}")


@pytest.fixture
def world() -> Iterator[FenceWorld]:
    folder = Path(tempfile.mkdtemp(prefix="devteam-fence-", dir="/var/tmp"))
    made = FenceWorld(folder)
    try:
        yield made
        assert marked_processes(made.marker) == []
        assert groups() == []
    finally:
        kill_marked(made.marker)
        shutil.rmtree(folder)


def groups() -> list[Path]:
    """The control groups that this process made."""
    parents = {*HIERARCHIES.parents.values(), *([HIERARCHIES.unified] if HIERARCHIES.unified else [])}
    return [group for parent in parents for group in parent.glob(f"{os.getpid()}-*")]


@needs("pids")
def test_fork_bomb_is_refused_more_processes_and_ends_with_the_command(world: FenceWorld) -> None:
    bomb = "import os, time\nfor _ in range(200):\n  try:\n    os.fork()\n  except OSError:\n    time.sleep(0.01)\n"
    began = time.monotonic()
    result, _, reason = world.limited('exec "$PY" -c "$BOMB"', SMALL, extra={"BOMB": bomb}, time_limit=2.0, grace=0.2)
    assert time.monotonic() - began < 15
    assert reason == "It was refused more than 40 processes at a time."
    assert result.timed_out or result.exit_code is not None


@needs("memory")
def test_memory_beyond_the_limit_is_killed_with_a_reason(world: FenceWorld) -> None:
    result, output, reason = world.limited(""""$PY" -c 'x = bytearray(1 << 30)' || echo "ended with $?" """, SMALL)
    assert result.exit_code == 0
    assert "ended with 137" in output
    assert reason == "1 of its processes were killed at the limit of 0.125 GB of memory."


@needs("memory")
def test_files_in_memory_count_as_memory(world: FenceWorld) -> None:
    _, _, reason = world.limited("for n in 1 2 3 4 5; do head -c 40M /dev/zero > /dev/shm/$n || true; done", SMALL)
    assert reason is not None
    assert "of memory" in reason


@needs("cpu")
def test_processor_time_is_rationed(world: FenceWorld) -> None:
    code = "import time; end = time.monotonic() + 1\nwhile time.monotonic() < end: pass\nprint(time.process_time())"
    _, output, _ = world.limited('exec "$PY" -c "$CODE"', replace(SMALL, cpu=0.2), extra={"CODE": code})
    assert float(output) < 0.6


def test_one_file_cannot_grow_beyond_the_storage(world: FenceWorld) -> None:
    result, output, _ = world.limited(
        """
        set +e
        truncate -s 100G sparse; echo "truncate $?"
        fallocate -l 100G full; echo "fallocate $?"
        (head -c 65M /dev/zero > large); echo "write $?"
        """,
        replace(SMALL, memory=2**30),
    )
    assert result.error is None
    codes = dict(line.split() for line in output.splitlines() if line.startswith(("trunc", "falloc", "write")) and
                 line.split()[-1].isdigit())  # fmt: skip
    assert set(codes) == {"truncate", "fallocate", "write"}
    assert "0" not in codes.values()


def test_many_files_beyond_the_storage_end_the_command_with_a_reason(world: FenceWorld) -> None:
    result, _, reason = world.limited(
        "for n in $(seq 20); do head -c 8M /dev/zero > file$n; done; exec sleep 60", replace(SMALL, memory=2**30)
    )
    assert result.killed
    assert reason == "It was ended because its files grew beyond 0.0625 GB of disk."


def test_size_of_folders_counts_blocks_once_and_follows_no_links(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"x" * 100_000)
    os.link(tmp_path / "deep" / "file", tmp_path / "again")
    (tmp_path / "link").symlink_to("/usr")
    assert 100_000 <= folder_size([tmp_path]) < 150_000


# A worker that holds a share, runs a stubborn command in it, and tells when it runs.
WORKER = """
import sys
from pathlib import Path
from devteam.adapters.fences import BubblewrapFence, Limiter, ResourceLimits, find_bubblewrap
from devteam.adapters.processes import CommandSpec, RunningCommand, scrubbed_environment

attempt, marker = Path(sys.argv[1]), sys.argv[2]
spec = CommandSpec(
    cwd=attempt / "tree", env=scrubbed_environment(home=attempt / "home", extra={}), time_limit=60, marker=marker,
    script="trap '' TERM HUP; setsid sh -c 'trap \\"\\" TERM; sleep 600' & sleep 600 & echo started; wait",
)
fence = BubblewrapFence(find_bubblewrap(), attempt.parents[1])
with Limiter.find(ResourceLimits()).hold("killed", [attempt]) as hold:
    command = RunningCommand.start(hold.apply(fence.wrap(spec, workspace=attempt / "tree", home=attempt / "home")))
    command.wait(lambda text: print(text, flush=True))
"""


def test_death_of_the_worker_leaves_no_process_and_its_group_is_swept(world: FenceWorld) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(world.attempt), world.marker], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "started\n"
    inside = marked_processes(world.marker)
    assert inside != []
    made = [group for parent in _parents() for group in parent.glob(f"{worker.pid}-*-killed")]
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    deadline = time.monotonic() + 5
    while marked_processes(world.marker) or any(_processes(group) for group in made):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if made:
        assert Limiter.find(SMALL).sweep() >= 1
    assert [group for group in made if group.exists()] == []


def test_the_group_of_a_living_worker_is_not_swept(world: FenceWorld) -> None:
    limiter = Limiter.find(SMALL)
    with limiter.hold("living", [world.attempt]):
        mine = groups()
        limiter.sweep()
        assert groups() == mine


def test_everything_inside_is_killed_at_one_stroke(world: FenceWorld) -> None:
    spec = world.wrap(world.spec("trap '' TERM; for n in 1 2 3; do setsid sleep 600 & done; echo started; wait"))
    with Limiter.find(SMALL).hold("stroke", [world.attempt]) as hold:
        if not groups():
            pytest.skip("this machine offers no control groups")
        command = RunningCommand.start(hold.apply(spec))
        result = command.wait(lambda text: hold.kill() if "started" in text else None)
    assert result.signal == signal.SIGKILL


def _parents() -> list[Path]:
    return [*HIERARCHIES.parents.values(), *([HIERARCHIES.unified] if HIERARCHIES.unified else [])]


def _processes(group: Path) -> list[str]:
    try:
        return (group / "cgroup.procs").read_text().split()
    except OSError:
        return []


@pytest.mark.parametrize(
    ("settings", "limits"),
    [
        ({}, ResourceLimits()),
        (
            {"cpu": "2 cores", "memory": "4GB", "storage": "10GB", "networkBandwidth": "100Mbps"},
            ResourceLimits(2.0, 4 * 2**30, 10 * 2**30, 100_000_000),
        ),
        ({"cpu": 0.5, "memory": "512 MiB", "processes": 64}, ResourceLimits(0.5, 512 * 2**20, processes=64)),
        ({"cpu": "1 core", "networkBandwidth": "1Gbps"}, ResourceLimits(cpu=1.0, network_bandwidth=10**9)),
    ],
)
def test_limits_are_read_as_people_write_them(settings: dict[str, str | float], limits: ResourceLimits) -> None:
    assert ResourceLimits.from_settings(settings) == limits


@pytest.mark.parametrize("settings", [{"cpu": "0"}, {"memory": "much"}, {"memory": "-4GB"}, {"disk": "10GB"}])
def test_limits_that_mean_nothing_are_refused(settings: dict[str, str | float]) -> None:
    with pytest.raises(ValueError, match=r"not a positive|unknown"):
        ResourceLimits.from_settings(settings)
