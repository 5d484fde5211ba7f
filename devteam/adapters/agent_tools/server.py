"""One Unix socket per round of an agent, with the protocol spoken line by line behind a token."""

import asyncio
import contextlib
import hmac
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from devteam import __version__
from devteam.adapters.agent_tools.tools import REVIEW_TOOLS, TOOLS, AgentTool, D
from devteam.executions.session import Desk, ReviewDesk, ToolAccess
from devteam.kit.errors import DevTeamError
from devteam.kit.log import get_logger
from devteam.kit.sockets import remove_dead_sockets

LINE_LIMIT = 1_000_000
TOKEN_SECONDS = 10.0
"""How long a caller may take to show its token."""
ALIVE_SECONDS = 5.0
"""A call that waits for a person says this often that it lives, so that the agent does not give it up."""
_CALLS_AT_ONCE = 64
_CLOSE_SECONDS = 5.0

log = get_logger(__name__)

_Context = ServerRequestContext[Any, Any]


class AgentToolServer:
    """Serves rounds. `open` may be called from any thread; all sockets live in one loop of the server's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()

    def open(self, desk: Desk) -> AbstractContextManager[ToolAccess]:
        """A socket with the desk behind it, for as long as the block lasts. Calls under way at its end are cut."""
        return self._open(desk, TOOLS)

    def open_review(self, desk: ReviewDesk) -> AbstractContextManager[ToolAccess]:
        """The same for an agent that reviews."""
        return self._open(desk, REVIEW_TOOLS)

    @contextmanager
    def _open(self, desk: D, tools: Mapping[str, AgentTool[D]]) -> Iterator[ToolAccess]:
        loop = self._running_loop()
        token = secrets.token_urlsafe(24)
        path = self._folder / f"{secrets.token_hex(6)}.sock"
        round_ = _Round(lambda: _server(desk, tools), token)
        asyncio.run_coroutine_threadsafe(round_.listen(path), loop).result()
        try:
            yield ToolAccess(path, token)
        finally:
            closing = asyncio.run_coroutine_threadsafe(round_.close(), loop)
            with contextlib.suppress(TimeoutError):
                closing.result(_CLOSE_SECONDS)
            path.unlink(missing_ok=True)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                remove_dead_sockets(self._folder.glob("*.sock"))
                self._loop = asyncio.new_event_loop()
                self._loop.set_default_executor(ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="agent-tools"))
                threading.Thread(target=self._loop.run_forever, name="agent-tools", daemon=True).start()
            return self._loop


class _Round:
    """The connections of one round."""

    def __init__(self, make_server: Callable[[], Server[Any]], token: str) -> None:
        self._make_server = make_server
        self._token = token.encode()
        self._listener: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def listen(self, path: Path) -> None:
        self._listener = await asyncio.start_unix_server(self._serve, path, limit=LINE_LIMIT)

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            if await self._is_ours(reader):
                await self._talk(reader, writer)
            else:
                log.warning("agent_tools_refused")
        except (OSError, ValueError, asyncio.CancelledError):
            pass  # the caller went away, sent too long a line, or the round is over
        except Exception:
            log.exception("agent_tools_error")
        finally:
            self._talks.discard(task)
            writer.close()

    async def _is_ours(self, reader: asyncio.StreamReader) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TOKEN_SECONDS):
                return hmac.compare_digest((await reader.readline()).strip(), self._token)
        return False

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from `initialize` to its end."""
        to_server, from_agent = anyio.create_memory_object_stream[SessionMessage | Exception](8)
        to_agent, from_server = anyio.create_memory_object_stream[SessionMessage](8)
        server = self._make_server()
        async with anyio.create_task_group() as group:
            group.start_soon(_read, reader, to_server)
            group.start_soon(_write, from_server, writer)
            await server.run(from_agent, to_agent, server.create_initialization_options())
            group.cancel_scope.cancel()


async def _read(reader: asyncio.StreamReader, to_server: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
    async with to_server:
        while line := await reader.readline():
            try:
                message = SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False))
            except ValidationError as error:
                await to_server.send(error)
                continue
            await to_server.send(message)


async def _write(from_server: MemoryObjectReceiveStream[SessionMessage], writer: asyncio.StreamWriter) -> None:
    async with from_server:
        async for out in from_server:
            writer.write(out.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
            await writer.drain()


def _server(desk: D, tools: Mapping[str, AgentTool[D]]) -> Server[Any]:
    async def list_tools(_: _Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(name, tool) for name, tool in tools.items()])

    async def call_tool(context: _Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            return _said(f"There is no tool {params.name}.", failed=True)
        try:
            given = tool.arguments.model_validate(params.arguments or {})
        except ValidationError as error:
            return _said(_wrong(error), failed=True)
        return await _run(context, desk, tool, given)

    return Server(
        "devteam",
        version=__version__,
        instructions="The task you work on and the people behind it.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _run(context: _Context, desk: D, tool: AgentTool[D], given: Any) -> types.CallToolResult:
    call = asyncio.ensure_future(asyncio.to_thread(tool.run, desk, given))
    told = 0
    while not call.done():
        await asyncio.wait({call}, timeout=ALIVE_SECONDS)
        if not call.done():
            told += 1
            await context.session.report_progress(told, message="waiting for a person")
    try:
        return _said(call.result())
    except DevTeamError as error:
        return _said(error.message, failed=True)
    except Exception:
        log.exception("agent_tool_failed")
        return _said("DevTeam could not do this just now; go on without it.", failed=True)


def _described(name: str, tool: AgentTool[Any]) -> types.Tool:
    return types.Tool(
        name=name,
        description=tool.description,
        input_schema=tool.schema,
        annotations=types.ToolAnnotations(read_only_hint=tool.read_only, destructive_hint=False, open_world_hint=False),
    )


def _said(text: str, *, failed: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=failed)


def _wrong(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "arguments"
    return f"{where}: {first['msg']}"
