"""Why is nothing running for this customer? One pure answer for the dispatcher and for the screen."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class CustomerFacts:
    """What the answer depends on; `status` is the newest execution's, None when there never was one."""

    archived: bool
    status: str | None
    reason: str | None
    pause_requested: bool
    stopping: bool
    running: bool
    awaiting_approval: bool
    has_next: bool
    pending: int
    blocked: int
    manual: int


class WaitReason(StrEnum):
    """Reasons not to start an attempt, most decisive first."""

    ARCHIVED = "archived"
    NOT_STARTED = "not_started"
    ABORTED = "aborted"
    PAUSED = "paused"
    ERROR = "error"
    PAUSING = "pausing"
    NO_TASKS = "no_tasks"
    HELD_BY_PEOPLE = "held_by_people"
    ALL_BLOCKED = "all_blocked"
    WAITING_FOR_DEPENDENCY = "waiting_for_dependency"
    WAITING_FOR_SLOT = "waiting_for_slot"

    @property
    def code(self) -> str:
        """The stable code."""
        return self.value

    @property
    def text(self) -> str:
        """The sentence on screen."""
        return _TEXTS[self]


_TEXTS = {
    WaitReason.ARCHIVED: "The customer is archived.",
    WaitReason.NOT_STARTED: "No execution was started.",
    WaitReason.ABORTED: "The execution was aborted; start a new one.",
    WaitReason.PAUSED: "The execution is paused.",
    WaitReason.ERROR: "The execution needs a person.",
    WaitReason.PAUSING: "A pause was requested.",
    WaitReason.NO_TASKS: "The queue is empty.",
    WaitReason.HELD_BY_PEOPLE: "The tasks that are left are held by people.",
    WaitReason.ALL_BLOCKED: "The tasks that are left are blocked.",
    WaitReason.WAITING_FOR_DEPENDENCY: "The next tasks wait for tasks that people hold.",
    WaitReason.WAITING_FOR_SLOT: "Waiting for a free slot.",
}

_BY_STATUS = {
    None: WaitReason.NOT_STARTED,
    "aborted": WaitReason.ABORTED,
    "paused": WaitReason.PAUSED,
    "error": WaitReason.ERROR,
}


def reason_to_wait(facts: CustomerFacts) -> WaitReason | None:
    """One reason not to start an attempt now; None when one is running already.

    WAITING_FOR_SLOT is the only reason that a free slot takes away.
    """
    if facts.running:
        return None
    if facts.archived:
        return WaitReason.ARCHIVED
    if facts.status in _BY_STATUS:
        return _BY_STATUS[facts.status]
    if facts.pause_requested:
        return WaitReason.PAUSING
    if facts.has_next:
        return WaitReason.WAITING_FOR_SLOT
    if facts.pending > facts.manual:
        return WaitReason.WAITING_FOR_DEPENDENCY
    if facts.pending:
        return WaitReason.HELD_BY_PEOPLE
    return WaitReason.ALL_BLOCKED if facts.blocked else WaitReason.NO_TASKS


def activity(facts: CustomerFacts) -> str | None:
    """What the open execution is doing, for people; None when none is open."""
    if facts.status in (None, "completed", "aborted"):
        return None
    if facts.running:
        stopping = facts.stopping or facts.pause_requested
        if stopping:
            return "stopping"
        return "awaiting_approval" if facts.awaiting_approval else "task_executing"
    if facts.status == "queued":
        return "initializing"
    if facts.status in ("paused", "error"):
        return None
    return "selecting" if facts.has_next else "blocked"
