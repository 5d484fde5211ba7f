"""Use cases on approvals: read them, answer them, let them expire."""

from uuid import UUID

from devteam.access.model import ENGINE, Actor
from devteam.access.rules import Permission, check
from devteam.approvals import repository
from devteam.approvals.model import OUTLIVES_ATTEMPT, ApprovalKind, ApprovalStatus
from devteam.approvals.schemas import AnswerInput, ApprovalPage, ApprovalView
from devteam.customers.change import CustomerChange, customer_change
from devteam.kit.clock import Clock
from devteam.kit.cursor import bad_cursor, decode_cursor, encode_cursor
from devteam.kit.db import Database, sql
from devteam.kit.errors import Conflict, NotFound
from devteam.tasks.schemas import TaskInput
from devteam.tasks.service import add_task

_S = ApprovalStatus

NOT_IN_TIME = "Nobody answered in time."
ATTEMPT_ENDED = "The attempt ended before anybody answered."


class ApprovalService:
    """Read and answer questions, inside the caller's scope."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(
        self,
        actor: Actor,
        *,
        status: list[ApprovalStatus],
        customer_id: UUID | None,
        cursor: str | None,
        limit: int,
    ) -> ApprovalPage:
        """Questions, newest first."""
        check(actor, Permission.READ, customer_id)
        scope = None if actor.customers is None else list(actor.customers)
        with self._database.transaction() as connection:
            found = repository.approvals_page(
                connection,
                scope if customer_id is None else [customer_id],
                status=status,
                before=None if cursor is None else _id_of(cursor),
                limit=limit + 1,
            )
        shown = found[:limit]
        more = len(found) > limit
        return ApprovalPage(approvals=shown, next_cursor=encode_cursor(str(shown[-1].id)) if more else None)

    def get(self, actor: Actor, approval_id: UUID) -> ApprovalView:
        """One question."""
        with self._database.transaction() as connection:
            view = repository.approval(connection, approval_id)
        if not actor.sees(view.customer_id):
            raise NotFound("There is no such approval.")
        check(actor, Permission.READ, view.customer_id)
        return view

    def answer(self, actor: Actor, approval_id: UUID, wanted: AnswerInput) -> ApprovalView:
        """Say yes or no. The same answer again changes nothing. Raises Conflict when it is settled otherwise."""
        customer_id = self.get(actor, approval_id).customer_id
        check(actor, Permission.ANSWER_APPROVAL, customer_id)
        after = _S.APPROVED if wanted.approved else _S.REJECTED
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            view = repository.approval(change.connection, approval_id)
            if view.status is after:
                return view
            _check_open(change, view)
            settled = repository.settle(change, view, after, text=wanted.text)
            if settled.asks is ApprovalKind.FOLLOW_UP_TASK and after is _S.APPROVED:
                add_task(change, _proposed(settled))
            return settled

    def expire_overdue(self) -> int:
        """End questions that nobody answered in time; how many."""
        with self._database.transaction() as connection:
            late = repository.overdue(connection, self._clock())
        for row in late:
            expire(self._database, self._clock, row.customer_id, row.id)
        return len(late)


def expire(database: Database, clock: Clock, customer_id: UUID, approval_id: UUID) -> ApprovalView:
    """End one question whose time is over; as it is now, in case that somebody answered at the last moment."""
    with customer_change(database, customer_id, ENGINE, clock) as change:
        view = repository.approval(change.connection, approval_id)
        if view.status is not _S.PENDING or view.expires_at > change.now:
            return view
        return repository.settle(change, view, _S.EXPIRED, text=NOT_IN_TIME)


def _check_open(change: CustomerChange, view: ApprovalView) -> None:
    if view.status is _S.EXPIRED:
        raise Conflict(f"Too late: {_lowered(view.answer or NOT_IN_TIME)}", code="approval_expired")
    if view.status is not _S.PENDING:
        raise Conflict(f"{view.answered_by} has {view.status} this already.", code="approval_answered")
    if view.expires_at <= change.now:
        raise Conflict(f"Too late: {_lowered(NOT_IN_TIME)}", code="approval_expired")
    if view.asks in OUTLIVES_ATTEMPT:
        return
    outcome = change.connection.execute(
        sql("SELECT outcome FROM attempts WHERE id = :id"), {"id": view.attempt_id}
    ).scalar_one()
    if outcome is not None:
        raise Conflict(f"Too late: {_lowered(ATTEMPT_ENDED)}", code="approval_expired")


def _proposed(view: ApprovalView) -> TaskInput:
    """The task that an agent proposed, in the project it was working on."""
    reason = view.data.get("reason")
    description = f"{view.data['description']}\n\n{reason}" if reason else view.data["description"]
    return TaskInput(project_id=view.project_id, title=view.data["title"], description=description)


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _id_of(cursor: str) -> UUID:
    match decode_cursor(cursor):
        case [str(text)]:
            try:
                return UUID(text)
            except ValueError:
                pass
    raise bad_cursor()
