"""The fence of namespaces that bubblewrap builds: an empty root in which only what a command needs appears.

There is no network but its own loopback, no process but its own, and no privilege; outside, what it writes belongs to
the engine's user. The engine's environment does not reach it, and its own does not reach bubblewrap, which runs outside
and would load libraries that a variable names.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from devteam.adapters.fences.model import FenceRefused, FenceReport, forwarded_port
from devteam.adapters.fences.places import ETC, NEVER_SHOWN, check_apart, checked, own_folder, python_folders
from devteam.adapters.fences.repository import private_repository
from devteam.adapters.fences.seccomp import socket_filter
from devteam.adapters.processes import CommandSpec

INSIDE: Final = Path("/run/devteam")
USER: Final = 1000
_TEMPORARY: Final = Path("/", "tmp")
_DEVICES: Final = Path("/dev")
_OPTIONS_INPUT, _FILTER_INPUT = 64, 65
_MEMORY_FOLDER_BYTES: Final = 2**30
_LIBRARIES: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC_WRITTEN: Final = {
    "passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:{USER}:{USER}:agent:/tmp:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": f"root:x:0:\nagent:x:{USER}:\nnogroup:x:65534:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
}
_KERNEL_SHOWN: Final = ("sys", "sysvipc")
_KERNEL_HIDDEN: Final = ("config.gz", "iomem", "ioports", "kallsyms", "key-users", "keys")


def find_bubblewrap() -> Path | None:
    """The installed program, if it is new enough to close user namespaces (0.8)."""
    found = shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin")
    if found is None:
        return None
    try:
        told = subprocess.run([found, "--help"], capture_output=True, text=True, timeout=10, env={}, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Path(found) if "--disable-userns" in told.stdout + told.stderr else None


@dataclass(frozen=True)
class BubblewrapFence:
    """Closes commands in with the program at `program`; `data` is the engine's data folder, which never appears."""

    program: Path
    data: Path
    report: FenceReport = field(default_factory=lambda: FenceReport("bubblewrap"))

    def port(self, workspace: Path, index: int) -> int:
        """The same for every workspace: each command has a loopback of its own."""
        del workspace
        return forwarded_port(index)

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
        options = [
            *_isolation(network),
            *_kernel_interfaces(),
            *self._system(network),
            *_temporary(keep, [workspace, home, self.data, *python_folders(), *read_only]),
            *self._shown([*python_folders(), *read_only]),
            *_sockets(sockets),
            *_repository(mirror, workspace, keep / workspace.name),
            *_bind("--bind", checked(home)),
            *_bind("--bind", checked(workspace)),
            "--remount-ro", "/",
            *_environment(spec.env),
            "--chdir", spec.cwd,
        ]  # fmt: skip
        if sockets and network == "none":
            pairs = [f"{forwarded_port(index)}={INSIDE}/{index}.sock" for index in range(len(sockets))]
            inside = (sys.executable, "-I", "-S", str(INSIDE / "forward.py"), *pairs, "--", *inside)
        argv = [os.fspath(self.program), "--args", str(_OPTIONS_INPUT)]
        inputs = {_OPTIONS_INPUT: b"".join(os.fsencode(option) + b"\0" for option in options)}
        program = socket_filter()
        if program is not None:
            argv += ["--seccomp", str(_FILTER_INPUT)]
            inputs[_FILTER_INPUT] = program
        return replace(spec, argv=(*argv, "--", *inside), script=None, cwd=Path("/"), env={}, inputs=inputs)

    def _system(self, network: str) -> list[str | Path]:
        options: list[str | Path] = ["--ro-bind", "/usr", "/usr"]
        if Path("/usr/local/etc").is_dir():
            options += ["--tmpfs", "/usr/local/etc"]  # settings of the machine's own services
        for name in _LIBRARIES:
            place = Path("/", name)
            if place.is_symlink():
                options += ["--symlink", os.readlink(place), place]
            elif place.is_dir():
                options += ["--ro-bind", place, place]
        for name in ETC:
            options += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        for name in _ETC_WRITTEN:
            options += ["--ro-bind", self._written / name, f"/etc/{name}"]
        if network == "host":
            options += ["--ro-bind-try", os.path.realpath("/etc/resolv.conf"), "/etc/resolv.conf"]
        return options

    def _shown(self, folders: Iterable[Path]) -> list[str | Path]:
        """Folders to read; should one of them hold the data folder, an empty one appears in its place."""
        wanted = list(dict.fromkeys(Path(os.path.abspath(folder)) for folder in folders))
        for folder in wanted:
            if folder in NEVER_SHOWN or Path(os.path.realpath(folder)) in NEVER_SHOWN:
                raise FenceRefused(f"the folder {folder} holds too much to be shown to a command")
        data = Path(os.path.realpath(self.data))
        shown = [Path("/usr"), *(Path(os.path.realpath(folder)) for folder in wanted)]
        covered = data.exists() and any(data.is_relative_to(folder) for folder in shown)
        covers: list[str | Path] = ["--tmpfs", data] if covered else []
        inner = [folder for folder in wanted if folder.is_relative_to(data)]
        outer = [folder for folder in wanted if folder not in inner and not folder.is_relative_to("/usr")]
        return [*_binds("--ro-bind", outer), *covers, *_binds("--ro-bind", inner)]

    @cached_property
    def _written(self) -> Path:
        folder = own_folder(self.data / "run" / "fence" / "etc")
        for name, content in _ETC_WRITTEN.items():
            file = folder / name
            if not file.is_file() or file.read_text(encoding="ascii") != content:
                fresh = file.with_name(f"{name}.{os.getpid()}")
                fresh.write_text(content, encoding="ascii")
                fresh.replace(file)
        return folder


