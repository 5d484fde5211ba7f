"""Finding out what fence there is, by letting a canary try to get out of it."""

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from devteam.adapters.fences.bubblewrap import BubblewrapFence, find_bubblewrap
from devteam.adapters.fences.choice import ANY_FENCE, FenceChoice
from devteam.adapters.fences.container import ContainerFence, find_engine
from devteam.adapters.fences.kubernetes import KubernetesFence, cluster
from devteam.adapters.fences.landlock import LandlockFence, landlock_version
from devteam.adapters.fences.limits import Limiter
from devteam.adapters.fences.model import Fence, FenceRefused, FenceReport, Kind, Part, ResourceLimits
from devteam.adapters.processes import CommandResult, CommandSpec, RunningCommand, scrubbed_environment

CANARY: Final = Path(__file__).with_name("canary.py")
PROBE_SECONDS: Final = 20.0
FAR_PROBE_SECONDS: Final = 180.0
"""Where an image may have to be fetched and a node to be found first."""
_VERSION: Final = 3
_CANARY_LIMITS: Final = ResourceLimits(cpu=0.25, memory=64 * 2**20, processes=24)
_BANDWIDTH: Final = Part("absent", "no network inside; the sockets let in are not limited by the fence")


@dataclass(frozen=True)
class Unfenced:
    """No fence: agents are refused, unless the operator allows them to run without one."""

    allowed: bool
    report: FenceReport

    def port(self, workspace: Path, index: int) -> int:
        """Sockets are not forwarded."""
        raise FenceRefused(f"there is no fence that could offer socket {index} in {workspace}")

    def refusal(self) -> str | None:
        """Why nothing may run, if so."""
        if self.allowed:
            return None
        why = self.report.part("filesystem").mechanism
        return f"Agents do not run without a fence, and this machine has none in force: {why}."

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
        """The command as it is, when that is allowed; sockets are not forwarded then."""
        del workspace, home, read_only, sockets, network, mirror  # nothing is closed off
        refused = self.refusal()
        if refused is not None:
            raise FenceRefused(refused)
        return spec


def choose_fence(
    data: Path,
    choice: FenceChoice = ANY_FENCE,
    *,
    limits: ResourceLimits | None = None,
    allow_unfenced: bool = False,
) -> Fence:
    """The fence that the operator chose, or the strongest of this machine's own, if it was proven to hold.

    Containers are held to `limits` by their engine. For a fence that was chosen no other one takes over.
    """
    report = probe_fence(data, choice)
    if report.in_force:
        fence = _make(report.kind, data, choice, limits or ResourceLimits(), report)
        if isinstance(fence, ContainerFence):
            fence.sweep()
        return fence
    return Unfenced(allow_unfenced, report)


def probe_fence(data: Path, choice: FenceChoice = ANY_FENCE, *, fresh: bool = False) -> FenceReport:
    """What a canary shows of the fence; remembered in the data folder until the machine starts anew.

    Takes a second or two when it has to look, and as long as an image takes to arrive with containers.
    """
    noted = data / "run" / "fence" / "report.json"
    key = _circumstances(choice)
    if not fresh:
        with suppress(OSError, ValueError, KeyError, TypeError):
            stored = json.loads(noted.read_text(encoding="utf-8"))
            if stored["key"] == key:
                return FenceReport.from_json(stored["report"])
    report = _best(data, choice)
    noted.parent.mkdir(parents=True, exist_ok=True)
    written = noted.with_name(f"{noted.name}.{os.getpid()}")
    written.write_text(json.dumps({"key": key, "report": report.as_json()}), encoding="utf-8")
    written.replace(noted)
    return report


def _circumstances(choice: FenceChoice) -> str:
    """What a report depends on."""
    program = find_bubblewrap()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    changed = None if program is None else program.stat().st_mtime_ns
    groups = Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
    return repr((_VERSION, boot, platform.release(), os.geteuid(), str(program), changed, sys.prefix, groups, choice))


def _best(data: Path, choice: FenceChoice) -> FenceReport:
    """The first that holds; when none does, the nearest miss of the last one tried says why."""
    reports: list[FenceReport] = []
    for kind in choice.kinds:
        report = _probe(kind, data, choice)
        if report.in_force:
            return report
        reports.append(report)
    if len(reports) == 1:
        return reports[0]
    return _nothing("; ".join(f"{kind}: {_why(report)}" for kind, report in zip(choice.kinds, reports, strict=True)))


