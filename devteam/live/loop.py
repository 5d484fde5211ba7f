"""One connection: what it follows, and the two loops that read and write its socket.

The writer takes frames only when the socket takes them, so what a slow client has not got waits as a position in the
rooms' rings and reaches it merged. Nothing here knows where state comes from.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from devteam.access.model import Actor
from devteam.kit.clock import Clock, monotonic
from devteam.kit.log import get_logger
from devteam.live.rooms import Outran, Room
from devteam.live.wire import (
    MAX_MESSAGE_BYTES,
    CloseCode,
    Hello,
    Position,
    Scope,
    Subscribe,
    Topic,
    Unsubscribe,
    Visibility,
    client_messages,
    error_frame,
    heartbeat_frame,
    parse_topic,
)

log = get_logger(__name__)

MAX_TOPICS = 100
MAX_WAITING = 1_000
"""Frames outside of rooms that may wait for a slow client: errors, logs, snapshots."""

_BURST, _MESSAGES_PER_SECOND = 100, 20.0
_LINGER_SECONDS = 10.0


class Ended(Exception):
    """The connection must be closed with this code."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Subscription:
    """One topic that a connection follows: its position in the topic's room, and frames that go out first."""

    def __init__(self, connection: "Connection", topic: Topic, restart: Callable[["Subscription", str], None]) -> None:
        self.connection = connection
        self.topic = topic
        self.room: Room | None = None
        self.waiting: deque[str] = deque()
        self.covered = 0
        """The room's seq up to which everything was taken; `sent` lags behind it when nothing was for this scope."""
        self.sent = 0
        self.live = False
        self.task: asyncio.Task[None] | None = None
        self._restart = restart

    def begin(self, room: Room) -> None:
        """Follow a room from now on; frames flow once `go` tells where to begin."""
        self.live = False
        self.room = room
        room.consumers.add(self)

    def go(self, frames: Iterator[str] | list[str] | tuple[str, ...], seq: int) -> None:
        """Send these frames, then what the room has after `seq`."""
        self.waiting.extend(frames)
        self.covered = self.sent = seq
        self.live = True
        self.connection.wake()

    def notify(self, *, urgent: bool) -> None:
        """The room has news."""
        if self.live:
            self.connection.news(urgent=urgent)

    def restart(self, reason: str) -> None:
        """Begin again with a snapshot."""
        if self.live:
            self.live = False
            self._restart(self, reason)

    def end(self) -> None:
        """Follow no longer."""
        self.live = False
        if self.task is not None:
            self.task.cancel()
        if self.room is not None:
            self.room.consumers.discard(self)

    def take(self, scope: Scope, *, rooms: bool) -> Iterator[str]:
        """The frames to send now; with `rooms`, those of the room too."""
        while self.waiting:
            yield self.waiting.popleft()
        room = self.room
        if not rooms or not self.live or room is None or room.seq <= self.covered:
            return
        try:
            frames = room.since(self.covered, self.sent, scope)
        except Outran:
            self.restart("too_slow")
            return
        self.covered = room.seq
        if frames:
            self.sent = room.seq
            yield from frames


