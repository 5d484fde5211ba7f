"""An incident's classes, its states, and the legal moves between them."""

from collections.abc import Mapping
from enum import StrEnum


class IncidentClass(StrEnum):
    """How much an incident matters, and who must act."""

    RECOVERABLE = "RECOVERABLE"
    INTERVENTION_REQUIRED = "INTERVENTION_REQUIRED"
    CRITICAL = "CRITICAL"
    TASK_FAILURE = "TASK_FAILURE"


class IncidentStatus(StrEnum):
    """Where an incident stands."""

    OPEN = "open"
    RECOVERING = "recovering"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


_S = IncidentStatus

INCIDENT_MOVES: Mapping[IncidentStatus, frozenset[IncidentStatus]] = {
    _S.OPEN: frozenset({_S.RECOVERING, _S.ESCALATED, _S.ACKNOWLEDGED, _S.RESOLVED}),
    _S.RECOVERING: frozenset({_S.ESCALATED, _S.RESOLVED}),
    _S.ESCALATED: frozenset({_S.ACKNOWLEDGED, _S.RESOLVED}),
    _S.ACKNOWLEDGED: frozenset({_S.RESOLVED}),
    _S.RESOLVED: frozenset(),
}
"""`acknowledged` is a person who has taken it on; what happens again after `resolved` is a new incident."""

CLASSES: Mapping[str, IncidentClass] = {
    "file_outside_workspace": IncidentClass.INTERVENTION_REQUIRED,
    "host_refused": IncidentClass.INTERVENTION_REQUIRED,
    "private_address_refused": IncidentClass.CRITICAL,
    "git_tampered": IncidentClass.CRITICAL,
    "resource_limit": IncidentClass.INTERVENTION_REQUIRED,
    "budget_spent": IncidentClass.INTERVENTION_REQUIRED,
    "secret_leaving": IncidentClass.CRITICAL,
    "attempt_key_leaving": IncidentClass.RECOVERABLE,
}


def class_of(code: str) -> IncidentClass:
    """The class of an incident; one that is not known yet wants a person's eyes."""
    return CLASSES.get(code, IncidentClass.INTERVENTION_REQUIRED)
