"""Makes an incident of what an agent's client refused it."""

from collections.abc import Mapping
from typing import Any

from devteam.executions.ports import Alarm, Job
from devteam.executions.session import EntryKind, Session

TOLD_LIMIT = 50
"""Refusals of one round that are told; the session holds them all."""


class ReportingSession:
    """A session whose refusals of files outside the workspace are incidents as well."""

    def __init__(self, session: Session, job: Job, alarm: Alarm) -> None:
        self._session = session
        self._job = job
        self._alarm = alarm
        self._told = 0

    def output(self, text: str) -> None:
        """See `Session`."""
        self._session.output(text)

    def entry(self, kind: EntryKind, data: Mapping[str, Any]) -> None:
        """See `Session`."""
        self._session.entry(kind, data)
        if kind == "note" and data.get("refused") is True and self._told < TOLD_LIMIT:
            self._told += 1
            title = "An agent asked for files outside its workspace"
            self._alarm(self._job, "file_outside_workspace", title, {"refused": [data.get("text")]})

    def began(self, session_id: str) -> None:
        """See `Session`."""
        self._session.began(session_id)

    def guidance(self) -> list[str]:
        """See `Session`."""
        return self._session.guidance()
