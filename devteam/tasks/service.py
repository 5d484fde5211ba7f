"""Use cases on tasks that do not need the engine; those that stop an attempt live with executions."""

from typing import Any
from uuid import UUID

from devteam.access.model import Actor
from devteam.access.rules import Permission, check
from devteam.customers.change import CustomerChange, customer_change
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, Row, sql
from devteam.kit.errors import Conflict, Invalid, NotFound, Stale
from devteam.kit.ids import new_id
from devteam.projects.rules import ExecutorKind
from devteam.tasks import repository
from devteam.tasks.model import FINAL, RUNNING, UNMET, TaskMode, TaskStatus
from devteam.tasks.rules import find_cycle
from devteam.tasks.schemas import TaskDetail, TaskInput, TaskPatch, TaskView


class TaskService:
    """Add, edit, reorder and read tasks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, actor: Actor, customer_id: UUID, wanted: TaskInput) -> TaskDetail:
        """Put a task into the customer's queue.

        A task that depends on one that can no longer complete starts out blocked.
        """
        check(actor, Permission.COMMAND, customer_id)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            return add_task(change, wanted)

    def edit(self, actor: Actor, task_id: UUID, patch: TaskPatch, *, if_version: int | None = None) -> TaskDetail:
        """Change a task that is not being worked on."""
        customer_id = customer_of_task(self._database, actor, task_id)
        check(actor, Permission.COMMAND, customer_id)
        sent = patch.model_dump(exclude_unset=True, mode="json", exclude={"depends_on"})
        nullable = ("estimate_seconds", "assignee", "command", "executor", "model")
        values = {key: value for key, value in sent.items() if value is not None or key in nullable}
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            row = repository.task_row(change.connection, customer_id, task_id)
            if if_version is not None and if_version != row.version:
                raise Stale("Somebody changed this task in the meantime.", extra={"version": row.version})
            if TaskStatus(row.status) in RUNNING:
                raise Conflict("The engine is working on this task; pause or cancel it first.", code="task_running")
            _check_executor(change.connection, row.project_id, patch.executor)
            changed = sorted(values)
            if "task_kind" in values:
                values["kind"] = values.pop("task_kind")
            if values:
                repository.update_task(change.connection, task_id, values)
            if patch.depends_on is not None and set(patch.depends_on) != set(row.depends_on):
                self._replace_dependencies(change, row, list(dict.fromkeys(patch.depends_on)))
                changed = sorted([*changed, "depends_on"])
            if changed:
                title = values.get("title", row.title)
                change.record("task_changed", "task", task_id, title=title, fields=changed)
                change.show(repository.task_view(change.connection, customer_id, task_id))
                continue_execution(change)
            return repository.task_detail(change.connection, customer_id, task_id)

    def move(self, actor: Actor, task_id: UUID, before: UUID | None) -> TaskView:
        """Put a task directly before another one, or to the tail."""
        customer_id = customer_of_task(self._database, actor, task_id)
        check(actor, Permission.COMMAND, customer_id)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            row = repository.task_row(change.connection, customer_id, task_id)
            if TaskStatus(row.status) in FINAL:
                raise Conflict("A finished task has no place in the queue.", code="task_finished")
            if before == task_id:
                raise Invalid.field("before", "A task cannot be put before itself.")
            repository.update_task(change.connection, task_id, {"position": self._position(change, row, before)})
            view = repository.task_view(change.connection, customer_id, task_id)
            change.record("task_moved", "task", task_id, title=row.title, before=str(before) if before else None)
            change.show(view)
        return view

    def complete_manual(self, actor: Actor, task_id: UUID) -> TaskView:
        """A person says that a manual task is done."""
        customer_id = customer_of_task(self._database, actor, task_id)
        check(actor, Permission.COMMAND, customer_id)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            row = repository.task_row(change.connection, customer_id, task_id)
            if row.mode != TaskMode.MANUAL and row.assignee is None:
                raise Conflict("The engine does this task; only tasks held by people are completed by hand.")
            repository.move_task(change.connection, row, TaskStatus.COMPLETED, now=change.now)
            view = repository.task_view(change.connection, customer_id, task_id)
            change.record("task_completed", "task", task_id, title=row.title)
            change.show(view)
            continue_execution(change)
        return view

    def get(self, actor: Actor, task_id: UUID) -> TaskDetail:
        """One task with everything."""
        customer_id = customer_of_task(self._database, actor, task_id)
        check(actor, Permission.READ, customer_id)
        with self._database.transaction() as connection:
            return repository.task_detail(connection, customer_id, task_id)

    def page(
        self,
        actor: Actor,
        customer_id: UUID,
        *,
        statuses: list[str],
        project_id: UUID | None,
        after: tuple[float, UUID] | None,
        limit: int,
    ) -> list[TaskView]:
        """One page of a customer's tasks in queue order."""
        check(actor, Permission.READ, customer_id)
        with self._database.transaction() as connection:
            return repository.tasks_page(
                connection, customer_id, statuses=statuses, project_id=project_id, after=after, limit=limit
            )

    def _position(self, change: CustomerChange, row: Row[Any], before: UUID | None) -> float:
        if before is None:
            return repository.tail_position(change.connection, change.customer_id)
        for _ in range(2):
            target = repository.task_row(change.connection, change.customer_id, before)
            position = repository.position_before(change.connection, change.customer_id, row.id, target)
            if position is not None:
                return position
            for task_id in repository.renumber(change.connection, change.customer_id):
                change.show(repository.task_view(change.connection, change.customer_id, task_id))
        raise AssertionError("a renumbered queue has gaps")

    def _replace_dependencies(self, change: CustomerChange, row: Row[Any], wanted: list[UUID]) -> None:
        if row.id in wanted:
            raise Invalid.field("dependsOn", "A task cannot depend on itself.", code="dependency_cycle")
        needed = _load_dependencies(change.connection, change.customer_id, wanted)
        graph = repository.dependency_graph(change.connection, change.customer_id)
        graph[row.id] = wanted
        cycle = find_cycle(graph, row.id)
        if cycle is not None:
            titles = [repository.task_row(change.connection, change.customer_id, task).title for task in cycle]
            raise Invalid.field(
                "dependsOn", "The dependencies would go in a circle: " + " → ".join(titles), code="dependency_cycle"
            )
        repository.set_dependencies(change.connection, change.customer_id, row.id, wanted)
        unmet = next((task for task in needed if TaskStatus(task.status) in UNMET), None)
        blocked_by_dependency = row.status == TaskStatus.BLOCKED and row.reason_code == "dependency"
        if unmet is not None and row.status == TaskStatus.PENDING:
            block_for(change, row, unmet)
        elif unmet is None and blocked_by_dependency:
            repository.move_task(change.connection, row, TaskStatus.PENDING, now=change.now)


