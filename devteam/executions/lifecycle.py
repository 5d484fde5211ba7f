"""The engine's own moves of an attempt. Each is one transaction, refused when another run took the attempt over."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from devteam.access.model import ENGINE
from devteam.approvals.repository import expire_all
from devteam.approvals.service import ATTEMPT_ENDED
from devteam.customers.card import next_task
from devteam.customers.change import CustomerChange, customer_change, joined_change
from devteam.customers.metrics import refresh_metrics
from devteam.executions import requests
from devteam.executions.model import PHASE_MOVES, ExecutionStatus, Monitoring, Outcome, PauseMode, Phase, Stop
from devteam.executions.queries import ATTEMPT_COLUMNS, attempt_view, execution_row, execution_view
from devteam.executions.schemas import AttemptView
from devteam.executions.settle import move_execution, settle
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, Row, sql
from devteam.kit.errors import Fenced, IllegalMove
from devteam.kit.ids import new_id
from devteam.tasks import repository as tasks
from devteam.tasks.model import TaskStatus
from devteam.tasks.service import block_dependants


@dataclass(frozen=True)
class RunRef:
    """One run of an attempt; `run` is the fencing token."""

    attempt_id: UUID
    run: int
    customer_id: UUID


@dataclass(frozen=True)
class Ending:
    """How an attempt ends, and what becomes of its task."""

    outcome: Outcome
    task_status: TaskStatus
    code: str | None = None
    reason: str | None = None
    fields: Mapping[str, Any] | None = None
    monitoring: Monitoring | None = None
    monitoring_window: float = 0.0


@dataclass(frozen=True)
class Measure:
    """A number that a gate looked at: what it is, and what was asked for, if anything was."""

    name: str
    actual: float
    required: float | None = None


@dataclass(frozen=True)
class GateRecord:
    """A gate's result to be stored; see `GateResult`."""

    stage: str
    name: str
    required: bool
    passed: bool | None
    text: str
    commit: str | None = None
    base_red: bool | None = None
    exit_code: int | None = None
    seconds: float | None = None
    tests: Mapping[str, Any] | None = None
    output_tail: str = ""
    measures: Sequence[Measure] = ()


MAX_RUNS_IN_PHASE = 20
"""An attempt that is lost this often in one phase is given up: it may be what ends the workers."""

WATCHED = "(monitoring = 'watching' OR closing = 'due')"
"""An attempt that ended and is still looked after: its delivery, or the gates at the end of its execution."""

_TASK_STATUS_IN = {
    Phase.EXECUTION: TaskStatus.IN_PROGRESS,
    Phase.QUALITY_ASSURANCE: TaskStatus.VERIFYING,
}

_COLUMNS = frozenset(
    {
        "isolation",
        "fence",
        "branch",
        "base_commit",
        "work_commit",
        "commit",
        "merged_commit",
        "revert_commit",
        "diff_stat",
        "workspace_path",
        "workspace_kept",
        "round",
        "executor",
        "model",
        "route",
        "passed_over",
        "session_id",
        "base_moves",
    }
)
_JSON_COLUMNS = frozenset({"diff_stat", "fence", "passed_over"})


