"""How an agent and the gates on its work are closed in: the fence, a share of the machine per attempt, and one way out.

What a command was refused, or did that it must not do, is recorded as an incident when it ended.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from devteam.adapters.egress import EgressProxy, proxy_environment
from devteam.adapters.fences import (
    ANY_FENCE,
    Fence,
    FenceChoice,
    FenceReport,
    Hold,
    Limiter,
    ResourceLimits,
    Unfenced,
    choose_fence,
)
from devteam.adapters.fences.tampering import tampering
from devteam.adapters.processes import CommandSpec, RunningCommand
from devteam.executions.ports import Alarm, Job
from devteam.kit.log import get_logger

log = get_logger(__name__)


@dataclass(frozen=True)
class Enclosed:
    """A command ready to be started inside; `in_force` tells what closes it in, part by part."""

    spec: CommandSpec
    in_force: Mapping[str, Any]
    _hold: Hold

    def watch(self, running: RunningCommand) -> AbstractContextManager[None]:
        """While the block lasts, the attempt's disk is measured, and the command ended when it grows too large."""
        return self._hold.watch(running)

    def reason(self) -> str | None:
        """Why the limits ended the command, if they did."""
        return self._hold.reason


class Enclosure:
    """Closes commands in. The fence is chosen, by trying to break out of it, when it is first needed.

    Without an `egress` there is no way out but the sockets that are given.
    """

    def __init__(
        self,
        data: Path,
        mirror: Callable[[Job], Path],
        *,
        limits: ResourceLimits,
        alarm: Alarm,
        egress: EgressProxy | None = None,
        choice: FenceChoice = ANY_FENCE,
        allow_unfenced: bool = False,
    ) -> None:
        self._data = data
        self._mirror = mirror
        self._limits = limits
        self.alarm = alarm
        self._egress = egress
        self._choice = choice
        self._allow_unfenced = allow_unfenced
        self._lock = threading.Lock()
        self._chosen: tuple[Fence, Limiter] | None = None

    def _choose(self) -> tuple[Fence, Limiter]:
        with self._lock:
            if self._chosen is None:
                limiter = Limiter.find(self._limits)
                limiter.sweep()
                fence = choose_fence(self._data, self._choice, limits=self._limits, allow_unfenced=self._allow_unfenced)
                self._chosen = fence, limiter
            return self._chosen

    @property
    def fenced(self) -> bool:
        """Whether a fence is in force; without one agents are refused, or run as the operator allowed."""
        return not isinstance(self._choose()[0], Unfenced)

    def port(self, workspace: Path, index: int) -> int:
        """Where a command in that workspace finds the socket of that number on 127.0.0.1."""
        return self._choose()[0].port(workspace, index)

    def refusal(self) -> str | None:
        """Why nothing may be started inside, if so: no fence is in force, and the operator did not allow that."""
        fence, _ = self._choose()
        return fence.refusal() if isinstance(fence, Unfenced) else None

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
        home, mirror = workspace.parent / "home", self._mirror(job)
        with ExitStack() as stack:
            if self._egress is not None and self.fenced:
                way = stack.enter_context(self._egress.open(job))
                spec = replace(spec, env={**spec.env, **proxy_environment(fence.port(workspace, len(sockets)))})
                sockets = (*sockets, way.socket)
            wrapped = fence.wrap(
                spec, workspace=workspace, home=home, read_only=read_only, sockets=sockets, mirror=mirror
            )
            hold = stack.enter_context(limiter.hold(job.marker.replace(":", "-"), [workspace, home]))
            try:
                yield Enclosed(hold.apply(wrapped), self._in_force(job).as_json(), hold)
            finally:
                self._look_after(job, hold, mirror, workspace)

    def _in_force(self, job: Job) -> FenceReport:
        """What closes this attempt in, its own way out included."""
        report = self.report()
        if self._egress is None or not self.fenced:
            return report
        return report.with_ways_out(job.egress, self._egress.bandwidth.bits)

    def _look_after(self, job: Job, hold: Hold, mirror: Path, workspace: Path) -> None:
        """Record what the command that ended met or did. Never raises."""
        try:
            limit = hold.reason
            if limit is not None:
                self.alarm(job, "resource_limit", "A command met a limit of its fence", {"limits": [limit]})
            found = tampering(mirror, workspace, workspace.parent / ".fence" / workspace.name)
            if found:
                self.alarm(job, "git_tampered", "A command changed git's own files", {"found": found})
        except Exception as error:  # noqa: BLE001 - a look that fails does not undo what was done
            log.error("not_looked_after", attempt=str(job.ref.attempt_id), error=f"{type(error).__name__}: {error}")
