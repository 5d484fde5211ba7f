"""Another attempt from a point of an earlier one: with another executor, prompt or model, or with remarks."""

from typing import Any
from uuid import UUID

from pydantic import Field

from devteam.access.model import Actor
from devteam.access.rules import Permission, check
from devteam.customers.change import CustomerChange, customer_change
from devteam.executions import requests
from devteam.executions.model import Monitoring, Outcome
from devteam.executions.queries import attempt_view, execution_row
from devteam.executions.requests import AttemptRequest, RequestKind, Start, Wanted
from devteam.executions.schemas import ExecutionView
from devteam.incidents.repository import critical_of
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, Row, sql
from devteam.kit.errors import Conflict, Invalid, NotFound
from devteam.kit.wire import Input, View
from devteam.projects.schemas import ExecutorKind
from devteam.tasks import repository as tasks
from devteam.tasks.model import RUNNING, UNMET, TaskStatus
from devteam.tasks.schemas import TaskView
from devteam.tasks.service import continue_execution, unblock_dependants

_EVENT_REASON = 2000
"""Characters of what a person says that stand in the change log; the request holds all of it."""


class RunAgainInput(Input):
    """Where another attempt begins, and what is different about it.

    `fromRound` begins with the files as that round left them; `fromOrdinal` with those of the last round that had
    ended by that entry of the session, and tells the agent what had been done up to it. Neither begins afresh.
    """

    from_round: int | None = Field(default=None, ge=1, le=1000)
    from_ordinal: int | None = Field(default=None, ge=1, le=2**31 - 1)
    executor: ExecutorKind | None = None
    model: str | None = Field(default=None, min_length=1, max_length=200)
    budget_usd: float | None = Field(default=None, gt=0, le=1_000_000)
    instructions: str | None = Field(default=None, min_length=1, max_length=20_000, pattern=r"\S")


class SendBackInput(Input):
    """What is not right yet."""

    remarks: str = Field(min_length=1, max_length=20_000, pattern=r"\S")


class RequestedAttempt(View):
    """The task as it waits now, and what its next attempt is asked to do."""

    task: TaskView
    request: AttemptRequest


