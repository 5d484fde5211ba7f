"""Agents that speak the Agent Client Protocol, over the pipes of a controlled and fenced process."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from acp.schema import EnvVariable, McpServerStdio

from devteam.adapters.executors.acp_people import People
from devteam.adapters.executors.acp_talk import Failure, McpServers, Patience, Talk
from devteam.adapters.executors.enclosure import Enclosure
from devteam.adapters.executors.policy import Policy
from devteam.adapters.executors.profiles import PROFILES, AgentProfile, custom_profile
from devteam.adapters.executors.programs import AgentPrograms, Program
from devteam.adapters.executors.reporting import ReportingSession
from devteam.adapters.processes import CommandResult, CommandSpec, NotFrozen, RunningCommand, scrubbed_environment
from devteam.executions.ports import Asker, CommandEnd, Held, Job
from devteam.executions.session import Assignment, ModelAccess, RoundEnd, Session, ToolAccess
from devteam.projects.rules import Obstacle

GRACE_SECONDS = 0.5
"""Between the signal that asks an agent's processes to end and the one that ends them."""
_OF_VERSIONS = frozenset({"agent_protocol", "agent_ended", "agent_error", "agent_silent"})
"""What a version that was never tried may be the reason of."""
_LEAVE_SECONDS = 5.0
"""How long an agent may take to write its session down after its turn; the next round loads it."""


class AcpAgents:
    """Runs rounds of agents that speak the protocol, the built-in one among them."""

    def __init__(
        self,
        enclosure: Enclosure,
        asker: Asker,
        programs: AgentPrograms | None = None,
        *,
        patience: Patience | None = None,
        profiles: Mapping[str, AgentProfile] = PROFILES,
    ) -> None:
        self._enclosure = enclosure
        self._asker = asker
        self._programs = programs or AgentPrograms(None, os.defpath)
        self._patience = patience or Patience()
        self._profiles = profiles

    def obstacle(self, job: Job) -> Obstacle | None:
        """Why the agent could not begin here: its program or the fence is missing."""
        profile = self._profile(job)
        if profile is None:
            return Obstacle("agent_not_installed", "The project does not say what starts its own agent.")
        if self._programs.find(profile.argv) is None:
            return Obstacle("agent_not_installed", _not_installed_text(profile))
        refused = self._enclosure.refusal()
        return None if refused is None else Obstacle("fence_refused", refused)

    def _profile(self, job: Job) -> AgentProfile | None:
        """How the attempt's agent is started; None when it is the project's own, which the project does not tell."""
        if job.executor != "acp":
            return self._profiles[job.executor]
        return None if job.agent_command is None else custom_profile(job.agent_command)

    def run(
        self,
        job: Job,
        workspace: Path,
        held: Held,
        assignment: Assignment,
        session: Session,
    ) -> RoundEnd:
        """Start the agent, give it the assignment, and end it with everything that it started."""
        profile = self._profile(job)
        assert profile is not None
        program = self._programs.find(profile.argv)
        if program is None:
            return RoundEnd(_not_installed(profile), "")
        session = ReportingSession(session, job, self._enclosure.alarm)
        ways = Ways(partial(self._enclosure.port, workspace) if self._enclosure.fenced else None)
        model = _model_inside(assignment.model, ways)
        tools: McpServers = [] if assignment.tools is None else [_tool_server(assignment.tools, ways)]
        spec = _spec(profile, program, model, job, workspace, assignment)
        held.checkpoint()
        session.entry("prompt", {"text": assignment.prompt})
        policy, people = (
            Policy(job.protected_paths, job.refused_commands),
            People(self._asker, job, held),
        )
        talk = Talk(profile, assignment, session, policy, people, workspace, self._patience, tools)
        with self._enclosure.closed(
            job, spec, workspace=workspace, read_only=program.shown, sockets=ways.sockets
        ) as enclosed:
            running = RunningCommand.start(enclosed.spec)
            people.stops(running)
            results: list[CommandResult] = []
            waiting = threading.Thread(
                target=lambda: results.append(running.wait(session.output)), name="agent-output", daemon=True
            )
            waiting.start()
            control = _Control(running, talk, self._patience.stop)
            try:
                with held.controls(control), enclosed.watch(running):
                    failure = asyncio.run(talk.hold(running.stdin, running.stdout))
                    if failure is None:
                        running.stdin.close()  # how the protocol says goodbye
                    if failure is None or talk.gone:
                        waiting.join(_LEAVE_SECONDS)
            finally:
                running.terminate()
                waiting.join()
                control.over()
                running.close_streams()
            exceeded = enclosed.reason()
            failure = failure if exceeded is None else Failure("resource_limit", exceeded)
        if not results:
            raise RuntimeError("the agent's output could not be kept")
        end = self._end(profile, results[0], failure, talk)
        return RoundEnd(replace(end, fence=enclosed.in_force), talk.said)

    def _end(self, profile: AgentProfile, result: CommandResult, failure: Failure | None, talk: Talk) -> CommandEnd:
        end = CommandEnd(
            exit_code=0 if failure is None else 1,
            signal=None,
            timed_out=result.timed_out,
            seconds=result.seconds,
            isolation=self._enclosure.report().kind if self._enclosure.fenced else result.isolation,
            leftovers=result.leftovers,
        )
        if result.error is not None:
            words = f"{profile.title} could not start: {result.error}"
            return replace(end, exit_code=None, error=words, code="agent_not_started")
        if failure is None or result.timed_out:
            return end
        if failure.code == "agent_ended" and not result.killed:
            when = "in the middle of its work" if talk.opened else "before it said anything"
            how = f"signal {result.signal}" if result.signal is not None else f"exit code {result.exit_code}"
            failure = Failure("agent_ended", f"{profile.title} ended {when}, with {how}.")
        text = failure.text
        if talk.other_version is not None and failure.code in _OF_VERSIONS:
            text = f"{text} {talk.other_version}"
        return replace(end, error=text, code=failure.code)


