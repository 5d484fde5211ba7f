"""What an agent's own tools reach: its task, the record of its session, and the people behind it."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from devteam.access.model import ENGINE
from devteam.approvals.model import APPROVAL_TIMEOUT, ApprovalKind
from devteam.approvals.repository import Asked, ask, waiting_proposals
from devteam.customers.change import customer_change
from devteam.executions.ports import Answer, Asker, Held, Job, Question
from devteam.executions.session import PlanStep, Session
from devteam.kit.clock import Clock
from devteam.kit.db import Database
from devteam.kit.errors import Conflict
from devteam.kit.log import mask_json
from devteam.workflows.ask import explain_refusal
from devteam.workflows.prompt import criterion_text, gate_text

MAX_PROPOSALS = 10
"""Follow-up tasks that one attempt may have waiting for an answer."""
BLOCKED = "agent_blocked"
"""The code of an attempt that its agent gave up with a reason."""
_TITLE = 120


class AttemptDesk:
    """The desk of one round."""

    def __init__(self, database: Database, clock: Clock, asker: Asker, job: Job, held: Held, session: Session) -> None:
        self.blocked: str | None = None
        """Why the agent says that the task cannot be done."""
        self._database = database
        self._clock = clock
        self._asker = asker
        self._job = job
        self._held = held
        self._session = session

    def read_task(self) -> Mapping[str, Any]:
        """The task and what counts as done."""
        return task_as_json(self._job)

    def report_progress(self, text: str, plan: Sequence[PlanStep]) -> None:
        """Into the session, where people read it live."""
        self._session.entry("message", {"text": text, "progress": True})
        if plan:
            entries = [{"content": step.content, "status": step.status, "priority": "medium"} for step in plan]
            self._session.entry("plan", {"entries": entries})

    def ask(self, question: str, *, wait: bool) -> str:
        """Put a question to the project manager. The same question is one question, however often it is asked."""
        title = question if len(question) <= _TITLE else f"{question[: _TITLE - 1]}…"
        fingerprint = _fingerprint(question)
        if not wait:
            self._put(ApprovalKind.AGENT_QUESTION, title, question, fingerprint, {"wait": False})
            return "Asked. Go on; the answer comes as a message."
        asked = Question("agent_question", title, question, fingerprint, {"wait": True})
        return _told(self._asker.ask(self._job, asked, self._held))

    def report_blocked(self, reason: str) -> None:
        """The attempt ends blocked when the agent ends its turn."""
        self.blocked = reason
        self._session.entry("note", {"text": f"The agent reports that it is blocked: {reason}"})

    def propose(self, title: str, description: str, reason: str) -> None:
        """Put a follow-up task to the project manager; approved, it joins the queue. Raises Conflict at ten."""
        data = {"title": title, "description": description, "reason": reason}
        self._put(ApprovalKind.FOLLOW_UP_TASK, title, reason or description, _fingerprint(title), data)
        self._session.entry("note", {"text": f"The agent proposes a follow-up task: {title}"})

    def _put(self, kind: ApprovalKind, title: str, detail: str, fingerprint: str, data: Mapping[str, Any]) -> None:
        """Ask without waiting."""
        masked = mask_json({"title": title, "detail": detail, "data": dict(data)})
        with customer_change(self._database, self._job.ref.customer_id, ENGINE, self._clock) as change:
            attempt = self._job.ref.attempt_id
            if kind is ApprovalKind.FOLLOW_UP_TASK and waiting_proposals(change.connection, attempt) >= MAX_PROPOSALS:
                raise Conflict(f"{MAX_PROPOSALS} proposals of this attempt wait already.", code="too_many_proposals")
            ask(
                change,
                Asked(
                    attempt_id=attempt,
                    kind=kind,
                    title=masked["title"],
                    detail=masked["detail"],
                    data=masked["data"],
                    fingerprint=fingerprint,
                    expires_at=change.now + APPROVAL_TIMEOUT,
                ),
            )


def task_as_json(job: Job) -> Mapping[str, Any]:
    """A task as agents read it."""
    return {
        "title": job.title,
        "description": job.description,
        "done_when": [criterion_text(criterion) for criterion in job.criteria],
        "checks": [f"{gate.name}: {gate_text(gate)}" for gate in job.gates],
        "base_branch": job.base_branch,
        "attempt": job.number,
        "round": job.round,
    }


def _told(answer: Answer) -> str:
    """What the agent hears."""
    if not answer.approved:
        return explain_refusal(answer)
    return answer.text or f"{answer.by or 'The project manager'} says yes."


def _fingerprint(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).casefold().encode("utf-8", errors="replace")).hexdigest()[:32]
