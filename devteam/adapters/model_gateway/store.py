"""SQL of the gateway: providers with their keys, prices, parking, and the record of calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from devteam.adapters.model_gateway.prices import Price
from devteam.adapters.model_gateway.usage import Usage
from devteam.kit.clock import Clock
from devteam.kit.db import Database, sql
from devteam.kit.errors import DevTeamError
from devteam.kit.ids import new_id
from devteam.kit.log import get_logger
from devteam.providers.model import secret_place

log = get_logger(__name__)


class Opener(Protocol):
    """Opens sealed secrets."""

    def open(self, sealed: bytes, *, belongs_to: str) -> str: ...


@dataclass(frozen=True)
class Provider:
    """Where calls of one protocol can go, with its real key."""

    id: UUID
    name: str
    kind: str
    base_url: str
    secret: str | None
    models: tuple[str, ...]
    parked_until: datetime | None

    def takes(self, kind: str, model: str) -> bool:
        """Whether a call can go here; a provider without a list of models takes any."""
        return self.kind == kind and (not self.models or model in self.models)


@dataclass(frozen=True)
class Call:
    """One call to a provider, for the record. `cost` is None when the price is unknown."""

    attempt_id: UUID
    provider_id: UUID
    model: str
    status: int
    usage: Usage
    cost: float | None
    seconds: float


class GatewayStore:
    """What the gateway reads and writes."""

    def __init__(self, database: Database, clock: Clock, opener: Opener) -> None:
        self._database = database
        self._clock = clock
        self._opener = opener

    def providers(self) -> list[Provider]:
        """Providers in the order in which they are tried."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                sql("SELECT * FROM model_providers WHERE archived_at IS NULL ORDER BY position, id")
            ).all()
        return [
            Provider(
                id=row.id,
                name=row.name,
                kind=row.kind,
                base_url=row.base_url,
                secret=None if row.sealed_secret is None else self._secret(row.id, bytes(row.sealed_secret)),
                models=tuple(row.models),
                parked_until=row.parked_until,
            )
            for row in rows
        ]

    def _secret(self, provider_id: UUID, sealed: bytes) -> str | None:
        """The key; without it, when it cannot be opened, the provider says so itself and the others still work."""
        try:
            return self._opener.open(sealed, belongs_to=secret_place(provider_id))
        except DevTeamError as error:
            log.error("provider_key_unreadable", provider=str(provider_id), reason=error.message)
            return None

    def token_hashes(self) -> frozenset[bytes]:
        """Hashes of the tokens that open this installation now."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                sql("SELECT token_hash FROM credentials WHERE expires_at IS NULL OR expires_at > :now"),
                {"now": self._clock()},
            )
            return frozenset(bytes(row.token_hash) for row in rows)

    def prices(self) -> Mapping[str, Price]:
        """The operator's prices by model."""
        with self._database.transaction() as connection:
            rows = connection.execute(sql("SELECT * FROM model_prices"))
            return {row.model: Price(row.input_usd, row.cached_usd, row.output_usd) for row in rows}

    def park(self, provider_id: UUID, until: datetime, reason: str) -> None:
        """No call goes to the provider until then, from any worker."""
        with self._database.transaction() as connection:
            connection.execute(
                sql(
                    """UPDATE model_providers SET parked_until = greatest(coalesce(parked_until, :until), :until),
                           parked_reason = :reason, version = version + 1 WHERE id = :id"""
                ),
                {"id": provider_id, "until": until, "reason": reason},
            )

    def record(self, call: Call) -> None:
        """Keep a call."""
        with self._database.transaction() as connection:
            connection.execute(
                sql(
                    """INSERT INTO attempt_calls (id, attempt_id, provider_id, model, status, input_tokens,
                           cached_tokens, output_tokens, cost_usd, seconds, at)
                       VALUES (:id, :attempt_id, :provider_id, :model, :status, :input_tokens, :cached_tokens,
                           :output_tokens, :cost, :seconds, :now)"""
                ),
                {
                    "id": new_id(),
                    "attempt_id": call.attempt_id,
                    "provider_id": call.provider_id,
                    "model": call.model,
                    "status": call.status,
                    "input_tokens": call.usage.input_tokens,
                    "cached_tokens": call.usage.cached_tokens,
                    "output_tokens": call.usage.output_tokens,
                    "cost": call.cost,
                    "seconds": call.seconds,
                    "now": self._clock(),
                },
            )

    def note_overshoot(self, attempt_id: UUID, usd: float) -> None:
        """The most that an attempt went beyond its budget."""
        with self._database.transaction() as connection:
            connection.execute(
                sql("UPDATE attempts SET overshoot_usd = greatest(coalesce(overshoot_usd, 0), :usd) WHERE id = :id"),
                {"id": attempt_id, "usd": usd},
            )

    def spent(self, attempt_id: UUID) -> float:
        """What an attempt has cost so far, in US dollars."""
        with self._database.transaction() as connection:
            return float(
                connection.execute(
                    sql("SELECT coalesce(sum(cost_usd), 0) FROM attempt_calls WHERE attempt_id = :id"),
                    {"id": attempt_id},
                ).scalar_one()
            )
