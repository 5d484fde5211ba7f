"""What a fence promises, what it was seen to keep, and how much of the machine is allowed inside."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from devteam.adapters.processes import CommandSpec

State = Literal["enforced", "watched", "absent"]
Kind = Literal["bubblewrap", "landlock", "container", "kubernetes", "none"]
PARTS = ("filesystem", "network", "processes", "privileges", "cpu", "memory", "disk", "bandwidth")
REQUIRED = ("filesystem", "network", "processes", "privileges")
"""Without these a fence does not hold, whatever else it does."""

FIRST_FORWARDED_PORT = 9100
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_READ_AS: Mapping[str, tuple[str, Mapping[str, int]]] = {
    "cpu": (r"cores?|", {"": 1}),
    "memory": (r"i?b|", _BINARY_UNITS),
    "storage": (r"i?b|", _BINARY_UNITS),
    "networkBandwidth": (r"bps|bit/s|", _UNITS),
    "processes": (r"|", {"": 1}),
}


class FenceRefused(RuntimeError):
    """The command must not run: there is no fence in force, or a path would open the one there is."""


@dataclass(frozen=True)
class ResourceLimits:
    """What one attempt may use: cores, bytes, bytes, bits per second, and processes with their threads."""

    cpu: float = 2.0
    memory: int = 4 * 2**30
    storage: int = 10 * 2**30
    network_bandwidth: int = 100 * 10**6
    processes: int = 512

    @classmethod
    def from_settings(cls, settings: Mapping[str, str | float]) -> Self:
        """From `resourcesPerCustomer`: cpu "2 cores", memory "4GB", storage "10GB", networkBandwidth "100Mbps".

        Memory and storage count in powers of 1024. Raises ValueError for what cannot be read or is not positive.
        """
        unknown = settings.keys() - _READ_AS.keys()
        if unknown:
            raise ValueError(f"unknown limits: {', '.join(sorted(unknown))}")
        amounts = {name: _quantity(str(value), *_READ_AS[name]) for name, value in settings.items()}
        usual = cls()
        return cls(
            cpu=amounts.get("cpu", usual.cpu),
            memory=int(amounts.get("memory", usual.memory)),
            storage=int(amounts.get("storage", usual.storage)),
            network_bandwidth=int(amounts.get("networkBandwidth", usual.network_bandwidth)),
            processes=int(amounts.get("processes", usual.processes)),
        )


def _quantity(text: str, suffix: str, units: Mapping[str, int]) -> float:
    prefix = "|".join(units)
    found = re.fullmatch(rf"([0-9]+(?:\.[0-9]+)?)\s*({prefix})(?:{suffix})", text.strip().lower())
    if found is None or float(found[1]) <= 0:
        raise ValueError(f"not a positive quantity: {text!r}")
    return float(found[1]) * units[found[2] or ""]


@dataclass(frozen=True)
class Part:
    """How one part of the fence stands, and by what means."""

    state: State
    mechanism: str


@dataclass(frozen=True)
class FenceReport:
    """What canaries showed of a fence on this machine; the parts are those named in PARTS."""

    kind: Kind
    parts: Mapping[str, Part] = field(default_factory=dict)

    @property
    def in_force(self) -> bool:
        """Whether agents may run behind it."""
        return all(self.part(name).state == "enforced" for name in REQUIRED)

    def part(self, name: str) -> Part:
        """One part; absent when nothing is known of it."""
        return self.parts.get(name, Part("absent", "not there"))

    def with_part(self, name: str, part: Part) -> "FenceReport":
        """The same report after somebody else, the model gateway say, took care of a part."""
        return replace(self, parts={**self.parts, name: part})

    def with_ways_out(self, hosts: Sequence[str], bits: int) -> "FenceReport":
        """The same report with what is outside the fence: the egress proxy's list, and the bandwidth of all ways out.

        Without an enforced network there are other ways, and nothing is added.
        """
        network = self.part("network")
        if network.state != "enforced":
            return self
        reached = f"allow-list: {', '.join(hosts)}, by the egress proxy" if hosts else "none"
        width = f"{bits / 1e6:g} Mbit/s for the model gateway and the egress proxy together"
        told = self.with_part("network", Part("enforced", f"{reached}; {network.mechanism}"))
        return told.with_part("bandwidth", Part("enforced", width))

    def as_json(self) -> dict[str, Any]:
        """For storing and showing."""
        return {
            "kind": self.kind,
            "inForce": self.in_force,
            "parts": {name: {"state": p.state, "mechanism": p.mechanism} for name, p in self.parts.items()},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The reverse of `as_json`; raises KeyError or TypeError for anything else."""
        parts = {name: Part(part["state"], part["mechanism"]) for name, part in stored["parts"].items()}
        return cls(stored["kind"], parts)


class Fence(Protocol):
    """Changes a command so that it runs closed in."""

    @property
    def report(self) -> FenceReport:
        """What it was proven to hold."""
        ...

    def port(self, workspace: Path, index: int) -> int:
        """Where a command in that workspace finds the socket of that number on 127.0.0.1."""
        ...

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
        """The same command inside the fence.

        It may write in `workspace` and `home`, which keep their paths and lie in a folder of the engine's own, and read
        `read_only`. The Unix socket number i of `sockets` is offered on 127.0.0.1:`port(workspace, i)` when the network
        is "none". `mirror` is the repository that the workspace is a worktree of; with it git works inside, on a
        repository of its own. Raises FenceRefused.
        """
        ...


def forwarded_port(index: int) -> int:
    """Where a fence with a network of its own offers the socket of that number."""
    return FIRST_FORWARDED_PORT + index
