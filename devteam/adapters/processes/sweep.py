"""Finding and killing the processes that a lost run may have left on this machine.

Every command, its keeper and its runner carry DEVTEAM_RUN=<marker> in their environment. What a marked process started
belongs to it as well, even if it took the marker out of its own environment.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from devteam.adapters.processes.runner import descendants, read_processes, send_signal

MARKER_VARIABLE = "DEVTEAM_RUN"
OWNER_VARIABLE = "DEVTEAM_OWNER"
"""Names the process that started a helper such as git, which is to end with it."""


class ProcessesSurvived(RuntimeError):
    """Some processes could not be killed in time: stuck in the kernel, or owned by somebody else."""


def marked_processes(prefix: str) -> list[tuple[int, str]]:
    """The (process id, marker) of every living process whose marker starts with the prefix; never this process."""
    return [(pid, marker) for pid, marker in _all_marked(MARKER_VARIABLE) if marker.startswith(prefix)]


def kill_marked(chosen: str | Callable[[str], bool], *, variable: str = MARKER_VARIABLE, timeout: float = 10.0) -> int:
    """Kill the marked processes and all below them until none is left; returns how many there were.

    `chosen` is one marker, or a question asked about every marker found in the environment variable `variable`.
    Raises ProcessesSurvived after `timeout` seconds.
    """
    is_chosen = chosen if callable(chosen) else (lambda marker: marker == chosen)
    deadline = time.monotonic() + timeout
    killed: set[int] = set()
    calm = 0
    while calm < 2:  # a second look, for what was born during the first
        found = _with_descendants({pid for pid, marker in _all_marked(variable) if is_chosen(marker)} | killed)
        for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that nothing forks ahead of us
            for pid in found:
                send_signal(pid, number)
        killed |= found
        calm = 0 if found else calm + 1
        if found and time.monotonic() > deadline:
            raise ProcessesSurvived(f"processes that cannot be killed: {sorted(found)}")
        time.sleep(0.005)
    return len(killed)


def owner_identity() -> str:
    """This process, told from any later one with the same id and from those of other process namespaces."""
    return f"{os.getpid()}:{_started(os.getpid())}:{_namespace()}"


def kill_orphans(*, timeout: float = 10.0) -> int:
    """Kill the helpers whose owner is gone, a half-done push of a killed worker say; how many there were."""
    return kill_marked(is_orphaned, variable=OWNER_VARIABLE, timeout=timeout)


def is_orphaned(owner: str) -> bool:
    """Whether an `owner_identity` of this process namespace is that of a process which is gone."""
    pid, started, namespace = (*owner.split(":", 2), "", "")[:3]
    return pid.isdigit() and namespace == _namespace() and _started(int(pid)) != started


def _started(pid: int) -> str:
    """Clock ticks from boot to the process's start; empty when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _all_marked(variable: str) -> list[tuple[int, str]]:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    return [(pid, marker) for pid in pids if (marker := _marker_of(pid, variable)) is not None]


def _marker_of(pid: int, variable: str) -> str | None:
    """The marker of a process; None without one, for zombies, and for processes of others that we may not read."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    prefix = f"{variable}=".encode()
    for entry in environment.split(b"\0"):
        if entry.startswith(prefix):
            return entry.removeprefix(prefix).decode("utf-8", "replace")
    return None


def _with_descendants(roots: set[int]) -> set[int]:
    """Those roots that live, and all that lives below them; never this process."""
    table = read_processes()
    living = {pid for pid in roots if pid in table and table[pid].alive}
    below = {process.pid for process in descendants(living, table) if process.alive}
    return (living | below) - {os.getpid()}
