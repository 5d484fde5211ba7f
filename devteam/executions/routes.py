"""HTTP of executions, attempts, activity, workers and the overview."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from devteam.access.model import Actor
from devteam.access.signed_in import ActorDep, CommandDep
from devteam.events.schemas import ActivityPage
from devteam.executions.reads import ExecutionAnswer, ExecutionReads, Overview, TaskAttempts
from devteam.executions.schemas import (
    AttemptView,
    CustomerSnapshot,
    DiffView,
    ExecutionView,
    OutputPage,
    PauseInput,
    ReasonInput,
    StartInput,
    StoppedExecutions,
    SystemTotals,
)
from devteam.executions.service import ExecutionService
from devteam.kit.cursor import bad_cursor
from devteam.kit.http import API, COMMANDS, READS, answer, entity_answer, json_answer, problems, provided
from devteam.tasks.schemas import TaskCancel, TaskView
from devteam.workers.schemas import WorkerList

router = APIRouter(prefix=API)
ReadsDep = Annotated[ExecutionReads, Depends(provided(ExecutionReads))]
ExecutionsDep = Annotated[ExecutionService, Depends(provided(ExecutionService))]


@router.get("/executions", tags=["executions"], response_model=Overview, responses=problems())
def get_overview(request: Request, actor: ActorDep, reads: ReadsDep) -> Response:
    """All customers in scope with the state of their executions, and the sums over them."""
    return json_answer(request, *reads.overview(actor))


@router.get("/customers", tags=["customers"], response_model=Overview, responses=problems())
def list_customers(request: Request, actor: ActorDep, reads: ReadsDep) -> Response:
    """All customers in scope; the same as the overview of executions."""
    return json_answer(request, *reads.overview(actor))


@router.get("/customers/{customer_id}", tags=["customers"], response_model=CustomerSnapshot, responses=READS)
def get_customer(customer_id: UUID, actor: ActorDep, reads: ReadsDep) -> Response:
    """Everything of a customer's page. The ETag is the card's version."""
    snapshot = reads.customer(actor, customer_id)
    return answer(snapshot, version=snapshot.customer.version)


@router.get("/customers/{customer_id}/activity", tags=["customers"], response_model=ActivityPage, responses=READS)
def list_activity(
    customer_id: UUID,
    actor: ActorDep,
    reads: ReadsDep,
    cursor: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """What happened to a customer, newest first."""
    return answer(reads.activity(actor, customer_id, before=_version(cursor), limit=limit))


@router.post(
    "/executions",
    tags=["executions"],
    status_code=201,
    response_model=ExecutionAnswer,
    responses={**COMMANDS, 200: {"model": ExecutionAnswer, "description": "The execution that is open already."}},
)
def start_execution(wanted: StartInput, command: CommandDep, executions: ExecutionsDep) -> Response:
    """Start working through a customer's queue; an open execution is answered instead of a second one."""

    def act(actor: Actor) -> Response:
        view, begun = executions.start(actor, wanted.customer_id)
        return _execution(view, status=201 if begun else 200)

    return command.run(act)


@router.get("/executions/{execution_id}", tags=["executions"], response_model=ExecutionAnswer, responses=READS)
def get_execution(execution_id: UUID, actor: ActorDep, reads: ReadsDep) -> Response:
    """One execution."""
    return _execution(reads.execution(actor, execution_id))


@router.post(
    "/executions/{execution_id}/pause", tags=["executions"], response_model=ExecutionAnswer, responses=COMMANDS
)
def pause_execution(execution_id: UUID, wanted: PauseInput, command: CommandDep, executions: ExecutionsDep) -> Response:
    """Pause at the next safe point, or after the current task."""
    return command.run(lambda actor: _execution(executions.pause(actor, execution_id, wanted.mode)))


@router.post(
    "/executions/{execution_id}/resume", tags=["executions"], response_model=ExecutionAnswer, responses=COMMANDS
)
def resume_execution(execution_id: UUID, command: CommandDep, executions: ExecutionsDep) -> Response:
    """Go on after a pause or an error, or withdraw a pause that has not taken effect."""
    return command.run(lambda actor: _execution(executions.resume(actor, execution_id)))


