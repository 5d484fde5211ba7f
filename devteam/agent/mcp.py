"""Tools of MCP servers that the client names, spoken to over pipes."""

import asyncio
import contextlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devteam import __version__
from devteam.agent.models import ToolSpec
from devteam.agent.processes import OUTPUT_LIMIT_BYTES, Leader, end_server, start_server
from devteam.agent.rpc import ConnectionLost, Peer, RpcError
from devteam.agent.tools import Action, OnOutput, Outcome, Tool, ToolRefused, cut

Json = dict[str, Any]

PROTOCOL = "2025-06-18"
START_SECONDS = 30.0
CALL_SECONDS = 600.0
"""How long a call may be silent; every progress message of the server starts the time again."""

_LINE_LIMIT_BYTES = 16 * 1024 * 1024
_PAGES = 20
_TOOLS = 200
_NAME_LIMIT = 64
_DESCRIPTION_LIMIT = 2_000
_NO_NAME = re.compile(r"[^a-zA-Z0-9_-]")


class ServerFailed(Exception):
    """The server does not start or does not answer; the message says why."""


@dataclass(frozen=True)
class ServerCommand:
    """How a server is started."""

    name: str
    command: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


class McpServer:
    """A running server."""

    def __init__(self, name: str, leader: Leader, call_seconds: float) -> None:
        assert leader.process.stdout is not None
        assert leader.process.stdin is not None
        self.name = name
        self._leader = leader
        self._call_seconds = call_seconds
        self._tokens = itertools.count(1)
        self._progress: dict[int, asyncio.Event] = {}
        self._peer = Peer(
            leader.process.stdout,
            leader.process.stdin,
            requests={"ping": _pong},
            notifications={"notifications/progress": self._on_progress},
        )
        self._reading = asyncio.create_task(self._peer.run())
        self.tools: dict[str, Tool] = {}

    @classmethod
    async def start(cls, command: ServerCommand, cwd: Path, *, call_seconds: float = CALL_SECONDS) -> "McpServer":
        """Start it and learn its tools; raises `ServerFailed`."""
        try:
            leader = await start_server(
                [command.command, *command.arguments],
                cwd=cwd,
                environment=command.environment,
                limit=_LINE_LIMIT_BYTES,
            )
        except (OSError, ValueError) as error:
            raise ServerFailed(f"{command.command} does not start: {error}") from error
        server = cls(command.name, leader, call_seconds)
        try:
            async with asyncio.timeout(START_SECONDS):
                await server._begin()
        except BaseException as error:
            await server.stop()
            if isinstance(error, TimeoutError):
                raise ServerFailed(f"it did not answer within {START_SECONDS:.0f} s") from error
            if isinstance(error, RpcError | ConnectionLost):
                raise ServerFailed(str(error)) from error
            raise
        return server

    async def stop(self) -> None:
        """End the server and all it started."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await end_server(self._leader)

    async def _begin(self) -> None:
        about = {"name": "devteam-agent", "version": __version__}
        hello = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": about}
        await self._peer.request("initialize", hello)
        await self._peer.notify("notifications/initialized", {})
        cursor: str | None = None
        for _ in range(_PAGES):
            page = _dict(await self._peer.request("tools/list", {"cursor": cursor} if cursor else {}))
            for described in page.get("tools", []) if isinstance(page.get("tools"), list) else []:
                self._add(_dict(described))
            cursor = page.get("nextCursor") if isinstance(page.get("nextCursor"), str) else None
            if not cursor:
                return

    def _add(self, described: Json) -> None:
        name, schema = described.get("name"), _dict(described.get("inputSchema"))
        if not isinstance(name, str) or len(self.tools) >= _TOOLS:
            return
        shown = _NO_NAME.sub("_", f"{self.name}__{name}")[:_NAME_LIMIT]
        description = str(described.get("description") or described.get("title") or name)[:_DESCRIPTION_LIMIT]
        # Providers want an object; what else the schema says is the server's to check.
        parameters: Json = {"properties": {}} | schema | {"type": "object"}
        harmless = _dict(described.get("annotations")).get("readOnlyHint") is True

        def prepare(given: Json) -> Action:
            async def run(_: OnOutput) -> Outcome:
                return await self._call(name, given)

            permission = None if harmless else f"use {shown}"
            return Action(f"{self.name}: {name}", "other", run, permission=permission)

        self.tools[shown] = Tool(ToolSpec(shown, description, parameters), prepare, checked=False)

    async def _call(self, name: str, arguments: Json) -> Outcome:
        token = next(self._tokens)
        alive = self._progress[token] = asyncio.Event()
        params = {"name": name, "arguments": arguments, "_meta": {"progressToken": token}}
        number, answer = self._peer.start_request("tools/call", params)
        call = asyncio.ensure_future(answer)
        try:
            while not call.done():
                alive.clear()
                waiter = asyncio.create_task(alive.wait())
                await asyncio.wait({call, waiter}, timeout=self._call_seconds, return_when=asyncio.FIRST_COMPLETED)
                waiter.cancel()
                if not call.done() and not alive.is_set():
                    raise ToolRefused(f"{self.name} did not answer for {self._call_seconds:.0f} s")
            return _outcome(_dict(call.result()))
        except RpcError as error:
            return Outcome(cut(error.message, OUTPUT_LIMIT_BYTES), failed=True)
        except ConnectionLost:
            raise ToolRefused(f"the server {self.name} has ended") from None
        finally:
            del self._progress[token]
            if not call.done():
                call.cancel()
                with contextlib.suppress(ConnectionLost):
                    await self._peer.notify("notifications/cancelled", {"requestId": number, "reason": "cancelled"})

    async def _on_progress(self, params: Json) -> None:
        event = self._progress.get(params.get("progressToken", 0))
        if event:
            event.set()


async def _pong(_: Json) -> Json:
    return {}


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _outcome(result: Json) -> Outcome:
    content = result.get("content")
    blocks = [_dict(block) for block in content] if isinstance(content, list) else []
    parts = [b["text"] if isinstance(b.get("text"), str) else f"[{b.get('type')} not shown]" for b in blocks]
    text = "\n".join(parts) or str(result.get("structuredContent") or "(nothing)")
    return Outcome(cut(text, OUTPUT_LIMIT_BYTES), failed=result.get("isError") is True)
