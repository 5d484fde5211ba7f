"""Keep an agent's session as it happens: entries that a developer can read, and guidance that waits for it."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from devteam.approvals.model import ApprovalStatus
from devteam.approvals.repository import take_answers
from devteam.approvals.schemas import ApprovalView
from devteam.executions.session import EntryKind
from devteam.kit.clock import Clock
from devteam.kit.db import UNAVAILABLE, Database, sql
from devteam.kit.log import get_logger, mask_json

ENTRY_LIMIT = 5_000
"""Entries kept of one attempt; a session that goes on beyond that is still seen in the output."""
SIZE_LIMIT = 20_000_000
"""Characters of all entries of one round, as JSON."""

log = get_logger(__name__)


class SessionLog:
    """The record of one run's session. Entries are evidence: one that cannot be stored never stops the work."""

    def __init__(self, database: Database, clock: Clock, attempt_id: UUID, write: Callable[[str], None]) -> None:
        self._database = database
        self._clock = clock
        self._attempt_id = attempt_id
        self._write = write
        self._lock = threading.Lock()
        self._size = 0

    def output(self, text: str) -> None:
        """Raw output of the agent's process."""
        self._write(text)

    def entry(self, kind: EntryKind, data: Mapping[str, Any]) -> None:
        """One thing that the agent said or did."""
        line = spoken(kind, data)
        if line:
            self._write(line)
        with self._lock:
            self._store(kind, json.loads(json.dumps(mask_json(dict(data))).replace("\\u0000", "\\ufffd")))

    def _store(self, kind: EntryKind, data: Mapping[str, Any]) -> None:
        text = json.dumps(data)
        if self._size > SIZE_LIMIT:
            return
        self._size += len(text)
        if self._size > SIZE_LIMIT:
            kind, text = "note", json.dumps({"text": "The session is longer than is kept; the rest is left out here."})
        try:
            with self._database.transaction() as connection:
                connection.execute(
                    sql(
                        """INSERT INTO attempt_entries (attempt_id, ordinal, kind, data, at)
                           SELECT :id, last.ordinal + 1, :kind, CAST(:data AS jsonb), :now
                           FROM (SELECT coalesce(max(ordinal), 0) AS ordinal FROM attempt_entries
                                 WHERE attempt_id = :id) last WHERE last.ordinal < :limit"""
                    ),
                    {
                        "id": self._attempt_id,
                        "kind": kind,
                        "data": text,
                        "now": self._clock(),
                        "limit": ENTRY_LIMIT,
                    },
                )
        except UNAVAILABLE:
            log.warning("entry_not_stored", attempt=str(self._attempt_id), kind=kind)

    def began(self, session_id: str) -> None:
        """Remember the agent's session, for the next round or run."""
        with self._database.transaction() as connection:
            connection.execute(
                sql("UPDATE attempts SET session_id = :session_id WHERE id = :id"),
                {"id": self._attempt_id, "session_id": session_id[:500]},
            )

    def guidance(self) -> list[str]:
        """What people added since the last call; it counts as taken from now on."""
        try:
            with self._database.transaction() as connection:
                rows = connection.execute(
                    sql(
                        """UPDATE attempt_guidance SET taken_at = :now
                           WHERE attempt_id = :id AND taken_at IS NULL RETURNING id, text"""
                    ),
                    {"id": self._attempt_id, "now": self._clock()},
                ).all()
                answers = take_answers(connection, self._attempt_id)
        except UNAVAILABLE:
            return []
        return [*(row.text for row in sorted(rows, key=lambda row: row.id)), *map(_answered, answers)]


def _answered(view: ApprovalView) -> str:
    word = {ApprovalStatus.APPROVED: "Yes.", ApprovalStatus.REJECTED: "No."}.get(view.status, "")
    return f"You asked: {view.detail}\nThe answer: {view.answer or word}"


def spoken(kind: EntryKind, data: Mapping[str, Any]) -> str:
    """The line of the live output for an entry; empty for what would only make noise."""
    match kind:
        case "message":
            return f"{data.get('text', '').rstrip()}\n"
        case "tool_call":
            return f"\x1b[36m▸ {data.get('title', 'tool')}\x1b[0m\n"
        case "permission":
            word = "allowed" if data.get("allowed") else "refused"
            return f"\x1b[33m? {data.get('toolCall', {}).get('title', 'a tool')}: {word}\x1b[0m\n"
        case "note" | "steer":
            return f"\x1b[33m! {data.get('text', '')}\x1b[0m\n"
        case "plan":
            steps = [entry for entry in data.get("entries", []) if isinstance(entry, dict)]
            done = sum(step.get("status") == "completed" for step in steps)
            return f"\x1b[2m plan: {done} of {len(steps)} steps done\x1b[0m\n"
        case _:
            return ""