def _check_executor(connection: Connection, project_id: UUID, executor: ExecutorKind | None) -> None:
    """A task may name the project's own agent only where the project says what starts it. Raises Invalid."""
    if executor is not ExecutorKind.ACP:
        return
    command = connection.execute(sql("SELECT agent_command FROM projects WHERE id = :id"), {"id": project_id}).scalar()
    if command is None:
        raise Invalid.field("executor", "The executor acp needs the project's agentCommand, which starts the agent.")


def customer_of_task(database: Database, actor: Actor, task_id: UUID) -> UUID:
    """The customer whose queue holds the task. Raises NotFound, also outside the actor's scope."""
    with database.transaction() as connection:
        customer_id = connection.execute(sql("SELECT customer_id FROM tasks WHERE id = :id"), {"id": task_id}).scalar()
    if customer_id is None or not actor.sees(customer_id):
        raise NotFound("There is no such task.")
    return UUID(str(customer_id))


def add_task(change: CustomerChange, wanted: TaskInput) -> TaskDetail:
    """Put a task into the queue of the customer that is being changed."""
    task_id = new_id()
    _check_project(change.connection, change.customer_id, wanted.project_id)
    _check_executor(change.connection, wanted.project_id, wanted.executor)
    needed = _load_dependencies(change.connection, change.customer_id, wanted.depends_on)
    unmet = next((task for task in needed if TaskStatus(task.status) in UNMET), None)
    head = wanted.position == "head"
    place = repository.head_position if head else repository.tail_position
    repository.insert_task(
        change.connection,
        {
            **wanted.model_dump(mode="json", exclude={"depends_on", "position", "project_id"}),
            "id": task_id,
            "customer_id": change.customer_id,
            "project_id": wanted.project_id,
            "position": place(change.connection, change.customer_id),
            "status": "blocked" if unmet else "pending",
            "reason_code": "dependency" if unmet else None,
            "reason": _unmet_reason(unmet) if unmet else None,
            "created_at": change.now,
        },
    )
    repository.set_dependencies(change.connection, change.customer_id, task_id, dict.fromkeys(wanted.depends_on))
    change.record("task_added", "task", task_id, title=wanted.title)
    detail = repository.task_detail(change.connection, change.customer_id, task_id)
    change.show(repository.task_view(change.connection, change.customer_id, task_id))
    continue_execution(change)
    return detail


