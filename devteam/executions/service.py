"""What people command: start, pause, resume, abort, emergency stop, retry and cancel.

Each command commits its wish with its event and is then carried out by the worker that holds the attempt;
a second call finds the wish already there and changes nothing.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from devteam.access.model import Actor
from devteam.access.rules import Permission, check
from devteam.customers.change import CustomerChange, customer_change
from devteam.executions import requests
from devteam.executions.model import ExecutionStatus, PauseMode, Stop
from devteam.executions.queries import execution_row, execution_view
from devteam.executions.schemas import ExecutionView, StoppedExecutions
from devteam.executions.settle import check_again, move_execution, running_attempts, settle
from devteam.kit.clock import Clock
from devteam.kit.db import Database, Row, sql
from devteam.kit.errors import Conflict, NotFound
from devteam.kit.ids import new_id
from devteam.tasks import repository as tasks
from devteam.tasks.model import RETRYABLE, RUNNING, UNMET, TaskStatus
from devteam.tasks.schemas import TaskView
from devteam.tasks.service import block_dependants, continue_execution, customer_of_task, unblock_dependants

_S = ExecutionStatus


class ExecutionService:
    """Commands on executions and on tasks that may be running."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def start(self, actor: Actor, customer_id: UUID) -> tuple[ExecutionView, bool]:
        """Begin an execution over the customer's queue; the open one is answered when there is one already.

        The second value tells whether a new one was begun.
        """
        check(actor, Permission.COMMAND, customer_id)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            row = execution_row(change.connection, customer_id)
            if row is not None and row.status not in (_S.COMPLETED, _S.ABORTED):
                return ExecutionView.from_row(row), False
            archived = change.connection.execute(
                sql("SELECT archived_at FROM customers WHERE id = :id"), {"id": customer_id}
            ).scalar()
            if archived is not None:
                raise Conflict("The customer is archived.", code="customer_archived")
            execution_id = new_id()
            change.connection.execute(
                sql(
                    """INSERT INTO executions (id, customer_id, status, created_at)
                       VALUES (:id, :customer_id, 'queued', :now)"""
                ),
                {"id": execution_id, "customer_id": customer_id, "now": change.now},
            )
            change.record("execution_started", "execution", execution_id)
            settle(change)
            view = execution_view(change.connection, execution_id)
            change.show(view)
        return view, True

    def pause(self, actor: Actor, execution_id: UUID, mode: PauseMode) -> ExecutionView:
        """Pause now (the running attempt is frozen at its next safe point) or after the current task."""

        def act(change: CustomerChange, row: Row[Any]) -> None:
            if row.status == _S.PAUSED or row.pause_requested == mode:
                return
            if row.status not in (_S.QUEUED, _S.ACTIVE):
                raise Conflict(f"An execution that is {row.status} cannot be paused.", code="not_pausable")
            if not running_attempts(change):
                move_execution(change, row, _S.PAUSED, code="paused_by_person", reason=f"Paused by {actor.name}.")
                change.record("execution_paused", "execution", row.id)
                return
            change.connection.execute(
                sql("UPDATE executions SET pause_requested = :mode, version = version + 1 WHERE id = :id"),
                {"id": row.id, "mode": mode.value},
            )
            change.record("execution_pause_requested", "execution", row.id, mode=mode.value)

        return self._command(actor, execution_id, act)

    def resume(self, actor: Actor, execution_id: UUID) -> ExecutionView:
        """Go on: a frozen attempt is thawed, a pause that was only requested is withdrawn."""

        def act(change: CustomerChange, row: Row[Any]) -> None:
            if row.status in (_S.QUEUED, _S.ACTIVE) and row.pause_requested is None:
                return
            if row.status in (_S.COMPLETED, _S.ABORTED):
                raise Conflict(f"An execution that is {row.status} cannot be resumed.", code="not_resumable")
            if row.status in (_S.PAUSED, _S.ERROR):
                check_again(change, row.id)
                move_execution(change, row, _S.ACTIVE)
            else:
                change.connection.execute(
                    sql("UPDATE executions SET pause_requested = NULL, version = version + 1 WHERE id = :id"),
                    {"id": row.id},
                )
            change.record("execution_resumed", "execution", row.id)
            settle(change)

        return self._command(actor, execution_id, act)

    def abort(self, actor: Actor, execution_id: UUID, reason: str) -> ExecutionView:
        """End the execution: its processes are killed, its task goes back to pending, the queue stays."""

        def act(change: CustomerChange, row: Row[Any]) -> None:
            if row.status == _S.ABORTED:
                return
            if row.status == _S.COMPLETED:
                raise Conflict("The execution is completed; there is nothing to abort.", code="not_abortable")
            self._stop_attempts(change, Stop.ABORT)
            move_execution(change, row, _S.ABORTED, code="aborted_by_person", reason=reason)
            change.record("execution_aborted", "execution", row.id, reason=reason)

        return self._command(actor, execution_id, act)

    def emergency_stop(self, actor: Actor, reason: str) -> StoppedExecutions:
        """Kill every running attempt in the actor's scope and pause every open execution."""
        check(actor, Permission.COMMAND)

        def act(change: CustomerChange, row: Row[Any]) -> None:
            self._stop_attempts(change, Stop.EMERGENCY)
            if row.status in (_S.QUEUED, _S.ACTIVE):
                move_execution(change, row, _S.PAUSED, code="emergency_stop", reason=reason)
            change.record("emergency_stop", "execution", row.id, reason=reason)
            change.show(execution_view(change.connection, row.id))

        return self._on_all(actor, "e.status IN ('queued', 'active') OR a.id IS NOT NULL", act)

    def emergency_resume(self, actor: Actor) -> StoppedExecutions:
        """Resume every execution that an emergency stop paused."""
        check(actor, Permission.COMMAND)

        def act(change: CustomerChange, row: Row[Any]) -> None:
            move_execution(change, row, _S.ACTIVE)
            change.record("execution_resumed", "execution", row.id)
            settle(change)
            change.show(execution_view(change.connection, row.id))

        return self._on_all(actor, "e.status = 'paused' AND e.reason_code = 'emergency_stop'", act)

    def retry_task(self, actor: Actor, task_id: UUID) -> TaskView:
        """Put a task that did not complete back into the queue for another attempt."""
        customer_id = customer_of_task(self._database, actor, task_id)
        check(actor, Permission.RETRY_TASK, customer_id)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            row = tasks.task_row(change.connection, customer_id, task_id)
            if row.status == TaskStatus.PENDING:
                return TaskView.from_row(row)
            if TaskStatus(row.status) not in RETRYABLE:
                raise Conflict(f"A task that is {row.status} cannot be retried.", code="not_retryable")
            unmet = [
                other.title
                for other in tasks.dependencies(change.connection, task_id)
                if TaskStatus(other.status) in UNMET
            ]
            if unmet:
                raise Conflict(f"It depends on “{unmet[0]}”; retry that first.", code="dependency_unmet")
            tasks.move_task(change.connection, row, TaskStatus.PENDING, now=change.now)
            change.record("task_retried", "task", task_id, title=row.title)
            unblock_dependants(change, row)
            change.show(tasks.task_view(change.connection, customer_id, task_id))
            self._continue(change)
            return tasks.task_view(change.connection, customer_id, task_id)

    def cancel_task(self, actor: Actor, task_id: UUID, reason: str | None) -> TaskView:
        """Take a task out of the queue; a running attempt at it is killed first, its work is kept on a ref."""
        customer_id = customer_of_task(self._database, actor, task_id)
        check(actor, Permission.COMMAND, customer_id)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            row = tasks.task_row(change.connection, customer_id, task_id)
            if row.status == TaskStatus.CANCELLED:
                return TaskView.from_row(row)
            if TaskStatus(row.status) in RUNNING:
                if self._stop_attempts(change, Stop.CANCEL, task_id=task_id):
                    change.record("task_cancel_requested", "task", task_id, reason=reason, title=row.title)
            else:
                text = reason or f"Cancelled by {actor.name}."
                requests.withdraw(change.connection, task_id, now=change.now)
                tasks.move_task(
                    change.connection, row, TaskStatus.CANCELLED, now=change.now, reason_code="cancelled", reason=text
                )
                change.record("task_cancelled", "task", task_id, reason=reason, title=row.title)
                block_dependants(change, task_id)
                settle(change)
            change.show(tasks.task_view(change.connection, customer_id, task_id))
            return tasks.task_view(change.connection, customer_id, task_id)

    def _command(
        self, actor: Actor, execution_id: UUID, act: Callable[[CustomerChange, Row[Any]], None]
    ) -> ExecutionView:
        with self._database.transaction() as connection:
            customer_id = connection.execute(
                sql("SELECT customer_id FROM executions WHERE id = :id"), {"id": execution_id}
            ).scalar()
        if customer_id is None or not actor.sees(customer_id):
            raise NotFound("There is no such execution.")
        check(actor, Permission.COMMAND, customer_id)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            row = change.connection.execute(sql("SELECT * FROM executions WHERE id = :id"), {"id": execution_id}).one()
            act(change, row)
            view = execution_view(change.connection, execution_id)
            if change.events:
                change.show(view)
        return view

    def _on_all(
        self, actor: Actor, condition: str, act: Callable[[CustomerChange, Row[Any]], None]
    ) -> StoppedExecutions:
        """Apply to the newest execution of every customer that meets the condition, one transaction each."""
        newest = f"""
            SELECT DISTINCT e.id, e.customer_id FROM executions e
            LEFT JOIN attempts a ON a.execution_id = e.id AND a.outcome IS NULL
            WHERE ({condition}) ORDER BY e.customer_id
        """
        with self._database.transaction() as connection:
            found = connection.execute(sql(newest)).all()
        done = []
        for candidate in found:
            if not actor.sees(candidate.customer_id):
                continue
            with customer_change(self._database, candidate.customer_id, actor, self._clock) as change:
                row = change.connection.execute(
                    sql(
                        f"""SELECT DISTINCT e.* FROM executions e
                            LEFT JOIN attempts a ON a.execution_id = e.id AND a.outcome IS NULL
                            WHERE e.id = :id AND ({condition})"""
                    ),
                    {"id": candidate.id},
                ).first()
                if row is not None:
                    act(change, row)
                    done.append(candidate.id)
        return StoppedExecutions(execution_ids=done)

    def _stop_attempts(self, change: CustomerChange, stop: Stop, *, task_id: UUID | None = None) -> int:
        return change.connection.execute(
            sql(
                """UPDATE attempts SET stop_requested = :stop
                   WHERE customer_id = :customer_id AND outcome IS NULL AND stop_requested IS NULL
                     AND (CAST(:task_id AS uuid) IS NULL OR task_id = :task_id)"""
            ),
            {"customer_id": change.customer_id, "stop": stop.value, "task_id": task_id},
        ).rowcount

    def _continue(self, change: CustomerChange) -> None:
        continue_execution(change)
        row = execution_row(change.connection, change.customer_id)
        if row is not None:
            change.show(ExecutionView.from_row(row))