class Again:
    """Asks for attempts that go on from earlier ones. Both attempts are kept."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def run_again(self, actor: Actor, attempt_id: UUID, wanted: RunAgainInput) -> RequestedAttempt:
        """Put the task to the head of the queue, to be done again from a point of this attempt."""
        customer_id = customer_of_attempt(self._database, actor, attempt_id)
        check(actor, Permission.RETRY_TASK, customer_id)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            attempt = attempt_row(change.connection, attempt_id)
            check_ended(attempt)
            check_not_running(attempt)
            if attempt.task_status == TaskStatus.COMPLETED:
                raise Conflict(
                    "The task is completed. What is not right about a delivery on a branch is sent back with remarks.",
                    code="task_completed",
                )
            round_, start = _point(change.connection, attempt, wanted)
            _check_executor(attempt, wanted, start)
            request = Wanted(
                kind=RequestKind.RUN_AGAIN,
                base_attempt_id=attempt_id,
                start=start,
                from_round=round_,
                from_ordinal=wanted.from_ordinal,
                executor=None if wanted.executor is None else wanted.executor.value,
                model=wanted.model,
                budget_usd=wanted.budget_usd,
                instructions=wanted.instructions,
            )
            reason = f"{actor.name} asked to run attempt {attempt.number} again."
            return put_back(change, actor, attempt, request, event="attempt_run_again", reason=reason)

    def send_back(self, actor: Actor, attempt_id: UUID, remarks: str) -> RequestedAttempt:
        """The work is not right yet: go on from it with these remarks. A delivery gets a second commit."""
        customer_id = customer_of_attempt(self._database, actor, attempt_id)
        check(actor, Permission.RETRY_TASK, customer_id)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            attempt = attempt_row(change.connection, attempt_id)
            check_ended(attempt)
            check_not_running(attempt)
            check_newest(attempt)
            check_not_merged(attempt)
            if attempt.work_commit is None:
                raise Conflict("The attempt left no work that could be gone on with; retry the task.", code="no_work")
            request = Wanted(
                kind=RequestKind.SEND_BACK, base_attempt_id=attempt_id, start=start_of(attempt), instructions=remarks
            )
            reason = f"{actor.name} sent attempt {attempt.number} back with remarks."
            return put_back(change, actor, attempt, request, event="attempt_sent_back", reason=reason)


def put_back(
    change: CustomerChange, actor: Actor, attempt: Row[Any], wanted: Wanted, *, event: str, reason: str
) -> RequestedAttempt:
    """Make the task pending at the head of the queue, with a request that its next attempt takes."""
    connection, now = change.connection, change.now
    critical = None if wanted.start.start_commit is None else critical_of(connection, attempt.id)
    if critical is not None:
        raise Conflict(f"Its work is not gone on with while a critical incident is open: {critical}.", code="critical")
    request = requests.store(connection, change.customer_id, attempt.task_id, wanted, author=actor.name, now=now)
    end_watch(change, attempt)
    make_pending(change, attempt, code=wanted.kind.value, reason=reason)
    values = {"position": tasks.head_position(connection, change.customer_id), "assignee": None}
    tasks.update_task(connection, attempt.task_id, values)
    said = None if wanted.instructions is None else wanted.instructions[:_EVENT_REASON]
    change.record(event, "attempt", attempt.id, reason=said, title=attempt.title)
    view = tasks.task_view(connection, change.customer_id, attempt.task_id)
    change.show(view)
    continue_work(change)
    return RequestedAttempt(task=tasks.task_view(connection, change.customer_id, attempt.task_id), request=request)


def make_pending(change: CustomerChange, attempt: Row[Any], *, code: str, reason: str) -> None:
    """Bring the task back into the queue, from wherever it stands. Raises Conflict for an unmet dependency."""
    connection = change.connection
    for other in tasks.dependencies(connection, attempt.task_id):
        if TaskStatus(other.status) in UNMET:
            raise Conflict(f"It depends on “{other.title}”; retry that first.", code="dependency_unmet")
    if attempt.task_status == TaskStatus.PENDING:
        tasks.update_task(connection, attempt.task_id, {"reason_code": code, "reason": reason})
        return
    state = tasks.TaskState(attempt.task_id, attempt.task_status)
    tasks.move_task(connection, state, TaskStatus.PENDING, now=change.now, reason_code=code, reason=reason)
    unblock_dependants(change, tasks.task_row(connection, change.customer_id, attempt.task_id))


def end_watch(change: CustomerChange, attempt: Row[Any]) -> None:
    """A delivery that goes back to work is not watched any more."""
    if attempt.monitoring != Monitoring.WATCHING:
        return
    change.connection.execute(
        sql("UPDATE attempt_phases SET ended_at = :now WHERE attempt_id = :id AND ended_at IS NULL"),
        {"id": attempt.id, "now": change.now},
    )
    change.connection.execute(
        sql(
            """UPDATE attempts SET monitoring = 'not_merged', monitor_at = NULL, lease_expires_at = NULL,
                   version = version + 1 WHERE id = :id"""
        ),
        {"id": attempt.id},
    )
    change.show(attempt_view(change.connection, attempt.id))


def continue_work(change: CustomerChange) -> None:
    """An execution that was completed goes on with the task that came back."""
    continue_execution(change)
    row = execution_row(change.connection, change.customer_id)
    if row is not None:
        change.show(ExecutionView.from_row(row))


# --- asking ---


def customer_of_attempt(database: Database, actor: Actor, attempt_id: UUID) -> UUID:
    """Whose attempt it is. Raises NotFound, also outside the actor's scope."""
    with database.transaction() as connection:
        customer_id = connection.execute(
            sql("SELECT customer_id FROM attempts WHERE id = :id"), {"id": attempt_id}
        ).scalar()
    if customer_id is None or not actor.sees(customer_id):
        raise NotFound("There is no such attempt.")
    return UUID(str(customer_id))


def attempt_row(connection: Connection, attempt_id: UUID) -> Row[Any]:
    """The attempt with what decides about another one at its task."""
    return connection.execute(
        sql(
            """SELECT a.*, t.title, t.status AS task_status, t.last_attempt_id, t.assignee, t.command AS task_command,
                   p.executor AS project_executor, p.agent_command, p.repository, p.base_branch,
                   (SELECT h.taken_over_by FROM attempts h WHERE h.task_id = a.task_id
                    AND h.taken_over_by IS NOT NULL LIMIT 1) AS held_by,
                   a.executor NOT IN ('command', 'person')
                       OR coalesce((SELECT q.by_agent FROM attempt_requests q WHERE q.attempt_id = a.id), false)
                       AS by_agent
               FROM attempts a JOIN tasks t ON t.id = a.task_id JOIN projects p ON p.id = a.project_id
               WHERE a.id = :id"""
        ),
        {"id": attempt_id},
    ).one()