class Ways:
    """The sockets that lead out of the fence, and where each is found inside."""

    def __init__(self, port: Callable[[int], int] | None) -> None:
        self.sockets: list[Path] = []
        self._port = port

    def port(self, socket: Path) -> int | None:
        """The port on 127.0.0.1 at which a fence offers the socket; None where there is no fence."""
        if self._port is None:
            return None
        self.sockets.append(socket)
        return self._port(len(self.sockets) - 1)


def _model_inside(model: ModelAccess | None, ways: Ways) -> ModelAccess | None:
    """The model's address as the agent sees it."""
    if model is None or model.socket is None:
        return model
    port = ways.port(Path(model.socket))
    return model if port is None else replace(model, base_url=f"http://127.0.0.1:{port}")


def _tool_server(tools: ToolAccess, ways: Ways) -> McpServerStdio:
    """How the agent starts the tools that DevTeam gives it."""
    address = str(ways.port(tools.socket) or tools.socket)
    return McpServerStdio(
        name="devteam",
        command=sys.executable,
        args=["-I", "-S", str(Path(__file__).with_name("tools_bridge.py")), address],
        env=[EnvVariable(name="DEVTEAM_TOOLS_TOKEN", value=tools.token)],
    )


class _Control:
    """What pause, resume and stop do to an agent: a stop asks it by the protocol first."""

    def __init__(self, running: RunningCommand, talk: Talk, patience: float) -> None:
        self._running = running
        self._talk = talk
        self._patience = patience
        self._frozen = False
        self._last_word: threading.Timer | None = None

    def pause(self) -> None:
        self._talk.freeze()
        try:
            self._running.pause()
        except NotFrozen:
            self._talk.thaw()
            raise
        self._frozen = True

    def resume(self) -> None:
        self._running.resume()
        self._frozen = False
        self._talk.thaw()

    def terminate(self) -> None:
        self._talk.stop()
        if self._frozen or self._last_word is not None:
            self._running.terminate()
            return
        # Also when whoever talks is held up by something else.
        self._last_word = threading.Timer(self._patience, self._running.terminate)
        self._last_word.daemon = True
        self._last_word.start()

    def over(self) -> None:
        """The agent is gone."""
        if self._last_word is not None:
            self._last_word.cancel()


def _not_installed_text(profile: AgentProfile) -> str:
    install = "" if profile.package is None else f" Install the npm package {profile.package}."
    return f"{profile.title} is not installed on this worker: there is no program {profile.argv[0]}.{install}"


def _not_installed(profile: AgentProfile) -> CommandEnd:
    return CommandEnd(
        exit_code=None,
        signal=None,
        timed_out=False,
        seconds=0.0,
        isolation="none",
        error=_not_installed_text(profile),
        code="agent_not_installed",
    )


def _spec(
    profile: AgentProfile,
    program: Program,
    model: ModelAccess | None,
    job: Job,
    workspace: Path,
    assignment: Assignment,
) -> CommandSpec:
    home = workspace.parent / "home"
    home.mkdir(parents=True, exist_ok=True)
    told = {} if model is None else dict(profile.configure(model, home))
    env = scrubbed_environment(home=home, extra={**profile.environment, **told})
    env["PATH"] = os.pathsep.join([env["PATH"], *map(str, program.path)])
    return CommandSpec(
        cwd=workspace,
        env=env,
        time_limit=assignment.time_limit,
        marker=job.marker,
        argv=program.argv,
        grace=GRACE_SECONDS,
        interactive=True,
    )
