"""The relay: reads what was committed, in each stream's order, and hands it on.

It keeps one version per stream and never an id or a time: an id can be taken before a commit that comes later, a
stream's version cannot, because its row is locked until the commit.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row
from sqlalchemy.exc import SQLAlchemyError

from devteam.events.model import CHANNEL
from devteam.events.schemas import NOTABLE, EventView
from devteam.kit.clock import monotonic
from devteam.kit.db import psycopg_conninfo
from devteam.kit.log import get_logger
from devteam.live.wire import Change, Notable

log = get_logger(__name__)

SAFETY_SECONDS = 1.0
"""How long to wait for a notification before looking anyway."""

MAX_BEHIND = 5_000
"""A stream that is further ahead than this is taken up from snapshots instead."""

_FIRST_DELAY, _LAST_DELAY = 0.1, 5.0
_QUERY_SECONDS = 20.0

# The join to what is known happens in the server, so that 1,000 quiet customers cost no rows. One statement sees one
# state: heads and changes fit each other.
_CHANGED = """
    WITH changed AS MATERIALIZED (
        SELECT h.stream, h.version AS head, coalesce(k.version, 0) AS known
        FROM stream_heads h
        LEFT JOIN unnest(%(streams)s::uuid[], %(versions)s::bigint[]) AS k (stream, version) USING (stream)
        WHERE h.version <> coalesce(k.version, 0)
    )
    SELECT c.stream, c.head, c.known, l.*
    FROM changed c LEFT JOIN LATERAL (
        SELECT l.version, l.changes, e.id, e.type, e.actor, e.subject_kind, e.subject_id, e.reason, e.data, e.at
        FROM live_changes l
        LEFT JOIN events e ON e.stream = l.stream AND e.version = l.version AND e.type = ANY(%(notable)s)
        WHERE l.stream = c.stream AND l.version > c.known AND l.version <= c.head AND c.head - c.known <= %(most)s
    ) l ON true
    ORDER BY c.stream, l.version
"""


@dataclass(frozen=True, slots=True)
class Version:
    """What one version of a stream changed."""

    version: int
    changes: Sequence[Change]
    event: Notable | None


@dataclass(frozen=True, slots=True)
class StreamBatch:
    """A stream's versions up to `head`; `versions` is None when some of them are lost."""

    stream: UUID
    head: int
    versions: Sequence[Version] | None
    went_back: bool = False
    """The stream is behind what was known of it: the database was restored from a copy."""


class Relay:
    """Follows all streams. `load` reads the starting state and answers each stream's version at it (it may block);
    `deliver` gets the batches of one tick, in the event loop.
    """

    def __init__(
        self,
        url: str,
        load: Callable[[], dict[UUID, int]],
        deliver: Callable[[Sequence[StreamBatch]], None],
        *,
        tick_seconds: float,
    ) -> None:
        self._conninfo = psycopg_conninfo(url)
        self._load = load
        self._deliver = deliver
        self._tick_seconds = tick_seconds
        self._known: dict[UUID, int] = {}
        self._streams = "{}"
        self.connected = False
        self.ready = asyncio.Event()
        """Set once the starting state was read."""

    def known(self, stream: UUID) -> int:
        """The version of a stream up to which everything was delivered."""
        return self._known.get(stream, 0)

    async def run(self) -> None:
        """Follow the streams until cancelled, through every absence of the database."""
        delay = _FIRST_DELAY
        while True:
            try:
                connection = await AsyncConnection.connect(
                    self._conninfo, autocommit=True, connect_timeout=5, application_name="devteam relay"
                )
                async with connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    await self._start()
                    delay, self.connected = _FIRST_DELAY, True
                    await self._follow(connection)
            except (psycopg.Error, SQLAlchemyError, OSError) as exc:
                log.warning("relay_disconnected", error=str(exc).strip(), retry_seconds=delay)
            except Exception:
                # Pages go on with their heartbeat and the state they have; the next round reads again.
                log.exception("relay_failed", retry_seconds=delay)
            finally:
                self.connected = False
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LAST_DELAY)

    async def _start(self) -> None:
        if self.ready.is_set():
            return
        self._know(await asyncio.to_thread(self._load))
        self.ready.set()

    async def _follow(self, connection: AsyncConnection[Any]) -> None:
        while True:
            started = monotonic()
            async with asyncio.timeout(_QUERY_SECONDS):
                await self._poll(connection)
            async for _ in connection.notifies(timeout=SAFETY_SECONDS, stop_after=1):
                pass
            await asyncio.sleep(max(0.0, self._tick_seconds - (monotonic() - started)))

    async def _poll(self, connection: AsyncConnection[Any]) -> None:
        async with connection.cursor(row_factory=namedtuple_row) as cursor:
            await cursor.execute(
                _CHANGED,
                {
                    "streams": self._streams,
                    "versions": "{" + ",".join(map(str, self._known.values())) + "}",
                    "notable": list(NOTABLE),
                    "most": MAX_BEHIND,
                },
            )
            rows: list[Any] = await cursor.fetchall()
        batches = [_batch(stream, list(group)) for stream, group in groupby(rows, key=lambda row: row.stream)]
        if not batches:
            return
        # Known first: what cannot be delivered is a bug, and delivering it again would only repeat it.
        self._know({batch.stream: batch.head for batch in batches})
        self._deliver(batches)

    def _know(self, heads: dict[UUID, int]) -> None:
        grown = any(stream not in self._known for stream in heads)
        self._known.update(heads)
        if grown:
            self._streams = "{" + ",".join(map(str, self._known)) + "}"


def _batch(stream: UUID, rows: Sequence[Any]) -> StreamBatch:
    head, known = rows[0].head, rows[0].known
    found = [row.version for row in rows if row.version is not None]
    if head <= known or found != list(range(known + 1, head + 1)):
        log.warning("live_changes_lost", stream=str(stream), known=known, head=head, found=len(found))
        return StreamBatch(stream, head, None, went_back=head < known)
    try:
        return StreamBatch(stream, head, [read_version(stream, row) for row in rows])
    except Exception:
        # A stream that this process cannot read (a newer version writes it, say) must not stop the others.
        log.exception("live_changes_unreadable", stream=str(stream), head=head)
        return StreamBatch(stream, head, None)


def read_version(stream: UUID, row: Any) -> Version:
    """From a row of `live_changes` with the columns of its event, null when there is none."""
    event = None
    if row.type in NOTABLE:
        event = Notable(str(stream), EventView.from_row(row).wire())
    return Version(row.version, row.changes, event)
