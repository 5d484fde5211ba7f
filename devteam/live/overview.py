"""The state that every page shares, held in memory: all customers' cards, the workers, and the sums over them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from devteam.events.repository import heads
from devteam.executions.schemas import SystemTotals
from devteam.kit.clock import Clock
from devteam.kit.db import Database, sql
from devteam.kit.ids import new_id
from devteam.live.facts import Facts, FactsWanted, read_facts
from devteam.live.rooms import Entry, Room
from devteam.live.wire import Change, Notable, Scope, dump

Entity = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OverviewState:
    """The overview as of `seq`."""

    epoch: str
    seq: int
    customers: list[Entity]
    system: Entity


@dataclass
class _Sums:
    facts: Facts | None = None
    version: int = 0
    today: datetime | None = None
    completed: dict[str, int] = field(default_factory=dict)


class Overview:
    """Both topics that stand on it, `overview` and `system`, in the order of this relay; `epoch` names the relay."""

    def __init__(self, clock: Clock) -> None:
        self.epoch = str(new_id())
        self.room = Room("overview", self.epoch, 1, clock, view=self._in_scope)
        self.system_room = Room("system", self.epoch, 1, clock, view=self._in_scope)
        self.stale = True
        """Whether something changed since the sums were computed."""
        self._clock = clock
        self._cards: dict[str, Entity] = {}
        self._workers: dict[str, Entity] = {}
        self._texts: dict[str, str] = {}
        self._sums = _Sums()
        self._recount: set[str] = set()
        self._totals: dict[Scope, Entity] = {}
        self._full_text: tuple[int, str] | None = None

    def load(self, database: Database) -> dict[UUID, int]:
        """Read everything in one transaction (blocks); each stream's version at it."""
        with database.snapshot() as connection:
            cards = connection.execute(
                sql(
                    """SELECT k.view FROM customer_cards k JOIN customers c ON c.id = k.customer_id
                       WHERE c.archived_at IS NULL ORDER BY c.id"""
                )
            ).scalars()
            self._cards = {card["id"]: card for card in cards}
            facts = read_facts(connection, FactsWanted(self._today(), None))
            self._take(facts)
            self._workers = {worker["id"]: worker for worker in facts.workers}
            self.totals(None)  # what the first news of the sums are measured against
            return heads(connection)

    def apply(self, changes: Iterable[Change], events: Sequence[Notable]) -> None:
        """Take the customers' changes of one tick and publish what is new in them."""
        news = [new for change in changes if change["kind"] == "customer" if (new := self._card_news(change))]
        self.stale = True
        if news or events:
            self.room.publish([Entry(self.room.seq + 1, news, events)])

    def forget(self, customers: Sequence[UUID]) -> None:
        """Versions of these went back, so pages would refuse what comes: they all start again without them."""
        for customer in map(str, customers):
            self._cards.pop(customer, None)
            self._texts.pop(customer, None)
        self.room.reset(self.room.seq + 1, "gap")

    def reload_cards(self, database: Database, customers: Sequence[UUID]) -> list[Change]:
        """The cards of customers as changes (blocks); for streams whose changes are lost."""
        with database.snapshot() as connection:
            cards = connection.execute(
                sql("SELECT view FROM customer_cards WHERE customer_id = ANY(:ids)"), {"ids": list(customers)}
            ).scalars()
            return [_whole(card, removed=card["archived"]) for card in cards]

    def wanted_facts(self) -> FactsWanted:
        """What `refresh` must be given to bring the sums up to date with everything applied so far."""
        today = self._today()
        recount = None if today != self._sums.today else [UUID(customer) for customer in self._recount]
        self._recount.clear()
        self.stale = False
        return FactsWanted(today, recount)

    def read_facts(self, database: Database, wanted: FactsWanted) -> Facts:
        """The wanted facts (blocks)."""
        with database.snapshot() as connection:
            return read_facts(connection, wanted)

    def not_refreshed(self, wanted: FactsWanted) -> None:
        """The facts could not be read: ask for them again next time."""
        self._recount.update(str(customer) for customer in wanted.customers or ())
        self._sums.today = None if wanted.customers is None else self._sums.today
        self.stale = True

    def refresh(self, facts: Facts) -> None:
        """Compute the sums and publish what is new in them and in the workers."""
        before = self.totals(None)
        self._take(facts)
        after = self.totals(None)
        totals: Change = _whole(after) | {"set": _difference(before, after, ignore=("version",))}
        # Published also without news for those who see everything: a narrower scope's sums may have changed.
        self.room.publish([Entry(self.room.seq + 1, [totals])])
        workers = self._worker_news(facts.workers)
        self.system_room.publish([Entry(self.system_room.seq + 1, [totals, *workers])])

    def totals(self, scope: Scope) -> Entity:
        """The sums over the customers in scope."""
        cached = self._totals.get(scope)
        if cached is None:
            cached = self._totals[scope] = self._sum(scope)
        return cached

    def state(self, scope: Scope) -> OverviewState:
        """Cards in scope with their sums."""
        return OverviewState(self.epoch, self.room.seq, list(self._visible(scope)), self.totals(scope))

    def snapshot(self, scope: Scope) -> str:
        """The snapshot frame of `overview`."""
        if scope is None and self._full_text is not None and self._full_text[0] == self.room.seq:
            return self._full_text[1]
        entities = [self._text(card) for card in self._visible(scope)]
        frame = self.room.envelope().snapshot(self.room.seq, [*entities, dump(self.totals(scope))])
        if scope is None:
            self._full_text = (self.room.seq, frame)
        return frame

    def system_snapshot(self, scope: Scope) -> str:
        """The snapshot frame of `system`."""
        entities = [dump(worker) for worker in self._workers.values()]
        return self.system_room.envelope().snapshot(self.system_room.seq, [*entities, dump(self.totals(scope))])

    def _today(self) -> datetime:
        return self._clock().replace(hour=0, minute=0, second=0, microsecond=0)

    def _visible(self, scope: Scope) -> Iterable[Entity]:
        if scope is None:
            return self._cards.values()
        return (card for customer in sorted(scope) if (card := self._cards.get(customer)))

    def _text(self, card: Entity) -> str:
        text = self._texts.get(card["id"])
        if text is None:
            text = self._texts[card["id"]] = dump(card)
        return text

    def _card_news(self, change: Change) -> Change | None:
        """What is new in a change, field by field; None when nothing is."""
        customer, version = change["id"], change["version"]
        card = self._cards.get(customer)
        if card is not None and version <= card["version"]:
            return None
        self._texts.pop(customer, None)
        self._recount.add(customer)
        if change.get("removed"):
            self._cards.pop(customer, None)
            gone: Change = {"kind": "customer", "id": customer, "version": version, "set": {}, "unset": []}
            return None if card is None else gone | {"removed": True}
        self._cards[customer] = {"kind": "customer", "id": customer, "version": version, **change["set"]}
        if card is None:
            return change
        return change | {"set": _difference(card, change["set"])}

    def _worker_news(self, workers: Sequence[Entity]) -> list[Change]:
        before, self._workers = self._workers, {worker["id"]: worker for worker in workers}
        news = [
            {
                "kind": "worker",
                "id": gone,
                "version": before[gone]["version"],
                "set": {},
                "unset": [],
                "removed": True,
            }
            for gone in before.keys() - self._workers.keys()
        ]
        for worker in workers:
            old = before.get(worker["id"])
            change = _whole(worker)
            if old is not None:
                change["set"] = _difference(old, change["set"])
            if change["set"]:
                news.append(change)
        return news

    def _in_scope(self, change: Change, scope: Scope) -> Change | None:
        if change["kind"] == "system":
            # A narrower scope has sums of its own; they are absolute, so the newest are right at any position.
            mine = change if scope is None else _whole(self.totals(scope))
            return mine if mine["set"] else None
        if change["kind"] == "customer" and scope is not None and change["id"] not in scope:
            return None
        return change

    def _take(self, facts: Facts) -> None:
        sums = self._sums
        if facts.today != sums.today:
            sums.completed, sums.today = {}, facts.today
        sums.completed.update(facts.completed_today)
        sums.facts = facts
        sums.version += 1
        self._totals.clear()

    def _sum(self, scope: Scope) -> Entity:
        cards = list(self._visible(scope))
        facts, completed = self._sums.facts, self._sums.completed
        if facts is None:
            raise RuntimeError("the overview is not loaded yet")
        return SystemTotals(
            version=self._sums.version,
            customers=len(cards),
            active_executions=sum(card["executionStatus"] == "active" for card in cards),
            running_attempts=sum(card["currentTask"] is not None for card in cards),
            slots=facts.slots,
            slots_used=facts.slots_used,
            tasks_pending=sum(card["tasksPending"] for card in cards),
            tasks_completed_today=sum(completed.get(card["id"], 0) for card in cards),
            needs_you=sum(card["needsYou"] for card in cards),
            workers_alive=facts.workers_alive,
        ).wire()


def _whole(entity: Entity, *, removed: bool = False) -> Change:
    fields = {key: value for key, value in entity.items() if key not in ("kind", "id", "version")}
    change: Change = {
        "kind": entity["kind"],
        "id": entity["id"],
        "version": entity["version"],
        "set": fields,
        "unset": [],
    }
    return change | {"removed": True} if removed else change


def _difference(before: Entity, after: Entity, *, ignore: Sequence[str] = ()) -> Entity:
    return {
        key: value for key, value in after.items() if key not in ignore and (key not in before or before[key] != value)
    }
