"""Build a worker from its parts."""

from pathlib import Path
from uuid import UUID

from devteam.adapters.executors.command import CommandExecutor, CommandGateRunner
from devteam.adapters.git.attempts import GitDeliveries, GitWorkspaces, delivery_message
from devteam.adapters.processes import CommandSpec, RunningCommand, kill_marked, kill_orphans, scrubbed_environment
from devteam.executions.lifecycle import Lifecycle
from devteam.kit.clock import Clock, utc_now
from devteam.kit.db import Database
from devteam.workflows.leader import Leader
from devteam.workflows.run_attempt import Tools
from devteam.workflows.verify import Verifier
from devteam.workflows.worker import Worker, WorkerSettings, host_identity, process_started


def build_worker(
    database: Database, data: Path, settings: WorkerSettings, *, clock: Clock = utc_now, tools: Tools | None = None
) -> Worker:
    """A worker on a data folder; `tools` replaces its adapters, for tests and benchmarks."""

    def make_leader(worker_id: UUID) -> Leader:
        return Leader(
            database,
            clock,
            worker_id,
            lease=settings.lease,
            host=host_identity(),
            is_alive=lambda pid, started: process_started(pid) == started,
        )

    return Worker(
        database,
        clock,
        tools or build_tools(database, data, clock),
        settings,
        isolation=probe_isolation(data),
        make_leader=make_leader,
    )


def build_tools(database: Database, data: Path, clock: Clock) -> Tools:
    """The real adapters on a data folder."""
    workspaces = GitWorkspaces(data / "mirrors", data / "workspaces")
    return Tools(
        database=database,
        lifecycle=Lifecycle(database, clock),
        workspaces=workspaces,
        deliveries=GitDeliveries(workspaces),
        executors={"command": CommandExecutor()},
        verifier=Verifier(database, clock, CommandGateRunner(), workspaces),
        message=delivery_message,
        sweep=_sweep,
    )


def _sweep(attempt_id: str) -> int:
    """Kill what earlier runs of an attempt left on this machine: its commands, and the git of dead workers."""
    return kill_marked(lambda marker: marker.startswith(f"{attempt_id}:")) + kill_orphans()


def probe_isolation(data: Path) -> str:
    """How commands are held together on this host, found out by running one."""
    home = data / "run" / "probe"
    home.mkdir(parents=True, exist_ok=True)
    spec = CommandSpec(
        cwd=home, env=scrubbed_environment(home=home, extra={}), time_limit=10, marker="probe", argv=("true",)
    )
    return RunningCommand.start(spec).wait(lambda _: None).isolation
