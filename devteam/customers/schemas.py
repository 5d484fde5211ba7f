"""The customer's card: everything that the overview shows of one customer."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from devteam.customers.model import PriorityClass
from devteam.kit.wire import Input, Reason, UtcTime, View


class HealthPart(View):
    """One measured part of the health score."""

    name: str
    weight: float
    value: float
    text: str


class CurrentTask(View):
    """What the engine works on for this customer."""

    task_id: UUID
    title: str
    attempt_id: UUID
    attempt_number: int
    phase: str
    phase_started_at: UtcTime
    frozen: bool


class TimeRemaining(View):
    """Median duration of finished attempts times tasks left; unknown below three finished attempts."""

    seconds: float | None
    low_seconds: float | None
    high_seconds: float | None
    basis: int
    confidence: Literal["unknown", "low", "medium", "high"]
    computed_at: UtcTime | None


class CustomerCard(View):
    """One customer with its five essential metrics."""

    kind: Literal["customer"] = "customer"
    id: UUID
    version: int
    name: str
    priority_class: PriorityClass
    time_zone: str
    archived: bool
    created_at: UtcTime
    execution_id: UUID | None
    execution_status: str | None
    execution_status_detail: str | None
    activity: str | None
    status_reason: Reason | None
    pause_requested: str | None
    progress: float
    tasks_total: int
    tasks_completed: int
    tasks_failed: int
    tasks_blocked: int
    tasks_pending: int
    needs_you: int
    incidents_open: int
    approvals_pending: int
    health_score: float | None
    health_trend: Literal["up", "down", "steady"] | None
    health_parts: list[HealthPart]
    current_task: CurrentTask | None
    time_remaining: TimeRemaining
    wait_reason: Reason | None
    last_update: UtcTime


class CustomerInput(Input):
    """A new customer."""

    name: str = Field(min_length=1, max_length=120)
    priority_class: PriorityClass = PriorityClass.STANDARD
    time_zone: str = Field(default="UTC", max_length=64)


class CustomerPatch(Input):
    """An edit of a customer; absent fields stay."""

    name: str | None = Field(default=None, min_length=1, max_length=120)
    priority_class: PriorityClass | None = None
    time_zone: str | None = Field(default=None, max_length=64)
    archived: bool | None = None