class Lifecycle:
    """Records what happens to attempts."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @contextmanager
    def _held(self, ref: RunRef, *, watching: bool = False) -> Iterator[tuple[CustomerChange, Row[Any]]]:
        """A change for the holder of the attempt. Raises Fenced for anybody else."""
        with customer_change(self._database, ref.customer_id, ENGINE, self._clock) as change:
            condition = WATCHED if watching else "outcome IS NULL"
            row = change.connection.execute(
                sql(
                    f"""SELECT a.*, t.title, t.status AS task_status FROM attempts a JOIN tasks t ON t.id = a.task_id
                        WHERE a.id = :id AND a.run = :run AND {condition}"""
                ),
                {"id": ref.attempt_id, "run": ref.run},
            ).first()
            if row is None:
                raise Fenced("Another run holds this attempt, or it has ended.")
            yield change, row

    def enter_phase(self, ref: RunRef, phase: Phase, **fields: Any) -> None:
        """Begin a phase; `fields` are columns of the attempt that the phase before found out.

        A second call, after a commit whose answer was lost, changes nothing. Raises IllegalMove.
        """
        with self._held(ref) as (change, row):
            round_ = int(fields.get("round", row.round))
            if (row.phase, row.round) == (phase, round_):
                return
            if phase not in PHASE_MOVES[Phase(row.phase)]:
                raise IllegalMove(f"An attempt cannot go from {row.phase} to {phase}.")
            _next_span(change, row, phase, round_, ref.run)
            _set(change, row.id, {**fields, "phase": phase.value, "phase_started_at": change.now})
            status = _TASK_STATUS_IN.get(phase)
            if status is not None and status != row.task_status:
                change.show(tasks.move_task(change.connection, _task_of(row), status, now=change.now))
            change.record("attempt_phase", "attempt", row.id, phase=phase.value, title=row.title)

    def update(self, ref: RunRef, **fields: Any) -> None:
        """Store what became known inside a phase."""
        with self._held(ref) as (change, row):
            _set(change, row.id, fields)

    def record_gates(self, ref: RunRef, gates: Sequence[GateRecord], *, watching: bool = False) -> None:
        """Store gate results; the same gate of the same round again replaces the earlier result."""
        with self._held(ref, watching=watching) as (change, row):
            for gate in gates:
                _store_gate(change, row.id, row.round, gate)
            _set(change, row.id, {})

    def check_held(self, ref: RunRef, *, watching: bool = False) -> Stop | None:
        """Raise Fenced unless this run still holds the attempt; asked right before an effect outside.

        Answers the stop that a person asked for in the meantime, if any.
        """
        condition = WATCHED if watching else "outcome IS NULL"
        with self._database.statement() as connection:
            held = connection.execute(
                sql(f"SELECT stop_requested FROM attempts WHERE id = :id AND run = :run AND {condition}"),
                {"id": ref.attempt_id, "run": ref.run},
            ).first()
        if held is None:
            raise Fenced("Another run holds this attempt, or it has ended.")
        return None if held.stop_requested is None else Stop(held.stop_requested)

    def finish(self, ref: RunRef, ending: Ending) -> None:
        """End the attempt and move its task; dependants are blocked or may start, the execution settles."""
        with self._held(ref) as (change, row):
            finish_attempt(change, row, ending)

    def stopped(self, ref: RunRef, stop: Stop, fields: Mapping[str, Any]) -> None:
        """The attempt's processes are dead because a person stopped it."""
        with self._held(ref) as (change, row):
            finish_attempt(change, row, stop_ending(stop, fields))

    def frozen(self, ref: RunRef) -> None:
        """The attempt's processes are frozen: the pause that was asked for is in force."""
        with self._held(ref) as (change, row):
            execution = execution_row(change.connection, ref.customer_id)
            if execution is None or execution.pause_requested != PauseMode.NOW:
                return
            _set(change, row.id, {"frozen": True}, own=True)
            move_execution(
                change,
                execution,
                ExecutionStatus.PAUSED,
                code="paused_by_person",
                reason="Paused at a safe point; the running task is frozen.",
            )
            change.record("execution_paused", "execution", execution.id)
            change.show(execution_view(change.connection, execution.id))

    def thawed(self, ref: RunRef) -> None:
        """The attempt's processes run again."""
        with self._held(ref) as (change, row):
            _set(change, row.id, {"frozen": False}, own=True)
            change.record("attempt_thawed", "attempt", row.id, title=row.title)

    def postpone_monitoring(self, ref: RunRef, until: datetime) -> None:
        """Nothing to say yet; look again at `until`."""
        with self._database.statement() as connection:
            connection.execute(
                sql(
                    f"""UPDATE attempts SET monitor_at = :until, lease_expires_at = NULL
                        WHERE id = :id AND run = :run AND {WATCHED}"""
                ),
                {"id": ref.attempt_id, "run": ref.run, "until": until},
            )

    def end_closing(self, ref: RunRef, *, passed: bool) -> None:
        """The gates of stage post_execution have run; with the last project's the execution completes, or stops."""
        with self._held(ref, watching=True) as (change, row):
            lease = {} if row.monitoring == Monitoring.WATCHING else {"lease_expires_at": None, "monitor_at": None}
            _set(change, row.id, {"closing": "passed" if passed else "failed", **lease}, own=True)
            settle(change)

    def end_monitoring(
        self, ref: RunRef, result: Monitoring, *, reason: str | None = None, fields: Mapping[str, Any] | None = None
    ) -> None:
        """Monitoring is over. A regression fails the task again: its delivery was reverted, or must be by hand."""
        with self._held(ref, watching=True) as (change, row):
            _close_span(change, row.id)
            columns = {**(fields or {}), "monitoring": result.value, "lease_expires_at": None, "monitor_at": None}
            if reason is not None:
                columns |= {"reason_code": result.value, "reason": reason}
            _set(change, row.id, columns, own=True)
            if result is Monitoring.REGRESSED:
                self._fail_after_delivery(change, row, reason or "The gates fail on the base after the merge.", columns)
            change.record("monitoring_ended", "attempt", row.id, reason=reason, result=result.value)

    def _fail_after_delivery(
        self, change: CustomerChange, row: Row[Any], reason: str, columns: Mapping[str, Any]
    ) -> None:
        if columns.get("revert_commit"):
            change.record("delivery_reverted", "attempt", row.id, reason=reason, title=row.title)
        if row.task_status != TaskStatus.COMPLETED:
            return
        view = tasks.move_task(
            change.connection, _task_of(row), TaskStatus.FAILED, now=change.now, reason_code="regression", reason=reason
        )
        change.record("task_failed", "task", row.task_id, reason=reason, title=row.title)
        change.show(view)
        block_dependants(change, row.task_id)
        settle(change)

    def append_output(self, ref: RunRef, offset: int, text: str) -> None:
        """Store a chunk of output at a character offset; a run that was taken over stores nothing.

        The same chunk again is harmless, also when it has grown since: the answer to the first may have been lost.
        """
        with self._database.statement() as connection:
            connection.execute(
                sql(
                    """INSERT INTO attempt_output AS o (attempt_id, "offset", text, created_at)
                       SELECT id, :offset, :text, :now FROM attempts WHERE id = :id AND run = :run
                       ON CONFLICT (attempt_id, "offset") DO UPDATE SET text = excluded.text
                       WHERE length(o.text) < length(excluded.text)"""
                ),
                {"id": ref.attempt_id, "run": ref.run, "offset": offset, "text": text, "now": self._clock()},
            )

    def store_diff(self, attempt_id: UUID, diff: str, *, truncated: bool) -> None:
        """Keep what the attempt changed, so that it is shown without the worker's disk; the last one wins."""
        with self._database.statement() as connection:
            connection.execute(
                sql(
                    """INSERT INTO attempt_diffs (attempt_id, diff, truncated) VALUES (:id, :diff, :truncated)
                       ON CONFLICT (attempt_id) DO UPDATE SET diff = excluded.diff, truncated = excluded.truncated"""
                ),
                {"id": attempt_id, "diff": diff.replace("\0", "\ufffd"), "truncated": truncated},
            )

    def store_round(self, ref: RunRef, round_: int, *, base: str, work: str) -> None:
        """Remember what a round left, so that another attempt can begin there."""
        with self._database.statement() as connection:
            requests.store_round(connection, ref.attempt_id, round_, base=base, work=work, now=self._clock())

    def handed_bundle(self, ref: RunRef) -> bytes | None:
        """What a person handed back for this attempt, as a git bundle."""
        with self._database.statement() as connection:
            return requests.bundle_of(connection, ref.attempt_id)

    def output_length(self, attempt_id: UUID) -> int:
        """Characters of output stored so far."""
        with self._database.statement() as connection:
            return int(
                connection.execute(
                    sql(
                        """SELECT coalesce((SELECT "offset" + length(text) FROM attempt_output
                           WHERE attempt_id = :id ORDER BY "offset" DESC LIMIT 1), 0)"""
                    ),
                    {"id": attempt_id},
                ).scalar_one()
            )


