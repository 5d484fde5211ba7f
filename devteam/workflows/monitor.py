"""The workflow that watches a delivery: one look at a time, each as short as its gates.

After a merge the gates run once on the new base. A regression that our own merge brought is reverted. Then
the base is looked at now and then until the window ends.
"""

from datetime import timedelta
from functools import partial

from devteam.executions.model import Monitoring
from devteam.executions.ports import DeliveryConflict, GateRun, Job
from devteam.kit.clock import Clock
from devteam.kit.db import UNAVAILABLE, sql
from devteam.kit.errors import DevTeamError, Fenced
from devteam.kit.log import get_logger
from devteam.projects.gates import GateStage, HttpGate, RepositoryGate
from devteam.projects.schemas import DeliveryMode
from devteam.workflows.handle import RunHandle, Stopped
from devteam.workflows.jobs import load_job
from devteam.workflows.merge_queue import MergeQueue
from devteam.workflows.output import OutputLog
from devteam.workflows.patience import patiently
from devteam.workflows.run_attempt import Tools
from devteam.workflows.verify import gate_record

LOOK_INTERVAL = timedelta(minutes=5)
RETRY_INTERVAL = timedelta(minutes=1)

log = get_logger(__name__)


class DeliveryWatch:
    """One look at a delivery."""

    def __init__(self, tools: Tools, handle: RunHandle, clock: Clock) -> None:
        self._tools = tools
        self._handle = handle
        self._ref = handle.ref
        self._clock = clock
        self._queue = MergeQueue(tools.database)
        self._output = OutputLog(tools.lifecycle, handle.ref)

    def look(self) -> None:
        """Look once; afterwards monitoring has ended or knows when to look again."""
        try:
            self._handle.await_earlier()
            job = load_job(self._tools.database, self._ref.attempt_id, self._ref.run)
            closing, watching = self._wanted()
            if closing:
                self._close(job)
            if watching:
                self._look(job)
            self._tools.workspaces.discard(job)
        except (Stopped, Fenced):
            log.info("watch_ended", attempt=str(self._ref.attempt_id))
        except UNAVAILABLE:
            raise
        except Exception as exc:
            if not isinstance(exc, DevTeamError):
                log.error("watch_error", attempt=str(self._ref.attempt_id), exc_info=exc)
            self._later(load_job(self._tools.database, self._ref.attempt_id, self._ref.run), str(exc))
        finally:
            self._output.close()

    def _wanted(self) -> tuple[bool, bool]:
        """Whether the execution waits for its gates, and whether the delivery is watched."""
        with self._tools.database.statement() as connection:
            row = connection.execute(
                sql(
                    """SELECT closing = 'due' AS closing, monitoring = 'watching' AS watching
                       FROM attempts WHERE id = :id"""
                ),
                {"id": self._ref.attempt_id},
            ).one()
        return bool(row.closing), bool(row.watching)

    def _close(self, job: Job) -> None:
        """Run the project's gates of stage post_execution on the base as it is now."""
        head, holds = self._tools.deliveries.base_head(job), True
        verifier, stage = self._tools.verifier, GateStage.POST_EXECUTION
        gates: list[RepositoryGate | HttpGate] = [
            *job.repository_gates(stage),
            *(gate for gate in job.gates_of(stage) if isinstance(gate, HttpGate)),
        ]
        with self._tools.workspaces.checkout(job, head) as folder:
            for gate in gates:
                if isinstance(gate, HttpGate):
                    record = verifier.http(stage, gate, head, self._handle, self._output.note)
                else:
                    self._output.note(f"Gate {gate.name} at the end of the execution")
                    run = verifier.measure(job, gate, folder, self._handle, self._output.write)
                    record = gate_record(stage.value, gate, run, None, head)
                self._output.note(f"Gate {gate.name}: {record.text}")
                patiently(partial(self._tools.lifecycle.record_gates, self._ref, [record], watching=True))
                holds = holds and not (gate.required and record.passed is False)
        patiently(partial(self._tools.lifecycle.end_closing, self._ref, passed=holds))

    def _look(self, job: Job) -> None:
        head = self._tools.deliveries.base_head(job)
        assert job.commit is not None
        delivered = job.merged_commit or job.commit
        if not self._tools.deliveries.contains(job, delivered):
            self._not_on_base(job)
            return
        broken = self._broken_after_merge(job, delivered if job.merged_commit else head)
        if broken is not None:
            self._regressed(job, *broken)
        else:
            self._wait_or_pass(job)

    def _not_on_base(self, job: Job) -> None:
        window_over = job.monitor_until is None or self._clock() >= job.monitor_until
        if job.delivery_mode is not DeliveryMode.BRANCH:
            reason = f"The delivery is no longer on {job.base_branch}: the branch was rewritten by somebody else."
            self._tools.lifecycle.end_monitoring(self._ref, Monitoring.REGRESSED, reason=reason)
        elif window_over:
            reason = f"The branch was not merged into {job.base_branch} within the monitoring window."
            self._tools.lifecycle.end_monitoring(self._ref, Monitoring.NOT_MERGED, reason=reason)
        else:
            self._again(job)

    def _broken_after_merge(self, job: Job, commit: str) -> tuple[str, str] | None:
        """The first required gate that broke on the base after the merge, with its sentence.

        Each gate is run once, and its stored result counts: a look that was killed right after it goes on from it.
        """
        broken = None
        known = self._stored_results(job)
        for gate in job.repository_gates(GateStage.POST_TASK):
            if gate.name in known:
                passed, text = known[gate.name]
            else:
                record = gate_record(
                    "post_merge", gate, self._on_base(job, gate, commit), self._before(job, gate), commit
                )
                patiently(partial(self._tools.lifecycle.record_gates, self._ref, [record], watching=True))
                passed, text = record.passed, record.text
            if gate.required and not passed:
                broken = broken or (gate.name, text)
        return broken

    def _stored_results(self, job: Job) -> dict[str, tuple[bool | None, str]]:
        with self._tools.database.transaction() as connection:
            rows = connection.execute(
                sql("SELECT name, passed, text FROM gate_results WHERE attempt_id = :id AND stage = 'post_merge'"),
                {"id": job.ref.attempt_id},
            )
            return {row.name: (row.passed, row.text) for row in rows}

    def _before(self, job: Job, gate: RepositoryGate) -> GateRun | None:
        return None if job.base_commit is None else self._on_base(job, gate, job.base_commit)

    def _on_base(self, job: Job, gate: RepositoryGate, commit: str) -> GateRun:
        return self._tools.verifier.on_base(job, gate, commit, self._handle, self._output.write, self._output.note)

    def _regressed(self, job: Job, gate: str, text: str) -> None:
        """Take our own merge back; a delivery that somebody else merged is theirs to revert."""
        reason = f"After the merge gate {gate} fails on {job.base_branch}: {text}"
        if job.merged_commit is None:
            self._tools.lifecycle.end_monitoring(self._ref, Monitoring.REGRESSED, reason=reason)
            return
        with self._queue.turn(job, self._handle):
            result = self._tools.deliveries.revert(job, reason, self._before_push)
        if isinstance(result, DeliveryConflict):
            reason += " It could not be reverted by itself: later changes touch the same places."
            self._tools.lifecycle.end_monitoring(self._ref, Monitoring.REGRESSED, reason=reason)
            return
        self._output.note(f"Reverted by {result.commit[:12]}: {reason}")
        self._tools.lifecycle.end_monitoring(
            self._ref,
            Monitoring.REGRESSED,
            reason=f"{reason} The delivery was reverted.",
            fields={"revert_commit": result.commit},
        )

    def _before_push(self) -> None:
        self._tools.lifecycle.check_held(self._ref, watching=True)

    def _wait_or_pass(self, job: Job) -> None:
        if job.monitor_until is None or self._clock() >= job.monitor_until:
            self._tools.lifecycle.end_monitoring(self._ref, Monitoring.PASSED)
        else:
            self._again(job)

    def _again(self, job: Job) -> None:
        assert job.monitor_until is not None
        self._tools.lifecycle.postpone_monitoring(self._ref, min(self._clock() + LOOK_INTERVAL, job.monitor_until))

    def _later(self, job: Job, error: str) -> None:
        """The look itself failed (no network, say): once the window is over that is the answer."""
        if self._wanted()[1] and job.monitor_until is not None and self._clock() >= job.monitor_until + LOOK_INTERVAL:
            self._tools.lifecycle.end_monitoring(
                self._ref, Monitoring.NOT_MERGED, reason=f"The base could not be looked at: {error}"
            )
            return
        self._tools.lifecycle.postpone_monitoring(self._ref, self._clock() + RETRY_INTERVAL)
