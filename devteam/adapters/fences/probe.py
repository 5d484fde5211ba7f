"""Finding out what fence there is, by letting a canary try to get out of it."""

import json
import os
import platform
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from devteam.adapters.fences.bubblewrap import BubblewrapFence, find_bubblewrap
from devteam.adapters.fences.limits import Limiter
from devteam.adapters.fences.model import Fence, FenceRefused, FenceReport, Part, ResourceLimits
from devteam.adapters.processes import CommandResult, CommandSpec, RunningCommand, scrubbed_environment

CANARY: Final = Path(__file__).with_name("canary.py")
PROBE_SECONDS: Final = 20.0
_VERSION: Final = 2
_CANARY_LIMITS: Final = ResourceLimits(cpu=0.25, memory=64 * 2**20, processes=24)
_BANDWIDTH: Final = Part("absent", "no network inside; the sockets let in are not limited by the fence")
_NO_PROGRAM: Final = "bubblewrap 0.8 or newer is not installed"


@dataclass(frozen=True)
class Unfenced:
    """No fence: agents are refused, unless the operator allows them to run without one."""

    allowed: bool
    report: FenceReport

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
        if not self.allowed:
            why = self.report.part("filesystem").mechanism
            raise FenceRefused(f"Agents do not run without a fence, and this machine has none in force: {why}.")
        return spec


def choose_fence(data: Path, *, allow_unfenced: bool = False) -> Fence:
    """The strongest fence that was proven to hold on this machine."""
    report = probe_fence(data)
    program = find_bubblewrap() if report.kind == "bubblewrap" else None
    if program is not None and report.in_force:
        return BubblewrapFence(program, data, report)
    return Unfenced(allow_unfenced, report)


def probe_fence(data: Path, *, fresh: bool = False) -> FenceReport:
    """What a canary shows of the fence; remembered in the data folder until the machine starts anew.

    Takes a second or two when it has to look.
    """
    noted = data / "run" / "fence" / "report.json"
    key = _circumstances()
    if not fresh:
        with suppress(OSError, ValueError, KeyError, TypeError):
            stored = json.loads(noted.read_text(encoding="utf-8"))
            if stored["key"] == key:
                return FenceReport.from_json(stored["report"])
    report = _probe(data)
    noted.parent.mkdir(parents=True, exist_ok=True)
    written = noted.with_name(f"{noted.name}.{os.getpid()}")
    written.write_text(json.dumps({"key": key, "report": report.as_json()}), encoding="utf-8")
    written.replace(noted)
    return report


def _circumstances() -> str:
    """What a report depends on."""
    program = find_bubblewrap()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    changed = None if program is None else program.stat().st_mtime_ns
    groups = Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
    return repr((_VERSION, boot, platform.release(), os.geteuid(), str(program), changed, sys.prefix, groups))


def _probe(data: Path) -> FenceReport:
    program = find_bubblewrap()
    if program is None:
        return _nothing(_NO_PROGRAM)
    place = data / "run" / "fence" / f"probe-{os.getpid()}"
    try:
        limiter = Limiter.find(_CANARY_LIMITS)
        return _Probe(BubblewrapFence(program, data), limiter, place).run()
    except (OSError, FenceRefused) as error:
        return _nothing(f"the canary could not be sent: {error}")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _nothing(why: str) -> FenceReport:
    names = ("filesystem", "network", "processes", "privileges", "processCount", "cpu", "memory", "disk", "bandwidth")
    return FenceReport("none", {name: Part("absent", why) for name in names})


@dataclass(frozen=True)
class _Probe:
    fence: BubblewrapFence
    limiter: Limiter
    place: Path

    def run(self) -> FenceReport:
        workspace, home = self.place / "attempt" / "tree", self.place / "attempt" / "home"
        workspace.mkdir(parents=True, exist_ok=True)
        secret = self.place / "secret"
        secret.write_text("not to be read")
        outside = self.place / "outside"
        with socket.create_server(("127.0.0.1", 0)) as server:
            wanted = {
                "secrets": [str(secret), "/etc/shadow", f"/proc/{os.getpid()}/environ"],
                "outside": str(outside),
                "kernel": ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger"],
                "readOnly": ["/usr/.devteam-canary", "/etc/.devteam-canary", "/.devteam-canary"],
                "inside": str(workspace / "inside"),
                "addresses": [server.getsockname(), ["169.254.169.254", 80]],
                "processorSeconds": 0.15,
                "memoryMegabytes": 4 * _CANARY_LIMITS.memory // 2**20,
                "processes": 2 * _CANARY_LIMITS.processes,
            }
            told, end, throttled = self._send(wanted, workspace, home)
        if told is None:
            return _nothing(f"a command could not be run behind it: {end.error or end}")
        written = outside.exists() or not (workspace / "inside").is_file()
        return FenceReport("bubblewrap", {**_kept(told, written), **self._held(told, throttled)})

    def _send(
        self, wanted: Mapping[str, Any], workspace: Path, home: Path
    ) -> tuple[dict[str, Any] | None, CommandResult, int]:
        spec = CommandSpec(
            cwd=workspace,
            env=scrubbed_environment(home=home, extra={}),
            time_limit=PROBE_SECONDS,
            marker=f"fence-probe:{time.time_ns()}",
            argv=(sys.executable, "-I", "-S", str(CANARY), json.dumps(wanted)),
        )
        output: list[str] = []
        fenced = self.fence.wrap(spec, workspace=workspace, home=home)
        limited = "memory" in self.limiter.hierarchies.parents
        with self.limiter.hold("probe", (workspace,)) as hold:
            applied = hold.apply(fenced)
            if not limited:  # 64 MB are too few for a process's address space
                applied = replace(applied, limits={**applied.limits, "AS": 2**30})
            end = RunningCommand.start(applied).wait(output.append)
            throttled = hold.throttled()
        with suppress(ValueError):
            return json.loads("".join(output)), end, throttled
        return None, replace(end, error=end.error or "".join(output)[-300:].strip() or None), throttled

    def _held(self, told: Mapping[str, Any], throttled: int) -> dict[str, Part]:
        versions = self.limiter.hierarchies.versions
        groups = {name: f"control group {name}, version {version}" for name, version in versions.items()}
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


def _kept(told: Mapping[str, Any], written_outside: bool) -> dict[str, Part]:
    files = not told["readsOutside"] and not told["writesOutside"] and told["writesInside"] and not written_outside
    alone = told["processes"] <= 3  # process 1 of the namespace, and the canary
    powerless = not (told["capabilities"] or told["newPrivileges"] or told["userNamespace"] or told["changesKernel"])
    return {
        "filesystem": _part(files, "own root by bubblewrap, only named folders in it"),
        "network": _part(not told["connects"], "own network namespace without a way out"),
        "processes": _part(alone, "own process namespace, which ends with its first process"),
        "privileges": _part(powerless, "own user namespace without capabilities, no further ones, no set-uid"),
    }


def _part(holds: bool, mechanism: str) -> Part:
    return Part("enforced", mechanism) if holds else Part("absent", f"did not hold: {mechanism}")
