"""An engine's data folder with two attempts in it, and a way to run commands behind the fence of one of them."""

import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devteam.adapters.fences import BubblewrapFence, Fence, Limiter, ResourceLimits, find_bubblewrap
from devteam.adapters.git import Mirror
from devteam.adapters.processes import CommandResult, CommandSpec, RunningCommand, scrubbed_environment
from tests.integration.git_projects import make_customer

SECRET = "the other customer's secret"


@dataclass
class FenceWorld:
    """One attempt's view; `neighbour` is another attempt's workspace."""

    folder: Path
    make_fence: Callable[[Path], Fence] | None = None
    marker: str = field(default_factory=lambda: f"test:{uuid.uuid4()}")

    def __post_init__(self) -> None:
        self.data = self.folder / "data"
        self.attempt = self.data / "workspaces" / "one"
        self.workspace, self.home = self.attempt / "tree", self.attempt / "home"
        self.neighbour = self.data / "workspaces" / "two" / "tree"
        self.neighbour.mkdir(parents=True)
        (self.neighbour / "secret.txt").write_text(SECRET)
        (self.data / "secret.txt").write_text(SECRET)
        self.customer = make_customer(self.folder)
        self.mirror: Mirror = self.customer.mirror(self.data / "mirrors" / "project.git")
        self.attempt.mkdir(parents=True)
        self.base = self.mirror.head("main")
        self.mirror.make_worktree(self.workspace, "attempt/one", self.base)
        self.fence: Fence = (self.make_fence or make_bubblewrap)(self.data)

    def spec(self, script: str | None = None, *, extra: dict[str, str] | None = None, **changes: Any) -> CommandSpec:
        environment = scrubbed_environment(home=self.home, extra={"PY": sys.executable, **(extra or {})})
        fields: dict[str, Any] = {
            "script": script, "cwd": self.workspace, "env": environment, "time_limit": 60.0, "marker": self.marker,
        }  # fmt: skip
        return CommandSpec(**{**fields, **changes})

    def wrap(self, spec: CommandSpec, *, sockets: Sequence[Path] = (), read_only: Sequence[Path] = ()) -> CommandSpec:
        return self.fence.wrap(
            spec,
            workspace=self.workspace,
            home=self.home,
            mirror=self.mirror.path,
            sockets=sockets,
            read_only=read_only,
        )

    def run(
        self, script: str, *, sockets: Sequence[Path] = (), read_only: Sequence[Path] = (), **changes: Any
    ) -> tuple[CommandResult, str]:
        return run(self.wrap(self.spec(script, **changes), sockets=sockets, read_only=read_only))

    def python(self, code: str, **changes: Any) -> tuple[CommandResult, str]:
        return self.run('exec "$PY" -c "$CODE"', extra={"CODE": code}, **changes)

    def limited(self, script: str, limits: ResourceLimits, **changes: Any) -> tuple[CommandResult, str, str | None]:
        spec = self.wrap(self.spec(script, **changes))
        with Limiter.find(limits).hold("test", [self.attempt]) as hold:
            command = RunningCommand.start(hold.apply(spec))
            output: list[str] = []
            with hold.watch(command, seconds=0.05):
                result = command.wait(output.append)
            return result, "".join(output), hold.reason


def make_bubblewrap(data: Path) -> BubblewrapFence:
    program = find_bubblewrap()
    assert program is not None
    return BubblewrapFence(program, data)


def run(spec: CommandSpec) -> tuple[CommandResult, str]:
    output: list[str] = []
    result = RunningCommand.start(spec).wait(output.append)
    return result, "".join(output)
