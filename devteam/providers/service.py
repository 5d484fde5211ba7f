"""Use cases on model providers and prices."""

import json
from typing import Any, Protocol
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError

from devteam.access.model import Actor
from devteam.access.rules import Permission, check
from devteam.events.model import SYSTEM_STREAM, Event
from devteam.events.repository import append, create_stream, lock_stream
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, sql
from devteam.kit.errors import Conflict, NotFound, Stale
from devteam.kit.ids import new_id
from devteam.providers.model import secret_place
from devteam.providers.schemas import PriceInput, PriceView, ProviderInput, ProviderPatch, ProviderView


class Sealer(Protocol):
    """Seals secrets for storage."""

    def seal(self, secret: str, *, belongs_to: str) -> bytes:
        """The secret, sealed for its place."""
        ...


class ProviderService:
    """Add, edit and list providers; set prices."""

    def __init__(self, database: Database, clock: Clock, sealer: Sealer) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer

    def add(self, actor: Actor, wanted: ProviderInput) -> ProviderView:
        """A new provider, tried after the others. Raises Conflict when the name is taken."""
        check(actor, Permission.MANAGE_PROVIDERS)
        provider_id = new_id()
        try:
            with self._database.transaction() as connection:
                connection.execute(
                    sql(
                        """INSERT INTO model_providers (id, name, kind, base_url, sealed_secret, models, position,
                               created_at)
                           SELECT :id, :name, :kind, :base_url, :secret, CAST(:models AS jsonb),
                               coalesce(max(position), 0) + 1, :now FROM model_providers"""
                    ),
                    {
                        "id": provider_id,
                        "name": wanted.name,
                        "kind": wanted.kind.value,
                        "base_url": wanted.base_url,
                        "secret": self._sealed(provider_id, wanted.secret),
                        "models": json.dumps(wanted.models),
                        "now": self._clock(),
                    },
                )
                self._note(
                    connection, actor, Event("provider_added", "provider", provider_id, data={"name": wanted.name})
                )
                return self._view(connection, provider_id)
        except IntegrityError as exc:
            raise Conflict(f"There is already a provider called {wanted.name}.", code="name_taken") from exc

    def edit(
        self, actor: Actor, provider_id: UUID, patch: ProviderPatch, *, if_version: int | None = None
    ) -> ProviderView:
        """Change a provider; a new key also ends its parking. Raises Conflict when its name was taken meanwhile."""
        check(actor, Permission.MANAGE_PROVIDERS)
        try:
            return self._edit(actor, provider_id, patch, if_version)
        except IntegrityError as exc:
            raise Conflict("There is another provider of this name by now.", code="name_taken") from exc

    def _edit(self, actor: Actor, provider_id: UUID, patch: ProviderPatch, if_version: int | None) -> ProviderView:
        with self._database.transaction() as connection:
            before = self._view(connection, provider_id)
            if if_version is not None and if_version != before.version:
                raise Stale("Somebody changed this provider in the meantime.", extra={"version": before.version})
            values: dict[str, Any] = {}
            if patch.secret is not None:
                values |= {
                    "sealed_secret": self._sealed(provider_id, patch.secret),
                    "parked_until": None,
                    "parked_reason": None,
                }
            if patch.models is not None:
                values["models"] = json.dumps(patch.models)
            if patch.position is not None:
                values["position"] = patch.position
            if patch.archived is not None:
                values["archived_at"] = self._clock() if patch.archived else None
            if values:
                assignments = ", ".join(
                    f"{key} = CAST(:{key} AS jsonb)" if key == "models" else f"{key} = :{key}" for key in values
                )
                connection.execute(
                    sql(f"UPDATE model_providers SET {assignments}, version = version + 1 WHERE id = :id"),
                    {**values, "id": provider_id},
                )
                fields = sorted(patch.model_fields_set)
                self._note(
                    connection, actor, Event("provider_changed", "provider", provider_id, data={"fields": fields})
                )
            return self._view(connection, provider_id)

    def all(self, actor: Actor) -> list[ProviderView]:
        """Providers that are not archived, in the order in which they are tried."""
        check(actor, Permission.READ)
        with self._database.transaction() as connection:
            rows = connection.execute(
                sql("SELECT * FROM model_providers WHERE archived_at IS NULL ORDER BY position, id")
            )
            return [ProviderView.from_row(row) for row in rows]

    def set_price(self, actor: Actor, price: PriceInput) -> PriceView:
        """Set a model's price."""
        check(actor, Permission.MANAGE_PROVIDERS)
        with self._database.transaction() as connection:
            row = connection.execute(
                sql(
                    """INSERT INTO model_prices (model, input_usd, cached_usd, output_usd, set_at)
                       VALUES (:model, :input_usd, :cached_usd, :output_usd, :now)
                       ON CONFLICT (model) DO UPDATE SET input_usd = excluded.input_usd,
                           cached_usd = excluded.cached_usd, output_usd = excluded.output_usd,
                           set_at = excluded.set_at RETURNING *"""
                ),
                {**price.model_dump(), "now": self._clock()},
            ).one()
            self._note(connection, actor, Event("price_set", "price", None, data={"model": price.model}))
        return _price_view(row)

    def prices(self, actor: Actor) -> list[PriceView]:
        """The prices that were set, by model."""
        check(actor, Permission.READ)
        with self._database.transaction() as connection:
            return [_price_view(row) for row in connection.execute(sql("SELECT * FROM model_prices ORDER BY model"))]

    def _sealed(self, provider_id: UUID, secret: SecretStr | None) -> bytes | None:
        if secret is None:
            return None
        return self._sealer.seal(secret.get_secret_value(), belongs_to=secret_place(provider_id))

    def _view(self, connection: Connection, provider_id: UUID) -> ProviderView:
        row = connection.execute(
            sql("SELECT * FROM model_providers WHERE id = :id FOR UPDATE"), {"id": provider_id}
        ).first()
        if row is None:
            raise NotFound("There is no such provider.")
        return ProviderView.from_row(row)

    def _note(self, connection: Connection, actor: Actor, event: Event) -> None:
        create_stream(connection, SYSTEM_STREAM)
        lock_stream(connection, SYSTEM_STREAM)
        append(connection, SYSTEM_STREAM, actor=actor.name, at=self._clock(), events=[event], changes=[])


def _price_view(row: Any) -> PriceView:
    return PriceView(
        model=row.model,
        input_usd=row.input_usd,
        cached_usd=row.cached_usd,
        output_usd=row.output_usd,
        set_at=row.set_at,
    )
