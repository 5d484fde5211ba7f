"""Use cases on customers."""

from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from sqlalchemy.exc import IntegrityError

from devteam.access.model import Actor
from devteam.access.rules import Permission, check
from devteam.customers.card import StoredCard
from devteam.customers.change import CustomerChange, customer_change
from devteam.customers.model import PriorityClass
from devteam.customers.schemas import CustomerCard, CustomerInput, CustomerPatch
from devteam.events.repository import create_stream
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, sql
from devteam.kit.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from devteam.kit.ids import new_id


class CustomerService:
    """Create, edit, archive and read customers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, actor: Actor, wanted: CustomerInput) -> CustomerCard:
        """A new customer with an empty queue. Raises Conflict when the name is taken."""
        check(actor, Permission.CREATE_CUSTOMER)
        if actor.customers is not None:
            raise Forbidden("You are limited to certain customers; only people with all customers may add one.")
        name = _clean_name(wanted.name)
        _check_time_zone(wanted.time_zone)
        customer_id, now = new_id(), self._clock()
        try:
            with self._database.transaction() as connection:
                self._insert(connection, customer_id, name, wanted, now)
                change = CustomerChange(connection, customer_id, actor, now)
                change.record("customer_created", "customer", customer_id, name=name)
                change.write()
        except IntegrityError as exc:
            raise Conflict(f"There is already a customer called {name}.", code="name_taken") from exc
        return _card(change.stored)

    def _insert(
        self, connection: Connection, customer_id: UUID, name: str, wanted: CustomerInput, now: datetime
    ) -> None:
        create_stream(connection, customer_id)
        connection.execute(
            sql(
                """INSERT INTO customers (id, name, priority_class, time_zone, created_at)
                   VALUES (:id, :name, :priority_class, :time_zone, :now)"""
            ),
            {
                "id": customer_id,
                "name": name,
                "priority_class": wanted.priority_class.value,
                "time_zone": wanted.time_zone,
                "now": now,
            },
        )

    def edit(
        self, actor: Actor, customer_id: UUID, patch: CustomerPatch, *, if_version: int | None = None
    ) -> CustomerCard:
        """Change a customer; `if_version` is the card's version that the edit was based on."""
        check(actor, Permission.COMMAND, customer_id)
        values = patch.model_dump(exclude_unset=True, exclude_none=True)
        if "name" in values:
            values["name"] = _clean_name(values["name"])
        if "time_zone" in values:
            _check_time_zone(values["time_zone"])
        try:
            with customer_change(self._database, customer_id, actor, self._clock) as change:
                self._apply(change, values, if_version)
                stored = change.stored or change.refresh()
        except IntegrityError as exc:
            raise Conflict(f"There is already a customer called {values.get('name')}.", code="name_taken") from exc
        return _card(change.stored or stored)

    def _apply(self, change: CustomerChange, values: dict[str, Any], if_version: int | None) -> None:
        row = change.connection.execute(
            sql(
                """SELECT c.name, c.priority_class, c.time_zone, c.archived_at IS NOT NULL AS archived, k.version
                   FROM customers c JOIN customer_cards k ON k.customer_id = c.id WHERE c.id = :id"""
            ),
            {"id": change.customer_id},
        ).one()
        if if_version is not None and if_version != row.version:
            raise Stale("Somebody changed this customer in the meantime.", extra={"version": row.version})
        changed = {key: value for key, value in values.items() if getattr(row, key) != value}
        if not changed:
            return
        if changed.get("archived"):
            self._check_can_archive(change)
        archived = changed.get("archived", row.archived)
        change.connection.execute(
            sql(
                """UPDATE customers SET name = :name, priority_class = :priority_class, time_zone = :time_zone,
                       archived_at = CASE WHEN :archived THEN coalesce(archived_at, :now) END, version = version + 1
                   WHERE id = :id"""
            ),
            {
                "id": change.customer_id,
                "now": change.now,
                "archived": archived,
                **{key: changed.get(key, getattr(row, key)) for key in ("name", "priority_class", "time_zone")},
            },
        )
        if "priority_class" in changed:
            change.record(
                "priority_class_changed",
                "customer",
                change.customer_id,
                **{"from": row.priority_class, "to": PriorityClass(changed.pop("priority_class")).value},
            )
        if changed.pop("archived", False):
            change.record("customer_archived", "customer", change.customer_id)
        if changed or not change.events:
            change.record("customer_changed", "customer", change.customer_id, fields=sorted(changed or values))

    def _check_can_archive(self, change: CustomerChange) -> None:
        open_execution = change.connection.execute(
            sql("SELECT 1 FROM executions WHERE customer_id = :id AND status NOT IN ('completed', 'aborted')"),
            {"id": change.customer_id},
        ).first()
        if open_execution is not None:
            raise Conflict("Abort the execution before archiving the customer.", code="execution_open")

    def card(self, actor: Actor, customer_id: UUID) -> CustomerCard:
        """One customer's card."""
        check(actor, Permission.READ, customer_id)
        with self._database.transaction() as connection:
            view = connection.execute(
                sql("SELECT view FROM customer_cards WHERE customer_id = :id"), {"id": customer_id}
            ).scalar()
        if view is None:
            raise NotFound("There is no such customer.")
        return CustomerCard.model_validate(view)


def _card(stored: StoredCard | None) -> CustomerCard:
    assert stored is not None
    return stored.card


def _clean_name(name: str) -> str:
    cleaned = " ".join(name.split())
    if not cleaned or not cleaned.isprintable():
        raise Invalid.field("name", "A name needs at least one visible character and no control characters.")
    return cleaned


def _check_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise Invalid.field("timeZone", f"{name[:64]} is no time zone of the IANA database.")
