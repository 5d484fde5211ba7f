"""JSON-RPC 2.0 over lines of JSON, in both directions; what ACP and MCP over pipes have in common."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Json = dict[str, Any]
Handler = Callable[[Json], Awaitable[Any]]

LINE_LIMIT_BYTES = 50 * 1024 * 1024

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
AUTH_REQUIRED = -32000
NOT_FOUND = -32002


class RpcError(Exception):
    """An error that crosses the connection, in either direction."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class ConnectionLost(Exception):
    """The other side is gone; nothing more will be answered."""


class Peer:
    """One end of a connection. Requests are answered side by side; notifications are handled in their order."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        requests: Mapping[str, Handler] | None = None,
        notifications: Mapping[str, Handler] | None = None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._requests = requests or {}
        self._notifications = notifications or {}
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost = False
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Read until the other side closes; then everything that waits for an answer fails and handlers end."""
        try:
            while line := await self._read_line():
                if line.strip():
                    await self._receive(line)
        finally:
            self._lost = True
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ConnectionLost("the connection was closed"))
            self._waiting.clear()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def request(self, method: str, params: Json) -> Any:
        """Ask the other side; raises `RpcError` for its errors and `ConnectionLost` when it is gone."""
        return await self.start_request(method, params)[1]

    def start_request(self, method: str, params: Json) -> tuple[int, Awaitable[Any]]:
        """Like `request`, for callers that need the request's id while it runs."""
        number = self._next_id
        self._next_id += 1
        return number, self._ask(number, method, params)

    async def notify(self, method: str, params: Json) -> None:
        """Tell the other side."""
        await self._send({"jsonrpc": "2.0", "method": method, "params": params})

    async def _ask(self, number: int, method: str, params: Json) -> Any:
        if self._lost:
            raise ConnectionLost("the connection was closed")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
            return await future
        finally:
            self._waiting.pop(number, None)

    async def _send(self, message: Json) -> None:
        # Half a character (from a file's name, or a model) is valid in our strings and in no encoding.
        text = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
        data = text.encode(errors="replace") + b"\n"
        async with self._sending:
            if self._lost or self._writer.is_closing():
                raise ConnectionLost("the connection was closed")
            self._writer.write(data)
            try:
                await self._writer.drain()
            except (ConnectionError, OSError) as error:
                raise ConnectionLost(str(error)) from error

    async def _read_line(self) -> bytes:
        try:
            return await self._reader.readline()
        except ValueError:  # a line longer than the limit: there is no way to find the next one
            print("a line was longer than the limit; closing", file=sys.stderr)
            return b""
        except ConnectionError:
            return b""

    async def _receive(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            await self._fail(None, RpcError(PARSE_ERROR, "this line is not JSON"))
            return
        if not isinstance(message, dict):
            await self._fail(None, RpcError(INVALID_REQUEST, "a message must be an object"))
        elif "method" not in message:
            self._settle(message)
        elif "id" in message:
            task = asyncio.create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif handler := self._notifications.get(str(message["method"])):
            try:
                await handler(_params(message))
            except RpcError as error:
                print(f"{message['method']}: {error.message}", file=sys.stderr)

    def _settle(self, message: Json) -> None:
        number = message.get("id")
        future = self._waiting.get(number) if isinstance(number, int) else None
        if future is None or future.done():
            return
        error = message.get("error")
        if isinstance(error, dict):
            code = error.get("code")
            code = code if isinstance(code, int) else INTERNAL_ERROR
            future.set_exception(RpcError(code, str(error.get("message", "error")), error.get("data")))
        else:
            future.set_result(message.get("result"))

    async def _answer(self, message: Json) -> None:
        number = message["id"]
        try:
            handler = self._requests.get(str(message["method"]))
            if handler is None:
                raise RpcError(METHOD_NOT_FOUND, f"there is no method {message['method']!r}")
            result = await handler(_params(message))
            await self._send({"jsonrpc": "2.0", "id": number, "result": result})
        except RpcError as error:
            await self._fail(number, error)
        except ConnectionLost:
            return
        except Exception as error:  # noqa: BLE001 - the asking side must learn that its request failed
            print(f"{message['method']} failed: {error!r}", file=sys.stderr)
            await self._fail(number, RpcError(INTERNAL_ERROR, f"{type(error).__name__}: {error}"))

    async def _fail(self, number: Any, error: RpcError) -> None:
        body: Json = {"code": error.code, "message": error.message}
        if error.data is not None:
            body["data"] = error.data
        try:
            await self._send({"jsonrpc": "2.0", "id": number, "error": body})
        except ConnectionLost:
            return


def _params(message: Json) -> Json:
    params = message.get("params")
    return params if isinstance(params, dict) else {}
