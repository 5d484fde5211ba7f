"""Finding and ending the processes of one database server, also those that an earlier owner left behind.

They are known by the `cluster_name` that the server is started with: it stands in the postmaster's arguments
and in every child's title, and unlike a pid in a file it cannot come to mean another process.
"""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import psutil

from devteam.kit.log import get_logger

log = get_logger(__name__)

FAST_SHUTDOWN_SECONDS = 20.0
_IMMEDIATE_SHUTDOWN_SECONDS = 5.0


def cluster_name_of(cluster: Path) -> str:
    """A name that belongs to this very folder, whatever path leads to it."""
    found = cluster.stat()
    return f"devteam_{found.st_dev:x}_{found.st_ino:x}"


def end_server(cluster_name: str) -> bool:
    """End every process of this server: fast shutdown, then immediate, then kill. True when there was any.

    Afterwards none is left, so that a new server may open the files.
    """
    postmasters, children = _find(cluster_name)
    if postmasters:
        log.info("postgres_stopping", pids=[process.pid for process in postmasters])
        alive = _signal(postmasters, signal.SIGINT, FAST_SHUTDOWN_SECONDS)
        alive = _signal(alive, signal.SIGQUIT, _IMMEDIATE_SHUTDOWN_SECONDS)
        _signal(alive, signal.SIGKILL, _IMMEDIATE_SHUTDOWN_SECONDS)
    # Children outlive a killed postmaster while they compute, and hold its shared memory.
    _, orphans = _find(cluster_name)
    if orphans:
        log.info("postgres_orphans_ending", pids=[process.pid for process in orphans])
        alive = _signal(orphans, signal.SIGQUIT, _IMMEDIATE_SHUTDOWN_SECONDS)
        _signal(alive, signal.SIGKILL, _IMMEDIATE_SHUTDOWN_SECONDS)
    return bool(postmasters or children)


def server_pids(cluster_name: str) -> list[int]:
    """The living processes of this server."""
    postmasters, children = _find(cluster_name)
    return [process.pid for process in (*postmasters, *children)]


def _find(cluster_name: str) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """The postmaster (at most one in practice) and its children, zombies left out."""
    argument, title = f"cluster_name={cluster_name}", f"postgres: {cluster_name}: "
    found: dict[int, psutil.Process] = {}
    titled: set[int] = set()
    for process in psutil.process_iter():
        try:
            # A zombie has no command line.
            words = process.cmdline()
        except psutil.Error:
            continue
        if not words:
            continue
        if words[0].startswith(title):
            titled.add(process.pid)
            found[process.pid] = process
        elif os.path.basename(words[0]) == "postgres" and argument in words:
            found[process.pid] = process
    # A child that was forked this moment still shows the postmaster's arguments.
    children = {pid for pid, process in found.items() if pid in titled or _parent(process) in found}
    return (
        [process for pid, process in found.items() if pid not in children],
        [found[pid] for pid in children],
    )


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.Error:
        return 0


def _signal(processes: Sequence[psutil.Process], number: signal.Signals, wait: float) -> list[psutil.Process]:
    """Send a signal and wait up to `wait` seconds; answers those that still live."""
    signalled = []
    for process in processes:
        try:
            process.send_signal(number)
            signalled.append(process)
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(signalled, timeout=wait)
    return [process for process in alive if not _is_zombie(process)]


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
