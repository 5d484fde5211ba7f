"""The agent's side of the Agent Client Protocol (version 1), on standard input and output.

Beyond the protocol: the request `_devteam/steer` {sessionId, text} gives guidance to a running turn, and the error of a
turn that the model ended carries {reason, status, resetAt, usage}.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devteam import __version__
from devteam.agent.failures import ModelError, Patience, Reason
from devteam.agent.loop import MODES, Conversation, Limits
from devteam.agent.mcp import McpServer, ServerCommand, ServerFailed
from devteam.agent.messages import PlanStep, Usage
from devteam.agent.models import model_from_environment
from devteam.agent.paths import PathRefused, Workspace
from devteam.agent.processes import adopt_orphans, kill_descendants, kill_everything
from devteam.agent.prompts import system_prompt
from devteam.agent.rpc import (
    AUTH_REQUIRED,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    LINE_LIMIT_BYTES,
    NOT_FOUND,
    Json,
    Peer,
    RpcError,
)
from devteam.agent.sessions import Saved, SessionLog, SessionStore, state_folder
from devteam.agent.tools import Toolbox

PROTOCOL_VERSION = 1
_DEFAULT_MODE = "ask"


class _Client:
    """The client as the loop sees it: one session of it."""

    def __init__(self, peer: Peer, session: str) -> None:
        self._peer = peer
        self._session = session

    async def update(self, update: Json) -> None:
        await self._peer.notify("session/update", {"sessionId": self._session, "update": update})

    async def ask_permission(self, tool_call: Json, options: list[Json]) -> str | None:
        params = {"sessionId": self._session, "toolCall": tool_call, "options": options}
        answer = await self._peer.request("session/request_permission", params)
        outcome = answer.get("outcome") if isinstance(answer, dict) else None
        match outcome:
            case {"outcome": "selected", "optionId": str(chosen)}:
                return chosen
            case {"outcome": "cancelled"}:
                return None
            case _:
                raise RpcError(INVALID_PARAMS, "the permission's answer has no outcome")


@dataclass
class _Session:
    """A session that is open. `problems` is told when the first turn begins."""

    conversation: Conversation
    servers: list[McpServer]
    problems: list[str]
    turn: asyncio.Task[str] | None = field(default=None)

    async def close(self) -> None:
        if self.turn:
            self.turn.cancel()
            await asyncio.gather(self.turn, return_exceptions=True)
        await asyncio.gather(*(server.stop() for server in self.servers), return_exceptions=True)
        await self.conversation.close()


class Agent:
    """Answers a client's requests."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, environment: Mapping[str, str]
    ) -> None:
        self._environment = environment
        self._store = SessionStore(state_folder(environment))
        self._sessions: dict[str, _Session] = {}
        self._peer = Peer(
            reader,
            writer,
            requests={
                "initialize": self._initialize,
                "authenticate": self._authenticate,
                "session/new": self._new,
                "session/load": self._load,
                "session/resume": self._resume,
                "session/close": self._close,
                "session/prompt": self._prompt,
                "session/set_mode": self._set_mode,
                "_devteam/steer": self._steer,
            },
            notifications={"session/cancel": self._cancel},
        )

    async def run(self) -> None:
        """Serve until the client closes its end; then nothing of ours is left running."""
        try:
            await self._peer.run()
        finally:
            await asyncio.gather(*(session.close() for session in self._sessions.values()), return_exceptions=True)

    async def _initialize(self, _: Json) -> Json:
        return {
            "protocolVersion": PROTOCOL_VERSION,
            "agentCapabilities": {
                "loadSession": self._store.works,
                "promptCapabilities": {"image": False, "audio": False, "embeddedContext": True},
                "mcpCapabilities": {"http": False, "sse": False},
                "sessionCapabilities": {"close": {}} | ({"resume": {}} if self._store.works else {}),
                "_meta": {"devteam": {"steer": True}},
            },
            "agentInfo": {"name": "devteam-agent", "title": "DevTeam agent", "version": __version__},
            "authMethods": [],
        }

    async def _authenticate(self, _: Json) -> Json:
        return {}  # the key comes from the environment

    async def _new(self, params: Json) -> Json:
        workspace, commands = _workspace(params), _servers(params)
        log = self._store.new()
        log.mode(_DEFAULT_MODE)
        await self._open(log, Saved(mode=_DEFAULT_MODE), workspace, commands)
        return {"sessionId": log.id, "modes": self._modes(log.id)}

    async def _load(self, params: Json) -> Json:
        log, saved = await self._reopen(params)
        client = _Client(self._peer, log.id)
        for update in saved.updates:
            await client.update(update)
        return {"modes": self._modes(log.id)}

    async def _resume(self, params: Json) -> Json:
        log, _ = await self._reopen(params)
        return {"modes": self._modes(log.id)}

    async def _close(self, params: Json) -> Json:
        session = self._session(params)
        del self._sessions[params["sessionId"]]
        await session.close()
        return {}

    async def _prompt(self, params: Json) -> Json:
        session = self._session(params)
        text = _prompt_text(params.get("prompt"))
        if session.turn:
            raise RpcError(INVALID_REQUEST, "a prompt of this session is being worked on")
        problems, session.problems = session.problems, []
        conversation = session.conversation
        session.turn = asyncio.create_task(_turn(conversation, text, problems))
        try:
            stop = await asyncio.shield(session.turn)
        except ModelError as error:
            raise _turn_failed(error, conversation.usage) from error
        except asyncio.CancelledError:
            if not session.turn.cancelled():  # it is the connection that ends
                session.turn.cancel()
                await asyncio.gather(session.turn, return_exceptions=True)
                raise
            stop = "cancelled"
        finally:
            session.turn = None
        if stop == "cancelled" and not any(other.turn for other in self._sessions.values()):
            kill_descendants()
        return {"stopReason": stop, "usage": _usage(conversation.usage)}

    async def _set_mode(self, params: Json) -> Json:
        mode = params.get("modeId")
        if mode not in MODES:
            raise RpcError(INVALID_PARAMS, f"there is no mode {mode!r}; there are {', '.join(MODES)}")
        conversation = self._session(params).conversation
        conversation.mode = mode
        conversation.log.mode(mode)
        return {}

    async def _steer(self, params: Json) -> Json:
        session, text = self._session(params), params.get("text")
        if not isinstance(text, str) or not text.strip():
            raise RpcError(INVALID_PARAMS, "text is missing")
        if not session.turn:
            return {"accepted": False}
        session.conversation.steer(text)
        return {"accepted": True}

    async def _cancel(self, params: Json) -> None:
        session = self._session(params)
        if session.turn:
            session.turn.cancel()

    def _session(self, params: Json) -> _Session:
        session = self._sessions.get(str(params.get("sessionId")))
        if session is None:
            raise RpcError(NOT_FOUND, f"there is no session {params.get('sessionId')!r}")
        return session

    def _modes(self, number: str) -> Json:
        current = self._sessions[number].conversation.mode
        modes = [{"id": name, "name": name.capitalize(), "description": text} for name, text in MODES.items()]
        return {"currentModeId": current, "availableModes": modes}

    async def _reopen(self, params: Json) -> tuple[SessionLog, Saved]:
        workspace, commands = _workspace(params), _servers(params)
        number = str(params.get("sessionId"))
        if number in self._sessions:
            raise RpcError(INVALID_REQUEST, "this session is open")
        found = self._store.open(number)
        if found is None:
            raise RpcError(NOT_FOUND, f"there is no session {number!r}")
        await self._open(*found, workspace, commands)
        return found

    async def _open(
        self, log: SessionLog, saved: Saved, workspace: Workspace, commands: list[ServerCommand | str]
    ) -> None:
        servers, problems = await _start_servers(commands, workspace, self._environment)
        conversation: Conversation

        async def on_plan(steps: list[PlanStep]) -> None:
            await conversation.set_plan(steps)

        tools = dict(Toolbox(workspace, on_plan).tools)
        for server in servers:
            tools |= server.tools
        conversation = Conversation(
            transcript=saved.transcript,
            log=log,
            client=_Client(self._peer, log.id),
            system=system_prompt(workspace.root, [server.name for server in servers]),
            tools=tools,
            limits=_limits(self._environment),
            open_model=lambda: model_from_environment(self._environment),
            mode=saved.mode if saved.mode in MODES else _DEFAULT_MODE,
        )
        self._sessions[log.id] = _Session(conversation, servers, problems)


