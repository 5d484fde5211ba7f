"""The workflow of an attempt: planning, execution, quality assurance, delivery.

A step reads the attempt afresh, does its phase, records the next phase in one transaction of our own and
answers its name. A run after a crash starts a new workflow, which begins at the recorded phase: each phase
finds out what an earlier run of it already did, so repeating one is harmless.
"""

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from devteam.executions.checks.secrets import mask_secrets
from devteam.executions.lifecycle import Ending, GateRecord, Lifecycle
from devteam.executions.model import Monitoring, Outcome, Phase
from devteam.executions.ports import (
    Asker,
    BaseMoved,
    CommandEnd,
    Deliveries,
    DeliveryConflict,
    Executor,
    Job,
    Prepared,
    Workspaces,
)
from devteam.executions.requests import RequestKind
from devteam.incidents.repository import critical_of
from devteam.kit.db import UNAVAILABLE, Database, sql
from devteam.kit.errors import DevTeamError, Fenced, Refused
from devteam.kit.log import get_logger
from devteam.projects.rules import EXECUTORS_FAULTS, Decision, Obstacle
from devteam.tasks.model import TaskStatus
from devteam.workflows.desk import BLOCKED
from devteam.workflows.handle import RunHandle, Stopped
from devteam.workflows.jobs import load_job
from devteam.workflows.merge_queue import MergeQueue
from devteam.workflows.output import OutputLog
from devteam.workflows.patience import patiently
from devteam.workflows.quality import Checkers, LicenceOf, QualityAssurance, Reviewer
from devteam.workflows.route import Router, passed_over
from devteam.workflows.sanity import BaseChecks
from devteam.workflows.verify import Note, Verifier

MAX_BASE_MOVES = 5
"""How often the base may move under a delivery; each time the work is rebased and verified again."""
MAX_ROUNDS = 3
"""Rounds of quality assurance: the first, and two after a gate failed or the base moved under the delivery."""
BEGIN = "begin"
END = "end"

log = get_logger(__name__)


@dataclass(frozen=True)
class Tools:
    """What the phases work with."""

    database: Database
    lifecycle: Lifecycle
    workspaces: Workspaces
    deliveries: Deliveries
    executors: dict[str, Executor]
    verifier: Verifier
    message: Callable[[Job, str, Sequence[str]], str]
    sweep: Callable[[str], int]
    asker: Asker
    licence_of: LicenceOf = lambda _workspace, _ecosystem, _name: None
    program_path: str = os.defpath
    read_report: Callable[[Path, str], str | None] = lambda _workspace, _path: None
    reviewer: Reviewer | None = None