def _why(report: FenceReport) -> str:
    missing = [part.mechanism for part in report.parts.values() if part.state == "absent"]
    return missing[0] if missing else "nothing is known of it"


def _make(kind: Kind, data: Path, choice: FenceChoice, limits: ResourceLimits, report: FenceReport) -> Fence:
    """The fence of that kind. Raises FenceRefused when what it needs is not there."""
    if kind == "bubblewrap":
        program = find_bubblewrap()
        if program is None:
            raise FenceRefused("bubblewrap 0.8 or newer is not installed")
        return BubblewrapFence(program, data, report)
    if kind == "landlock":
        if landlock_version() == 0:
            raise FenceRefused("the kernel has no Landlock, or it is switched off")
        return LandlockFence(data, report)
    if kind == "container":
        return ContainerFence(find_engine(choice), data, choice.image, limits, report)
    if kind == "kubernetes":
        return KubernetesFence(cluster(choice), data, choice, limits, report)
    raise FenceRefused(f"there is no fence of the kind {kind}")


def _probe(kind: Kind, data: Path, choice: FenceChoice) -> FenceReport:
    place = data / "run" / "fence" / f"probe-{os.getpid()}"
    if kind == "kubernetes":  # only what lies on the shared volume appears in a pod
        place = data / "workspaces" / f".probe-{os.getpid()}"
    try:
        limiter = Limiter.find(_CANARY_LIMITS)
        report = FenceReport(kind)
        return _Probe(kind, _make(kind, data, choice, _CANARY_LIMITS, report), limiter, place).run()
    except (OSError, FenceRefused) as error:
        return _nothing(str(error) if isinstance(error, FenceRefused) else f"the canary could not be sent: {error}")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _nothing(why: str) -> FenceReport:
    names = ("filesystem", "network", "processes", "privileges", "processCount", "cpu", "memory", "disk", "bandwidth")
    return FenceReport("none", {name: Part("absent", why) for name in names})


@dataclass(frozen=True)
class _Probe:
    kind: Kind
    fence: Fence
    limiter: Limiter
    place: Path

    def run(self) -> FenceReport:
        workspace, home = self.place / "attempt" / "tree", self.place / "attempt" / "home"
        workspace.mkdir(parents=True, exist_ok=True)
        secret = self.place / "secret"
        secret.write_text("not to be read")
        outside = self.place / "outside"
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
            socket.socket(socket.AF_UNIX) as abstract,
            _outsider() as outsider,
        ):
            datagrams.bind(("127.0.0.1", 0))
            name = f"devteam-canary-{os.getpid()}"
            abstract.bind(f"\0{name}")
            abstract.listen()
            wanted = {
                "secrets": [str(secret), "/etc/shadow", f"/proc/{outsider.pid}/environ"],
                "outside": str(outside),
                "kernel": ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger"],
                "readOnly": ["/usr/.devteam-canary", "/etc/.devteam-canary", "/.devteam-canary"],
                "inside": str(workspace / "inside"),
                "addresses": [server.getsockname(), ["169.254.169.254", 80]],
                "datagrams": datagrams.getsockname(),
                "unixSockets": [f"@{name}"],
                "outsiders": [outsider.pid],
                "processorSeconds": 0.15,
                "memoryMegabytes": 4 * _CANARY_LIMITS.memory // 2**20,
                "processes": 2 * _CANARY_LIMITS.processes,
            }
            told, end, throttled = self._send(wanted, workspace, home)
        if told is None:
            return _nothing(f"a command could not be run behind it: {end.error or end}")
        written = outside.exists() or not (workspace / "inside").is_file()
        keeps = _by_landlock if self.kind == "landlock" else _own_spaces
        return FenceReport(self.kind, {**keeps(self.kind, told, written), **self._held(told, throttled)})

    def _send(
        self, wanted: Mapping[str, Any], workspace: Path, home: Path
    ) -> tuple[dict[str, Any] | None, CommandResult, int]:
        far = self.kind in ("container", "kubernetes")
        spec = CommandSpec(
            cwd=workspace,
            env=scrubbed_environment(home=home, extra={}),
            time_limit=FAR_PROBE_SECONDS if far else PROBE_SECONDS,
            marker=f"fence-probe:{time.time_ns()}",
            argv=(sys.executable, "-I", "-S", "-c", CANARY.read_text(encoding="utf-8"), json.dumps(wanted)),
        )
        output: list[str] = []
        fenced = self.fence.wrap(spec, workspace=workspace, home=home)
        limited = "memory" in self.limiter.hierarchies.parents
        with self.limiter.hold("probe", (workspace,)) as hold:
            applied = fenced if far else hold.apply(fenced)  # the client that starts a container needs more
            if not limited and not far:  # 64 MB are too few for a process's address space
                applied = replace(applied, limits={**applied.limits, "AS": 2**30})
            end = RunningCommand.start(applied).wait(output.append)
            throttled = hold.throttled()
        with suppress(ValueError):
            told = json.loads("".join(output))
            return told, end, told["throttled"] if far else throttled
        return None, replace(end, error=end.error or "".join(output)[-300:].strip() or None), throttled

    def _held(self, told: Mapping[str, Any], throttled: int) -> dict[str, Part]:
        groups = {
            name: f"control group {name}, version {version}"
            for name, version in self.limiter.hierarchies.versions.items()
        }
        if self.kind in ("container", "kubernetes"):
            groups = dict.fromkeys(("pids", "cpu", "memory"), "limit of the container")
        few = told["mostProcesses"] < _CANARY_LIMITS.processes
        return {
            "processCount": _part(few, groups.get("pids", "limit of processes per user (RLIMIT_NPROC)")),
            "cpu": _part(throttled > 0, groups.get("cpu", "no control group cpu")),
            "memory": _part(
                told["memoryEnd"] == -signal.SIGKILL and "memory" in groups,
                groups.get("memory", "only each process by itself (RLIMIT_AS)"),
            ),
            "disk": Part("watched", "size of its folders every few seconds; single files by RLIMIT_FSIZE"),
            "bandwidth": _BANDWIDTH,
        }


