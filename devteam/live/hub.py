"""The hub of a web process: one relay, the rooms, and all connections."""

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from starlette.websockets import WebSocket

from devteam.access.model import Actor
from devteam.events.model import SYSTEM_STREAM
from devteam.kit.clock import Clock, monotonic
from devteam.kit.db import Database, sql
from devteam.kit.errors import NotFound
from devteam.kit.log import get_logger
from devteam.live.attach import attach_customer, customer_changes, database_epoch
from devteam.live.connect import Authenticate, admit
from devteam.live.logs import LogTail, output_length
from devteam.live.loop import Connection, Subscription, close
from devteam.live.overview import Overview, OverviewState
from devteam.live.relay import Relay, StreamBatch
from devteam.live.rooms import Entry, Outran, Room
from devteam.live.wire import CloseCode, Notable, Position, Scope, Topic, TopicKind, reset_frame

log = get_logger(__name__)
T = TypeVar("T")

_UNAVAILABLE = "The database cannot be reached; this goes on as soon as it can."
_NOT_FOUND = "There is no such thing, or you may not see it."
_THREADS = 4
_STOP_SECONDS = 2.0
_FIRST_DELAY, _LAST_DELAY = 0.25, 5.0


@dataclass(frozen=True)
class LiveSettings:
    """How fast things go, in seconds."""

    tick_seconds: float = 0.025
    """At most one round of frames per tick; what happens inside one is merged."""
    heartbeat_seconds: float = 5.0
    sums_seconds: float = 1.0
    recheck_seconds: float = 30.0
    """How long a revoked session or grant may go on."""
    slow_seconds: float = 30.0
    """How long a socket may take for one frame."""
    customer_ring: int = 2_000


