"""Records incidents of attempts as they happen."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from devteam.access.model import ENGINE
from devteam.customers.change import customer_change
from devteam.executions.ports import Job
from devteam.incidents.model import class_of
from devteam.incidents.repository import Opening, open_incident
from devteam.incidents.rules import shortened
from devteam.kit.clock import Clock
from devteam.kit.db import UNAVAILABLE, Database
from devteam.kit.log import get_logger, mask
from devteam.workflows.patience import patiently

log = get_logger(__name__)


class IncidentAlarm:
    """Writes an incident at once; while the database is away, beside the caller as soon as it can.

    `hide` masks the secrets of this installation, of which evidence must hold none.
    """

    def __init__(self, database: Database, clock: Clock, hide: Callable[[str], str] = mask) -> None:
        self._database = database
        self._clock = clock
        self._hide = hide

    def __call__(self, job: Job, code: str, title: str, evidence: Mapping[str, Any]) -> None:
        """Record it. Whatever goes wrong with that is logged, not raised."""
        try:
            opening = Opening(
                project_id=job.project_id,
                task_id=job.task_id,
                attempt_id=job.ref.attempt_id,
                incident_class=class_of(code),
                code=code,
                title=shortened(title, self._hide),
                evidence=shortened(evidence, self._hide),
            )
        except Exception as error:  # noqa: BLE001 - what cannot be cleaned is left out rather than stored as it is
            log.error("evidence_left_out", code=code, error=type(error).__name__)
            opening = Opening(job.project_id, job.task_id, job.ref.attempt_id, class_of(code), code, code, {})
        try:
            self._record(job, opening)
        except UNAVAILABLE:
            late = threading.Thread(target=self._record_late, args=(job, opening), name="incident", daemon=True)
            late.start()
        except Exception as error:  # noqa: BLE001 - see above
            self._lost(opening, error)

    def _record(self, job: Job, opening: Opening) -> None:
        with customer_change(self._database, job.ref.customer_id, ENGINE, self._clock) as change:
            open_incident(change, opening)

    def _record_late(self, job: Job, opening: Opening) -> None:
        try:
            patiently(lambda: self._record(job, opening))
        except Exception as error:  # noqa: BLE001 - see above
            self._lost(opening, error)

    def _lost(self, opening: Opening, error: Exception) -> None:
        log.error(
            "incident_not_recorded",
            attempt=str(opening.attempt_id),
            code=opening.code,
            error=f"{type(error).__name__}: {error}",
        )
