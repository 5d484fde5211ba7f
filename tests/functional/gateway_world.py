"""A model gateway of its own, with providers, prices, and attempts that call through it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from pydantic import SecretStr

from devteam.access.model import ENGINE
from devteam.adapters.model_gateway import GatewayLease, GatewayStore, ModelGateway, PriceTable
from devteam.adapters.secret_box import SecretBox
from devteam.kit.clock import utc_now
from devteam.kit.db import Row, sql
from devteam.providers.schemas import PriceInput, ProviderInput, ProviderKind
from devteam.providers.service import ProviderService
from tests.functional.world import World

REAL_KEY = "sk-the-real-key-of-the-provider"


@dataclass
class Desk:
    """Where one test stands."""

    world: World
    folder: Path
    gateway: ModelGateway
    providers: ProviderService

    def add(self, name: str, url: str, *models: str, kind: str = "openai", secret: str | None = REAL_KEY) -> UUID:
        wanted = ProviderInput(
            name=name,
            kind=ProviderKind(kind),
            base_url=url,
            models=list(models or ("scripted",)),
            secret=None if secret is None else SecretStr(secret),
        )
        self.gateway.forget()
        return self.providers.add(ENGINE, wanted).id

    def price(self, model: str = "scripted", *, each: float = 1.0) -> None:
        """US dollars per million tokens of any kind."""
        self.providers.set_price(ENGINE, PriceInput(model=model, input_usd=each, cached_usd=each, output_usd=each))
        self.gateway.forget()

    def attempt(self) -> UUID:
        customer = self.world.customer()
        project = self.world.project(customer)
        task = self.world.task(customer, project)
        return self.world.attempt(customer, project, task, self.world.execution(customer), outcome=None)

    def lease(self, budget: float | None = None, attempt: UUID | None = None) -> GatewayLease:
        return self.gateway.lease(attempt or self.attempt(), model="scripted", budget_usd=budget)

    def calls(self, lease: GatewayLease, number: int = 1) -> list[Row[Any]]:
        """The record of an attempt's calls, once there are that many."""
        deadline = time.monotonic() + 10
        while True:
            with self.world.database.transaction() as connection:
                rows = list(
                    connection.execute(
                        sql("SELECT * FROM attempt_calls WHERE attempt_id = :id ORDER BY id"), {"id": lease.attempt_id}
                    )
                )
            if len(rows) >= number or time.monotonic() > deadline:
                assert len(rows) == number, rows
                return rows
            time.sleep(0.01)

    def parked_until(self, provider_id: UUID) -> Any:
        with self.world.database.transaction() as connection:
            return connection.execute(
                sql("SELECT parked_until FROM model_providers WHERE id = :id"), {"id": provider_id}
            ).scalar_one()


def new_gateway(world: World, folder: Path, name: str = "gateway.sock", **options: Any) -> ModelGateway:
    """One more worker's gateway on the same database and key file."""
    store = GatewayStore(world.database, utc_now, SecretBox(folder / "secret.key"))
    gateway = ModelGateway(store, PriceTable(store.prices), utc_now, folder / name, **options)
    gateway.ensure_started()
    return gateway


@contextmanager
def open_desk(world: World, folder: Path, **options: Any) -> Iterator[Desk]:
    """A gateway without providers and prices."""
    with world.database.transaction() as connection:
        connection.execute(sql("UPDATE model_providers SET archived_at = now() WHERE archived_at IS NULL"))
        connection.execute(sql("DELETE FROM model_prices"))
    providers = ProviderService(world.database, utc_now, SecretBox(folder / "secret.key"))
    gateway = new_gateway(world, folder, **options)
    try:
        yield Desk(world, folder, gateway, providers)
    finally:
        gateway.stop()


def chat(model: str = "scripted", text: str = "Hello", **more: Any) -> dict[str, Any]:
    """A call in OpenAI's protocol."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def client(lease: GatewayLease, **options: Any) -> httpx.Client:
    """An agent's way to the gateway."""
    headers = {"authorization": f"Bearer {lease.key}"}
    return httpx.Client(base_url=f"{lease.base_url}/v1", headers=headers, timeout=30, trust_env=False, **options)


def eventually(true: Callable[[], bool]) -> None:
    """Wait until it is so, 10 s at most."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.01)
