"""Ask a person and wait for the answer: what gates and agents do when they may not decide by themselves."""

import threading
from collections import defaultdict
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from devteam.access.model import ENGINE
from devteam.approvals.model import APPROVAL_TIMEOUT, ApprovalKind, ApprovalStatus
from devteam.approvals.repository import Asked, approval, ask
from devteam.approvals.schemas import ApprovalView
from devteam.approvals.service import NOT_IN_TIME, expire
from devteam.customers.change import CustomerChange, customer_change
from devteam.executions.lifecycle import RunRef
from devteam.executions.ports import Answer, Held, Job, Question
from devteam.executions.queries import attempt_view
from devteam.kit.clock import Clock
from devteam.kit.db import Database, sql
from devteam.kit.errors import Fenced
from devteam.kit.log import get_logger, mask_json
from devteam.workflows.patience import patiently

LOOK_SECONDS = 0.5

log = get_logger(__name__)


class PersonAsker:
    """Puts questions to people. Several threads of one attempt may wait at once.

    A question outlives whoever put it: the next run of the attempt that asks the same gets the answer that was given
    meanwhile, or waits for it.
    """

    def __init__(self, database: Database, clock: Clock, *, timeout: timedelta = APPROVAL_TIMEOUT) -> None:
        self._database = database
        self._clock = clock
        self._timeout = timeout
        self._waiting: dict[RunRef, dict[object, UUID]] = defaultdict(dict)
        self._lock = threading.Lock()

    def ask(self, job: Job, question: Question, held: Held) -> Answer:
        """The answer, at once when it was given before. Raises what `held.checkpoint` raises, and Fenced."""
        held.checkpoint()
        asking = object()
        try:
            view = patiently(lambda: self._put(job.ref, question, asking))
            if view.status is ApprovalStatus.PENDING:
                log.info("waits_for_person", attempt=str(job.ref.attempt_id), approval=str(view.id), kind=question.kind)
                view = self._await(view, held)
        finally:
            with self._lock:
                entered = asking in self._waiting.get(job.ref, {})
            if entered:
                patiently(lambda: self._leave(job.ref, asking))
        return Answer(
            approved=view.status is ApprovalStatus.APPROVED,
            text=view.answer,
            by=view.answered_by,
            expired=view.status is ApprovalStatus.EXPIRED,
        )

    def waits(self, job: Job) -> bool:
        """Whether somebody of this run waits for an answer now."""
        with self._lock:
            return job.ref in self._waiting

    def _put(self, ref: RunRef, question: Question, asking: object) -> ApprovalView:
        """The question and that the attempt waits with it, in one transaction."""
        with customer_change(self._database, ref.customer_id, ENGINE, self._clock) as change:
            _check_held(change, ref)
            asked = Asked(
                attempt_id=ref.attempt_id,
                kind=ApprovalKind(question.kind),
                title=_storable(question.title),
                detail=_storable(question.detail),
                data=_storable(dict(question.data)),
                fingerprint=question.fingerprint,
                expires_at=change.now + self._timeout,
            )
            view = ask(change, asked)
            if view.status is ApprovalStatus.PENDING:
                with self._lock:  # inside the change, which puts all that happens to one attempt into one line
                    self._waiting[ref][asking] = view.id
                _set_awaiting(change, ref, view.id)
            return view

    def _leave(self, ref: RunRef, asking: object) -> None:
        """Whoever leaves last lets the attempt go on. Of a run that is over nothing is written."""
        with customer_change(self._database, ref.customer_id, ENGINE, self._clock) as change:
            with self._lock:
                self._waiting[ref].pop(asking, None)
                others = list(self._waiting[ref].values())
                if not others:
                    del self._waiting[ref]
            _set_awaiting(change, ref, others[-1] if others else None)

    def _await(self, view: ApprovalView, held: Held) -> ApprovalView:
        pause = threading.Event()
        while view.status is ApprovalStatus.PENDING:
            pause.wait(LOOK_SECONDS)
            held.checkpoint()
            view = patiently(partial(self._look, view))
        return view

    def _look(self, view: ApprovalView) -> ApprovalView:
        if view.expires_at <= self._clock():
            return expire(self._database, self._clock, view.customer_id, view.id)
        with self._database.statement() as connection:
            return approval(connection, view.id)


def explain_refusal(answer: Answer) -> str:
    """A sentence for whoever asked and got no."""
    if answer.expired:
        return answer.text or NOT_IN_TIME
    said = f": {answer.text}" if answer.text else "."
    return f"{answer.by or 'A person'} said no{said}"


def _check_held(change: CustomerChange, ref: RunRef) -> None:
    held = change.connection.execute(
        sql("SELECT 1 FROM attempts WHERE id = :id AND run = :run AND outcome IS NULL"),
        {"id": ref.attempt_id, "run": ref.run},
    ).scalar()
    if held is None:
        raise Fenced("Another run holds this attempt, or it has ended.")


def _set_awaiting(change: CustomerChange, ref: RunRef, approval_id: UUID | None) -> None:
    done = change.connection.execute(
        sql(
            """UPDATE attempts SET awaiting_approval_id = :approval_id, version = version + 1
               WHERE id = :id AND run = :run AND outcome IS NULL
                 AND awaiting_approval_id IS DISTINCT FROM CAST(:approval_id AS uuid)"""
        ),
        {"id": ref.attempt_id, "run": ref.run, "approval_id": approval_id},
    )
    if done.rowcount:
        change.show(attempt_view(change.connection, ref.attempt_id))


def _storable(value: Any) -> Any:
    """JSON that the database can hold, without secrets."""
    return _without_nul(mask_json(value))


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", "\ufffd")
        case list():
            return [_without_nul(item) for item in value]
        case dict():
            return {_without_nul(key): _without_nul(item) for key, item in value.items()}
        case _:
            return value
