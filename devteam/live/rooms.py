"""Rooms: what was published on a topic lately, and who follows it.

A room keeps one ring for everybody instead of a queue per connection. A follower is only a position in the ring;
what it has missed is merged when it is ready for more. So a slow, hidden or resuming follower costs no memory of its
own, sees the newest state per entity, and followers at the same position share the encoded frames.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from devteam.kit.clock import Clock, monotonic
from devteam.live.wire import Change, Envelope, Notable, Scope, merge

RING_ENTRIES = 10_000
RING_SECONDS = 300.0
MAX_EVENTS = 1_000


class Outran(Exception):
    """The ring no longer reaches back to where the follower is; it needs a snapshot."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened on a topic from one seq to the next."""

    seq: int
    changes: Sequence[Change] = ()
    events: Sequence[Notable] = ()


class Consumer(Protocol):
    """Somebody who follows a room."""

    def notify(self, *, urgent: bool) -> None:
        """There is something new; `urgent` when it should not wait for a hidden tab's interval."""

    def restart(self, reason: str) -> None:
        """The room has lost its place: start again from a snapshot."""


def merge_all(changes: Iterable[Change]) -> list[Change]:
    """The newest state per entity, in order of first appearance."""
    merged: dict[tuple[str, str], Change] = {}
    for change in changes:
        key = (change["kind"], change["id"])
        before = merged.get(key)
        merged[key] = change if before is None else merge(before, change)
    return list(merged.values())


def everything(change: Change, _: Scope) -> Change | None:
    """The view of a room whose followers may all see the same."""
    return change


class Room:
    """One topic. `view` narrows a change to a scope; None hides it."""

    def __init__(
        self,
        topic: str,
        epoch: str,
        seq: int,
        clock: Clock,
        *,
        view: Callable[[Change, Scope], Change | None] = everything,
        entries: int = RING_ENTRIES,
        seconds: float = RING_SECONDS,
        ticks: Callable[[], float] = monotonic,
    ) -> None:
        self.topic = topic
        self.epoch = epoch
        self.seq = seq
        self.floor = seq
        """The oldest position from which the ring can serve."""
        self.consumers: set[Consumer] = set()
        self._clock = clock
        self._view = view
        self._ring: deque[tuple[float, Entry]] = deque()
        self._entries = entries
        self._seconds = seconds
        self._ticks = ticks
        self._frames: dict[tuple[int, int, Scope], Sequence[str]] = {}

    def publish(self, entries: Sequence[Entry]) -> None:
        """Add entries in order of seq and tell the followers."""
        if not entries:
            return
        now = self._ticks()
        self._ring.extend((now, entry) for entry in entries)
        self.seq = entries[-1].seq
        self._trim(now)
        self._frames.clear()
        urgent = any(entry.events for entry in entries)
        for consumer in list(self.consumers):
            consumer.notify(urgent=urgent)

    def reset(self, seq: int, reason: str) -> None:
        """Something between the last seq and this one is lost: every follower starts again."""
        self._ring.clear()
        self._frames.clear()
        self.seq = self.floor = seq
        for consumer in list(self.consumers):
            consumer.restart(reason)

    def since(self, covered: int, sent: int, scope: Scope) -> Sequence[str]:
        """Frames for a follower that has `covered` and was last sent `sent`; none when nothing is for its scope.

        Raises Outran when the ring does not reach back that far, or holds too many events to catch up with.
        """
        key = (covered, sent, scope)
        frames = self._frames.get(key)
        if frames is None:
            frames = self._frames[key] = self._encode(covered, sent, scope)
        return frames

    def resume(self, seq: int, scope: Scope) -> Sequence[str]:
        """Frames for a client that comes back with `seq`: at least one, as its answer. Raises Outran.

        Events of `seq` itself are sent again, as the connection may have ended between a delta and its events;
        clients tell them by their id.
        """
        if seq > self.seq:
            raise Outran
        entries = self._after(seq)
        events = [e for _, entry in self._ring if entry.seq == seq for e in entry.events]
        events += [e for entry in entries for e in entry.events]
        return self.envelope().deltas(seq, max(seq, self.seq), self._changes(entries, scope), _in_scope(events, scope))

    def envelope(self) -> Envelope:
        """The head of this room's frames now."""
        return Envelope(self.topic, self.epoch, self._clock())

    def _encode(self, covered: int, sent: int, scope: Scope) -> Sequence[str]:
        entries = self._after(covered)
        changes = self._changes(entries, scope)
        events = _in_scope([e for entry in entries for e in entry.events], scope)
        if len(events) > MAX_EVENTS:
            raise Outran
        if not changes and not events:
            return ()
        return self.envelope().deltas(sent, self.seq, changes, events)

    def _after(self, seq: int) -> list[Entry]:
        if seq < self.floor:
            raise Outran
        entries: list[Entry] = []
        for _, entry in reversed(self._ring):
            if entry.seq <= seq:
                break
            entries.append(entry)
        entries.reverse()
        return entries

    def _changes(self, entries: Iterable[Entry], scope: Scope) -> list[Change]:
        seen = (self._view(change, scope) for entry in entries for change in entry.changes)
        return merge_all(change for change in seen if change is not None)

    def _trim(self, now: float) -> None:
        ring = self._ring
        while ring and (len(ring) > self._entries or ring[0][0] < now - self._seconds):
            self.floor = ring.popleft()[1].seq


def _in_scope(events: list[Notable], scope: Scope) -> list[Notable]:
    return events if scope is None else [event for event in events if event.customer_id in scope]
