"""How an agent and the gates on its work are closed in: the fence, and a share of the machine per attempt."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from devteam.adapters.fences import Fence, FenceReport, Hold, Limiter, ResourceLimits, Unfenced, choose_fence
from devteam.adapters.processes import CommandSpec, RunningCommand
from devteam.executions.ports import Job


@dataclass(frozen=True)
class Enclosed:
    """A command ready to be started inside."""

    spec: CommandSpec
    _hold: Hold

    def watch(self, running: RunningCommand) -> AbstractContextManager[None]:
        """While the block lasts, the attempt's disk is measured, and the command ended when it grows too large."""
        return self._hold.watch(running)

    def reason(self) -> str | None:
        """Why the limits ended the command, if they did."""
        return self._hold.reason


class Enclosure:
    """Closes commands in. The fence is chosen, by trying to break out of it, when it is first needed."""

    def __init__(
        self, data: Path, mirror: Callable[[Job], Path], *, limits: ResourceLimits, allow_unfenced: bool = False
    ) -> None:
        self._data = data
        self._mirror = mirror
        self._limits = limits
        self._allow_unfenced = allow_unfenced
        self._lock = threading.Lock()
        self._chosen: tuple[Fence, Limiter] | None = None

    def _choose(self) -> tuple[Fence, Limiter]:
        with self._lock:
            if self._chosen is None:
                limiter = Limiter.find(self._limits)
                limiter.sweep()
                self._chosen = choose_fence(self._data, allow_unfenced=self._allow_unfenced), limiter
            return self._chosen

    @property
    def fenced(self) -> bool:
        """Whether a fence is in force; without one agents are refused, or run as the operator allowed."""
        return not isinstance(self._choose()[0], Unfenced)

    def report(self) -> FenceReport:
        """What is in force, part by part."""
        return self._choose()[0].report

    @contextmanager
    def closed(
        self,
        job: Job,
        spec: CommandSpec,
        *,
        workspace: Path,
        read_only: Sequence[Path] = (),
        sockets: Sequence[Path] = (),
    ) -> Iterator[Enclosed]:
        """The command inside. Raises FenceRefused when nothing is in force and the operator did not allow that."""
        fence, limiter = self._choose()
        home = workspace.parent / "home"
        wrapped = fence.wrap(
            spec, workspace=workspace, home=home, read_only=read_only, sockets=sockets, mirror=self._mirror(job)
        )
        with limiter.hold(job.marker.replace(":", "-"), [workspace, home]) as hold:
            yield Enclosed(hold.apply(wrapped), hold)