@router.post(
    "/executions/{execution_id}/abort", tags=["executions"], response_model=ExecutionAnswer, responses=COMMANDS
)
def abort_execution(
    execution_id: UUID, wanted: ReasonInput, command: CommandDep, executions: ExecutionsDep
) -> Response:
    """End an execution: its processes are killed, its running task goes back into the queue."""
    return command.run(lambda actor: _execution(executions.abort(actor, execution_id, wanted.reason)))


@router.post("/emergency-stop", tags=["executions"], response_model=StoppedExecutions, responses=COMMANDS)
def emergency_stop(wanted: ReasonInput, command: CommandDep, executions: ExecutionsDep) -> Response:
    """Kill every running attempt in scope and pause every open execution.

    Each customer is stopped by a transaction of its own, so that none waits for another.
    """
    return command.run_repeatable(lambda actor: answer(executions.emergency_stop(actor, wanted.reason)))


@router.post("/emergency-stop/resume", tags=["executions"], response_model=StoppedExecutions, responses=COMMANDS)
def emergency_resume(command: CommandDep, executions: ExecutionsDep) -> Response:
    """Resume every execution that an emergency stop paused."""
    return command.run(lambda actor: answer(executions.emergency_resume(actor)))


@router.post("/tasks/{task_id}/retry", tags=["tasks"], response_model=TaskView, responses=COMMANDS)
def retry_task(task_id: UUID, command: CommandDep, executions: ExecutionsDep) -> Response:
    """Put a task that did not complete back into the queue."""
    return command.run(lambda actor: entity_answer(executions.retry_task(actor, task_id)))


@router.post("/tasks/{task_id}/cancel", tags=["tasks"], response_model=TaskView, responses=COMMANDS)
def cancel_task(
    task_id: UUID, command: CommandDep, executions: ExecutionsDep, wanted: TaskCancel | None = None
) -> Response:
    """Take a task out of the queue; a running attempt at it is killed."""
    reason = None if wanted is None else wanted.reason
    return command.run(lambda actor: entity_answer(executions.cancel_task(actor, task_id, reason)))


@router.get("/tasks/{task_id}/attempts", tags=["attempts"], response_model=TaskAttempts, responses=READS)
def list_attempts_of_task(task_id: UUID, actor: ActorDep, reads: ReadsDep) -> Response:
    """All attempts at a task, oldest first."""
    return answer(reads.attempts_of_task(actor, task_id))


@router.get("/attempts/{attempt_id}", tags=["attempts"], response_model=AttemptView, responses=READS)
def get_attempt(attempt_id: UUID, actor: ActorDep, reads: ReadsDep) -> Response:
    """One attempt with its phases and gates."""
    return entity_answer(reads.attempt(actor, attempt_id))


@router.get("/attempts/{attempt_id}/output", tags=["attempts"], response_model=OutputPage, responses=READS)
def get_attempt_output(
    attempt_id: UUID,
    actor: ActorDep,
    reads: ReadsDep,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000_000)] = 65_536,
) -> Response:
    """A stretch of an attempt's output; offsets count characters."""
    return answer(reads.output(actor, attempt_id, offset=offset, limit=limit))


@router.get("/attempts/{attempt_id}/diff", tags=["attempts"], response_model=DiffView, responses=READS)
def get_attempt_diff(attempt_id: UUID, actor: ActorDep, reads: ReadsDep) -> Response:
    """What an attempt changed against its base."""
    return answer(reads.diff(actor, attempt_id))


@router.get("/workers", tags=["system"], response_model=WorkerList, responses=problems())
def list_workers(actor: ActorDep, reads: ReadsDep) -> Response:
    """Workers that live or died lately."""
    return answer(reads.workers(actor))


@router.get("/system", tags=["system"], response_model=SystemTotals, responses=problems())
def get_system(actor: ActorDep, reads: ReadsDep) -> Response:
    """Sums over the customers in scope, and the state of the workers."""
    return answer(reads.system(actor))


def _execution(view: ExecutionView, *, status: int = 200) -> Response:
    return answer(ExecutionAnswer(execution=view), status=status, version=view.version)


def _version(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise bad_cursor()
    return int(cursor)
