"""One round of an agent: its prompt is composed, its way to the model opened, its session kept."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from devteam.executions.ports import Asker, CommandEnd, Held, Job
from devteam.executions.session import Assignment, Desk, ModelAccess, ReviewDesk, RoundEnd, Session, ToolAccess, Trouble
from devteam.kit.clock import Clock
from devteam.kit.db import Database, sql
from devteam.projects.rules import Obstacle
from devteam.workflows.desk import BLOCKED, AttemptDesk
from devteam.workflows.earlier_session import read_session
from devteam.workflows.prompt import (
    PROMPT_VERSION,
    Earlier,
    Evidence,
    again_prompt,
    first_prompt,
    next_prompt,
    read_conventions,
    whole_prompt,
)
from devteam.workflows.session_log import SessionLog

TIME_LIMIT = 3600.0
"""Seconds that one round of an agent may take."""
SILENCE_LIMIT = 600.0
"""Seconds without any sign of life after which an agent counts as hung."""


class Agents(Protocol):
    """Starts agents by the attempt's executor."""

    def obstacle(self, job: Job) -> Obstacle | None: ...

    def run(self, job: Job, workspace: Path, held: Held, assignment: Assignment, session: Session) -> RoundEnd: ...


class Models(Protocol):
    """Opens an attempt's way to its model for the length of a round."""

    def obstacle(self, job: Job) -> Obstacle | None: ...

    def access(self, job: Job) -> "AbstractContextManager[ModelLease]": ...


class AgentTools(Protocol):
    """Opens an agent's way to DevTeam's own tools for the length of a round."""

    def open(self, desk: Desk) -> AbstractContextManager[ToolAccess]: ...

    def open_review(self, desk: ReviewDesk) -> AbstractContextManager[ToolAccess]: ...


class ModelLease(Protocol):
    """An open way; `trouble` is a refusal that a person must know of, such as a spent budget."""

    @property
    def model(self) -> ModelAccess | None: ...

    @property
    def trouble(self) -> Trouble | None: ...


class AgentExecutor:
    """Does a task by an agent. Fits where the `command` executor does."""

    iterates = True

    def __init__(
        self, database: Database, clock: Clock, agents: Agents, models: Models, tools: AgentTools, asker: Asker
    ) -> None:
        self._database = database
        self._clock = clock
        self._agents = agents
        self._models = models
        self._tools = tools
        self._asker = asker

    def obstacle(self, job: Job) -> Obstacle | None:
        """The agent's program, its fence and its model, in this order."""
        return self._agents.obstacle(job) or self._models.obstacle(job)

    def run(self, job: Job, workspace: Path, held: Held, on_output: Callable[[str], None]) -> CommandEnd:
        """One round: the first, or one that mends what the gates found."""
        session = SessionLog(self._database, self._clock, job.ref.attempt_id, on_output)
        desk = AttemptDesk(self._database, self._clock, self._asker, job, held, session)
        with self._models.access(job) as lease, self._tools.open(desk) as tools:
            assignment = Assignment(
                prompt=self._prompt(job, workspace),
                model=lease.model,
                session_id=job.session_id,
                time_limit=TIME_LIMIT,
                silence_limit=SILENCE_LIMIT,
                tools=tools,
            )
            ended = self._agents.run(job, workspace, held, assignment, session)
            trouble = lease.trouble
        if trouble is None and desk.blocked is not None:
            return replace(ended.end, error=f"The agent reports that it is blocked: {desk.blocked}", code=BLOCKED)
        if trouble is None:
            return ended.end
        session.entry("note", {"text": trouble.text})
        return replace(ended.end, exit_code=ended.end.exit_code or 1, error=trouble.text, code=trouble.code)

    def _prompt(self, job: Job, workspace: Path) -> str:
        with self._database.transaction() as connection:
            connection.execute(
                sql("UPDATE attempts SET prompt_version = :version WHERE id = :id"),
                {"id": job.ref.attempt_id, "version": PROMPT_VERSION},
            )
        conventions, earlier = read_conventions(workspace), self._earlier(job)
        if job.round == 1:
            return self._first_prompt(job, conventions, earlier)
        evidence = self._evidence(job)
        if job.session_id is not None:
            return next_prompt(job, evidence)
        first = self._first_prompt(job, conventions, earlier)
        return whole_prompt(first, job, evidence)

    def _first_prompt(self, job: Job, conventions: str, earlier: list[Earlier]) -> str:
        first = first_prompt(job, conventions, earlier)
        if job.again is None:
            return first
        return again_prompt(first, job.again, read_session(self._database, job.again))

    def _earlier(self, job: Job) -> list[Earlier]:
        with self._database.transaction() as connection:
            rows = connection.execute(
                sql(
                    """SELECT number, reason FROM attempts WHERE task_id = :task AND id <> :id
                       AND outcome = 'failed' AND reason IS NOT NULL ORDER BY number DESC LIMIT 5"""
                ),
                {"task": job.task_id, "id": job.ref.attempt_id},
            ).all()
        return [Earlier(row.number, row.reason) for row in reversed(rows)]

    def _evidence(self, job: Job) -> list[Evidence]:
        """What did not hold in the round before."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                sql(
                    """SELECT name, text, output_tail FROM gate_results WHERE attempt_id = :id AND round = :round
                       AND required AND passed IS FALSE AND stage IN ('acceptance', 'post_task') ORDER BY id"""
                ),
                {"id": job.ref.attempt_id, "round": job.round - 1},
            ).all()
        return [Evidence(row.name, row.text, row.output_tail) for row in rows]
