"""One attempt's way to models: a key of its own, a budget, and what a person must know of."""

import concurrent.futures
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from devteam.adapters.egress import TokenBucket
from devteam.adapters.model_gateway.budget import Budget
from devteam.executions.session import Trouble

Sound = Callable[[str, str, Mapping[str, Any]], None]
"""Code, title and evidence of an incident."""


@dataclass
class GatewayLease:
    """Its key works at this gateway only, until the lease ends."""

    attempt_id: UUID
    key: str
    base_url: str
    socket_path: Path
    budget: Budget
    model: str | None
    refused: Trouble | None = None
    """The last call that was not let through, for want of money or of a price. It stays: the work is cut short."""
    provider_trouble: Trouble | None = None
    """What the provider said no to, until it says yes again."""
    parked_until: datetime | None = None
    bucket: TokenBucket | None = None
    """What its bytes are paced by; None where nobody limits them."""
    sound: Sound | None = None
    """Records an incident of the attempt."""
    masked: int = 0
    """How many secrets were masked in what the agent sent."""
    models_seen: set[str] = field(default_factory=set)
    unrecorded: "set[concurrent.futures.Future[None]]" = field(default_factory=set)
    """Calls on their way into the record."""

    @property
    def over_budget(self) -> bool:
        """Whether the budget stopped it."""
        return self.refused is not None and self.refused.code == "budget_spent"

    @property
    def trouble(self) -> Trouble | None:
        """The refusal that a person must know of: budget, key, quota."""
        return self.refused or self.provider_trouble
