"""Model providers and prices as they are sent and shown. A key goes in and never comes out."""

from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, field_validator

from devteam.kit.db import Row
from devteam.kit.wire import Input, UtcTime, View


class ProviderKind(StrEnum):
    """Which protocol a provider speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"


def _sendable(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("a key is 1 to 1000 visible characters without spaces")
    return secret


def _names(models: list[str]) -> list[str]:
    if any(not name.strip() or len(name) > 200 or not name.isprintable() for name in models):
        raise ValueError("a model's name is 1 to 200 visible characters")
    return models


Models = Annotated[list[str], AfterValidator(_names)]
Key = Annotated[SecretStr, Field(min_length=1, max_length=1000), AfterValidator(_sendable)]
"""A provider's real key. It travels in a header, so it must be fit for one."""


class ProviderInput(Input):
    """A new provider. `baseUrl` is what stands before `/chat/completions`, `/v1/messages` or
    `/v1beta/models`.
    """

    name: str = Field(min_length=1, max_length=80)
    kind: ProviderKind
    base_url: str = Field(min_length=1, max_length=2048)
    secret: Key | None = None
    models: Models = Field(default=[], max_length=200)

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        parts = urlsplit(value)
        plain = not (parts.username or parts.password or parts.query or parts.fragment) and parts.port != 0
        written = value.isascii() and value.isprintable() and " " not in value
        if parts.scheme not in ("http", "https") or not parts.hostname or not plain or not written:
            raise ValueError("give an http or https address without user, password or query")
        return value.rstrip("/")


class ProviderPatch(Input):
    """An edit of a provider; absent fields stay."""

    secret: Key | None = None
    models: Models | None = Field(default=None, max_length=200)
    position: int | None = Field(default=None, ge=-10_000, le=10_000)
    archived: bool | None = None


class ProviderView(View):
    """A provider as shown. While `parkedUntil` lies ahead no call goes to it."""

    kind: Literal["provider"] = "provider"
    id: UUID
    version: int
    name: str
    protocol: ProviderKind
    base_url: str
    has_secret: bool
    models: list[str]
    position: int
    parked_until: UtcTime | None
    parked_reason: str | None
    created_at: UtcTime

    @classmethod
    def from_row(cls, row: Row[Any]) -> "ProviderView":
        """From a row of `model_providers`."""
        return cls(
            id=row.id,
            version=row.version,
            name=row.name,
            protocol=row.kind,
            base_url=row.base_url,
            has_secret=row.sealed_secret is not None,
            models=row.models,
            position=row.position,
            parked_until=row.parked_until,
            parked_reason=row.parked_reason,
            created_at=row.created_at,
        )


class ProviderList(View):
    """Providers in the order in which they are tried."""

    providers: list[ProviderView]


class PriceInput(Input):
    """US dollars per million tokens of a model; wins over the built-in table."""

    model: str = Field(min_length=1, max_length=200)
    input_usd: float = Field(ge=0, le=1e6)
    cached_usd: float = Field(ge=0, le=1e6)
    output_usd: float = Field(ge=0, le=1e6)


class PriceView(View):
    """A price that the operator set."""

    model: str
    input_usd: float
    cached_usd: float
    output_usd: float
    set_at: UtcTime


class PriceList(View):
    """The prices that the operator set."""

    prices: list[PriceView]
