"""Build a worker from its parts."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from devteam.adapters.executors.command import CommandExecutor, CommandGateRunner, read_left_report
from devteam.adapters.executors.enclosure import Enclosure
from devteam.adapters.executors.profiles import PROFILES
from devteam.adapters.fences import ANY_FENCE, FenceChoice, ResourceLimits, folder_size
from devteam.adapters.git.attempts import GitDeliveries, GitWorkspaces, delivery_message
from devteam.adapters.git.upkeep import GitUpkeep
from devteam.adapters.http_probe import GuardedHttpProbe, Reach
from devteam.adapters.licences import licence_of
from devteam.adapters.processes import CommandSpec, RunningCommand, kill_marked, kill_orphans, scrubbed_environment
from devteam.adapters.processes.process import SYSTEM_PATH
from devteam.entrypoints.catalogue import agent_programs
from devteam.entrypoints.outside import Outside, make_outside, short_socket_path
from devteam.executions.lifecycle import Lifecycle
from devteam.executions.ports import Asker, CommandEnd, Held, Job, Workspaces
from devteam.executions.requests import PERSON
from devteam.executions.session import Review
from devteam.kit.clock import Clock, utc_now
from devteam.kit.db import Database
from devteam.kit.settings import UpkeepSettings
from devteam.projects.gates import ReviewGate
from devteam.projects.rules import Obstacle
from devteam.workflows.agent_round import AgentExecutor
from devteam.workflows.ask import PersonAsker
from devteam.workflows.hand_back import HandedBack
from devteam.workflows.leader import Leader
from devteam.workflows.review import AgentReviewer
from devteam.workflows.run_attempt import Tools
from devteam.workflows.upkeep import Upkeep
from devteam.workflows.verify import Verifier
from devteam.workflows.worker import Worker, WorkerSettings, host_identity, process_started


def build_worker(
    database: Database,
    data: Path,
    settings: WorkerSettings,
    *,
    clock: Clock = utc_now,
    tools: Tools | None = None,
    upkeep: UpkeepSettings | None = None,
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
        upkeep=build_upkeep(database, data, upkeep or UpkeepSettings(), clock=clock).look,
    )


def build_upkeep(database: Database, data: Path, settings: UpkeepSettings, *, clock: Clock = utc_now) -> Upkeep:
    """What clears away old workspaces of a data folder."""
    workspaces = GitWorkspaces(data / "mirrors", data / "workspaces")
    return Upkeep(database, clock, GitUpkeep(workspaces, data, folder_size), data, settings)


def build_tools(
    database: Database,
    data: Path,
    clock: Clock,
    *,
    fence: FenceChoice = ANY_FENCE,
    allow_unfenced: bool = False,
    http_gates: Reach = Reach.PUBLIC,
    egress: Reach = Reach.PUBLIC,
) -> Tools:
    """The real adapters on a data folder."""
    asker = PersonAsker(database, clock)
    workspaces = GitWorkspaces(data / "mirrors", data / "workspaces")
    limits = ResourceLimits()
    outside = make_outside(database, data, clock, limits, egress)
    enclosure = Enclosure(
        data,
        lambda job: workspaces.mirror(job).path,
        limits=limits,
        alarm=outside.alarm,
        egress=outside.egress,
        choice=fence,
        allow_unfenced=allow_unfenced,
    )
    agents = _AgentsWhenNeeded(lambda: _agents(database, data, clock, enclosure, asker, outside, workspaces))
    return Tools(
        database=database,
        lifecycle=Lifecycle(database, clock),
        workspaces=workspaces,
        deliveries=GitDeliveries(workspaces),
        executors={"command": CommandExecutor(), PERSON: HandedBack(), **dict.fromkeys([*PROFILES, "acp"], agents)},
        verifier=Verifier(database, clock, CommandGateRunner(enclosure), workspaces, GuardedHttpProbe(http_gates)),
        message=delivery_message,
        sweep=_sweep,
        asker=asker,
        licence_of=licence_of,
        program_path=f"{Path(sys.executable).parent}:{SYSTEM_PATH}",
        read_report=read_left_report,
        reviewer=agents,
    )


class _AgentsWhenNeeded:
    """What runs agents, made with the first one: what it imports takes longer than all the rest of a worker, and a
    worker that takes over from a dead one must not wait for it.
    """

    iterates = AgentExecutor.iterates

    def __init__(self, make: Callable[[], tuple[AgentExecutor, AgentReviewer]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: tuple[AgentExecutor, AgentReviewer] | None = None

    def obstacle(self, job: Job) -> Obstacle | None:
        return self._parts()[0].obstacle(job)

    def run(self, job: Job, workspace: Path, held: Held, on_output: Callable[[str], None]) -> CommandEnd:
        return self._parts()[0].run(job, workspace, held, on_output)

    def review(
        self, job: Job, gate: ReviewGate, folder: Path, held: Held, on_output: Callable[[str], None]
    ) -> Review | str:
        return self._parts()[1].review(job, gate, folder, held, on_output)

    def _parts(self) -> tuple[AgentExecutor, AgentReviewer]:
        with self._lock:
            self._made = self._made or self._make()
        return self._made


def _agents(
    database: Database,
    data: Path,
    clock: Clock,
    enclosure: Enclosure,
    asker: Asker,
    outside: Outside,
    workspaces: Workspaces,
) -> tuple[AgentExecutor, AgentReviewer]:
    """Agents behind the model gateway of this worker, which listens from the first agent on."""
    from devteam.adapters.agent_tools import AgentToolServer
    from devteam.adapters.executors.acp import AcpAgents
    from devteam.adapters.model_gateway import GatewayModels, GatewayStore, ModelGateway, PriceTable
    from devteam.adapters.secret_box import SecretBox

    store = GatewayStore(database, clock, SecretBox(data / "run" / "secret.key"))
    socket_path = short_socket_path(data / "run", f"gateway-{os.getpid()}.sock")
    gateway = ModelGateway(store, PriceTable(store.prices), clock, socket_path, bandwidth=outside.bandwidth)
    models = GatewayModels(gateway, store, outside.alarm)
    agents = AcpAgents(enclosure, asker, agent_programs())
    tools = AgentToolServer(short_socket_path(data / "run" / "tools", "0123456789ab.sock").parent)
    return (
        AgentExecutor(database, clock, agents, models, tools, asker),
        AgentReviewer(database, clock, agents, models, tools, workspaces),
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
