"""HTTP of customers. The customer's whole page and the list of all are reads of executions."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from devteam.access.signed_in import ActorDep, CommandDep
from devteam.customers.schemas import CustomerCard, CustomerInput, CustomerPatch
from devteam.customers.service import CustomerService
from devteam.kit.http import API, COMMANDS, EDITS, IfMatch, entity_answer, provided

router = APIRouter(prefix=API, tags=["customers"])
CustomersDep = Annotated[CustomerService, Depends(provided(CustomerService))]


@router.post("/customers", status_code=201, response_model=CustomerCard, responses=COMMANDS)
def create_customer(wanted: CustomerInput, command: CommandDep, customers: CustomersDep) -> Response:
    """Add a customer with an empty queue."""
    return command.run(lambda actor: entity_answer(customers.create(actor, wanted), status=201))


@router.patch("/customers/{customer_id}", response_model=CustomerCard, responses=EDITS)
def edit_customer(
    customer_id: UUID, patch: CustomerPatch, if_match: IfMatch, actor: ActorDep, customers: CustomersDep
) -> Response:
    """Rename, reprioritise or archive a customer."""
    return entity_answer(customers.edit(actor, customer_id, patch, if_version=if_match))