def _outsider() -> "subprocess.Popen[bytes]":
    """A process of ours that a canary should not reach; it ends with its standard input."""
    return subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env={"SECRET": "not to be read"})


def _keeps_apart(told: Mapping[str, Any], written_outside: bool) -> bool:
    return not told["readsOutside"] and not told["writesOutside"] and told["writesInside"] and not written_outside


def _is_powerless(told: Mapping[str, Any]) -> bool:
    return not (told["capabilities"] or told["newPrivileges"] or told["userNamespace"] or told["changesKernel"])


def _is_cut_off(told: Mapping[str, Any]) -> bool:
    return not (told["connects"] or told["connectsInPassing"] or told["meets"])


def _own_spaces(kind: Kind, told: Mapping[str, Any], written_outside: bool) -> dict[str, Part]:
    by = {"bubblewrap": "bubblewrap", "container": "the container's engine"}.get(kind, "the cluster")
    few = told["processes"] <= 3  # process 1 of the namespace, and the canary
    return {
        "filesystem": _part(_keeps_apart(told, written_outside), f"own root by {by}, only named folders in it"),
        "network": _part(_is_cut_off(told), "own network namespace without a way out"),
        "processes": _part(few, "own process namespace, which ends with its first process"),
        "privileges": _part(_is_powerless(told), "own user without capabilities, no further ones, no set-uid"),
    }


def _by_landlock(kind: Kind, told: Mapping[str, Any], written_outside: bool) -> dict[str, Part]:
    version = f"{kind.capitalize()} {landlock_version()}"
    closed = _is_cut_off(told) and not told["sends"]
    alone = not told["reaches"] and not told["sharesMemory"]
    return {
        "filesystem": _part(
            _keeps_apart(told, written_outside), f"{version}: reading and writing in named folders only"
        ),
        "network": _part(closed, f"{version}: TCP to its own ports only; datagrams and Unix sockets by seccomp"),
        "processes": _part(alone, f"{version}: no signal to others and no tracing; other calls by seccomp"),
        "privileges": _part(_is_powerless(told), "no capabilities, no new privileges, no namespaces by seccomp"),
        "processNamespace": Part("absent", "it sees which processes there are on the machine"),
        "networkNamespace": Part("absent", "its ports are on the machine's own loopback"),
        "fileAttributes": Part(
            "absent", "of any path it learns size and times, and of the engine's user's it can change them"
        ),
    }


def _part(holds: bool, mechanism: str) -> Part:
    return Part("enforced", mechanism) if holds else Part("absent", f"did not hold: {mechanism}")
