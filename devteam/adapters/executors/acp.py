"""Agents that speak the Agent Client Protocol, over the pipes of a controlled and fenced process."""

import asyncio
import io
import os
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from acp import PROTOCOL_VERSION, RequestError, text_block
from acp.client.connection import ClientSideConnection
from acp.schema import ClientCapabilities, FileSystemCapabilities, Implementation

from devteam.adapters.executors.acp_client import AgentClient, Allows
from devteam.adapters.executors.enclosure import Enclosure
from devteam.adapters.executors.profiles import PROFILES, AgentProfile, custom_profile
from devteam.adapters.executors.programs import AgentPrograms, Program
from devteam.adapters.fences import forwarded_port
from devteam.adapters.processes import CommandResult, CommandSpec, RunningCommand, scrubbed_environment
from devteam.executions.ports import CommandEnd, Held, Job
from devteam.executions.session import Assignment, ModelAccess, RoundEnd, Session

_MESSAGE_LIMIT = 64 * 1024 * 1024
_START_SECONDS = 60.0
_CANCEL_SECONDS = 3.0
_LEAVE_SECONDS = 5.0
"""How long an agent may take to write its session down after its turn; the next round loads it."""
_LOOK_SECONDS = 0.5

_FAILED_STOPS = {
    "refusal": "The agent refused to go on.",
    "max_tokens": "The agent ran into its model's output limit.",
    "max_turn_requests": "The agent used up its turns.",
}


class AcpAgents:
    """Runs rounds of agents that speak the protocol, the built-in one among them."""

    def __init__(self, enclosure: Enclosure, allows: Allows, programs: AgentPrograms | None = None) -> None:
        self._enclosure = enclosure
        self._allows = allows
        self._programs = programs or AgentPrograms(None, os.defpath)

    def run(
        self,
        job: Job,
        workspace: Path,
        held: Held,
        assignment: Assignment,
        session: Session,
    ) -> RoundEnd:
        """Start the agent, give it the assignment, and end it with everything that it started."""
        profile = PROFILES[job.executor] if job.agent_command is None else custom_profile(job.agent_command)
        program = self._programs.find(profile.argv)
        if program is None:
            return RoundEnd(_not_installed(profile), "")
        model, sockets = self._inside(assignment.model)
        spec = _spec(profile, program, model, job, workspace, assignment)
        held.checkpoint()
        session.entry("prompt", {"text": assignment.prompt})
        client = AgentClient(workspace, session, self._allows)
        talk = _Talk(profile, assignment, session, client, workspace)
        with self._enclosure.closed(
            job, spec, workspace=workspace, read_only=program.shown, sockets=sockets
        ) as enclosed:
            running = RunningCommand.start(enclosed.spec)
            results: list[CommandResult] = []
            waiting = threading.Thread(
                target=lambda: results.append(running.wait(session.output)), name="agent-output", daemon=True
            )
            waiting.start()
            with held.controls(running):
                try:
                    with enclosed.watch(running):
                        failure = asyncio.run(talk.hold(running.stdin, running.stdout))
                        if failure is None:
                            running.stdin.close()  # how the protocol says goodbye
                            waiting.join(_LEAVE_SECONDS)
                finally:
                    running.terminate()
                    waiting.join()
                    running.close_streams()
            failure = enclosed.reason() or failure
        return RoundEnd(self._end(profile, results[0], failure), talk.said)

    def _inside(self, model: ModelAccess | None) -> tuple[ModelAccess | None, tuple[Path, ...]]:
        """The model's address as the agent sees it: inside a fence it is a forwarded socket."""
        if model is None or model.socket is None or not self._enclosure.fenced:
            return model, ()
        return replace(model, base_url=f"http://127.0.0.1:{forwarded_port(0)}"), (Path(model.socket),)

    def _end(self, profile: AgentProfile, result: CommandResult, failure: str | None) -> CommandEnd:
        end = CommandEnd(
            exit_code=0 if failure is None else 1,
            signal=None,
            timed_out=result.timed_out,
            seconds=result.seconds,
            isolation=self._enclosure.report().kind if self._enclosure.fenced else result.isolation,
            leftovers=result.leftovers,
        )
        if result.error is not None:
            return replace(end, exit_code=None, error=f"{profile.title} could not start: {result.error}")
        if failure is None or result.timed_out:
            return end
        return replace(end, error=failure)


def _not_installed(profile: AgentProfile) -> CommandEnd:
    install = "" if profile.package is None else f" Install the npm package {profile.package}."
    return CommandEnd(
        exit_code=None,
        signal=None,
        timed_out=False,
        seconds=0.0,
        isolation="none",
        error=f"{profile.title} is not installed on this worker: there is no program {profile.argv[0]}.{install}",
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
        interactive=True,
    )