def finish_attempt(change: CustomerChange, row: Row[Any], ending: Ending) -> None:
    """End an attempt inside an open change; see `Lifecycle.finish`."""
    succeeded = ending.outcome is Outcome.SUCCEEDED
    if row.taken_over_by is not None:
        ending = _ending_for_holder(change, row, ending)
    watching = ending.monitoring is Monitoring.WATCHING
    _next_span(change, row, Phase.MONITORING if succeeded else None, row.round, row.run)
    if succeeded and not watching:
        _close_span(change, row.id)
    expire_all(change, row.id, ATTEMPT_ENDED)
    monitoring = {"phase": Phase.MONITORING.value, "phase_started_at": change.now} if succeeded else {}
    if succeeded:
        monitoring["monitoring"] = (ending.monitoring or Monitoring.SKIPPED).value
        monitoring["monitor_at"] = change.now if watching else None
        monitoring["monitor_until"] = change.now + timedelta(seconds=ending.monitoring_window) if watching else None
    _set(
        change,
        row.id,
        {
            **(ending.fields or {}),
            **monitoring,
            "outcome": ending.outcome.value,
            "reason_code": ending.code,
            "reason": ending.reason,
            "finished_at": change.now,
            "frozen": False,
            "awaiting_approval_id": None,
            "lease_expires_at": None,
            "stop_requested": None,
        },
        own=True,
    )
    view = tasks.move_task(
        change.connection,
        _task_of(row),
        ending.task_status,
        now=change.now,
        reason_code=ending.code if ending.reason else None,
        reason=ending.reason,
    )
    event = {
        TaskStatus.COMPLETED: "task_completed",
        TaskStatus.FAILED: "task_failed",
        TaskStatus.BLOCKED: "task_blocked",
        TaskStatus.CANCELLED: "task_cancelled",
    }.get(ending.task_status, "task_released")
    change.record(event, "task", row.task_id, reason=ending.reason, title=row.title, attempt=str(row.id))
    change.show(view)
    if ending.task_status in (TaskStatus.FAILED, TaskStatus.BLOCKED, TaskStatus.CANCELLED):
        block_dependants(change, row.task_id)
    refresh_metrics(change.connection, change.customer_id, now=change.now, force=True)
    settle(change)


