"""Holding one attempt to its share of the machine: control groups, limits per process, and an eye on its folders."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from devteam.adapters.fences.cgroup import Group, GroupUsage, Hierarchies, find_hierarchies
from devteam.adapters.fences.model import ResourceLimits
from devteam.adapters.processes import CommandSpec

WATCH_SECONDS: Final = 2.0
_BLOCK: Final = 512
_GIGABYTE: Final = 2**30


class Endable(Protocol):
    """A command that can be told to end."""

    def terminate(self) -> None:
        """Returns at once."""
        ...


@dataclass(frozen=True)
class Limiter:
    """Gives each attempt its control group. `sweep` at the worker's start clears what a killed worker left."""

    limits: ResourceLimits
    hierarchies: Hierarchies

    @classmethod
    def find(cls, limits: ResourceLimits) -> "Limiter":
        """With whatever this machine offers."""
        return cls(limits, find_hierarchies())

    def sweep(self) -> int:
        """Kill and remove the groups of workers that are gone; how many there were."""
        return self.hierarchies.sweep()

    @contextmanager
    def hold(self, name: str, folders: Sequence[Path]) -> "Iterator[Hold]":
        """A share for the commands of one attempt, run one after the other; at the end nothing inside is left.

        `folders` are those whose size counts as its storage. Raises OSError when the group cannot be made.
        """
        group = self.hierarchies.make(name, self.limits)
        hold = Hold(self.limits, group, tuple(folders))
        try:
            yield hold
        finally:
            group.remove()


class Hold:
    """One attempt's share: `apply` it to each command, `watch` each while it runs, then ask `reason` and `usage`."""

    def __init__(self, limits: ResourceLimits, group: Group, folders: tuple[Path, ...]) -> None:
        self._limits = limits
        self._group = group
        self._folders = folders
        self._too_large: str | None = None

    def apply(self, spec: CommandSpec) -> CommandSpec:
        """The command, to be born inside the group; what no group limits is limited per process instead."""
        limits = {"FSIZE": self._limits.storage, "CORE": 0}
        if "memory" not in self._group.controlled:
            limits["AS"] = self._limits.memory
        if "pids" not in self._group.controlled:
            limits["NPROC"] = self._limits.processes
        return replace(spec, cgroups=(*spec.cgroups, *self._group.folders), limits={**limits, **spec.limits})

    @contextmanager
    def watch(self, command: Endable, *, seconds: float = WATCH_SECONDS) -> Iterator[None]:
        """While the block lasts, end the command once its folders are larger than its storage."""
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(command, over, seconds), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _watch(self, command: Endable, over: threading.Event, seconds: float) -> None:
        pause = seconds
        while not over.wait(pause):
            began = time.monotonic()
            used = folder_size(self._folders, stop=over.is_set, limit=self._limits.storage)
            if used > self._limits.storage:
                self._too_large = (
                    f"It was ended because its files grew beyond {self._limits.storage / _GIGABYTE:g} GB of disk."
                )
                command.terminate()
                return
            pause = max(seconds, 10 * (time.monotonic() - began))  # a tenth of a core at most

    def usage(self) -> GroupUsage:
        """What the attempt used so far."""
        return self._group.usage()

    def throttled(self) -> int:
        """How often it had to wait for its next share of the processor."""
        return self._group.throttled()

    @property
    def reason(self) -> str | None:
        """One sentence on a limit that was met, None when none was."""
        usage = self._group.usage()
        if self._too_large is not None:
            return self._too_large
        if usage.out_of_memory_kills:
            return (
                f"{usage.out_of_memory_kills} of its processes were killed at the limit of "
                f"{self._limits.memory / _GIGABYTE:g} GB of memory."
            )
        if usage.forks_refused:
            return f"It was refused more than {self._limits.processes} processes at a time."
        return None

    def kill(self) -> None:
        """Kill all inside at one stroke. Raises GroupSurvived after 5 s."""
        self._group.kill()


def folder_size(folders: Sequence[Path], *, stop: Callable[[], bool] = lambda: False, limit: int | None = None) -> int:
    """Bytes on disk below the folders, links not followed; stops early when told, or once beyond the limit."""
    total = 0
    waiting = [os.fspath(folder) for folder in folders]
    seen: set[tuple[int, int]] = set()
    while waiting and not stop() and (limit is None or total <= limit):
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # it went away meanwhile
                    status = entry.stat(follow_symlinks=False)
                    if status.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                        if (status.st_dev, status.st_ino) in seen:
                            continue
                        seen.add((status.st_dev, status.st_ino))
                    total += status.st_blocks * _BLOCK
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return total
