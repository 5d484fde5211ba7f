"""A person takes an attempt's work into their own hands, and hands it back through the same gates.

While it is taken over the engine does nothing at the task. The person works on a clone that a git bundle made; what
they hand back is a bundle again, which is looked at closely before anything of it is kept.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from devteam.access.model import Actor
from devteam.access.rules import Permission, check
from devteam.customers.change import CustomerChange, customer_change
from devteam.executions.again import (
    RequestedAttempt,
    attempt_row,
    check_newest,
    check_not_merged,
    continue_work,
    customer_of_attempt,
    end_watch,
    make_pending,
    put_back,
)
from devteam.executions.bundles import Bundles, History
from devteam.executions.model import Stop
from devteam.executions.queries import attempt_view
from devteam.executions.requests import PERSON, RequestKind, Start, Wanted
from devteam.executions.schemas import AttemptView
from devteam.kit.clock import Clock
from devteam.kit.db import Database, Row, sql
from devteam.kit.errors import Conflict
from devteam.tasks import repository as tasks
from devteam.tasks.model import RUNNING, TaskStatus


class TakeOver:
    """Takes attempts over, gives them out as bundles, and takes them back."""

    def __init__(self, database: Database, clock: Clock, bundles: Bundles) -> None:
        self._database = database
        self._clock = clock
        self._bundles = bundles

    def take_over(self, actor: Actor, attempt_id: UUID) -> AttemptView:
        """Hold the task for the actor; a running attempt is stopped first and its work kept.

        The work can be fetched once the attempt's outcome is known.
        """
        customer_id = customer_of_attempt(self._database, actor, attempt_id)
        check(actor, Permission.TAKE_OVER, customer_id)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            attempt = attempt_row(change.connection, attempt_id)
            if attempt.taken_over_by == actor.name:
                return attempt_view(change.connection, attempt_id)
            if attempt.held_by is not None:
                raise Conflict(f"{attempt.held_by} has taken the task over.", code="taken_over")
            check_newest(attempt)
            if attempt.base_commit is None:
                raise Conflict("The attempt has no workspace yet; there is nothing to take over.", code="no_work")
            if attempt.outcome is None:
                self._stop(change, attempt)
            else:
                self._reopen(change, actor, attempt)
            self._hold(change, actor, attempt)
            view = attempt_view(change.connection, attempt_id)
            change.show(view)
        return view

    def _stop(self, change: CustomerChange, attempt: Row[Any]) -> None:
        if attempt.stop_requested is not None:
            raise Conflict("The attempt is being stopped.", code="attempt_stopping")
        change.connection.execute(
            sql("UPDATE attempts SET stop_requested = :stop WHERE id = :id"),
            {"id": attempt.id, "stop": Stop.TAKE_OVER.value},
        )

    def _reopen(self, change: CustomerChange, actor: Actor, attempt: Row[Any]) -> None:
        if TaskStatus(attempt.task_status) in RUNNING:
            raise Conflict("Another attempt at the task runs.", code="task_running")
        check_not_merged(attempt)
        end_watch(change, attempt)
        make_pending(change, attempt, code="taken_over", reason=f"{actor.name} has taken it over.")

    def _hold(self, change: CustomerChange, actor: Actor, attempt: Row[Any]) -> None:
        change.connection.execute(
            sql(
                """UPDATE attempts SET taken_over_by = :name, taken_over_at = :now, version = version + 1
                   WHERE id = :id"""
            ),
            {"id": attempt.id, "name": actor.name, "now": change.now},
        )
        tasks.update_task(change.connection, attempt.task_id, {"assignee": actor.name})
        change.record("attempt_taken_over", "attempt", attempt.id, title=attempt.title)
        change.show(tasks.task_view(change.connection, change.customer_id, attempt.task_id))

    @contextmanager
    def bundle(self, actor: Actor, attempt_id: UUID, history: History) -> Iterator[Path]:
        """The attempt's work as a git bundle, which lasts as long as the block."""
        customer_id = customer_of_attempt(self._database, actor, attempt_id)
        check(actor, Permission.TAKE_OVER, customer_id)
        with self._database.transaction() as connection:
            attempt = attempt_row(connection, attempt_id)
        if attempt.outcome is None:
            raise Conflict("The attempt still runs; its work is not saved yet.", code="attempt_running")
        work = _work_of(attempt)
        if history == "work" and work == attempt.base_commit:
            raise Conflict("The attempt changed nothing; ask for the whole history.", code="no_work")
        whole = history == "whole"
        branch = branch_of(attempt)
        with self._bundles.write(
            attempt.project_id, base=attempt.base_commit, commit=work, branch=branch, whole=whole
        ) as path:
            yield path

    def release(self, actor: Actor, attempt_id: UUID) -> AttemptView:
        """Give the task back to the engine as it was, without any work of one's own."""
        customer_id = customer_of_attempt(self._database, actor, attempt_id)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            attempt = attempt_row(change.connection, attempt_id)
            _check_holder(actor, attempt)
            _let_go(change, attempt)
            tasks.update_task(
                change.connection, attempt.task_id, {"assignee": None, "reason_code": None, "reason": None}
            )
            change.record("attempt_released", "attempt", attempt_id, title=attempt.title)
            change.show(tasks.task_view(change.connection, change.customer_id, attempt.task_id))
            continue_work(change)
            return attempt_view(change.connection, attempt_id)

    def hand_back(self, actor: Actor, attempt_id: UUID, bundle: bytes) -> RequestedAttempt:
        """Give one's commits to the engine: the next attempt takes them through gates and delivery."""
        customer_id = customer_of_attempt(self._database, actor, attempt_id)
        with self._database.transaction() as connection:
            attempt = attempt_row(connection, attempt_id)
        _check_holder(actor, attempt)
        handed = self._bundles.inspect(attempt.project_id, bundle, base=attempt.base_commit)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            attempt = attempt_row(change.connection, attempt_id)
            _check_holder(actor, attempt)
            _let_go(change, attempt)
            start = Start(
                base_commit=attempt.base_commit,
                start_commit=handed.commit,
                onto_commit=attempt.commit,
                branch=attempt.branch,
                by_agent=attempt.by_agent,
            )
            wanted = Wanted(
                kind=RequestKind.HAND_BACK,
                base_attempt_id=attempt_id,
                start=start,
                executor=PERSON,
                bundle=bundle,
            )
            reason = f"{actor.name} handed back {handed.commits} commit{'' if handed.commits == 1 else 's'}."
            return put_back(change, actor, attempt, wanted, event="attempt_handed_back", reason=reason)