class _Talk:
    """The conversation of one round."""

    def __init__(
        self, profile: AgentProfile, assignment: Assignment, session: Session, client: AgentClient, workspace: Path
    ) -> None:
        self._profile = profile
        self._assignment = assignment
        self._session = session
        self._client = client
        self._workspace = workspace
        self.said = ""

    async def hold(self, stdin: io.FileIO, stdout: io.FileIO) -> str | None:
        """Talk until the agent's turn ends; why it failed, or None."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_MESSAGE_LIMIT)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), _copy(stdout, "rb"))
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, _copy(stdin, "wb"))
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        connection = ClientSideConnection(self._client, writer, reader)  # type: ignore[arg-type]
        gone = asyncio.create_task(_gone(reader))
        try:
            return await self._race(self._converse(connection), gone)
        except TimeoutError:
            return f"{self._profile.title} did not answer within {_START_SECONDS:.0f} s."
        except RequestError as exc:
            return f"{self._profile.title} answered with an error: {_first_line(exc)}"
        except (ConnectionError, ValueError) as exc:
            return f"{self._profile.title} broke the protocol: {_first_line(exc)}"
        finally:
            gone.cancel()
            self._client.flush()
            self.said = self._client.said
            with suppress(Exception):
                await asyncio.wait_for(connection.close(), 2)
            transport.close()

    async def _race(self, talk: Any, gone: "asyncio.Task[None]") -> str | None:
        """The conversation, unless the agent goes away in the middle of it."""
        task = asyncio.ensure_future(talk)
        done, _ = await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task in done:
            result: str | None = task.result()
            return result
        with suppress(asyncio.TimeoutError, asyncio.CancelledError):
            # Its last answer may lie in the pipe still.
            return await asyncio.wait_for(asyncio.shield(task), 0.5)
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
        return f"{self._profile.title} ended in the middle of its work."

    async def _converse(self, connection: ClientSideConnection) -> str | None:
        opened = await asyncio.wait_for(
            connection.initialize(
                protocol_version=PROTOCOL_VERSION,
                client_capabilities=ClientCapabilities(
                    fs=FileSystemCapabilities(read_text_file=True, write_text_file=True), terminal=False
                ),
                client_info=Implementation(name="devteam", title="DevTeam", version="1"),
            ),
            _START_SECONDS,
        )
        if opened.protocol_version != PROTOCOL_VERSION:
            return f"{self._profile.title} speaks version {opened.protocol_version} of the protocol only."
        capabilities = opened.agent_capabilities
        session_id = await self._open(connection, loads=bool(capabilities and capabilities.load_session))
        self._session.began(session_id)
        if self._profile.mode is not None:
            with suppress(RequestError):  # an agent without modes asks for each act, which the policy answers
                await connection.set_session_mode(session_id=session_id, mode_id=self._profile.mode)
        return await self._work(connection, session_id)

    async def _open(self, connection: ClientSideConnection, *, loads: bool) -> str:
        """The session of the round before where the agent can load it, else a new one."""
        earlier, cwd = self._assignment.session_id, str(self._workspace)
        if earlier is not None and loads and self._profile.loads_sessions:
            self._client.replaying = True
            try:
                await asyncio.wait_for(
                    connection.load_session(cwd=cwd, session_id=earlier, mcp_servers=[]), _START_SECONDS
                )
                return earlier
            except RequestError:
                self._session.entry("note", {"text": "The earlier session could not be loaded; a new one began."})
            finally:
                self._client.replaying = False
        opened = await asyncio.wait_for(connection.new_session(cwd=cwd, mcp_servers=[]), _START_SECONDS)
        return opened.session_id

    async def _work(self, connection: ClientSideConnection, session_id: str) -> str | None:
        """Turns until the agent ends one by itself. Guidance that comes in the middle begins another."""
        words = self._assignment.prompt
        while True:
            self._client.turn()
            turn = asyncio.ensure_future(connection.prompt(session_id=session_id, prompt=[text_block(words)]))
            guidance = await self._watch(turn, connection, session_id)
            if isinstance(guidance, str):
                return guidance
            if not guidance:
                stop = turn.result().stop_reason
                guidance = self._session.guidance()
                if not guidance:
                    return _FAILED_STOPS.get(stop)
            words = "The project manager adds:\n\n" + "\n\n".join(guidance)
            self._session.entry("steer", {"text": words})

    async def _watch(
        self, turn: "asyncio.Future[Any]", connection: ClientSideConnection, session_id: str
    ) -> list[str] | str:
        """Until the turn ends: guidance cancels it, silence kills it (the reason then)."""
        while True:
            await asyncio.wait({turn}, timeout=_LOOK_SECONDS)
            if turn.done():
                turn.result()
                return []
            if time.monotonic() - self._client.last_sign > self._assignment.silence_limit:
                turn.cancel()
                return f"{self._profile.title} gave no sign of life for {self._assignment.silence_limit:.0f} s."
            guidance = self._session.guidance()
            if guidance:
                await connection.cancel(session_id=session_id)
                await asyncio.wait({turn}, timeout=_CANCEL_SECONDS)
                if not turn.done():
                    turn.cancel()
                return guidance


async def _gone(reader: asyncio.StreamReader) -> None:
    """Ends when the agent's output does."""
    while not reader.at_eof():  # noqa: ASYNC110 - a stream reader has no event for its end
        await asyncio.sleep(0.1)


def _copy(stream: io.FileIO, mode: str) -> Any:
    """The event loop closes what it is given; the command's own pipe stays ours to close."""
    return os.fdopen(os.dup(stream.fileno()), mode, buffering=0)


def _first_line(error: Exception) -> str:
    detail = getattr(error, "data", None)
    text = f"{error} {detail or ''}".strip() or type(error).__name__
    return text.splitlines()[0][:300]
