"""The egress proxy: HTTP and tunnels to the hosts that a project allows, for attempts behind a fence."""

import asyncio
import concurrent.futures
import contextlib
import errno
import itertools
import os
import socket
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from devteam.adapters.egress.bandwidth import Bandwidth, TokenBucket, pace
from devteam.adapters.egress.request import Asked, BadRequest, read_request
from devteam.adapters.egress.target import (
    NotAllowed,
    Resolve,
    Target,
    Unreachable,
    addresses_of,
    system_resolve,
)
from devteam.adapters.http_probe import Reach
from devteam.executions.ports import Alarm, Job
from devteam.kit.log import get_logger
from devteam.projects.egress import EgressRule

log = get_logger(__name__)
T = TypeVar("T")

HEAD_LIMIT: Final = 64 * 1024
HEAD_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 10.0
CHUNK: Final = 64 * 1024
TOLD_LIMIT: Final = 50
"""Hosts of one attempt whose refusal is told; the others are refused all the same."""
_STOP_SECONDS: Final = 5.0

_TITLES: Mapping[str, str] = {
    "host_refused": "A host was asked that the project does not allow",
    "private_address_refused": "An address inside was asked through the proxy",
}


@dataclass
class EgressWay:
    """One attempt's way out while it is open, with what passed."""

    job: Job
    rules: tuple[EgressRule, ...]
    socket: Path
    bucket: TokenBucket
    sent: int = 0
    received: int = 0
    connections: int = 0
    refused: dict[Target, str] = field(default_factory=dict)
    telling: "set[concurrent.futures.Future[None]]" = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class _OwnAnswer(Exception):
    """What the proxy itself answers."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class EgressProxy:
    """One per worker. Ways may be opened from any thread; the proxy runs from the first on.

    The attempts' sockets lie in `folder`. `reach` says whether the operator lets projects name private addresses, or
    any at all; metadata and link-local ones stay closed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        alarm: Alarm,
        bandwidth: Bandwidth,
        reach: Reach = Reach.PUBLIC,
        resolve: Resolve = system_resolve,
        most_connections: int = 128,
        idle_seconds: float = 600.0,
    ) -> None:
        self._folder = folder
        self._alarm = alarm
        self.bandwidth = bandwidth
        self._reach = reach
        self._resolve = resolve
        self._most_connections = most_connections
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tellers: concurrent.futures.ThreadPoolExecutor | None = None

    @contextmanager
    def open(self, job: Job) -> Iterator[EgressWay]:
        """A way for the attempt's commands; at the end its connections are cut, and what was refused is recorded."""
        self._ensure_running()
        way = EgressWay(
            job=job,
            rules=() if self._reach is Reach.OFF else tuple(EgressRule.parse(text) for text in job.egress),
            socket=self._folder / f"egress-{os.getpid()}-{next(self._numbers)}.sock",
            bucket=self.bandwidth.of(job.ref.attempt_id),
        )
        server = self._run(self._listen(way))
        try:
            yield way
        finally:
            self._run(_close(server, way))
            way.socket.unlink(missing_ok=True)
            concurrent.futures.wait(list(way.telling), timeout=_STOP_SECONDS)
            log.info(
                "egress_closed",
                attempt=str(job.ref.attempt_id),
                sent=way.sent,
                received=way.received,
                connections=way.connections,
                refused=len(way.refused),
            )

    def stop(self) -> None:
        """End the loop; ways that are open are cut."""
        with self._lock:
            if self._loop is not None and self._thread is not None and self._tellers is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join(_STOP_SECONDS)
                self._tellers.shutdown()
                self._loop.run_until_complete(self._loop.shutdown_default_executor())
                self._loop.close()
            self._loop = self._thread = self._tellers = None

    def _ensure_running(self) -> None:
        with self._lock:
            if self._loop is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                _remove_dead_sockets(self._folder)
                self._loop = asyncio.new_event_loop()
                self._tellers = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="egress-alarm")
                self._thread = threading.Thread(target=self._loop.run_forever, name="egress-proxy", daemon=True)
                self._thread.start()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_STOP_SECONDS)

    async def _listen(self, way: EgressWay) -> asyncio.Server:
        way.socket.unlink(missing_ok=True)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            way.tasks.add(task)
            try:
                await self._serve(way, reader, writer)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                pass  # the peer went away, or said nothing for too long
            finally:
                way.tasks.discard(task)
                writer.close()

        server = await asyncio.start_unix_server(serve, way.socket, limit=HEAD_LIMIT, backlog=128)
        # Inside a fence commands may run as another user; outside, the folder is the engine's alone.
        way.socket.chmod(0o666)
        return server

    # --- one connection ---

    async def _serve(self, way: EgressWay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await self._read(way, reader)
            far_reader, far_writer = await self._reach_out(way, asked.target)
        except _OwnAnswer as answer:
            await _say(writer, answer.status, str(answer))
            return
        with contextlib.closing(far_writer):
            await self._pass(way, asked, (reader, writer), (far_reader, far_writer))

    async def _read(self, way: EgressWay, reader: asyncio.StreamReader) -> Asked:
        if len(way.tasks) > self._most_connections:
            raise _OwnAnswer(503, f"More than {self._most_connections} connections at a time.")
        way.connections += 1
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                return read_request(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.LimitOverrunError as error:
            raise _OwnAnswer(431, "The head of the request is too large.") from error
        except BadRequest as error:
            raise _OwnAnswer(400, str(error)) from error

    async def _reach_out(self, way: EgressWay, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await self._connect(way, target)
        except NotAllowed as refusal:
            self._tell(way, target, refusal)
            raise _OwnAnswer(403, refusal.text) from refusal
        except Unreachable as error:
            raise _OwnAnswer(502, str(error)) from error
        except (OSError, TimeoutError) as error:
            raise _OwnAnswer(502, f"{target} cannot be reached.") from error

    async def _connect(self, way: EgressWay, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the first of the judged addresses that answers."""
        addresses = await addresses_of(target, way.rules, self._reach, self._resolve)
        for number, address in enumerate(addresses, start=1):
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(address, target.port, limit=CHUNK)
            except (OSError, TimeoutError):
                if number == len(addresses):
                    raise
        raise Unreachable(f"{target} has no address.")

    async def _pass(
        self,
        way: EgressWay,
        asked: Asked,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Both ways at once, as it comes, until the server ends it or nothing moves any more."""
        moved = _Moved(self._idle_seconds)
        if asked.head is None:
            near[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            limit = None
        else:
            way.sent += len(asked.head)
            far[1].write(asked.head)
            limit = asked.body
        up = asyncio.create_task(_pump(near[0], far[1], way, moved, limit=limit, end=asked.head is None))
        try:
            await _pump(far[0], near[1], way, moved, received=True)
            if asked.head is None and not up.done():
                await up
        finally:
            up.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, TimeoutError):
                await up

    def _tell(self, way: EgressWay, target: Target, refusal: NotAllowed) -> None:
        """Record a refusal, once for each host and port; beside the connection, which does not wait for it."""
        if target in way.refused or len(way.refused) >= TOLD_LIMIT:
            return
        way.refused[target] = refusal.code
        assert self._tellers is not None
        evidence = {"hosts": [str(target)], "reason": refusal.text, "allowed": [str(rule) for rule in way.rules]}
        telling = self._tellers.submit(self._alarm, way.job, refusal.code, _TITLES[refusal.code], evidence)
        way.telling.add(telling)


class _Moved:
    """When bytes moved last, in either direction."""

    def __init__(self, idle_seconds: float) -> None:
        self.at = time.monotonic()
        self._idle_seconds = idle_seconds

    async def read(self, reader: asyncio.StreamReader, most: int) -> bytes:
        """What comes next. Raises TimeoutError when nothing moved in either direction for too long."""
        while True:
            left = self.at + self._idle_seconds - time.monotonic()
            try:
                async with asyncio.timeout(max(0.0, left)):
                    data = await reader.read(most)
            except TimeoutError:
                if time.monotonic() - self.at < self._idle_seconds:
                    continue
                raise
            self.at = time.monotonic()
            return data


async def _pump(
    source: asyncio.StreamReader,
    sink: asyncio.StreamWriter,
    way: EgressWay,
    moved: _Moved,
    *,
    received: bool = False,
    limit: int | None = None,
    end: bool = True,
) -> None:
    """Pass on what comes, `limit` bytes at most, within the attempt's bandwidth; `end` passes the end on as well."""
    left = limit
    while left is None or left > 0:
        data = await moved.read(source, CHUNK if left is None else min(CHUNK, left))
        if not data:
            break
        if left is not None:
            left -= len(data)
        if received:
            way.received += len(data)
        else:
            way.sent += len(data)
        await pace(way.bucket, len(data))
        sink.write(data)
        await sink.drain()
    if end and sink.can_write_eof():
        sink.write_eof()


def _remove_dead_sockets(folder: Path) -> None:
    """What killed workers left: sockets on which nobody listens."""
    for path in folder.glob("egress-*.sock"):
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe, contextlib.suppress(OSError):
            if probe.connect_ex(str(path)) == errno.ECONNREFUSED:
                path.unlink()


async def _close(server: asyncio.Server, way: EgressWay) -> None:
    server.close()
    tasks = list(way.tasks)
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=1.0)


async def _say(writer: asyncio.StreamWriter, status: int, text: str) -> None:
    """An answer of the proxy's own, for whoever reads it inside."""
    words = {400: "Bad Request", 403: "Forbidden", 431: "Request Header Fields Too Large", 502: "Bad Gateway"}
    body = f"DevTeam: {text}\n".encode()
    head = (
        f"HTTP/1.1 {status} {words.get(status, 'Service Unavailable')}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()


def proxy_environment(port: int) -> dict[str, str]:
    """How programs inside are told of the proxy on 127.0.0.1; what runs beside them they reach without it."""
    address = f"http://127.0.0.1:{port}"
    direct = "localhost,127.0.0.1,::1"
    return {
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), address),
        **dict.fromkeys(("no_proxy", "NO_PROXY"), direct),
    }