def _ending_for_holder(change: CustomerChange, row: Row[Any], ending: Ending) -> Ending:
    """The attempt ended by itself while a person took it over: delivered work leaves nothing to hold, any other task
    waits for that person.
    """
    if ending.outcome is not Outcome.SUCCEEDED:
        return replace(ending, task_status=TaskStatus.PENDING)
    tasks.update_task(change.connection, row.task_id, {"assignee": None})
    return replace(ending, fields={**(ending.fields or {}), "taken_over_by": None, "taken_over_at": None})


def assign(connection: Connection, customer_id: UUID, worker_id: UUID, *, lease: float, now: datetime) -> RunRef | None:
    """Begin an attempt at the customer's next task on a worker; None when the queue changed since the choice was made.

    Runs in the dispatcher's transaction, which commits it together with the customer's new weight.
    """
    with joined_change(connection, customer_id, ENGINE, now) as change:
        task_id = next_task(connection, customer_id)
        facts = None if task_id is None else _startable(connection, customer_id, task_id)
        if facts is None:
            return None
        attempt_id = new_id()
        _insert_attempt(change, attempt_id, facts, worker_id, lease)
        requests.take(connection, facts.task_id, attempt_id)
        view = tasks.move_task(connection, _task_of(facts), TaskStatus.IN_PROGRESS, now=now, attempt_id=attempt_id)
        if facts.status == ExecutionStatus.QUEUED:
            move_execution(change, facts, ExecutionStatus.ACTIVE)
            change.show(execution_view(connection, facts.id))
        change.record("attempt_started", "attempt", attempt_id, title=facts.title, number=view.attempts)
        change.show(view)
        change.show(attempt_view(connection, attempt_id))
        return RunRef(attempt_id, 1, customer_id)


