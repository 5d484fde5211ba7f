"""The tail of an attempt's output: one poller per attempt, whoever and however many follow it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, sql
from devteam.kit.log import get_logger
from devteam.live.loop import Subscription
from devteam.live.wire import Envelope

log = get_logger(__name__)

MAX_BACK = 256 * 1024
"""Characters of earlier output that a new follower gets at most; also the most that one frame holds, about."""

POLL_SECONDS = 0.2
_AWAY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Output from `offset` up to `next_offset`, in characters; `complete` when none will follow."""

    offset: int
    next_offset: int
    text: str
    complete: bool


def output_length(connection: Connection, attempt_id: UUID) -> int:
    """Characters of output so far."""
    return int(
        connection.execute(
            sql(
                """SELECT coalesce((SELECT "offset" + length(text) FROM attempt_output
                   WHERE attempt_id = :id ORDER BY "offset" DESC LIMIT 1), 0)"""
            ),
            {"id": attempt_id},
        ).scalar_one()
    )


def read_stretches(database: Database, attempt_id: UUID, offsets: Sequence[int]) -> dict[int, Stretch]:
    """What follows each of the offsets (blocks)."""
    with database.transaction() as connection:
        # The outcome first: what is written before it is then seen below.
        ended = connection.execute(
            sql("SELECT outcome IS NOT NULL FROM attempts WHERE id = :id"), {"id": attempt_id}
        ).scalar()
        return {offset: _read_stretch(connection, attempt_id, offset, bool(ended)) for offset in set(offsets)}


def _read_stretch(connection: Connection, attempt_id: UUID, offset: int, ended: bool) -> Stretch:
    rows = connection.execute(
        # The chunk that holds the offset is found by the key; without this bound each poll would read all output.
        sql(
            """SELECT "offset", text FROM attempt_output
               WHERE attempt_id = :id AND "offset" + length(text) > :offset
                 AND "offset" >= coalesce((SELECT max("offset") FROM attempt_output
                                           WHERE attempt_id = :id AND "offset" <= :offset), 0)
               ORDER BY "offset" LIMIT 65"""
        ),
        {"id": attempt_id, "offset": offset},
    ).all()
    parts: list[str] = []
    at = offset
    for row in rows[:64]:
        if at - offset >= MAX_BACK:
            break
        parts.append(row.text[max(0, at - row.offset) :])
        at = row.offset + len(row.text)
    reached_end = not rows or at >= rows[-1].offset + len(rows[-1].text)
    return Stretch(offset, at, "".join(parts), ended and reached_end)


class LogTail:
    """Follows one attempt's output while somebody listens."""

    def __init__(
        self,
        database: Database,
        attempt_id: UUID,
        clock: Clock,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        done: Callable[[], object],
    ) -> None:
        self._database = database
        self._attempt_id = attempt_id
        self._clock = clock
        self._spawn = spawn
        self._done = done
        self._offsets: dict[Subscription, int] = {}
        self._task: asyncio.Task[None] | None = None

    def begin(self, length: int, wanted: int | None) -> tuple[list[str], int]:
        """The first frames for a new follower, and the offset from which it will be sent output."""
        earliest = max(0, length - MAX_BACK)
        start = earliest if wanted is None else max(earliest, min(wanted, length))
        head = self._envelope()
        if start > (wanted or 0):
            return [head.frame("log_gap", start, offset=start)], start
        return [], start

    def follow(self, subscription: Subscription, offset: int) -> None:
        """Send output to it from the offset on."""
        self._offsets[subscription] = offset
        if self._task is None:
            self._task = self._spawn(self._run())

    async def _run(self) -> None:
        try:
            while self._listeners():
                try:
                    await self._poll()
                except (SQLAlchemyError, OSError) as exc:
                    log.warning("log_tail_failed", attempt_id=str(self._attempt_id), error=str(exc).strip())
                    await asyncio.sleep(_AWAY_SECONDS)
                await asyncio.sleep(POLL_SECONDS)
        finally:
            self._done()

    def _listeners(self) -> bool:
        for subscription in [each for each in self._offsets if not each.live]:
            del self._offsets[subscription]
        return bool(self._offsets)

    async def _poll(self) -> None:
        # One that has not been sent the last stretch is not given another: its socket sets the pace.
        ready = {each: offset for each, offset in self._offsets.items() if not each.waiting}
        if not ready:
            return
        found = await asyncio.to_thread(read_stretches, self._database, self._attempt_id, sorted(set(ready.values())))
        frames = {offset: self._frame(stretch) for offset, stretch in found.items()}
        for subscription, offset in ready.items():
            if subscription.live:
                self._give(subscription, found[offset], frames[offset])

    def _give(self, subscription: Subscription, stretch: Stretch, frame: str) -> None:
        first = subscription.sent < 0
        if stretch.text or stretch.complete or first:
            subscription.sent = stretch.next_offset
            subscription.waiting.append(frame)
            subscription.connection.wake()
        if stretch.complete:
            self._offsets.pop(subscription, None)
        else:
            self._offsets[subscription] = stretch.next_offset

    def _frame(self, stretch: Stretch) -> str:
        return self._envelope().frame(
            "log",
            stretch.next_offset,
            offset=stretch.offset,
            nextOffset=stretch.next_offset,
            text=stretch.text,
            complete=stretch.complete,
        )

    def _envelope(self) -> Envelope:
        return Envelope(f"logs:{self._attempt_id}", str(self._attempt_id), self._clock())
