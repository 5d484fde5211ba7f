"""Projects and gates as they are sent and stored."""

from enum import StrEnum
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import Field, TypeAdapter, model_validator

from devteam.kit.db import Row
from devteam.kit.wire import Input, UtcTime, View
from devteam.projects.egress import EgressAllow
from devteam.projects.gates import Command, Gate, GateStage, check_gate_names
from devteam.projects.identity import AuthorEmail, AuthorName
from devteam.projects.protection import DEFAULT_PROTECTED_PATHS, DEFAULT_REFUSED_COMMANDS
from devteam.projects.protection_fields import ProtectedPaths, RefusedCommands
from devteam.projects.routing import ROUTES, RouteRule, uses_own_agent
from devteam.projects.rules import ExecutorKind

__all__ = [
    "Command",
    "DeliveryMode",
    "ExecutorKind",
    "Gate",
    "GateStage",
    "ProjectInput",
    "ProjectPatch",
    "ProjectView",
]

_GATES: TypeAdapter[list[Gate]] = TypeAdapter(list[Gate])


class DeliveryMode(StrEnum):
    """How a delivery reaches the project's repository."""

    BRANCH = "branch"
    FAST_FORWARD = "fast_forward"
    MERGE_COMMIT = "merge_commit"


class ProjectInput(Input):
    """A new project; without a base branch the repository's own default is taken.

    `agentCommand` starts an agent of one's own (executor `acp`); `model` is what an agent asks the providers for,
    by default the first that they offer; `budgetUsd` bounds what one attempt may spend. The first of `routes` that
    fits a task says who does it; `executor` and `model` are for the others, and where none of a rule's choices can.
    `egressAllow` are the hosts that agents and the gates on their work may reach: `host` or `*.host`, on ports 80 and
    443 or on the `:port` that is named. An agent changes `protectedPaths` only when a person allows it;
    `refusedCommands` are first words of commands, or `/a regular expression/`, that agents may not run.
    """

    name: str = Field(min_length=1, max_length=120)
    repository: str = Field(min_length=1, max_length=2048)
    base_branch: str | None = Field(default=None, min_length=1, max_length=250)
    delivery_mode: DeliveryMode = DeliveryMode.BRANCH
    gates: list[Gate] = Field(default=[], max_length=50)
    monitoring_window_seconds: float = Field(default=86_400, ge=0, le=31_536_000)
    executor: ExecutorKind = ExecutorKind.COMMAND
    agent_command: list[str] | None = Field(default=None, min_length=1, max_length=50)
    model: str | None = Field(default=None, min_length=1, max_length=200)
    budget_usd: float | None = Field(default=None, gt=0, le=1e6)
    egress_allow: EgressAllow = Field(default=[], max_length=200)
    routes: list[RouteRule] = Field(default=[], max_length=50)
    author_name: AuthorName | None = None
    author_email: AuthorEmail | None = None
    protected_paths: ProtectedPaths = Field(default=list(DEFAULT_PROTECTED_PATHS))
    refused_commands: RefusedCommands = Field(default=list(DEFAULT_REFUSED_COMMANDS))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_gate_names(self.gates)
        check_own_agent(self.executor, self.routes, self.agent_command)
        return self


def check_own_agent(executor: ExecutorKind, routes: list[RouteRule], agent_command: list[str] | None) -> None:
    """Raise ValueError when the executor acp is named and nothing says what starts it."""
    if agent_command is None and (executor is ExecutorKind.ACP or uses_own_agent(routes)):
        raise ValueError("the executor acp needs the project's agentCommand, which starts the agent")


class ProjectPatch(Input):
    """An edit of a project; absent fields stay. The repository of a project never changes."""

    name: str | None = Field(default=None, min_length=1, max_length=120)
    delivery_mode: DeliveryMode | None = None
    gates: list[Gate] | None = Field(default=None, max_length=50)
    monitoring_window_seconds: float | None = Field(default=None, ge=0, le=31_536_000)
    model: str | None = Field(default=None, min_length=1, max_length=200)
    budget_usd: float | None = Field(default=None, gt=0, le=1e6)
    egress_allow: EgressAllow | None = Field(default=None, max_length=200)
    agent_command: list[str] | None = Field(default=None, min_length=1, max_length=50)
    routes: list[RouteRule] | None = Field(default=None, max_length=50)
    author_name: AuthorName | None = None
    author_email: AuthorEmail | None = None
    protected_paths: ProtectedPaths | None = None
    refused_commands: RefusedCommands | None = None
    archived: bool | None = None

    @model_validator(mode="after")
    def _gate_names_differ(self) -> Self:
        check_gate_names(self.gates or [])
        return self


class ProjectView(View):
    """A project as shown."""

    kind: Literal["project"] = "project"
    id: UUID
    version: int
    customer_id: UUID
    name: str
    repository: str
    base_branch: str
    executor: ExecutorKind
    agent_command: list[str] | None
    model: str | None
    budget_usd: float | None
    egress_allow: list[str]
    routes: list[RouteRule]
    author_name: str | None
    author_email: str | None
    protected_paths: list[str]
    refused_commands: list[str]
    delivery_mode: DeliveryMode
    gates: list[Gate]
    monitoring_window_seconds: float
    archived: bool
    created_at: UtcTime

    @classmethod
    def from_row(cls, row: Row[Any]) -> "ProjectView":
        """From a row of `projects`."""
        return cls(
            id=row.id,
            version=row.version,
            customer_id=row.customer_id,
            name=row.name,
            repository=row.repository,
            base_branch=row.base_branch,
            executor=row.executor,
            agent_command=row.agent_command,
            model=row.model,
            budget_usd=row.budget_usd,
            egress_allow=row.egress_allow,
            routes=ROUTES.validate_python(row.routes),
            author_name=row.author_name,
            author_email=row.author_email,
            protected_paths=row.protected_paths,
            refused_commands=row.refused_commands,
            delivery_mode=row.delivery_mode,
            gates=_GATES.validate_python(row.gates),
            monitoring_window_seconds=row.monitoring_window_seconds,
            archived=row.archived_at is not None,
            created_at=row.created_at,
        )
