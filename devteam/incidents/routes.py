"""HTTP of incidents."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from devteam.access.signed_in import ActorDep, CommandDep
from devteam.incidents.model import IncidentStatus
from devteam.incidents.schemas import IncidentPage, IncidentView, ResolutionInput
from devteam.incidents.service import IncidentService
from devteam.kit.http import API, COMMANDS, READS, answer, entity_answer, provided

router = APIRouter(prefix=API, tags=["incidents"])
IncidentsDep = Annotated[IncidentService, Depends(provided(IncidentService))]


@router.get("/incidents", response_model=IncidentPage, responses=READS)
def list_incidents(
    actor: ActorDep,
    incidents: IncidentsDep,
    status: Annotated[list[IncidentStatus], Query(max_length=10)] = [],  # noqa: B006 - read only
    customer_id: Annotated[UUID | None, Query(alias="customerId")] = None,
    cursor: Annotated[UUID | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """Incidents in scope, newest first; in every state unless some are named."""
    page = incidents.page(
        actor, customer_id=customer_id, statuses=[each.value for each in status], before=cursor, limit=limit
    )
    return answer(page)


@router.get("/incidents/{incident_id}", response_model=IncidentView, responses=READS)
def get_incident(incident_id: UUID, actor: ActorDep, incidents: IncidentsDep) -> Response:
    """One incident with its evidence."""
    return entity_answer(incidents.get(actor, incident_id))


@router.post("/incidents/{incident_id}/acknowledge", response_model=IncidentView, responses=COMMANDS)
def acknowledge_incident(incident_id: UUID, command: CommandDep, incidents: IncidentsDep) -> Response:
    """Take an incident on, so that others know that somebody does."""
    return command.run(lambda actor: entity_answer(incidents.acknowledge(actor, incident_id)))


@router.post("/incidents/{incident_id}/resolve", response_model=IncidentView, responses=COMMANDS)
def resolve_incident(
    incident_id: UUID, wanted: ResolutionInput, command: CommandDep, incidents: IncidentsDep
) -> Response:
    """Settle an incident, saying how."""
    return command.run(lambda actor: entity_answer(incidents.resolve(actor, incident_id, wanted.resolution)))