class Connection:
    """One socket and what it follows. `attach` is asked to bring a new subscription to life."""

    def __init__(
        self,
        socket: WebSocket,
        actor: Actor,
        clock: Clock,
        *,
        attach: Callable[[Subscription, Position | None, int | None], None],
        restart: Callable[[Subscription, str], None],
        metrics: Callable[[Scope], dict[str, Any]],
    ) -> None:
        self.socket = socket
        self.subscriptions: dict[str, Subscription] = {}
        self.writing_since: float | None = None
        """When the write began that the socket has not taken yet."""
        self.scope: Scope = None
        self._clock = clock
        self._attach = attach
        self._restart = restart
        self._metrics = metrics
        self._hidden = False
        self._flush = True
        self._heartbeat_due = False
        self._waiting: deque[str] = deque()
        self._wake = asyncio.Event()
        self._ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self.become(actor)

    def become(self, actor: Actor) -> None:
        """The user's grants as they are now."""
        self.actor = actor
        self.scope = None if actor.customers is None else frozenset(map(str, actor.customers))

    async def run(self) -> None:
        """Serve the socket until either side ends it."""
        reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._write())
        tasks = (reader, writer, self._ended)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            ended = self._why(reader, writer)
        finally:
            for subscription in self.subscriptions.values():
                subscription.end()
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
        if ended is not None:
            await close(self.socket, ended.code, ended.reason)

    def end(self, code: CloseCode, reason: str) -> None:
        """Close the connection, from wherever."""
        if not self._ended.done():
            self._ended.set_result(Ended(code, reason))

    def news(self, *, urgent: bool) -> None:
        """A room has something; a hidden tab waits for the heartbeat unless it is urgent."""
        if urgent or not self._hidden:
            self._flush = True
            self._wake.set()

    def wake(self) -> None:
        """There are frames outside of rooms."""
        self._wake.set()

    def beat(self) -> None:
        """A heartbeat is due; everything that waits goes out before it."""
        self._heartbeat_due = self._flush = True
        self._wake.set()

    def refuse(self, topic: str | None, code: str, text: str) -> None:
        """Tell the client that something it asked for is not done."""
        if len(self._waiting) >= MAX_WAITING:
            self.end(CloseCode.TOO_SLOW, "too many answers wait")
            return
        self._waiting.append(error_frame(topic, code, text, self._clock()))
        self._wake.set()

    def drop(self, name: str) -> None:
        """Follow a topic no longer."""
        subscription = self.subscriptions.pop(name, None)
        if subscription is not None:
            subscription.end()

    def _why(self, reader: asyncio.Task[None], writer: asyncio.Task[None]) -> Ended | None:
        if self._ended.done():
            return self._ended.result()
        for task in (reader, writer):
            error = task.exception() if task.done() else None
            if isinstance(error, Ended):
                return error
            if error is not None and not isinstance(error, WebSocketDisconnect | OSError):
                log.error("live_connection_failed", exc_info=error)
                return Ended(CloseCode.RESTART, "internal error")
        return None

    async def _write(self) -> None:
        send = self.socket.send
        while True:
            await self._wake.wait()
            self._wake.clear()
            for text in self._take():
                self.writing_since = monotonic()
                await send({"type": "websocket.send", "text": text})
                self.writing_since = None

    def _take(self) -> Iterator[str]:
        while self._waiting:
            yield self._waiting.popleft()
        flush, self._flush = self._flush or not self._hidden, False
        for subscription in list(self.subscriptions.values()):
            yield from subscription.take(self.scope, rooms=flush)
        if self._heartbeat_due:
            self._heartbeat_due = False
            yield heartbeat_frame(
                {name: each.sent for name, each in self.subscriptions.items() if each.live and each.sent >= 0},
                self._metrics(self.scope),
                self._clock(),
            )

    async def _read(self) -> None:
        allowance, since = float(_BURST), monotonic()
        while True:
            self._obey(_parse(await self.socket.receive()))
            now = monotonic()
            allowance = min(float(_BURST), allowance + (now - since) * _MESSAGES_PER_SECOND) - 1
            since = now
            if allowance < 0:
                # A client that talks this much is read more slowly; TCP makes it wait.
                await asyncio.sleep(1 / _MESSAGES_PER_SECOND)

    def _obey(self, message: Hello | Subscribe | Unsubscribe | Visibility) -> None:
        match message:
            case Hello(resume=resume):
                for name, position in resume.items():
                    self._subscribe(name, position, None)
            case Subscribe(topics=topics, offsets=offsets):
                for name in topics:
                    self._subscribe(name, None, offsets.get(name))
            case Unsubscribe(topics=topics):
                for name in topics:
                    self.drop(name)
            case Visibility(hidden=hidden):
                self._hidden = hidden
                self.news(urgent=not hidden)

    def _subscribe(self, name: str, position: Position | None, offset: int | None) -> None:
        if name in self.subscriptions:
            return
        topic = parse_topic(name)
        if topic is None:
            self.refuse(name, "unknown_topic", "There is no such topic.")
            return
        if len(self.subscriptions) >= MAX_TOPICS:
            self.refuse(name, "too_many_topics", f"One connection may follow {MAX_TOPICS} topics.")
            return
        subscription = self.subscriptions[name] = Subscription(self, topic, self._restart)
        self._attach(subscription, position, offset)


def _parse(message: Any) -> Hello | Subscribe | Unsubscribe | Visibility:
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code") or 1005)
    text = message.get("text")
    if text is None:
        raise Ended(CloseCode.BAD_MESSAGE, "send text, not bytes")
    if len(text) > MAX_MESSAGE_BYTES:
        raise Ended(CloseCode.BAD_MESSAGE, f"a message may have {MAX_MESSAGE_BYTES} characters")
    try:
        return client_messages.validate_json(text)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part)[:20] for part in first["loc"])[:50]
        raise Ended(CloseCode.BAD_MESSAGE, f"bad message: {where} {first['type']}"[:120]) from exc


async def close(socket: WebSocket, code: CloseCode, reason: str) -> None:
    """Close a socket, also one whose peer no longer reads.

    ASGI waits until a socket can be written before it closes it, which is never when the peer is stuck. Then the close
    frame goes behind what is already in the buffer, and the connection is cut off when even that does not go out.
    """
    server = getattr(socket._receive, "__self__", None)  # noqa: SLF001 - no other way leads to the transport
    writable, transport = getattr(server, "writable", None), getattr(server, "transport", None)
    if writable is not None:
        writable.set()
    with suppress(Exception):
        async with asyncio.timeout(_LINGER_SECONDS):
            await socket.send(
                {
                    "type": "websocket.close",
                    "code": int(code),
                    "reason": reason.encode("ascii", "replace")[:120].decode(),
                }
            )
    if transport is not None:
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, transport.abort)
