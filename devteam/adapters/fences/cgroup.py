"""Control groups that hold an attempt to its cores, memory and number of processes: version 2, else version 1.

Groups lie below a group `devteam`, each named after the process that made it, so that whoever starts next on this
machine can clear away what a killed worker left.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from devteam.adapters.fences.model import ResourceLimits
from devteam.adapters.processes import is_orphaned, owner_identity

Controller = Literal["cpu", "memory", "pids"]
CONTROLLERS: Final[tuple[Controller, ...]] = ("cpu", "memory", "pids")
PARENT: Final = "devteam"
ASIDE: Final = "devteam-engine"
PERIOD_MICROSECONDS: Final = 100_000
KILL_SECONDS: Final = 5.0


class GroupSurvived(RuntimeError):
    """Processes of a control group could not be killed in time."""


@dataclass(frozen=True)
class GroupUsage:
    """What a group used and where it met its limits: CPU seconds, bytes at the peak, counts."""

    cpu_seconds: float | None
    memory_peak: int | None
    out_of_memory_kills: int
    forks_refused: int


@dataclass(frozen=True)
class Hierarchies:
    """Where groups can be made: for each controller the parent folder, and the version of its hierarchy.

    `unified` is a version 2 tree, which may be without controllers: even so it kills a group at one stroke.
    """

    parents: Mapping[Controller, Path]
    versions: Mapping[Controller, Literal[1, 2]]
    unified: Path | None = None

    def make(self, name: str, limits: ResourceLimits) -> "Group":
        """A group with limits; its folders are there when this returns. Raises OSError."""
        full = f"{owner_part()}-{name}"
        folders = {controller: parent / full for controller, parent in self.parents.items()}
        group = Group(folders, self.versions, self.unified / full if self.unified else None)
        try:
            for folder in group.folders:
                self._make_folder(folder)
            for controller, folder in folders.items():
                for file, value in _settings(controller, self.versions[controller], limits).items():
                    _write(folder / file, value, optional=".swap." in file or ".memsw." in file)
        except OSError:
            group.remove()
            raise
        return group

    def _make_folder(self, folder: Path) -> None:
        for _ in range(10):  # the end of another group may take the common parent away between two steps
            with suppress(FileNotFoundError):
                folder.parent.mkdir(exist_ok=True)
                _hand_down(folder.parent, [name for name, version in self.versions.items() if version == 2])
                folder.mkdir(exist_ok=True)
                return
        folder.mkdir()

    def sweep(self) -> int:
        """Kill and remove the groups of processes that are gone; how many there were."""
        parents = {*self.parents.values(), *([self.unified] if self.unified else [])}
        names = {entry.name for parent in parents if parent.is_dir() for entry in parent.iterdir() if entry.is_dir()}
        orphans = [name for name in names if is_orphaned(owner_of(name))]
        for name in orphans:
            folders = {controller: parent / name for controller, parent in self.parents.items()}
            Group(folders, self.versions, self.unified / name if self.unified else None).remove()
        return len(orphans)


@dataclass(frozen=True)
class Group:
    """One group, in as many hierarchies as it takes."""

    controlled: Mapping[Controller, Path]
    versions: Mapping[Controller, Literal[1, 2]]
    unified: Path | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that a command has to enter."""
        return tuple(dict.fromkeys([*self.controlled.values(), *([self.unified] if self.unified else [])]))

    def usage(self) -> GroupUsage:
        """Read at any time before `remove`."""
        cpu, memory, pids = (self.controlled.get(name) for name in CONTROLLERS)
        if self.versions.get("memory") == 2:
            kills, peak = _keyed(memory, "memory.events").get("oom_kill", 0), _number(memory, "memory.peak")
        else:
            kills = _keyed(memory, "memory.oom_control").get("oom_kill", 0)
            peak = _number(memory, "memory.max_usage_in_bytes")
        seconds = _keyed(cpu, "cpu.stat").get("usage_usec")
        return GroupUsage(
            cpu_seconds=None if seconds is None else seconds / 1e6,
            memory_peak=peak,
            out_of_memory_kills=kills,
            forks_refused=_keyed(pids, "pids.events").get("max", 0),
        )

    def throttled(self) -> int:
        """How many periods of the CPU quota ended with somebody waiting for the next."""
        return _keyed(self.controlled.get("cpu"), "cpu.stat").get("nr_throttled", 0)

    def processes(self) -> set[int]:
        """The ids of the processes inside, as far as this process can see them."""
        return {pid for folder in self.folders for pid in _processes(folder)}

    def kill(self) -> None:
        """Kill all inside. Raises GroupSurvived after 5 s."""
        deadline = time.monotonic() + KILL_SECONDS
        while True:
            for folder in self.folders:
                with suppress(OSError):
                    (folder / "cgroup.kill").write_text("1")
            left = self.processes()
            if not left:
                return
            for pid in left - {0, os.getpid()}:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise GroupSurvived(f"processes that cannot be killed: {sorted(left)}")
            time.sleep(0.005)

    def remove(self) -> None:
        """Kill what is inside and remove the group; gone already is fine. Raises GroupSurvived or OSError."""
        self.kill()
        for folder in self.folders:
            _remove_folder(folder)
            with suppress(OSError):
                folder.parent.rmdir()  # the common parent, when nobody else has a group in it


def _remove_folder(folder: Path) -> None:
    """The kernel lets go of a group a moment after its last process ended."""
    deadline = time.monotonic() + KILL_SECONDS
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def owner_part() -> str:
    """This process as a part of a name."""
    pid, started, namespace = owner_identity().split(":", 2)
    return f"{pid}-{started}-{''.join(filter(str.isdigit, namespace))}"


