"""The transaction that changes one customer: state, events, card and live changes commit together."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from devteam.access.model import Actor
from devteam.customers.card import StoredCard, refresh_card
from devteam.events.model import Event
from devteam.events.repository import append, lock_stream
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database
from devteam.kit.errors import NotFound
from devteam.kit.wire import View


@dataclass
class CustomerChange:
    """An open change. All changes of one customer are serialised by its stream's row lock."""

    connection: Connection
    customer_id: UUID
    actor: Actor
    now: datetime
    events: list[Event] = field(default_factory=list)
    changed: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    version: int = 0
    """The stream's version after the commit; 0 while nothing was written."""
    stored: StoredCard | None = None

    def record(
        self,
        event_type: str,
        subject_kind: str,
        subject_id: UUID,
        *,
        reason: str | None = None,
        **data: Any,
    ) -> None:
        """Note a fact for the change log."""
        self.events.append(Event(event_type, subject_kind, subject_id, reason, data))

    def show(self, view: View) -> None:
        """Note an entity's new state for live pages; the last state of an entity wins."""
        wire = view.wire()
        self.changed[(wire["kind"], wire["id"])] = wire

    def show_part(self, kind: str, entity_id: UUID, version: int, **fields: Any) -> None:
        """Note some fields of an entity, under their names on the wire, where its whole view belongs to a feature
        that this one does not know.
        """
        key = (kind, str(entity_id))
        self.changed[key] = {**self.changed.get(key, {}), "kind": kind, "id": key[1], "version": version, **fields}

    def write(self) -> None:
        """Refresh the card and append everything to the stream; a card that was stored is told as well."""
        if not self.events and not self.changed and self.stored is None:
            return
        self.refresh()
        assert self.stored is not None
        self.show(self.stored.card)
        self.version = append(
            self.connection,
            self.customer_id,
            actor=self.actor.name,
            at=self.now,
            events=self.events,
            changes=[_as_change(wire) for wire in self.changed.values()],
        )

    def refresh(self) -> StoredCard:
        """Compute the card from the state so far; tells whether there is a next task."""
        self.stored = refresh_card(self.connection, self.customer_id, now=self.now)
        return self.stored


def _as_change(wire: dict[str, Any]) -> dict[str, Any]:
    fields = {key: value for key, value in wire.items() if key not in ("kind", "id", "version")}
    change = {"kind": wire["kind"], "id": wire["id"], "version": wire["version"], "set": fields, "unset": []}
    if wire.get("archived") and wire["kind"] in ("customer", "project"):
        change["removed"] = True
    return change


@contextmanager
def customer_change(database: Database, customer_id: UUID, actor: Actor, clock: Clock) -> Iterator[CustomerChange]:
    """Open a change of a customer; commits at the end of the block, rolls back when it raises.

    Raises NotFound for a customer that does not exist.
    """
    with database.transaction() as connection:
        with joined_change(connection, customer_id, actor, clock()) as change:
            yield change


@contextmanager
def joined_change(connection: Connection, customer_id: UUID, actor: Actor, now: datetime) -> Iterator[CustomerChange]:
    """The same inside a transaction that the caller commits."""
    if lock_stream(connection, customer_id) is None:
        raise NotFound("There is no such customer.")
    change = CustomerChange(connection, customer_id, actor, now)
    yield change
    change.write()
