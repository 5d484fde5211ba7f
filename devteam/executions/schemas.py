"""Executions and attempts as they are sent and shown."""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from devteam.approvals.schemas import ApprovalView
from devteam.customers.schemas import CustomerCard
from devteam.executions.model import ExecutionStatus, Monitoring, Outcome, PauseMode, Phase
from devteam.executions.requests import AttemptRequest
from devteam.incidents.schemas import IncidentView
from devteam.kit.db import Row
from devteam.kit.wire import Input, Reason, UtcTime, View
from devteam.projects.schemas import ProjectView
from devteam.tasks.schemas import TaskView


class StartInput(Input):
    """Start working through a customer's queue."""

    customer_id: UUID


class PauseInput(Input):
    """Pause at the next safe point, or after the current task."""

    mode: PauseMode = PauseMode.NOW


class ReasonInput(Input):
    """An act that stops something says why."""

    reason: str = Field(min_length=1, max_length=2000)


class ExecutionView(View):
    """An execution as shown."""

    kind: Literal["execution"] = "execution"
    id: UUID
    version: int
    customer_id: UUID
    status: ExecutionStatus
    status_reason: Reason | None
    pause_requested: PauseMode | None
    auto_continue: bool
    created_at: UtcTime
    started_at: UtcTime | None
    finished_at: UtcTime | None

    @classmethod
    def from_row(cls, row: Row[Any]) -> "ExecutionView":
        """From a row of `executions`."""
        return cls(
            id=row.id,
            version=row.version,
            customer_id=row.customer_id,
            status=row.status,
            status_reason=Reason.of(row.reason_code, row.reason),
            pause_requested=row.pause_requested,
            auto_continue=row.auto_continue,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


class PhaseSpan(View):
    """When an attempt was in a phase; `endedAt` is null while it is in it."""

    phase: Phase
    round: int
    run: int
    started_at: UtcTime
    ended_at: UtcTime | None


class TestCounts(View):
    """Tests of a gate that reports them, by JUnit XML or in its output. `broken` passed on the base and do not pass
    now; `flaky` did not pass at first and passed when the gate was run again.
    """

    __test__ = False

    passed: int
    failed: int
    skipped: int
    broken: list[str]
    flaky: list[str] = Field(default_factory=list)


class MeasureView(View):
    """A number that a gate looked at: what it is, and what was asked for, if anything was."""

    name: str
    actual: float
    required: float | None


class GateResult(View):
    """What a gate found. `passed` is null when it did not run."""

    name: str
    stage: Literal["pre_execution", "baseline", "acceptance", "post_task", "post_merge", "post_execution"]
    round: int
    required: bool
    passed: bool | None
    base_red: bool | None
    exit_code: int | None
    seconds: float | None
    tests: TestCounts | None
    measures: list[MeasureView]
    text: str
    output_tail: str
    commit: str | None


class FileStat(View):
    """Lines changed in one file; null for a binary file."""

    path: str
    added: int | None
    deleted: int | None


class Used(View):
    """What an attempt's model calls came to, as metered by the gateway.

    `costUsd` is in US dollars, and null when the price of one of them is unknown; `inputTokens` holds the cached ones
    too. `overshootUsd` was measured where the budget stopped the attempt, null when it did not.
    """

    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float | None
    overshoot_usd: float | None


class SavedRound(View):
    """What a round of an attempt left; another attempt can begin there."""

    round: int
    base_commit: str
    work_commit: str
    at: UtcTime


class FencePart(View):
    """How one part of a fence stands, and by what means."""

    state: Literal["enforced", "watched", "absent"]
    mechanism: str


class FenceView(View):
    """What closed an attempt's commands in, part by part; with `inForce` false it was not closed in."""

    kind: str
    in_force: bool
    parts: dict[str, FencePart]


class AttemptView(Used):
    """An attempt as shown, with its phases, gate results, and what its model calls came to.

    `route` says why this executor and what was passed over; it is null until planning has settled that.
    """

    kind: Literal["attempt"] = "attempt"
    id: UUID
    version: int
    customer_id: UUID
    task_id: UUID
    task_title: str
    project_id: UUID
    execution_id: UUID
    number: int
    run: int
    round: int
    phase: Phase
    outcome: Outcome | None
    monitoring: Monitoring | None
    reason: Reason | None
    executor: str
    model: str | None
    route: str | None
    prompt_version: str | None
    isolation: str | None
    fence: FenceView | None
    frozen: bool
    awaiting_approval_id: UUID | None
    worker_id: UUID | None
    branch: str | None
    base_commit: str | None
    commit: str | None
    merged_commit: str | None
    revert_commit: str | None
    files_changed: int | None
    lines_added: int | None
    lines_deleted: int | None
    workspace_kept: bool
    workspace_path: str | None
    started_at: UtcTime
    finished_at: UtcTime | None
    phases: list[PhaseSpan]
    gates: list[GateResult]
    rounds: list[SavedRound]
    request: AttemptRequest | None
    taken_over_by: str | None

    @classmethod
    def from_row(cls, row: Row[Any]) -> "AttemptView":
        """From a row of `attempts` with `task_title`, `phases`, `gates` and `rounds` as JSON arrays, and `request` and
        `used` as objects.
        """
        stat = row.diff_stat
        return cls(
            id=row.id,
            version=row.version,
            customer_id=row.customer_id,
            task_id=row.task_id,
            task_title=row.task_title,
            project_id=row.project_id,
            execution_id=row.execution_id,
            number=row.number,
            run=row.run,
            round=row.round,
            phase=row.phase,
            outcome=row.outcome,
            monitoring=row.monitoring,
            reason=Reason.of(row.reason_code, row.reason),
            executor=row.executor,
            model=row.used_model,
            route=row.route,
            prompt_version=row.prompt_version,
            isolation=row.isolation,
            fence=None if row.fence is None else FenceView.model_validate(row.fence),
            frozen=row.frozen,
            awaiting_approval_id=row.awaiting_approval_id,
            worker_id=row.worker_id,
            branch=row.branch,
            base_commit=row.base_commit,
            commit=row.commit,
            merged_commit=row.merged_commit,
            revert_commit=row.revert_commit,
            files_changed=None if stat is None else len(stat),
            lines_added=None if stat is None else sum(added or 0 for _, added, _ in stat),
            lines_deleted=None if stat is None else sum(deleted or 0 for _, _, deleted in stat),
            workspace_kept=row.workspace_kept,
            workspace_path=row.workspace_path if row.workspace_kept else None,
            started_at=row.started_at,
            finished_at=row.finished_at,
            phases=[PhaseSpan(**span) for span in row.phases],
            gates=[GateResult(**gate) for gate in row.gates],
            rounds=[SavedRound(**saved) for saved in row.rounds],
            request=None if row.request is None else AttemptRequest(**row.request),
            taken_over_by=row.taken_over_by,
            **row.used,
        )


class CustomerSnapshot(View):
    """Everything that a customer's page shows, as of the stream's version `seq`."""

    epoch: str
    seq: int
    customer: CustomerCard
    execution: ExecutionView | None
    projects: list[ProjectView]
    tasks: list[TaskView]
    attempts: list[AttemptView]
    approvals: list[ApprovalView]
    incidents: list[IncidentView]


class SystemTotals(View):
    """Sums over the customers that the caller may see, and the state of the workers."""

    kind: Literal["system"] = "system"
    id: Literal["system"] = "system"
    version: int
    customers: int
    active_executions: int
    running_attempts: int
    slots: int
    slots_used: int
    tasks_pending: int
    tasks_completed_today: int
    needs_you: int
    workers_alive: int


class OutputPage(View):
    """A stretch of an attempt's output; offsets count characters."""

    offset: int
    next_offset: int
    text: str
    complete: bool


class DiffView(View):
    """What an attempt changed against its base."""

    diff: str
    truncated: bool
    files: list[FileStat]


class StoppedExecutions(View):
    """The executions that an emergency stop, or its end, touched."""

    execution_ids: list[UUID]