def _startable(connection: Connection, customer_id: UUID, task_id: UUID) -> Row[Any] | None:
    """The customer's execution with the task, if an attempt at it may begin."""
    return connection.execute(
        sql(
            """SELECT e.id, e.status, t.id AS task_id, t.status AS task_status, t.title, t.attempts, t.project_id,
                   coalesce((SELECT q.executor FROM attempt_requests q WHERE q.task_id = t.id
                       AND q.attempt_id IS NULL AND q.withdrawn_at IS NULL), t.executor, p.executor) AS executor
               FROM executions e JOIN tasks t ON t.id = :task_id AND t.customer_id = e.customer_id
               JOIN projects p ON p.id = t.project_id
               WHERE e.customer_id = :id AND e.status IN ('queued', 'active') AND e.pause_requested IS NULL
                 AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.project_id = p.id AND a.outcome IS NULL)"""
        ),
        {"id": customer_id, "task_id": task_id},
    ).first()


def reassign(
    connection: Connection, attempt_id: UUID, customer_id: UUID, worker_id: UUID, *, lease: float, now: datetime
) -> bool:
    """Give a lost attempt its next run on a worker; False when its holder came back or it has ended.

    A frozen attempt stays frozen: its processes are gone with the worker, and the next run waits for the resume.
    One that a person stopped gets a next run as well, which tidies up and ends it.
    """
    with joined_change(connection, customer_id, ENGINE, now) as change:
        row = connection.execute(
            sql(
                """SELECT a.*, t.title, t.status AS task_status
                   FROM attempts a JOIN tasks t ON t.id = a.task_id
                   LEFT JOIN workers w ON w.id = a.worker_id
                   WHERE a.id = :id AND a.outcome IS NULL
                     AND (a.lease_expires_at IS NULL OR a.lease_expires_at < now() OR w.state = 'dead')"""
            ),
            {"id": attempt_id},
        ).first()
        return row is not None and _next_run(change, row, worker_id, lease)


def rerun(connection: Connection, ref: RunRef, *, lease: float, now: datetime) -> bool:
    """Begin the next run on the same worker, because the workflow of this one ended without an answer."""
    with joined_change(connection, ref.customer_id, ENGINE, now) as change:
        row = connection.execute(
            sql(
                """SELECT a.*, t.title, t.status AS task_status
                   FROM attempts a JOIN tasks t ON t.id = a.task_id
                   WHERE a.id = :id AND a.run = :run AND a.outcome IS NULL"""
            ),
            {"id": ref.attempt_id, "run": ref.run},
        ).first()
        return row is not None and _next_run(change, row, row.worker_id, lease)


def _next_run(change: CustomerChange, row: Row[Any], worker_id: UUID, lease: float) -> bool:
    began = change.connection.execute(
        sql("SELECT run FROM attempt_phases WHERE attempt_id = :id ORDER BY ordinal DESC LIMIT 1"), {"id": row.id}
    ).scalar_one()
    if row.run - began >= MAX_RUNS_IN_PHASE:
        reason = f"It was lost {row.run - began} times in this phase: it may be what ends the workers."
        finish_attempt(change, row, Ending(Outcome.LOST, TaskStatus.BLOCKED, "lost_too_often", reason))
        return False
    _give_next_run(change, row.id, worker_id, lease)
    change.record("attempt_lost", "attempt", row.id, title=row.title)
    return True


