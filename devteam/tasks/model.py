"""The task's states and the legal moves between them."""

from collections.abc import Mapping
from enum import StrEnum


class TaskStatus(StrEnum):
    """Where a task stands."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    ERROR_SOLVING = "error_solving"
    BLOCKED = "blocked"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class TaskMode(StrEnum):
    """Who does the task: the engine, or a person."""

    AUTONOMOUS = "autonomous"
    MANUAL = "manual"


_S = TaskStatus

TASK_MOVES: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    _S.PENDING: frozenset({_S.IN_PROGRESS, _S.BLOCKED, _S.CANCELLED, _S.SKIPPED, _S.COMPLETED}),
    _S.IN_PROGRESS: frozenset({_S.VERIFYING, _S.ERROR_SOLVING, _S.BLOCKED, _S.FAILED, _S.CANCELLED, _S.PENDING}),
    _S.VERIFYING: frozenset(
        {_S.COMPLETED, _S.IN_PROGRESS, _S.ERROR_SOLVING, _S.BLOCKED, _S.FAILED, _S.CANCELLED, _S.PENDING}
    ),
    _S.ERROR_SOLVING: frozenset({_S.IN_PROGRESS, _S.BLOCKED, _S.FAILED, _S.CANCELLED, _S.PENDING}),
    _S.BLOCKED: frozenset({_S.PENDING, _S.CANCELLED, _S.SKIPPED}),
    _S.COMPLETED: frozenset({_S.FAILED, _S.PENDING}),
    _S.FAILED: frozenset({_S.PENDING, _S.CANCELLED}),
    _S.SKIPPED: frozenset({_S.PENDING}),
    _S.CANCELLED: frozenset({_S.PENDING}),
}
"""`pending -> completed` is a person finishing a manual task; `completed -> failed` is a regression that
monitoring found, `completed -> pending` a delivery on a branch that a person sent back or took over; back to
`pending` otherwise is a retry, or the release of a task whose attempt was stopped."""

FINAL = frozenset({_S.COMPLETED, _S.FAILED, _S.SKIPPED, _S.CANCELLED})
RUNNING = frozenset({_S.IN_PROGRESS, _S.VERIFYING, _S.ERROR_SOLVING})
RETRYABLE = frozenset({_S.FAILED, _S.BLOCKED, _S.CANCELLED, _S.SKIPPED})
UNMET = frozenset({_S.FAILED, _S.SKIPPED, _S.CANCELLED, _S.BLOCKED})
"""A dependency in one of these blocks its dependants: it will not complete unless a person acts."""