async def _turn(conversation: Conversation, text: str, problems: list[str]) -> str:
    for problem in problems:
        await conversation.think(problem)
    return await conversation.turn(text)


async def _start_servers(
    commands: list[ServerCommand | str], workspace: Workspace, environment: Mapping[str, str]
) -> tuple[list[McpServer], list[str]]:
    """The servers that run, and what is wrong with the others: work goes on without them."""
    seconds = float(_number(environment, "DEVTEAM_AGENT_MCP_SECONDS", 600))
    wanted = [command for command in commands if isinstance(command, ServerCommand)]
    problems = [command for command in commands if isinstance(command, str)]
    started = await asyncio.gather(
        *(McpServer.start(command, workspace.root, call_seconds=seconds) for command in wanted),
        return_exceptions=True,
    )
    servers: list[McpServer] = []
    for command, result in zip(wanted, started, strict=True):
        match result:
            case McpServer():
                servers.append(result)
            case ServerFailed():
                problems.append(f"The MCP server {command.name} cannot be used: {result}")
            case BaseException():
                await asyncio.gather(*(server.stop() for server in servers), return_exceptions=True)
                raise result
    return servers, problems


def _limits(environment: Mapping[str, str]) -> Limits:
    return Limits(
        window=_number(environment, "DEVTEAM_AGENT_CONTEXT", Limits.window),
        turns=_number(environment, "DEVTEAM_AGENT_TURNS", Limits.turns),
        patience=Patience(total_seconds=float(_number(environment, "DEVTEAM_AGENT_PATIENCE", 120))),
    )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name, "")
    return int(value) if value.isdigit() and int(value) else default


