"""Use cases on incidents."""

from collections.abc import Sequence
from uuid import UUID

from devteam.access.model import Actor
from devteam.access.rules import Permission, check
from devteam.customers.change import customer_change
from devteam.incidents import repository
from devteam.incidents.model import IncidentStatus
from devteam.incidents.rules import check_move
from devteam.incidents.schemas import IncidentPage, IncidentView
from devteam.kit.clock import Clock
from devteam.kit.db import Database
from devteam.kit.errors import NotFound


class IncidentService:
    """Read incidents, and settle them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(
        self,
        actor: Actor,
        *,
        customer_id: UUID | None,
        statuses: Sequence[str],
        before: UUID | None,
        limit: int,
    ) -> IncidentPage:
        """Incidents in the caller's scope, newest first."""
        check(actor, Permission.READ, customer_id)
        scope = None if actor.customers is None else list(actor.customers)
        with self._database.transaction() as connection:
            found = repository.incidents_page(
                connection,
                scope if customer_id is None else [customer_id],
                statuses=statuses,
                before=before,
                limit=limit + 1,
            )
        shown = found[:limit]
        return IncidentPage(incidents=shown, next_cursor=shown[-1].id if len(found) > limit else None)

    def get(self, actor: Actor, incident_id: UUID) -> IncidentView:
        """One incident. Raises NotFound."""
        with self._database.transaction() as connection:
            view = repository.incident_view(connection, incident_id)
        if not actor.sees(view.customer_id):
            raise NotFound("There is no such incident.")
        check(actor, Permission.READ, view.customer_id)
        return view

    def acknowledge(self, actor: Actor, incident_id: UUID) -> IncidentView:
        """Take an incident on. Raises IllegalMove when it is settled, or in hands already."""
        return self._move(actor, incident_id, IncidentStatus.ACKNOWLEDGED)

    def resolve(self, actor: Actor, incident_id: UUID, resolution: str) -> IncidentView:
        """Settle an incident, saying how. Raises IllegalMove when it is settled already."""
        return self._move(actor, incident_id, IncidentStatus.RESOLVED, resolution)

    def _move(self, actor: Actor, incident_id: UUID, to: IncidentStatus, resolution: str | None = None) -> IncidentView:
        customer_id = self.get(actor, incident_id).customer_id
        check(actor, Permission.COMMAND, customer_id)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            before = repository.incident_view(change.connection, incident_id)
            check_move(before.status, to)
            view = repository.move_incident(change, incident_id, to, resolution=resolution)
            change.record(f"incident_{to.value}", "incident", incident_id, reason=resolution, title=view.title)
        return view
