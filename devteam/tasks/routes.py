"""HTTP of tasks. Retrying and cancelling concern the engine and are commands of executions."""

import math
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from devteam.access.signed_in import ActorDep, CommandDep
from devteam.kit.cursor import bad_cursor, decode_cursor, encode_cursor
from devteam.kit.http import API, COMMANDS, EDITS, READS, IfMatch, answer, entity_answer, provided
from devteam.kit.wire import View
from devteam.tasks.model import TaskStatus
from devteam.tasks.schemas import TaskDetail, TaskInput, TaskMove, TaskPatch, TaskView
from devteam.tasks.service import TaskService

router = APIRouter(prefix=API, tags=["tasks"])
TasksDep = Annotated[TaskService, Depends(provided(TaskService))]


class TaskPage(View):
    """A stretch of the queue; `nextCursor` is null at its end."""

    tasks: list[TaskView]
    next_cursor: str | None


@router.get("/customers/{customer_id}/tasks", response_model=TaskPage, responses=READS)
def list_tasks(
    customer_id: UUID,
    actor: ActorDep,
    tasks: TasksDep,
    status: Annotated[list[TaskStatus], Query(max_length=20)] = [],  # noqa: B006 - read only
    project_id: Annotated[UUID | None, Query(alias="projectId")] = None,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """A customer's tasks in queue order."""
    found = tasks.page(
        actor,
        customer_id,
        statuses=[wanted.value for wanted in status],
        project_id=project_id,
        after=None if cursor is None else _after(cursor),
        limit=limit + 1,
    )
    shown = found[:limit]
    following = encode_cursor(shown[-1].position, shown[-1].id) if len(found) > limit else None
    return answer(TaskPage(tasks=shown, next_cursor=following))


@router.post("/customers/{customer_id}/tasks", status_code=201, response_model=TaskDetail, responses=COMMANDS)
def add_task(customer_id: UUID, wanted: TaskInput, command: CommandDep, tasks: TasksDep) -> Response:
    """Put a task into a customer's queue."""
    return command.run(lambda actor: entity_answer(tasks.add(actor, customer_id, wanted), status=201))


@router.get("/tasks/{task_id}", response_model=TaskDetail, responses=READS)
def get_task(task_id: UUID, actor: ActorDep, tasks: TasksDep) -> Response:
    """One task with everything that was asked."""
    return entity_answer(tasks.get(actor, task_id))


@router.patch("/tasks/{task_id}", response_model=TaskDetail, responses=EDITS)
def edit_task(task_id: UUID, patch: TaskPatch, if_match: IfMatch, actor: ActorDep, tasks: TasksDep) -> Response:
    """Change a task that is not being worked on."""
    return entity_answer(tasks.edit(actor, task_id, patch, if_version=if_match))


@router.post("/tasks/{task_id}/move", response_model=TaskView, responses=COMMANDS)
def move_task(task_id: UUID, wanted: TaskMove, command: CommandDep, tasks: TasksDep) -> Response:
    """Put a task directly before another one, or to the tail of the queue."""
    return command.run(lambda actor: entity_answer(tasks.move(actor, task_id, wanted.before)))


@router.post("/tasks/{task_id}/complete", response_model=TaskView, responses=COMMANDS)
def complete_task(task_id: UUID, command: CommandDep, tasks: TasksDep) -> Response:
    """Say that a task which a person does is done."""
    return command.run(lambda actor: entity_answer(tasks.complete_manual(actor, task_id)))


def _after(cursor: str) -> tuple[float, UUID]:
    match decode_cursor(cursor):
        case [int() | float() as position, str() as task_id] if math.isfinite(position):
            try:
                return float(position), UUID(task_id)
            except (ValueError, OverflowError) as exc:
                raise bad_cursor() from exc
        case _:
            raise bad_cursor()