def owner_of(name: str) -> str:
    """Whom a name that begins with such a part belongs to."""
    pid, started, namespace = (*name.split("-", 3), "", "", "")[:3]
    return f"{pid}:{started}:pid:[{namespace}]"


def _settings(controller: Controller, version: int, limits: ResourceLimits) -> dict[str, str]:
    quota = str(max(1000, int(limits.cpu * PERIOD_MICROSECONDS)))
    memory = str(limits.memory)
    match controller, version:
        case "cpu", 2:
            return {"cpu.max": f"{quota} {PERIOD_MICROSECONDS}"}
        case "cpu", _:
            return {"cpu.cfs_period_us": str(PERIOD_MICROSECONDS), "cpu.cfs_quota_us": quota}
        case "memory", 2:
            return {"memory.max": memory, "memory.swap.max": "0"}
        case "memory", _:
            return {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory}
        case _:
            return {"pids.max": str(limits.processes)}


def _write(file: Path, value: str, *, optional: bool) -> None:
    """A kernel without accounting of swap lacks its files."""
    if optional and not file.exists():
        return
    try:
        file.write_text(value, encoding="ascii")
    except OSError:
        if not optional:
            raise


def _keyed(folder: Path | None, name: str) -> dict[str, int]:
    if folder is None:
        return {}
    try:
        lines = (folder / name).read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    return {words[0]: int(words[1]) for line in lines if len(words := line.split()) == 2}


def _number(folder: Path | None, name: str) -> int | None:
    try:
        return None if folder is None else int((folder / name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _processes(folder: Path) -> set[int]:
    try:
        return {int(line) for line in (folder / "cgroup.procs").read_text(encoding="ascii").split()}
    except OSError:
        return set()


# --- finding them -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Mount:
    point: Path
    version: Literal[1, 2]
    controllers: frozenset[str]


def find_hierarchies(mounts: Path = Path("/proc/self/mountinfo"), own: Path = Path("/proc/self/cgroup")) -> Hierarchies:
    """Where this process may make groups; each place is tried by making one. Nothing usable gives no parents."""
    found = _mounts(mounts)
    parents: dict[Controller, Path] = {}
    versions: dict[Controller, Literal[1, 2]] = {}
    unified: Path | None = None
    for mount in (mount for mount in found if mount.version == 2):
        for place in _version_2_places(mount.point, own):
            usable = _usable_below(place)
            for controller in usable:
                parents[controller], versions[controller] = place / PARENT, 2
            if _can_make(place, lambda folder: True):
                unified = place / PARENT
            if len(usable) == len(CONTROLLERS):
                break
    for mount in (mount for mount in found if mount.version == 1):
        for controller in CONTROLLERS:
            if controller not in parents and controller in mount.controllers and _can_make(mount.point, _accepts_us):
                parents[controller], versions[controller] = mount.point / PARENT, 1
    if parents and all(version == 2 for version in versions.values()):
        unified = None  # the same tree
    return Hierarchies(parents, versions, unified)


def _mounts(file: Path) -> list[_Mount]:
    found = []
    for line in file.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        point, kind = Path(before.split()[4]), after.split()[0]
        options = frozenset(after.split()[2].split(","))
        if kind in ("cgroup", "cgroup2"):
            found.append(_Mount(point, 2 if kind == "cgroup2" else 1, options))
    return found


def _version_2_places(mount: Path, own: Path) -> list[Path]:
    """Our own group when it was handed over to us (a container's root, or a delegated unit); else the root."""
    lines = own.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    path = next((line[3:] for line in lines if line.startswith("0::")), "/")
    ours = mount / path.lstrip("/")
    if ours.name == ASIDE:
        ours = ours.parent
    return [ours, mount] if ours != mount and _is_delegated(ours) else [mount]


def _is_delegated(folder: Path) -> bool:
    for name in ("trusted.delegate", "user.delegate"):
        with suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def _usable_below(place: Path) -> list[Controller]:
    """Hand down the controllers of a version 2 group, past our own processes if they are in the way."""
    offered = _words(place / "cgroup.controllers")
    wanted = [name for name in CONTROLLERS if name in offered]
    if not wanted or not os.access(place / "cgroup.subtree_control", os.W_OK):
        return []
    if not _hand_down(place, wanted) and (place / "cgroup.type").exists():  # the machine's own root has none
        _step_aside(place)
        _hand_down(place, wanted)
    if not _can_make(place, lambda folder: _hand_down(folder, wanted)):
        return []
    with suppress(OSError):
        (place / PARENT).mkdir(exist_ok=True)
        _hand_down(place / PARENT, wanted)
    granted = _words(place / PARENT / "cgroup.subtree_control")
    return [name for name in wanted if name in granted]


def _hand_down(place: Path, wanted: list[Controller]) -> bool:
    missing = [name for name in wanted if name not in _words(place / "cgroup.subtree_control")]
    try:
        if missing:  # never in a hierarchy of version 1, for which nothing is wanted
            (place / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in missing))
    except OSError:
        return False
    return True


def _step_aside(place: Path) -> None:
    """A group with processes of its own cannot hand controllers down: move those of our delegated group below."""
    aside = place / ASIDE
    with suppress(OSError):
        aside.mkdir(exist_ok=True)
        for pid in _processes(place):
            (aside / "cgroup.procs").write_text(str(pid))


def _can_make(place: Path, accepts: Callable[[Path], bool]) -> bool:
    probe = place / f"{PARENT}-probe-{os.getpid()}"
    try:
        probe.mkdir()
    except OSError:
        return False
    try:
        return accepts(probe)
    finally:
        _remove_folder(probe)


def _accepts_us(folder: Path) -> bool:
    return os.access(folder / "cgroup.procs", os.W_OK)


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except OSError:
        return []