def _workspace(params: Json) -> Workspace:
    cwd = params.get("cwd")
    if not isinstance(cwd, str):
        raise RpcError(INVALID_PARAMS, "cwd is missing")
    try:
        return Workspace.at(cwd)
    except PathRefused as refusal:
        raise RpcError(INVALID_PARAMS, str(refusal)) from refusal


def _servers(params: Json) -> list[ServerCommand | str]:
    """What to start; a sentence stands for a server that is of no use to us."""
    return [_server(item) for item in params.get("mcpServers") or ()]


def _server(item: Any) -> ServerCommand | str:
    match item:
        case {"name": str(name), "command": str(command)}:
            arguments = tuple(str(argument) for argument in item.get("args") or ())
            pairs = {str(entry["name"]): str(entry["value"]) for entry in item.get("env") or ()}
            return ServerCommand(name, command, arguments, pairs)
        case {"name": str(name)}:
            return f"The MCP server {name} cannot be used: only servers with a command are supported"
        case _:
            raise RpcError(INVALID_PARAMS, "an MCP server needs a name and a command")


def _prompt_text(blocks: Any) -> str:
    if not isinstance(blocks, list):
        raise RpcError(INVALID_PARAMS, "prompt must be a list")
    text = "\n\n".join(_block_text(block) for block in blocks)
    if not text.strip():
        raise RpcError(INVALID_PARAMS, "the prompt is empty")
    return text


def _block_text(block: Any) -> str:
    match block:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "resource_link", "uri": str(uri)}:
            return f"[{block.get('name') or uri}]({uri})"
        case {"type": "resource", "resource": {"uri": str(uri), "text": str(text)}}:
            return f'<resource uri="{uri}">\n{text}\n</resource>'
        case {"type": "resource", "resource": {"uri": str(uri)}}:
            return f"[{uri} is not text and was left out]"
        case _:
            raise RpcError(INVALID_PARAMS, "the prompt holds a block that this agent does not take")


def _turn_failed(error: ModelError, usage: Usage) -> RpcError:
    auth = error.reason in {Reason.NOT_CONFIGURED, Reason.UNAUTHORIZED}
    data: Json = {"reason": error.reason.value, "usage": _usage(usage)}
    if error.status is not None:
        data["status"] = error.status
    if error.reset_at is not None:
        data["resetAt"] = error.reset_at.isoformat()
    return RpcError(AUTH_REQUIRED if auth else INTERNAL_ERROR, error.message, data)


def _usage(usage: Usage) -> Json:
    """Of this turn. `inputTokens` holds the cached ones too."""
    return {
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "cachedReadTokens": usage.cached,
        "totalTokens": usage.input + usage.output,
    }


async def _streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The protocol's own descriptors: nothing else may read our input or write between our lines."""
    loop = asyncio.get_running_loop()
    source, target = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    reader = asyncio.StreamReader(limit=LINE_LIMIT_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(source, "rb", 0))
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop=loop), os.fdopen(target, "wb", 0)
    )
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)


async def serve() -> None:
    """Serve on standard input and output until the input ends or a signal asks us to."""
    reader, writer = await _streams()
    running = asyncio.create_task(Agent(reader, writer, os.environ).run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        return


def main() -> None:
    """The program `devteam agent`."""
    if "--version" in sys.argv[1:]:
        sys.stdout.write(f"devteam-agent {__version__}\n")
        return
    adopt_orphans()
    try:
        asyncio.run(serve())
    finally:
        kill_everything()
