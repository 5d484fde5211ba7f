"""States of executions and attempts, and the legal moves between them."""

from collections.abc import Mapping
from enum import StrEnum


class ExecutionStatus(StrEnum):
    """Where an execution stands."""

    QUEUED = "queued"
    ACTIVE = "active"
    PAUSED = "paused"
    ERROR = "error"
    COMPLETED = "completed"
    ABORTED = "aborted"


class PauseMode(StrEnum):
    """When a pause takes effect."""

    NOW = "now"
    AFTER_CURRENT_TASK = "after_current_task"


class Phase(StrEnum):
    """The five phases of an attempt."""

    PLANNING = "planning"
    EXECUTION = "execution"
    QUALITY_ASSURANCE = "quality_assurance"
    DELIVERY = "delivery"
    MONITORING = "monitoring"


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    LOST = "lost"


class Monitoring(StrEnum):
    """How a delivery is doing after it was handed over."""

    WATCHING = "watching"
    PASSED = "passed"
    REGRESSED = "regressed"
    NOT_MERGED = "not_merged"
    SKIPPED = "skipped"


class Stop(StrEnum):
    """Why a running attempt must end."""

    CANCEL = "cancel"
    ABORT = "abort"
    EMERGENCY = "emergency"
    TAKE_OVER = "take_over"


_E = ExecutionStatus
_P = Phase
_M = Monitoring

EXECUTION_MOVES: Mapping[ExecutionStatus, frozenset[ExecutionStatus]] = {
    _E.QUEUED: frozenset({_E.ACTIVE, _E.PAUSED, _E.COMPLETED, _E.ABORTED}),
    _E.ACTIVE: frozenset({_E.PAUSED, _E.ERROR, _E.COMPLETED, _E.ABORTED}),
    _E.PAUSED: frozenset({_E.ACTIVE, _E.ABORTED}),
    _E.ERROR: frozenset({_E.ACTIVE, _E.ABORTED}),
    _E.COMPLETED: frozenset({_E.ACTIVE}),
    _E.ABORTED: frozenset(),
}

PHASE_MOVES: Mapping[Phase, frozenset[Phase]] = {
    _P.PLANNING: frozenset({_P.EXECUTION}),
    _P.EXECUTION: frozenset({_P.QUALITY_ASSURANCE}),
    _P.QUALITY_ASSURANCE: frozenset({_P.DELIVERY, _P.EXECUTION}),
    _P.DELIVERY: frozenset({_P.MONITORING, _P.QUALITY_ASSURANCE}),
    _P.MONITORING: frozenset(),
}
"""Back from delivery to quality assurance is a rebase onto a moved base, whose result must hold again."""

MONITORING_MOVES: Mapping[Monitoring, frozenset[Monitoring]] = {
    _M.WATCHING: frozenset({_M.PASSED, _M.REGRESSED, _M.NOT_MERGED}),
    _M.PASSED: frozenset(),
    _M.REGRESSED: frozenset(),
    _M.NOT_MERGED: frozenset(),
    _M.SKIPPED: frozenset(),
}

OPEN = frozenset(ExecutionStatus) - {_E.COMPLETED, _E.ABORTED}
