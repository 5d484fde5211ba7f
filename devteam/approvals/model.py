"""States of an approval, the legal moves between them, and what can be asked."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

APPROVAL_TIMEOUT = timedelta(hours=24)
"""How long a question waits for a person; then it expires, and silence means no."""


class ApprovalStatus(StrEnum):
    """Where a question stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class ApprovalKind(StrEnum):
    """What is asked."""

    AGENT_PERMISSION = "agent_permission"
    AGENT_QUESTION = "agent_question"
    PROTECTED_PATHS = "protected_paths"
    WEAKENED_TESTS = "weakened_tests"
    DEPENDENCY_CHANGE = "dependency_change"
    FOLLOW_UP_TASK = "follow_up_task"
    ESCAPE = "escape"
    REVIEW = "review"


_S = ApprovalStatus

APPROVAL_MOVES: Mapping[ApprovalStatus, frozenset[ApprovalStatus]] = {
    _S.PENDING: frozenset({_S.APPROVED, _S.REJECTED, _S.EXPIRED}),
    _S.APPROVED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.EXPIRED: frozenset(),
}
"""`expired` is a question that nobody answered in time, or whose attempt ended before."""

ALLOWS_PATHS = (ApprovalKind.AGENT_PERMISSION, ApprovalKind.PROTECTED_PATHS)
"""Kinds whose approval allows the change of the files that `data.paths` names."""

OUTLIVES_ATTEMPT = frozenset({ApprovalKind.FOLLOW_UP_TASK})
"""Kinds that matter also when the attempt that asked has ended."""