def _check_project(connection: Connection, customer_id: UUID, project_id: UUID) -> None:
    found = connection.execute(
        sql("SELECT archived_at FROM projects WHERE id = :id AND customer_id = :customer_id"),
        {"id": project_id, "customer_id": customer_id},
    ).first()
    if found is None:
        raise Invalid.field("projectId", "This customer has no such project.")
    if found.archived_at is not None:
        raise Invalid.field("projectId", "The project is archived.")


def _load_dependencies(connection: Connection, customer_id: UUID, wanted: list[UUID]) -> list[Row[Any]]:
    found = []
    for dependency in dict.fromkeys(wanted):
        try:
            found.append(repository.task_row(connection, customer_id, dependency))
        except NotFound as exc:
            raise Invalid.field(
                "dependsOn", f"This customer has no task {dependency}; a task depends only on its own customer's."
            ) from exc
    return found


def continue_execution(change: CustomerChange) -> None:
    """Work arrived: a completed execution that may go on by itself becomes active again."""
    if change.refresh().next_task_id is None:
        return
    row = change.connection.execute(
        sql(
            """UPDATE executions SET status = 'active', finished_at = NULL, reason_code = NULL, reason = NULL,
                   version = version + 1
               WHERE id = (SELECT id FROM executions WHERE customer_id = :id ORDER BY id DESC LIMIT 1)
                 AND status = 'completed' AND auto_continue RETURNING id, version"""
        ),
        {"id": change.customer_id},
    ).first()
    if row is not None:
        change.record("execution_continued", "execution", row.id)
        change.show_part("execution", row.id, row.version, status="active", statusReason=None, finishedAt=None)


def block_dependants(change: CustomerChange, task_id: UUID) -> None:
    """A task can no longer complete: everything that waits for it, directly or not, is blocked."""
    task = repository.task_row(change.connection, change.customer_id, task_id)
    for dependant in repository.dependants(change.connection, task.id):
        if dependant.status == TaskStatus.PENDING:
            block_for(change, dependant, task)


def block_for(change: CustomerChange, task: Row[Any], unmet: Row[Any]) -> None:
    """Block a pending task, and its dependants, because of a dependency that will not complete."""
    repository.move_task(
        change.connection,
        task,
        TaskStatus.BLOCKED,
        now=change.now,
        reason_code="dependency",
        reason=_unmet_reason(unmet),
    )
    change.record("task_blocked", "task", task.id, reason=_unmet_reason(unmet), title=task.title)
    change.show(repository.task_view(change.connection, change.customer_id, task.id))
    block_dependants(change, task.id)


def unblock_dependants(change: CustomerChange, task: Row[Any]) -> None:
    """A task may complete after all: what was blocked because of it goes back to pending, if nothing else blocks it."""
    for dependant in repository.dependants(change.connection, task.id):
        if dependant.status != TaskStatus.BLOCKED or dependant.reason_code != "dependency":
            continue
        needed = repository.dependencies(change.connection, dependant.id)
        if any(TaskStatus(other.status) in UNMET for other in needed):
            continue
        repository.move_task(change.connection, dependant, TaskStatus.PENDING, now=change.now)
        change.record("task_unblocked", "task", dependant.id, title=dependant.title)
        change.show(repository.task_view(change.connection, change.customer_id, dependant.id))
        unblock_dependants(change, dependant)


def _unmet_reason(unmet: Row[Any]) -> str:
    return f"It depends on “{unmet.title}”, which is {unmet.status}."