class AttemptPhases:
    """The phases of one run of an attempt."""

    def __init__(self, tools: Tools, handle: RunHandle) -> None:
        self._tools = tools
        self._handle = handle
        self._ref = handle.ref
        self._lifecycle = tools.lifecycle
        self._queue = MergeQueue(tools.database)
        self._router = Router(tools.executors, tools.workspaces)
        if handle.output is None:
            handle.output = OutputLog(tools.lifecycle, handle.ref)
        self._output = handle.output

    def step(self, phase: str) -> str:
        """Do one phase; the next one's name, or END. Whatever goes wrong ends the attempt with a reason.

        Raises what tells that the database is away: nothing can be said then, and a later run goes on.
        """
        try:
            return self._phase(phase)
        except Stopped as stopped:
            self._stopped(stopped)
        except Fenced:
            log.info("run_fenced", attempt=str(self._ref.attempt_id), run=self._ref.run)
        except UNAVAILABLE:
            raise
        except Exception as exc:  # noqa: BLE001 - the attempt ends with a reason, whatever it is
            self._fail_with(exc)
        finally:
            self._output.close()
        return END

    def _phase(self, phase: str) -> str:
        if phase == BEGIN:
            return self._begin()
        self._handle.checkpoint()
        job = load_job(self._tools.database, self._ref.attempt_id, self._ref.run)
        match Phase(phase):
            case Phase.PLANNING:
                return self._plan(job)
            case Phase.EXECUTION:
                return self._execute(job)
            case Phase.QUALITY_ASSURANCE:
                return self._verify(job)
            case Phase.DELIVERY:
                return self._deliver(job)
            case Phase.MONITORING:
                raise AssertionError("monitoring is a workflow of its own")

    def _begin(self) -> str:
        """Make sure that nothing of an earlier run is alive, and tell where to go on."""
        self._handle.await_earlier()
        job = load_job(self._tools.database, self._ref.attempt_id, self._ref.run)
        killed = self._tools.sweep(str(job.ref.attempt_id)) if job.ref.run > 1 else 0
        if job.ref.run > 1:
            found = f"; {killed} processes of it were still alive" if killed else ""
            self._output.note(f"Run {job.ref.run} goes on from {job.phase.value}: the earlier one was lost{found}")
        return job.phase.value

    # --- planning ---

    def _plan(self, job: Job) -> str:
        hopeless = self._router.hopeless(job)
        if hopeless is not None:
            return self._block(hopeless.code, hopeless.text)
        self._output.note(f"Planning: fetching {job.base_branch} of {job.repository}")
        prepared = self._prepare(job)
        self._handle.checkpoint()
        if job.routing is not None:
            decision = self._router.decide(job, prepared.base_commit)
            if decision.chosen is None:
                self._tools.workspaces.discard(job)
                return self._block(*_nobody(decision), base_commit=prepared.base_commit)
            job = self._settle(job, decision)
        checks = BaseChecks(self._tools.verifier, job, self._handle, *self._sinks(), self._store_gate)
        refused = checks.guard(prepared.base_commit)
        if refused is not None:
            return self._block(
                "pre_execution_gate",
                f"Gate {refused.name} does not hold on the base: {refused.text}",
                base_commit=prepared.base_commit,
            )
        checks.warn(prepared.base_commit, self._estimate(job), self._tools.program_path)
        self._enter(
            Phase.EXECUTION,
            base_commit=prepared.base_commit,
            branch=prepared.branch,
            workspace_path=str(prepared.path),
        )
        return Phase.EXECUTION

    def _prepare(self, job: Job) -> Prepared:
        """The workspace, with what was done before that this attempt goes on from."""
        if job.again is not None and job.again.start.start_commit is not None:
            self._output.note(f"It goes on from {job.again.start.start_commit[:12]}, as {job.again.author} asked")
        return self._tools.workspaces.prepare(job, self._lifecycle.handed_bundle(job.ref) if job.by_person else None)

    def _settle(self, job: Job, decision: Decision, **fields: Any) -> Job:
        """Who does the attempt from now on."""
        assert decision.chosen is not None
        choice, text = decision.chosen.choice, decision.text
        if job.route != text:
            self._output.note(f"Executor: {text}")
            fields |= {"executor": choice.executor, "model": choice.model, "route": text}
            self._record(lambda: self._lifecycle.update(self._ref, **fields))
        return replace(job.by(choice), route=text)

    def _estimate(self, job: Job) -> float | None:
        with self._tools.database.statement() as connection:
            found = connection.execute(sql("SELECT estimate_seconds FROM tasks WHERE id = :id"), {"id": job.task_id})
            return found.scalar()

    # --- execution ---

    def _execute(self, job: Job) -> str:
        workspace = self._fresh_workspace(job)
        self._output.note("Execution")
        end = self._run(job, workspace)
        self._output.note(end.describe())
        self._handle.checkpoint()
        work = job.begins_at if job.by_person else self._tools.workspaces.save(job)
        assert work is not None
        if not end.succeeded and work == job.begins_at and self._falls_back(job, end):
            return Phase.EXECUTION
        stat = self._keep_round(job, work)
        kept = {"isolation": end.isolation, "fence": end.fence, "work_commit": work, "diff_stat": stat}
        critical = self._critical(job)
        if critical is not None:
            return self._fail("critical_incident", critical, **kept)
        if not end.succeeded:
            give_up = self._block if end.code == BLOCKED else self._fail
            code, text = _failure_code(end), end.describe()
            return give_up(code, text, **kept, passed_over=passed_over(job, code, text))
        self._enter(Phase.QUALITY_ASSURANCE, **kept)
        return Phase.QUALITY_ASSURANCE

    def _critical(self, job: Job) -> str | None:
        """Why nothing of this attempt may be delivered, as long as nobody has settled the incident."""
        with self._tools.database.statement() as connection:
            title = critical_of(connection, job.ref.attempt_id)
        return None if title is None else f"A critical incident: {title}. Nothing is delivered; the workspace is kept."

    def _run(self, job: Job, workspace: Path) -> CommandEnd:
        """The executor's round; that it is refused counts as an end by its own fault."""
        try:
            return self._tools.executors[job.executor].run(job, workspace, self._handle, self._output.write)
        except Refused as refused:
            if refused.code not in EXECUTORS_FAULTS:
                raise
            return CommandEnd(None, None, False, 0.0, "none", error=refused.message, code=refused.code)

    def _falls_back(self, job: Job, end: CommandEnd) -> bool:
        """Hand the task on when nothing was done and that is the executor's fault; False when nobody else can."""
        code, text = _failure_code(end), end.describe()
        if code not in EXECUTORS_FAULTS or job.routing is None:
            return False
        assert job.base_commit is not None and job.begins_at is not None
        failed = {**job.passed_over, job.choice: Obstacle(code, text)}
        decision = self._router.decide(replace(job, passed_over=failed), job.base_commit)
        if decision.chosen is None:
            return False
        self._tools.workspaces.reset(job, job.begins_at)
        # Its session means nothing to the next one.
        self._settle(job, decision, passed_over=passed_over(job, code, text), session_id=None)
        return True

    def _fresh_workspace(self, job: Job) -> Path:
        """The worktree at the base, or at the work of the round before; what an interrupted run left in it goes to
        a salvage ref first.
        """
        assert job.base_commit is not None
        if job.ref.run == 1 and job.round == 1:
            return self._tools.workspaces.path(job.ref.attempt_id)
        saved = self._tools.workspaces.salvage(job)
        if saved is not None:
            self._output.note(f"The interrupted work is kept as {saved[:12]}")
        return self._tools.workspaces.reset(job, job.work_commit or job.begins_at or job.base_commit)

    def _keep_round(self, job: Job, work: str) -> list[tuple[str, int | None, int | None]]:
        """Record what the round left: its commit, to begin again from, and its diff. The lines that it changed."""
        assert job.base_commit is not None
        base = job.base_commit
        if work != base:
            self._record(lambda: self._lifecycle.store_round(job.ref, job.round, base=base, work=work))
        diff, truncated = self._tools.workspaces.diff(job, job.base_commit, work)
        shown = mask_secrets(diff)
        self._record(lambda: self._lifecycle.store_diff(job.ref.attempt_id, shown, truncated=truncated))
        return self._tools.workspaces.changes(job, job.base_commit, work)

    # --- quality assurance ---

    def _verify(self, job: Job) -> str:
        assert job.work_commit is not None and job.base_commit is not None
        folder = self._tools.workspaces.reset(job, job.work_commit)
        self._output.note(f"Quality assurance, round {job.round}")
        executor = self._tools.executors[job.executor]
        failed = self._quality(job).check(folder, by_agent=executor.iterates)
        if not failed and self._ignores_remarks(job):
            failed.append(self._same_as_before())
        if failed and executor.iterates and job.round - job.base_moves < MAX_ROUNDS:
            return self._send_back(job, failed[0])
        if failed:
            return self._fail("gate_failed", _failure(failed[0]))
        self._enter(Phase.DELIVERY)
        return Phase.DELIVERY

    def _quality(self, job: Job) -> QualityAssurance:
        tools = self._tools
        checkers = Checkers(
            tools.database,
            tools.workspaces,
            tools.verifier,
            tools.asker,
            tools.licence_of,
            tools.read_report,
            tools.reviewer,
        )
        return QualityAssurance(checkers, job, self._handle, *self._sinks(), self._store_gate)

    def _store_gate(self, record: GateRecord) -> None:
        self._record(partial(self._lifecycle.record_gates, self._ref, [record]))

    def _ignores_remarks(self, job: Job) -> bool:
        """Whether nothing has changed since a person found the work wanting."""
        again, work = job.again, job.work_commit
        if again is None or again.kind is not RequestKind.SEND_BACK or again.start.start_commit is None:
            return False
        assert work is not None
        return not self._tools.workspaces.changes(job, again.start.start_commit, work)

    def _same_as_before(self) -> GateRecord:
        text = "The work is as it was when it was sent back with remarks."
        record = GateRecord("acceptance", "a change", True, False, text)
        self._store_gate(record)
        return record

    def _send_back(self, job: Job, first: GateRecord) -> str:
        """Back to the agent with the evidence, in the workspace as it left it."""
        self._output.note(f"Back to the agent: {_failure(first)}")
        self._enter(Phase.EXECUTION, round=job.round + 1)
        return Phase.EXECUTION

    # --- delivery ---

    def _deliver(self, job: Job) -> str:
        critical = self._critical(job)
        if critical is not None:
            return self._fail("critical_incident", critical)
        if job.work_commit == job.base_commit:
            self._output.note("Nothing needed to change; there is nothing to deliver")
            self._end(job, Ending(Outcome.SUCCEEDED, TaskStatus.COMPLETED, "no_change", "Nothing needed to change."))
            return END
        passed = self._passed(job)
        message = self._tools.message(job, _evidence(job, passed), passed)
        with self._queue.turn(job, self._handle), self._handle.effect():
            result = self._tools.deliveries.deliver(job, message, self._before_push)
        if isinstance(result, DeliveryConflict):
            paths = ", ".join(result.paths[:5])
            return self._block("merge_conflict", f"The base moved on and both sides changed {paths}.")
        if isinstance(result, BaseMoved):
            return self._verify_again(job, result)
        self._output.note(f"Delivered {result.commit[:12]} to {result.branch}")
        self._end(
            job,
            Ending(
                Outcome.SUCCEEDED,
                TaskStatus.COMPLETED,
                fields={
                    "commit": result.commit,
                    "branch": result.branch,
                    "merged_commit": result.merged_commit,
                    "workspace_kept": False,
                },
                monitoring=Monitoring.WATCHING,
                monitoring_window=job.monitoring_window,
            ),
        )
        return END

    def _verify_again(self, job: Job, moved: BaseMoved) -> str:
        if job.base_moves >= MAX_BASE_MOVES:
            text = f"The base moved {job.base_moves + 1} times, each time while the rebased work was verified."
            return self._block("base_keeps_moving", text)
        self._output.note(f"The base moved to {moved.base_commit[:12]}; the work was rebased and is verified again")
        self._enter(
            Phase.QUALITY_ASSURANCE,
            base_commit=moved.base_commit,
            work_commit=moved.work_commit,
            base_moves=job.base_moves + 1,
            round=job.round + 1,
        )
        return Phase.QUALITY_ASSURANCE

    def _before_push(self) -> None:
        """The last look before an effect that nobody can take back silently."""
        stop = self._lifecycle.check_held(self._ref)
        if stop is not None:
            raise Stopped(stop)

    def _passed(self, job: Job) -> list[str]:
        """The gates that passed on the work as it is delivered."""
        with self._tools.database.statement() as connection:
            rows = connection.execute(
                sql(
                    """SELECT name FROM gate_results WHERE attempt_id = :id AND round = :round AND passed
                       AND stage IN ('post_task', 'post_execution') ORDER BY id"""
                ),
                {"id": job.ref.attempt_id, "round": job.round},
            )
            return [str(name) for name in rows.scalars()]

    # --- endings ---

    def _end(self, job: Job, ending: Ending) -> None:
        self._record(lambda: self._lifecycle.finish(self._ref, ending))
        self._tools.workspaces.discard(job)

    def _fail(self, code: str, reason: str, **fields: Any) -> str:
        """The work is wrong; the workspace is kept for inspection."""
        return self._give_up(Outcome.FAILED, TaskStatus.FAILED, code, reason, fields)

    def _block(self, code: str, reason: str, **fields: Any) -> str:
        """A person must decide; the workspace is kept."""
        return self._give_up(Outcome.FAILED, TaskStatus.BLOCKED, code, reason, fields)

    def _give_up(self, outcome: Outcome, status: TaskStatus, code: str, reason: str, fields: dict[str, Any]) -> str:
        self._output.note(f"Ended: {reason}")
        kept = self._tools.workspaces.path(self._ref.attempt_id).is_dir()
        ending = Ending(outcome, status, code, reason, fields={**fields, "workspace_kept": kept})
        self._record(lambda: self._lifecycle.finish(self._ref, ending))
        return END

    def _fail_with(self, error: Exception) -> None:
        """End the attempt because of an error that no phase handled."""
        code, reason = explain(error)
        log.error("attempt_error", attempt=str(self._ref.attempt_id), code=code, exc_info=error)
        try:
            self._block(code, reason)
        except Fenced:
            log.info("run_fenced", attempt=str(self._ref.attempt_id), run=self._ref.run)

    def _stopped(self, stopped: Stopped) -> None:
        """A person stopped the attempt and its processes are gone: keep what it had done, and say so."""
        stop = stopped.stop
        if stop is None:
            return
        job = load_job(self._tools.database, self._ref.attempt_id, self._ref.run)
        fields: dict[str, Any] = {"workspace_kept": False}
        try:
            saved = self._tools.workspaces.salvage(job)
            # What gates leave in the workspace is kept, but is no work.
            work = (saved if job.phase is Phase.EXECUTION else None) or job.work_commit or job.begins_at
            if job.base_commit is not None and work is not None and work != job.base_commit:
                fields |= {"work_commit": work, "diff_stat": self._keep_round(job, work)}
            self._tools.workspaces.discard(job)
        except (DevTeamError, OSError) as exc:
            log.warning("salvage_failed", attempt=str(self._ref.attempt_id), error=str(exc))
            fields["workspace_kept"] = True
        self._output.note("Stopped by a person")
        self._record(lambda: self._lifecycle.stopped(self._ref, stop, fields))

    def _enter(self, phase: Phase, **fields: Any) -> None:
        self._record(lambda: self._lifecycle.enter_phase(self._ref, phase, **fields))

    def _record(self, act: Callable[[], None]) -> None:
        patiently(act)

    def _sinks(self) -> tuple[Note, Note]:
        return self._output.write, self._output.note


