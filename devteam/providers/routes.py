"""HTTP of model providers and prices. A key is taken and never told again: no answer has a place for it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from devteam.access.signed_in import ActorDep, CommandDep
from devteam.kit.http import API, COMMANDS, EDITS, IfMatch, answer, entity_answer, problems, provided
from devteam.providers.schemas import (
    PriceInput,
    PriceList,
    PriceView,
    ProviderInput,
    ProviderList,
    ProviderPatch,
    ProviderView,
)
from devteam.providers.service import ProviderService

router = APIRouter(prefix=API, tags=["providers"])
ProvidersDep = Annotated[ProviderService, Depends(provided(ProviderService))]


@router.get("/providers", response_model=ProviderList, responses=problems())
def list_providers(actor: ActorDep, providers: ProvidersDep) -> Response:
    """Model providers in the order in which they are tried; whether each has a key, never the key."""
    return answer(ProviderList(providers=providers.all(actor)))


@router.post("/providers", status_code=201, response_model=ProviderView, responses=COMMANDS)
def add_provider(wanted: ProviderInput, command: CommandDep, providers: ProvidersDep) -> Response:
    """Add a model provider; it is tried after the others."""
    return command.run(lambda actor: entity_answer(providers.add(actor, wanted), status=201))


@router.patch("/providers/{provider_id}", response_model=ProviderView, responses=EDITS)
def edit_provider(
    provider_id: UUID, patch: ProviderPatch, if_match: IfMatch, actor: ActorDep, providers: ProvidersDep
) -> Response:
    """Change a provider: its key, its models, its place in the order; or archive it."""
    return entity_answer(providers.edit(actor, provider_id, patch, if_version=if_match))


@router.get("/model-prices", response_model=PriceList, responses=problems())
def list_prices(actor: ActorDep, providers: ProvidersDep) -> Response:
    """The prices that were set here; models without one are looked up in the built-in table."""
    return answer(PriceList(prices=providers.prices(actor)))


@router.put("/model-prices", response_model=PriceView, responses=problems(400, 403, 413))
def set_price(wanted: PriceInput, actor: ActorDep, providers: ProvidersDep) -> Response:
    """Set what a model costs, in US dollars per million tokens."""
    return answer(providers.set_price(actor, wanted))