def _give_next_run(change: CustomerChange, attempt_id: UUID, worker_id: UUID, lease: float) -> None:
    change.connection.execute(
        sql(
            """UPDATE attempts SET run = run + 1, worker_id = :worker_id, awaiting_approval_id = NULL,
                   version = version + 1,
                   lease_expires_at = now() + make_interval(secs => :lease) WHERE id = :id"""
        ),
        {"id": attempt_id, "worker_id": worker_id, "lease": lease},
    )
    change.show(attempt_view(change.connection, attempt_id))


def assign_watch(
    connection: Connection, attempt_id: UUID, customer_id: UUID, worker_id: UUID, *, lease: float, now: datetime
) -> None:
    """Give a delivery that wants a look to a worker, unless somebody holds it."""
    with joined_change(connection, customer_id, ENGINE, now) as change:
        free = connection.execute(
            sql(
                """SELECT 1 FROM attempts a LEFT JOIN workers w ON w.id = a.worker_id
                   WHERE a.id = :id AND (a.monitoring = 'watching' OR a.closing = 'due')
                     AND (a.lease_expires_at IS NULL OR a.lease_expires_at < now() OR w.state = 'dead')"""
            ),
            {"id": attempt_id},
        ).first()
        if free is not None:
            _give_next_run(change, attempt_id, worker_id, lease)


def release_watch(connection: Connection, ref: RunRef) -> None:
    """A look ended without an answer: let it be assigned again."""
    connection.execute(
        sql(
            f"""UPDATE attempts SET lease_expires_at = NULL
                WHERE id = :id AND run = :run AND {WATCHED}"""
        ),
        {"id": ref.attempt_id, "run": ref.run},
    )


def stop_ending(stop: Stop, fields: Mapping[str, Any]) -> Ending:
    """How an attempt ends that a person stopped."""
    match stop:
        case Stop.CANCEL:
            return Ending(Outcome.CANCELLED, TaskStatus.CANCELLED, "cancelled", "Cancelled by a person.", fields)
        case Stop.ABORT:
            return Ending(
                Outcome.CANCELLED, TaskStatus.PENDING, "aborted", "The execution was aborted while it ran.", fields
            )
        case Stop.EMERGENCY:
            return Ending(
                Outcome.CANCELLED, TaskStatus.PENDING, "emergency_stop", "Stopped by an emergency stop.", fields
            )
        case Stop.TAKE_OVER:
            return Ending(Outcome.CANCELLED, TaskStatus.PENDING, "taken_over", "Taken over by a person.", fields)


def _task_of(row: Row[Any]) -> tasks.TaskState:
    return tasks.TaskState(row.task_id, row.task_status)


def _insert_attempt(change: CustomerChange, attempt_id: UUID, facts: Row[Any], worker_id: UUID, lease: float) -> None:
    change.connection.execute(
        sql(
            """WITH attempt AS (
                   INSERT INTO attempts (id, customer_id, execution_id, task_id, project_id, number, worker_id,
                       lease_expires_at, executor, phase, phase_started_at, started_at)
                   VALUES (:id, :customer_id, :execution_id, :task_id, :project_id, :number, :worker_id,
                       now() + make_interval(secs => :lease), :executor, 'planning', :now, :now) RETURNING id)
               INSERT INTO attempt_phases (attempt_id, ordinal, phase, round, run, started_at)
               SELECT id, 1, 'planning', 1, 1, :now FROM attempt"""
        ),
        {
            "id": attempt_id,
            "customer_id": change.customer_id,
            "execution_id": facts.id,
            "task_id": facts.task_id,
            "project_id": facts.project_id,
            "number": facts.attempts + 1,
            "worker_id": worker_id,
            "lease": lease,
            "executor": facts.executor,
            "now": change.now,
        },
    )


