"""Tasks as they are sent and shown."""

import re
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from devteam.kit.db import Row
from devteam.kit.wire import Input, Reason, UtcTime, View
from devteam.projects.routing import OTHER_KIND, Word
from devteam.projects.rules import ExecutorKind, TaskSize, size_of
from devteam.projects.schemas import Command
from devteam.tasks.model import TaskMode, TaskStatus


class TaskCommand(Command):
    """What the `command` executor runs in the workspace."""

    time_limit_seconds: float = Field(default=1800, gt=0, le=86_400)


class CommandCriterion(Command):
    """Holds when the command ends with exit code 0."""

    type: Literal["command"]
    timeout_seconds: float = Field(default=300, gt=0, le=86_400)


class _PathCriterion(Input):
    path: str = Field(min_length=1, max_length=1024)

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise ValueError("the path must stay inside the repository")
        return path


class FileCriterion(_PathCriterion):
    """Holds when the file is there, or is gone with `exists` false."""

    type: Literal["file"]
    exists: bool = True


class RegexCriterion(_PathCriterion):
    """Holds when the pattern (Python syntax, multi-line) is found in the file, or is not with `present` false."""

    type: Literal["regex"]
    pattern: str = Field(min_length=1, max_length=2000)
    present: bool = True

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        try:
            re.compile(self.pattern, re.MULTILINE)
        except re.error as exc:
            raise ValueError(f"the pattern is no regular expression: {exc}") from exc
        return self


Criterion = Annotated[CommandCriterion | FileCriterion | RegexCriterion, Field(discriminator="type")]


class TaskInput(Input):
    """A new task.

    `taskKind` and `labels` are short words of one's own, by which rules choose who does it; `executor` and `model`
    name it for this task alone, and come before any rule.
    """

    project_id: UUID
    title: str = Field(min_length=1, max_length=300)
    description: str = Field(default="", max_length=65_536)
    command: TaskCommand | None = None
    acceptance_criteria: list[Criterion] = Field(default=[], max_length=50)
    depends_on: list[UUID] = Field(default=[], max_length=100)
    mode: TaskMode = TaskMode.AUTONOMOUS
    priority: int = Field(default=3, ge=1, le=5)
    estimate_seconds: float | None = Field(default=None, gt=0, le=31_536_000)
    assignee: str | None = Field(default=None, min_length=1, max_length=120)
    task_kind: Word = OTHER_KIND
    labels: list[Word] = Field(default=[], max_length=20)
    executor: ExecutorKind | None = None
    model: str | None = Field(default=None, min_length=1, max_length=200)
    position: Literal["head", "tail"] = "tail"

    @field_validator("title", "description", "assignee", "model")
    @classmethod
    def _no_nul(cls, value: str | None) -> str | None:
        return clean_text(value)

    @field_validator("labels")
    @classmethod
    def _each_once(cls, labels: list[str]) -> list[str]:
        return list(dict.fromkeys(labels))


class TaskPatch(Input):
    """An edit of a task; absent fields stay. `estimateSeconds`, `assignee`, `command`, `executor` and `model` can be
    emptied by null.
    """

    title: str | None = Field(default=None, min_length=1, max_length=300)
    description: str | None = Field(default=None, max_length=65_536)
    command: TaskCommand | None = None
    acceptance_criteria: list[Criterion] | None = Field(default=None, max_length=50)
    depends_on: list[UUID] | None = Field(default=None, max_length=100)
    mode: TaskMode | None = None
    priority: int | None = Field(default=None, ge=1, le=5)
    estimate_seconds: float | None = Field(default=None, gt=0, le=31_536_000)
    assignee: str | None = Field(default=None, min_length=1, max_length=120)
    task_kind: Word | None = None
    labels: list[Word] | None = Field(default=None, max_length=20)
    executor: ExecutorKind | None = None
    model: str | None = Field(default=None, min_length=1, max_length=200)

    @field_validator("title", "description", "assignee", "model")
    @classmethod
    def _no_nul(cls, value: str | None) -> str | None:
        return clean_text(value)

    @field_validator("labels")
    @classmethod
    def _each_once(cls, labels: list[str] | None) -> list[str] | None:
        return None if labels is None else list(dict.fromkeys(labels))


def clean_text(value: str | None) -> str | None:
    """PostgreSQL text cannot hold NUL, and a lone surrogate is no text at all."""
    if value is None:
        return None
    if "\0" in value:
        raise ValueError("the text holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise ValueError("the text is not valid Unicode") from exc
    if not value.strip() and value:
        raise ValueError("the text is blank")
    return value


class TaskMove(Input):
    """Put the task before another one of the queue; null puts it to the tail."""

    before: UUID | None = None


class TaskCancel(Input):
    """Why a task is cancelled."""

    reason: str | None = Field(default=None, min_length=1, max_length=2000)


class TaskView(View):
    """A task as lists show it."""

    kind: Literal["task"] = "task"
    id: UUID
    version: int
    customer_id: UUID
    project_id: UUID
    title: str
    status: TaskStatus
    status_reason: Reason | None
    mode: TaskMode
    priority: int
    position: float
    estimate_seconds: float | None
    size: TaskSize
    assignee: str | None
    task_kind: str
    labels: list[str]
    executor: ExecutorKind | None
    model: str | None
    depends_on: list[UUID]
    attempts: int
    last_attempt_id: UUID | None
    created_at: UtcTime
    started_at: UtcTime | None
    finished_at: UtcTime | None

    @classmethod
    def fields_of(cls, row: Row[Any]) -> dict[str, Any]:
        """The common fields from a row of `tasks` with `depends_on`."""
        return {
            "id": row.id,
            "version": row.version,
            "customer_id": row.customer_id,
            "project_id": row.project_id,
            "title": row.title,
            "status": row.status,
            "status_reason": Reason.of(row.reason_code, row.reason),
            "mode": row.mode,
            "priority": row.priority,
            "position": row.position,
            "estimate_seconds": row.estimate_seconds,
            "size": size_of(row.estimate_seconds),
            "assignee": row.assignee,
            "task_kind": row.kind,
            "labels": row.labels,
            "executor": row.executor,
            "model": row.model,
            "depends_on": row.depends_on,
            "attempts": row.attempts,
            "last_attempt_id": row.last_attempt_id,
            "created_at": row.created_at,
            "started_at": row.started_at,
            "finished_at": row.finished_at,
        }

    @classmethod
    def from_row(cls, row: Row[Any]) -> "TaskView":
        """From a row of `tasks` with `depends_on`."""
        return cls(**cls.fields_of(row))


class TaskDetail(TaskView):
    """A task with everything that was asked."""

    description: str
    command: TaskCommand | None
    acceptance_criteria: list[Criterion]

    @classmethod
    def from_row(cls, row: Row[Any]) -> "TaskDetail":
        """From a row of `tasks` with `depends_on`."""
        return cls(
            **cls.fields_of(row),
            description=row.description,
            command=None if row.command is None else TaskCommand.model_validate(row.command),
            acceptance_criteria=row.acceptance_criteria,
        )
