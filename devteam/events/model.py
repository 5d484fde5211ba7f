"""Events and entity changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

SYSTEM_STREAM = UUID(int=0)
CHANNEL = "devteam_events"


@dataclass(frozen=True)
class Event:
    """One fact: what happened to which thing, why. Who and when are the transaction's."""

    type: str
    subject_kind: str
    subject_id: UUID | None
    reason: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