class LiveHub:
    """Serves `/ws/devteam/updates`. It starts and goes on without a database; pages then get their heartbeat."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        authenticate: Authenticate,
        *,
        allowed_origins: frozenset[str] = frozenset(),
        settings: LiveSettings = LiveSettings(),
    ) -> None:
        self._database = database
        self._clock = clock
        self._authenticate = authenticate
        self._allowed_origins = allowed_origins
        self._settings = settings
        self._overview = Overview(clock)
        self._epoch = ""
        self._relay = Relay(database.url, self._load, self._deliver, tick_seconds=settings.tick_seconds)
        self._customers: dict[UUID, Room] = {}
        self._tails: dict[UUID, LogTail] = {}
        self._connections: set[Connection] = set()
        self._serving: set[asyncio.Task[Any]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="live")
        self._stopping = False

    async def start(self) -> None:
        """Begin to follow the database; returns at once, and is harmless when called again."""
        if self._tasks:
            return
        for job in (self._relay.run(), self._keep_beating(), self._keep_summing(), self._keep_checking()):
            self._spawn(job)

    async def stop(self) -> None:
        """Tell every page to come back to whoever answers next, and stop."""
        self._stopping = True
        for connection in list(self._connections):
            connection.end(CloseCode.RESTART, "the server restarts")
        if self._serving:
            await asyncio.wait(self._serving, timeout=_STOP_SECONDS)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Whoever stops us closes the database next: a read that still runs must give its connection back first.
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    @property
    def connections(self) -> int:
        """How many sockets are served now."""
        return len(self._connections)

    @property
    def customer_epoch(self) -> str:
        """The epoch of all customers' topics; empty until the database was reached."""
        return self._epoch

    def overview_position(self) -> tuple[str, int]:
        """Epoch and seq of the overview now."""
        return self._overview.epoch, self._overview.room.seq

    def overview(self, actor: Actor) -> OverviewState | None:
        """The overview as this actor may see it, from memory; None until the database was reached."""
        if not self._relay.ready.is_set():
            return None
        return self._overview.state(_scope(actor))

    async def serve(self, socket: WebSocket) -> None:
        """Serve one socket from its handshake to its end."""
        await socket.accept()
        try:
            admitted = await self._blocking(self._admit, socket)
        except (SQLAlchemyError, OSError):
            admitted = CloseCode.RESTART
        if isinstance(admitted, CloseCode) or self._stopping:
            code = admitted if isinstance(admitted, CloseCode) else CloseCode.RESTART
            await close(socket, code, code.name.lower())
            return
        connection = Connection(
            socket,
            admitted,
            self._clock,
            attach=self._attach,
            restart=self._restart,
            metrics=self._metrics,
        )
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(connection)
        self._serving.add(task)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            self._serving.discard(task)
            self._sweep_rooms()

    # --- what the relay brings -----------------------------------------------------------------------------------

    def _load(self) -> dict[UUID, int]:
        self._epoch = database_epoch(self._database)
        return self._overview.load(self._database)

    def _deliver(self, batches: Sequence[StreamBatch]) -> None:
        lost: list[UUID] = []
        changes, events = [], []
        for batch in batches:
            if batch.stream == SYSTEM_STREAM:
                self._overview.stale = True
                continue
            if batch.versions is None:
                lost.append(batch.stream)
            else:
                changes += [change for version in batch.versions for change in version.changes]
                events += [version.event for version in batch.versions if version.event is not None]
            self._publish_customer(batch)
        self._overview.apply(changes, events)
        if lost:
            self._spawn(self._reload(lost, went_back=any(batch.went_back for batch in batches)))

    def _publish_customer(self, batch: StreamBatch) -> None:
        room = self._customers.get(batch.stream)
        if room is None:
            return
        if batch.versions is None:
            room.reset(batch.head, "gap")
            return
        room.publish(
            [
                Entry(each.version, customer_changes(each), () if each.event is None else (each.event,))
                for each in batch.versions
            ]
        )

    async def _reload(self, customers: Sequence[UUID], *, went_back: bool) -> None:
        """What was lost of these customers is in their cards, which are absolute."""
        changes = await self._persist(self._overview.reload_cards, self._database, customers)
        nothing: list[Notable] = []
        if went_back:
            self._overview.forget(customers)
        self._overview.apply(changes, nothing)

    # --- subscriptions -------------------------------------------------------------------------------------------

    def _attach(self, subscription: Subscription, position: Position | None, offset: int | None) -> None:
        self._begin(subscription, self._attached(subscription, position, offset, None))

    def _restart(self, subscription: Subscription, reason: str) -> None:
        self._begin(subscription, self._attached(subscription, None, None, reason))

    def _begin(self, subscription: Subscription, job: Coroutine[Any, Any, None]) -> None:
        if subscription.task is not None:
            subscription.task.cancel()
        subscription.task = self._spawn(job)

    async def _attached(
        self, subscription: Subscription, position: Position | None, offset: int | None, reason: str | None
    ) -> None:
        topic, connection = subscription.topic, subscription.connection
        if not _may_follow(connection.actor, topic):
            self._refuse(subscription, "not_found", _NOT_FOUND)
            return
        try:
            if not self._relay.ready.is_set():
                connection.refuse(topic.name, "unavailable", _UNAVAILABLE)
                await self._relay.ready.wait()
            match topic.kind:
                case TopicKind.OVERVIEW | TopicKind.SYSTEM:
                    self._attach_shared(subscription, position, reason)
                case TopicKind.CUSTOMER:
                    await self._attach_customer(subscription, position, reason)
                case TopicKind.LOGS:
                    await self._attach_log(subscription, position.seq if position else offset)
        except NotFound:
            self._refuse(subscription, "not_found", _NOT_FOUND)

    def _refuse(self, subscription: Subscription, code: str, text: str) -> None:
        connection, name = subscription.connection, subscription.topic.name
        connection.refuse(name, code, text)
        if connection.subscriptions.get(name) is subscription:
            subscription.task = None  # this very task, which ends by itself
            connection.drop(name)

    def _attach_shared(self, subscription: Subscription, position: Position | None, reason: str | None) -> None:
        overview, scope = self._overview, subscription.connection.scope
        system = subscription.topic.kind is TopicKind.SYSTEM
        room = overview.system_room if system else overview.room
        subscription.begin(room)
        if position is not None:
            try:
                if position.epoch != room.epoch:
                    raise Outran
                subscription.go(list(room.resume(position.seq, scope)), room.seq)
                return
            except Outran:
                reason = "too_old" if position.epoch == room.epoch else "restarted"
        snapshot = overview.system_snapshot(scope) if system else overview.snapshot(scope)
        frames = [snapshot] if reason is None else [reset_frame(room.topic, reason, self._clock()), snapshot]
        subscription.go(frames, room.seq)

    async def _attach_customer(self, subscription: Subscription, position: Position | None, reason: str | None) -> None:
        customer_id = subscription.topic.id
        assert customer_id is not None
        # First the room, then the state: what happens in between waits in the room's ring.
        subscription.begin(self._customer_room(customer_id))
        read = partial(
            attach_customer,
            self._database,
            customer_id,
            epoch=self._epoch,
            clock=self._clock,
            resume=position,
            reason=reason,
        )
        attached = await self._persist(read, connection=subscription.connection, topic=subscription.topic)
        subscription.go(list(attached.frames), attached.seq)

    def _customer_room(self, customer_id: UUID) -> Room:
        room = self._customers.get(customer_id)
        if room is None:
            room = self._customers[customer_id] = Room(
                f"customer:{customer_id}",
                self._epoch,
                self._relay.known(customer_id),
                self._clock,
                entries=self._settings.customer_ring,
            )
        return room

    async def _attach_log(self, subscription: Subscription, wanted: int | None) -> None:
        attempt_id, connection = subscription.topic.id, subscription.connection
        assert attempt_id is not None
        length = await self._persist(
            self._log_length, connection.actor, attempt_id, connection=connection, topic=subscription.topic
        )
        tail = self._tails.get(attempt_id)
        if tail is None:
            tail = self._tails[attempt_id] = LogTail(
                self._database,
                attempt_id,
                self._clock,
                spawn=self._spawn,
                done=lambda: self._tails.pop(attempt_id, None),
            )
        frames, start = tail.begin(length, wanted)
        subscription.go(frames, -1)
        tail.follow(subscription, start)

    def _log_length(self, actor: Actor, attempt_id: UUID) -> int:
        with self._database.transaction() as connection:
            customer_id = connection.execute(
                sql("SELECT customer_id FROM attempts WHERE id = :id"), {"id": attempt_id}
            ).scalar()
            if customer_id is None or not actor.sees(customer_id):
                raise NotFound(_NOT_FOUND)
            return output_length(connection, attempt_id)

    def _sweep_rooms(self) -> None:
        for customer_id in [each for each, room in self._customers.items() if not room.consumers]:
            del self._customers[customer_id]

    # --- what goes on all the time -------------------------------------------------------------------------------

    async def _keep_beating(self) -> None:
        beat_at = monotonic()
        while True:
            await asyncio.sleep(min(1.0, self._settings.heartbeat_seconds))
            now = monotonic()
            due = now - beat_at >= self._settings.heartbeat_seconds - 0.01
            if due:
                beat_at = now
            for connection in list(self._connections):
                since = connection.writing_since
                if since is not None and now - since > self._settings.slow_seconds:
                    connection.end(CloseCode.TOO_SLOW, "the socket does not drain")
                elif due:
                    connection.beat()

    async def _keep_summing(self) -> None:
        await self._relay.ready.wait()
        summed_at = monotonic()
        while True:
            await asyncio.sleep(self._settings.sums_seconds)
            self._sweep_rooms()
            if not self._relay.connected:
                continue
            if not self._overview.stale and monotonic() - summed_at < self._settings.heartbeat_seconds:
                continue
            summed_at = monotonic()
            wanted = self._overview.wanted_facts()
            try:
                facts = await self._blocking(self._overview.read_facts, self._database, wanted)
            except (SQLAlchemyError, OSError) as exc:
                self._overview.not_refreshed(wanted)
                log.warning("sums_failed", error=str(exc).strip())
            else:
                self._overview.refresh(facts)

    async def _keep_checking(self) -> None:
        """Ask again and again whether each connection's user may still see what it follows."""
        while True:
            started = monotonic()
            for connection in list(self._connections):
                try:
                    admitted = await self._blocking(self._admit, connection.socket)
                except (SQLAlchemyError, OSError):
                    break  # nobody can be asked now; who was let in may stay until somebody can
                if isinstance(admitted, CloseCode):
                    connection.end(admitted, "the session has ended")
                elif admitted != connection.actor:
                    self._regrant(connection, admitted)
            await asyncio.sleep(max(0.05, self._settings.recheck_seconds - (monotonic() - started)))

    def _regrant(self, connection: Connection, actor: Actor) -> None:
        connection.become(actor)
        for name, subscription in list(connection.subscriptions.items()):
            if subscription.topic.kind is TopicKind.LOGS or not _may_follow(actor, subscription.topic):
                # Whose attempt a log is of is asked again when the client subscribes again.
                connection.refuse(name, "not_found", _NOT_FOUND)
                connection.drop(name)
            elif subscription.topic.kind is not TopicKind.CUSTOMER:
                subscription.restart("grants_changed")

    # --- small things --------------------------------------------------------------------------------------------

    def _admit(self, socket: WebSocket) -> Actor | CloseCode:
        return admit(self._authenticate, socket.cookies, socket.headers, self._allowed_origins)

    def _metrics(self, scope: Scope) -> dict[str, Any]:
        if not self._relay.ready.is_set():
            return {"connected": False}
        return {"connected": self._relay.connected, "system": self._overview.totals(scope)}

    async def _blocking(self, work: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args))

    async def _persist(
        self, work: Any, *args: Any, connection: Connection | None = None, topic: Topic | None = None
    ) -> Any:
        """Ask the database until it answers."""
        delay = _FIRST_DELAY
        while True:
            try:
                return await self._blocking(work, *args)
            except (SQLAlchemyError, OSError) as exc:
                log.warning("live_read_failed", error=str(exc).strip(), retry_seconds=delay)
            if connection is not None and topic is not None and delay == _FIRST_DELAY:
                connection.refuse(topic.name, "unavailable", _UNAVAILABLE)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LAST_DELAY)

    def _spawn(self, job: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("live_task_failed", exc_info=task.exception())


def _scope(actor: Actor) -> Scope:
    return None if actor.customers is None else frozenset(map(str, actor.customers))


def _may_follow(actor: Actor, topic: Topic) -> bool:
    if topic.kind is TopicKind.CUSTOMER:
        assert topic.id is not None
        return actor.sees(topic.id)
    return True
