"""One attempt's way to models: a key of its own, a budget, and what a person must know of."""

import concurrent.futures
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from devteam.adapters.model_gateway.budget import Budget
from devteam.executions.session import Trouble


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
    masked: int = 0
    """How many secrets were masked in what the agent sent."""
    models_seen: set[str] = field(default_factory=set)
    unrecorded: "set[concurrent.futures.Future[None]]" = field(default_factory=set)
    """Calls on their way into the record."""

    @property
    def trouble(self) -> Trouble | None:
        """The refusal that a person must know of: budget, key, quota."""
        return self.refused or self.provider_trouble