def start_of(attempt: Row[Any]) -> Start:
    """Where the attempt's own work ended."""
    return Start(
        base_commit=attempt.base_commit,
        start_commit=attempt.work_commit,
        onto_commit=attempt.commit,
        branch=attempt.branch,
        by_agent=attempt.by_agent,
    )


def check_ended(attempt: Row[Any]) -> None:
    """Raise Conflict while the attempt runs."""
    if attempt.outcome is None:
        raise Conflict("The attempt still runs.", code="attempt_running")


def check_not_running(attempt: Row[Any]) -> None:
    """Raise Conflict while another attempt at the task runs, or a person holds the task."""
    if TaskStatus(attempt.task_status) in RUNNING:
        raise Conflict("Another attempt at the task runs.", code="task_running")
    if attempt.held_by is not None:
        raise Conflict(f"{attempt.held_by} has taken the task over.", code="taken_over")


def check_newest(attempt: Row[Any]) -> None:
    """Raise Conflict for an attempt that a later one followed."""
    if attempt.last_attempt_id != attempt.id:
        raise Conflict("A later attempt at the task has followed this one.", code="not_newest")


def check_not_merged(attempt: Row[Any]) -> None:
    """Raise Conflict for work that is on the base already, or that came to nothing to deliver."""
    if attempt.outcome != Outcome.SUCCEEDED:
        return
    if attempt.commit is None:
        raise Conflict("The attempt delivered nothing; add a task for what is missing.", code="nothing_delivered")
    merged = attempt.merged_commit is not None or attempt.monitoring in (Monitoring.PASSED, Monitoring.REGRESSED)
    if merged:
        raise Conflict("The delivery is merged; add a task for what is missing.", code="merged")


def _point(connection: Connection, attempt: Row[Any], wanted: RunAgainInput) -> tuple[int | None, Start]:
    """The round whose files the chosen point begins with, and their commits; None and the newest base for neither."""
    if wanted.from_round is not None and wanted.from_ordinal is not None:
        raise Invalid.field("fromOrdinal", "Name a round or an entry of the session, not both.")
    if wanted.from_round is None and wanted.from_ordinal is None:
        return None, Start()
    row = connection.execute(
        sql(
            """SELECT round, base_commit, work_commit FROM attempt_rounds
               WHERE attempt_id = :id AND (round = :round OR at <= (
                   SELECT at FROM attempt_entries WHERE attempt_id = :id AND ordinal = :ordinal))
               ORDER BY round DESC LIMIT 1"""
        ),
        {"id": attempt.id, "round": wanted.from_round, "ordinal": wanted.from_ordinal},
    ).first()
    if row is not None:
        start = Start(row.base_commit, row.work_commit, by_agent=attempt.by_agent)
        return row.round, start
    if wanted.from_round is not None:
        raise Invalid.field("fromRound", f"The attempt has no saved work of round {wanted.from_round}.")
    known = connection.execute(
        sql("SELECT 1 FROM attempt_entries WHERE attempt_id = :id AND ordinal = :ordinal"),
        {"id": attempt.id, "ordinal": wanted.from_ordinal},
    ).scalar()
    if known is None:
        raise Invalid.field("fromOrdinal", f"The session has no entry {wanted.from_ordinal}.")
    return None, Start()


def _check_executor(attempt: Row[Any], wanted: RunAgainInput, start: Start) -> None:
    if wanted.executor is ExecutorKind.ACP and attempt.agent_command is None:
        raise Invalid.field("executor", "The project names no agentCommand, which the executor acp needs.")
    if wanted.executor is not ExecutorKind.COMMAND:
        return
    if attempt.task_command is None:
        raise Invalid.field("executor", "The task has no command that could be run.")
    if start.start_commit is not None and start.by_agent:
        raise Invalid.field(
            "executor", "Commands run without a fence, so not over files that an agent wrote; begin afresh."
        )