def _isolation(network: str) -> list[str | Path]:
    return [
        "--unshare-all", *(["--share-net"] if network == "host" else []),
        "--unshare-user", "--uid", str(USER), "--gid", str(USER), "--cap-drop", "ALL", "--disable-userns",
        "--die-with-parent", "--new-session", "--hostname", "devteam", "--clearenv",
        "--proc", "/proc", "--dev", _DEVICES, "--size", str(_MEMORY_FOLDER_BYTES), "--tmpfs", _DEVICES / "shm",
        "--remount-ro", _DEVICES,
    ]  # fmt: skip


def _kernel_interfaces() -> list[str | Path]:
    """Take away the files in /proc that belong to the machine rather than to a process.

    For the kernel a command of root's is root's even without any capability, and the owner may write its settings:
    /proc/sys/kernel/core_pattern names a program that runs outside of every namespace. Bubblewrap leaves them alone
    because for it, without capabilities either, the folder does not look writable.
    """
    options: list[str | Path] = ["--ro-bind", "/proc/sys", "/proc/sys"]
    with os.scandir("/proc") as entries:
        for entry in (entry for entry in entries if not entry.name.isdigit() and entry.name not in _KERNEL_SHOWN):
            if entry.is_dir(follow_symlinks=False):
                options += ["--tmpfs", entry.path, "--remount-ro", entry.path]
            elif entry.is_file(follow_symlinks=False) and _is_private(entry):
                options += ["--ro-bind", os.devnull, entry.path]
    return options


def _is_private(entry: os.DirEntry[str]) -> bool:
    """Not for everybody to read, for somebody to write, or telling of the kernel's insides."""
    return entry.name in _KERNEL_HIDDEN or entry.stat(follow_symlinks=False).st_mode & 0o777 != 0o444


def _temporary(keep: Path, shown: Sequence[Path]) -> list[str | Path]:
    """A private /tmp: on disk, or in memory where a mount has to be placed below it, because on its way there
    bubblewrap would follow the links that an earlier command left.
    """
    if any(folder.is_relative_to(_TEMPORARY) for folder in shown):
        return ["--size", str(_MEMORY_FOLDER_BYTES), "--tmpfs", _TEMPORARY]
    return ["--bind", own_folder(keep / "tmp"), _TEMPORARY]


def _sockets(sockets: Sequence[Path]) -> list[str | Path]:
    options: list[str | Path] = ["--ro-bind", Path(__file__).with_name("forward.py"), INSIDE / "forward.py"]
    for index, socket in enumerate(sockets):
        options += ["--ro-bind", socket, INSIDE / f"{index}.sock"]
    return options if sockets else []


def _repository(mirror: Path | None, workspace: Path, keep: Path) -> list[str | Path]:
    if mirror is None:
        return []
    made = private_repository(mirror, workspace, own_folder(keep))
    return ["--bind", made.folder, made.shown_at, *_bind("--ro-bind", made.objects)]


def _environment(env: Mapping[str, str]) -> list[str | Path]:
    return [word for name, value in env.items() for word in ("--setenv", name, value)]


def _bind(how: str, folder: Path) -> list[str | Path]:
    return [how, folder, folder]


def _binds(how: str, folders: Iterable[Path]) -> list[str | Path]:
    return [word for folder in folders for word in _bind(how, folder)]
