"""The fence that a kernel alone can build, for machines without bubblewrap or without namespaces for its user.

Landlock takes from the command every file but those named, all TCP but the ports of the sockets let in, and signals
and abstract sockets of others; a filter of system calls takes other kinds of sockets and of shared memory. What it
cannot do is said by the report: the command stays in the machine's namespaces, sees which processes there are, learns
size and times of any path, and could change modes and times of files that belong to the engine's user. There is no
/tmp, no /dev/shm and no listening.
"""

import json
import os
import socket
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from devteam.adapters.fences import landlock_enter
from devteam.adapters.fences.model import FIRST_FORWARDED_PORT, FenceRefused, FenceReport
from devteam.adapters.fences.places import ETC, check_apart, checked, own_folder, python_folders, shown_apart
from devteam.adapters.fences.repository import private_repository
from devteam.adapters.fences.seccomp import lonely_filter, socket_filter
from devteam.adapters.processes import CommandSpec

_PLAN_INPUT, _FILTER_INPUT = 64, 65
_SYSTEM: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/proc")
_ACCOUNTS: Final = ("passwd", "group", "nsswitch.conf", "hosts", "host.conf")
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_PORTS_PER_WORKSPACE: Final = 8
_LAST_PORT: Final = 29_999  # below those that the kernel gives to whoever connects
_WORKSPACES_REMEMBERED: Final = 1000


def landlock_version() -> int:
    """Of the kernel's interface: 4 rules TCP, 6 signals too, which a fence needs; 0 for none."""
    return landlock_enter.version()


class _Ports:
    """Which ports belong to which workspace, on this machine's loopback."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: OrderedDict[Path, int] = OrderedDict()

    def first(self, workspace: Path) -> int:
        with self._lock:
            if workspace not in self._given:
                self._given[workspace] = self._find()
                if len(self._given) > _WORKSPACES_REMEMBERED:
                    self._given.popitem(last=False)
            return self._given[workspace]

    def _find(self) -> int:
        """From a place that differs from worker to worker, so that two of them seldom meet."""
        taken = set(self._given.values())
        count = (_LAST_PORT - FIRST_FORWARDED_PORT) // _PORTS_PER_WORKSPACE
        start = os.getpid() * 7919 % count
        for number in range(count):
            first = FIRST_FORWARDED_PORT + (start + number) % count * _PORTS_PER_WORKSPACE
            if first not in taken and all(_is_free(first + index) for index in range(_PORTS_PER_WORKSPACE)):
                return first
        raise FenceRefused("no port is free for the sockets that the command needs")


@dataclass(frozen=True)
class LandlockFence:
    """Closes commands in by the kernel's own means; `data` is the engine's data folder."""

    data: Path
    report: FenceReport = field(default_factory=lambda: FenceReport("landlock"))
    _ports: _Ports = field(default_factory=_Ports, repr=False, compare=False)

    def port(self, workspace: Path, index: int) -> int:
        """One that nobody on this machine listened on when it was first asked for: the network is everybody's."""
        return self._ports.first(workspace) + index

    def wrap(
        self,
        spec: CommandSpec,
        *,
        workspace: Path,
        home: Path,
        read_only: Sequence[Path] = (),
        sockets: Sequence[Path] = (),
        network: Literal["none", "host"] = "none",
        mirror: Path | None = None,
    ) -> CommandSpec:
        """See `Fence.wrap`. What belongs to the fence lies beside `home` in the folder `.fence`."""
        check_apart(workspace, home, [*read_only, *sockets])
        keep = own_folder(home.parent / ".fence")
        inside = spec.argv if spec.argv is not None else ("/bin/sh", "-e", "-c", spec.script or "")
        ports = [self.port(workspace, index) for index in range(len(sockets))]
        shown = shown_apart(self.data, [*python_folders(), *read_only])
        write = [checked(workspace), checked(home)]
        if mirror is not None:
            made = private_repository(mirror, workspace, own_folder(keep / workspace.name))
            write.append(made.folder)
            shown.append(made.objects)
            _name_repository(workspace, made.folder)
        plan = {
            "read": [*_SYSTEM, *_usr(), *(f"/etc/{name}" for name in (*ETC, *_ACCOUNTS)), *map(os.fspath, shown)],
            "write": [os.fspath(folder) for folder in write],
            "files": list(_DEVICES),
            "ports": ports,
            "network": network,
            # A hidden file is "forbidden" here, not "missing", at which git gives up.
            "env": {"GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1", **spec.env},
            "argv": list(inside),
        }
        program = lonely_filter() if network == "none" else socket_filter()
        enter: tuple[str, ...] = (sys.executable, "-I", "-S", landlock_enter.__file__)
        enter = (*enter, str(_PLAN_INPUT), str(_FILTER_INPUT))
        if sockets:
            forward = Path(__file__).with_name("forward.py")
            pairs = [f"{port}={path}" for port, path in zip(ports, sockets, strict=True)]
            enter = (sys.executable, "-I", "-S", os.fspath(forward), *pairs, "--", *enter)
        return replace(
            spec,
            argv=enter,
            script=None,
            env={},
            inputs={**spec.inputs, _PLAN_INPUT: json.dumps(plan).encode(), _FILTER_INPUT: program or b""},
        )


def _usr() -> list[str]:
    """All of it but the settings of the machine's own services."""
    local = Path("/usr/local")
    found = [*(path for path in Path("/usr").iterdir() if path != local), *(local.iterdir() if local.is_dir() else ())]
    return [os.fspath(path) for path in found if path != local / "etc"]


def _name_repository(workspace: Path, folder: Path) -> None:
    """Let git find the command's own repository; the engine goes by the mirror and never reads this file."""
    fresh = workspace / f".git.{os.getpid()}.{threading.get_ident()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"gitdir: {folder}\n")
    try:
        fresh.replace(workspace / ".git")
    except OSError:  # an earlier command made a folder of it; then it has that one
        fresh.unlink()


def _is_free(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