def branch_of(attempt: Row[Any]) -> str:
    """What the branch is called in a person's clone: as it is delivered, unless the delivery moved the base itself."""
    name: str | None = attempt.branch
    return f"attempt/{attempt.id}" if name is None or name == attempt.base_branch else name


def _work_of(attempt: Row[Any]) -> str:
    commit: str | None = attempt.commit or attempt.work_commit or attempt.base_commit
    if commit is None:
        raise Conflict("The attempt has no workspace yet; there is nothing to check out.", code="no_work")
    return commit


def _check_holder(actor: Actor, attempt: Row[Any]) -> None:
    """Raise unless the actor holds the task, or may steer it for whoever does."""
    check(actor, Permission.TAKE_OVER, attempt.customer_id)
    if attempt.taken_over_by is None:
        raise Conflict("Nobody has taken the attempt over.", code="not_taken_over")
    if attempt.taken_over_by != actor.name:
        check(actor, Permission.COMMAND, attempt.customer_id)
    if attempt.outcome is None or TaskStatus(attempt.task_status) is not TaskStatus.PENDING:
        raise Conflict(f"The task is {attempt.task_status}; only a task that waits is handed back.", code="not_held")


def _let_go(change: CustomerChange, attempt: Row[Any]) -> None:
    change.connection.execute(
        sql(
            """UPDATE attempts SET taken_over_by = NULL, taken_over_at = NULL, version = version + 1
               WHERE id = :id"""
        ),
        {"id": attempt.id},
    )
    change.show(attempt_view(change.connection, attempt.id))