def _close_span(change: CustomerChange, attempt_id: UUID) -> None:
    change.connection.execute(
        sql("UPDATE attempt_phases SET ended_at = :now WHERE attempt_id = :id AND ended_at IS NULL"),
        {"id": attempt_id, "now": change.now},
    )


def _next_span(change: CustomerChange, row: Row[Any], phase: Phase | None, round_: int, run: int) -> None:
    """Close the open span and open one for the phase, if any."""
    if phase is None:
        _close_span(change, row.id)
        return
    change.connection.execute(
        sql(
            """WITH closed AS (UPDATE attempt_phases SET ended_at = :now WHERE attempt_id = :id AND ended_at IS NULL)
               INSERT INTO attempt_phases (attempt_id, ordinal, phase, round, run, started_at)
               SELECT :id, coalesce(max(ordinal), 0) + 1, :phase, :round, :run, :now
               FROM attempt_phases WHERE attempt_id = :id"""
        ),
        {"id": row.id, "phase": phase.value, "round": round_, "run": run, "now": change.now},
    )


def _set(change: CustomerChange, attempt_id: UUID, values: Mapping[str, Any], *, own: bool = False) -> None:
    """Set columns of an attempt and show it; names from callers are limited to what a phase may find out.

    Its spans and gate results are to be written before.
    """
    allowed = {"phase", "phase_started_at"} | _COLUMNS
    unknown = set(values) - allowed
    assert own or not unknown, unknown
    encoded = {key: json.dumps(value) if key in _JSON_COLUMNS else value for key, value in values.items()}
    assignments = "".join(
        f'"{key}" = CAST(:{key} AS jsonb), ' if key in _JSON_COLUMNS else f'"{key}" = :{key}, ' for key in encoded
    )
    row = change.connection.execute(
        sql(
            f"""WITH a AS (UPDATE attempts SET {assignments} version = version + 1 WHERE id = :attempt_id RETURNING *)
                SELECT {ATTEMPT_COLUMNS} FROM a JOIN tasks t ON t.id = a.task_id"""
        ),
        {**encoded, "attempt_id": attempt_id},
    ).one()
    change.show(AttemptView.from_row(row))


def _store_gate(change: CustomerChange, attempt_id: UUID, round_: int, gate: GateRecord) -> None:
    change.connection.execute(
        sql(
            """INSERT INTO gate_results (id, attempt_id, round, stage, name, required, commit, passed, base_red,
                   exit_code, seconds, tests, measures, text, output_tail, created_at)
               VALUES (:id, :attempt_id, :round, :stage, :name, :required, :commit, :passed, :base_red,
                   :exit_code, :seconds, CAST(:tests AS jsonb), CAST(:measures AS jsonb), :text, :output_tail, :now)
               ON CONFLICT (attempt_id, round, stage, name) DO UPDATE SET
                   commit = excluded.commit, passed = excluded.passed, base_red = excluded.base_red,
                   required = excluded.required, exit_code = excluded.exit_code, seconds = excluded.seconds,
                   tests = excluded.tests, measures = excluded.measures,
                   text = excluded.text, output_tail = excluded.output_tail, created_at = excluded.created_at"""
        ),
        {
            "id": new_id(),
            "attempt_id": attempt_id,
            "round": round_,
            "now": change.now,
            "stage": gate.stage,
            "name": gate.name,
            "required": gate.required,
            "commit": gate.commit,
            "passed": gate.passed,
            "base_red": gate.base_red,
            "exit_code": gate.exit_code,
            "seconds": gate.seconds,
            "tests": None if gate.tests is None else json.dumps(gate.tests),
            "measures": json.dumps([vars(measure) for measure in gate.measures]),
            "text": gate.text,
            "output_tail": gate.output_tail,
        },
    )