def _evidence(job: Job, passed: Sequence[str]) -> str:
    parts = []
    if passed:
        parts.append(f"Gates passed: {', '.join(passed)}.")
    if job.criteria:
        parts.append(f"Acceptance criteria met: {len(job.criteria)}.")
    return " ".join(parts)


def _nobody(decision: Decision) -> tuple[str, str]:
    """The code and the sentence of a task that nobody here can do."""
    first = next(iter(decision.passed.values()))
    return (first.code, first.text) if len(decision.passed) == 1 else ("no_executor", decision.text)


def _failure_code(end: CommandEnd) -> str:
    if end.code is not None:
        return end.code
    return "time_limit" if end.timed_out else "executor_failed" if end.error is None else "executor_not_started"


def _failure(record: GateRecord) -> str:
    kind = "Acceptance" if record.stage == "acceptance" else "Gate"
    return f"{kind} {record.name} failed: {record.text}"


def explain(error: BaseException) -> tuple[str, str]:
    """A stable code and a sentence for an error that ended an attempt."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full", "The disk of the workspace is full."
    if isinstance(error, DevTeamError):
        return error.code, error.message
    if isinstance(error, OSError):
        return "workspace_error", f"The workspace could not be used: {error.strerror or error}."
    return "internal_error", f"DevTeam failed inside: {type(error).__name__}. The log of the worker holds the details."
