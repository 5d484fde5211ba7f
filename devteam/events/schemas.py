"""Events as people see them."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from devteam.kit.db import Row
from devteam.kit.wire import UtcTime, View

NOTABLE = frozenset(
    {
        "task_failed",
        "task_blocked",
        "attempt_lost",
        "delivery_reverted",
        "execution_error",
        "execution_aborted",
        "emergency_stop",
        "incident_opened",
        "approval_requested",
    }
)
"""Events that live pages must not coalesce away."""

_TEXTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "customer_created": lambda d: f"Customer {d['name']} created",
    "customer_changed": lambda d: "Customer changed: " + ", ".join(d.get("fields", [])),
    "customer_archived": lambda d: "Customer archived",
    "priority_class_changed": lambda d: f"Priority class changed from {d['from']} to {d['to']}",
    "project_created": lambda d: f"Project {d['name']} added",
    "project_changed": lambda d: "Project changed: " + ", ".join(d.get("fields", [])),
    "task_added": lambda d: f"Task added: {d['title']}",
    "task_changed": lambda d: f"Task changed: {d['title']} ({', '.join(d.get('fields', []))})",
    "task_moved": lambda d: f"Task moved in the queue: {d['title']}",
    "task_completed": lambda d: f"Task completed: {d['title']}",
    "task_failed": lambda d: f"Task failed: {d['title']}",
    "task_blocked": lambda d: f"Task blocked: {d['title']}",
    "task_unblocked": lambda d: f"Task unblocked: {d['title']}",
    "task_cancel_requested": lambda d: f"Cancelling the running task: {d['title']}",
    "task_cancelled": lambda d: f"Task cancelled: {d['title']}",
    "task_retried": lambda d: f"Task put back for another attempt: {d['title']}",
    "task_released": lambda d: f"Task put back into the queue: {d['title']}",
    "execution_started": lambda d: "Execution started",
    "execution_paused": lambda d: "Execution paused",
    "execution_pause_requested": lambda d: (
        "Pause requested" + (" after the current task" if d.get("mode") == "after_current_task" else "")
    ),
    "execution_resumed": lambda d: "Execution resumed",
    "execution_completed": lambda d: "Execution completed",
    "execution_failed": lambda d: "Execution stopped: a gate at its end does not hold",
    "execution_continued": lambda d: "Execution goes on: there is work again",
    "execution_error": lambda d: "The execution needs a person",
    "execution_aborted": lambda d: "Execution aborted",
    "emergency_stop": lambda d: "Emergency stop",
    "incident_opened": lambda d: f"Incident: {d['title']}",
    "incident_acknowledged": lambda d: f"Incident taken on: {d['title']}",
    "incident_resolved": lambda d: f"Incident settled: {d['title']}",
    "approval_requested": lambda d: f"Waits for an answer: {d['title']}",
    "approval_answered": lambda d: f"{d['answer'].capitalize()}: {d['title']}",
    "approval_expired": lambda d: f"Not answered: {d['title']}",
    "guidance_added": lambda d: f"Guidance for the agent: {d['title']}",
    "attempt_started": lambda d: f"Attempt {d['number']} started: {d['title']}",
    "attempt_phase": lambda d: f"{d['phase'].replace('_', ' ').capitalize()} began: {d['title']}",
    "attempt_lost": lambda d: "A worker was lost; the attempt goes on elsewhere",
    "attempt_run_again": lambda d: f"Asked to run an attempt again: {d['title']}",
    "attempt_sent_back": lambda d: f"Sent back with remarks: {d['title']}",
    "attempt_taken_over": lambda d: f"Taken over by a person: {d['title']}",
    "attempt_handed_back": lambda d: f"Handed back by a person: {d['title']}",
    "attempt_released": lambda d: f"Given back to the engine: {d['title']}",
    "attempt_frozen": lambda d: "The attempt is frozen",
    "workspace_reclaimed": lambda d: f"The kept workspace was cleared away; its state is in git: {d['title']}",
    "attempt_thawed": lambda d: "The attempt goes on",
    "delivery_reverted": lambda d: f"Delivery reverted: {d['title']}",
    "monitoring_ended": lambda d: f"Monitoring ended: {d['result'].replace('_', ' ')}",
    "worker_joined": lambda d: f"Worker joined with {d['slots']} slots",
    "worker_lost": lambda d: "Worker lost",
    "worker_left": lambda d: "Worker left",
    "user_created": lambda d: f"User {d['name']} created as {d['role']}",
    "user_disabled": lambda d: f"User {d['name']} disabled",
    "provider_added": lambda d: f"Model provider {d['name']} added",
    "provider_changed": lambda d: "Model provider changed: " + ", ".join(d.get("fields", [])),
    "price_set": lambda d: f"Price of {d['model']} set",
    "api_token_created": lambda d: f"API token made for {d['name']}",
    "api_tokens_revoked": lambda d: f"API tokens of {d['name']} revoked",
    "login_link_created": lambda d: f"Sign-in link made for {d['name']}",
}


class EventSubject(View):
    """What an event is about."""

    kind: str
    id: UUID | None


class EventView(View):
    """One fact of the change log; `seq` is its version in the customer's stream."""

    id: UUID
    seq: int
    type: str
    actor: str
    reason: str | None
    subject: EventSubject
    text: str
    at: UtcTime

    @classmethod
    def from_row(cls, row: Row[Any]) -> "EventView":
        """From a row of `events`."""
        return cls(
            id=row.id,
            seq=row.version,
            type=row.type,
            actor=row.actor,
            reason=row.reason,
            subject=EventSubject(kind=row.subject_kind, id=row.subject_id),
            text=describe(row.type, row.data),
            at=row.at,
        )


class ActivityPage(View):
    """A stretch of the change log, newest first; `nextCursor` is null at its end."""

    items: list[EventView]
    next_cursor: str | None


def describe(event_type: str, data: Mapping[str, Any]) -> str:
    """One sentence for a person."""
    return _TEXTS[event_type](data)
