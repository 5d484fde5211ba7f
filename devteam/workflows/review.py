"""A second agent reads the change of the first, with another model, and answers in a schema."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from devteam.executions.ports import Held, Job, Workspaces
from devteam.executions.session import Assignment, EntryKind, Review
from devteam.kit.clock import Clock
from devteam.kit.db import Database
from devteam.projects.gates import ReviewGate
from devteam.workflows.agent_round import SILENCE_LIMIT, Agents, AgentTools, Models
from devteam.workflows.desk import task_as_json
from devteam.workflows.prompt import review_prompt
from devteam.workflows.session_log import SessionLog

DIFF_LIMIT = 100_000
"""Characters of a change that are shown in the prompt; the files hold the rest."""


class AgentReviewer:
    """Reviews by agents. What one does is in the attempt's session, marked as the reviewer's."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        agents: Agents,
        models: Models,
        tools: AgentTools,
        workspaces: Workspaces,
    ) -> None:
        self._database = database
        self._clock = clock
        self._agents = agents
        self._models = models
        self._tools = tools
        self._workspaces = workspaces

    def review(
        self, job: Job, gate: ReviewGate, folder: Path, held: Held, on_output: Callable[[str], None]
    ) -> Review | str:
        """The verdict, or a sentence on why there is none."""
        reviewing = replace(job, executor=gate.executor.value, model=gate.model, agent_command=None, session_id=None)
        obstacle = self._agents.obstacle(reviewing) or self._models.obstacle(reviewing)
        if obstacle is not None:
            return obstacle.text
        desk = _Desk(job)
        session = _ReviewerSession(SessionLog(self._database, self._clock, job.ref.attempt_id, on_output))
        assert job.base_commit is not None and job.work_commit is not None
        diff, cut = self._workspaces.diff(job, job.base_commit, job.work_commit)
        with self._models.access(reviewing) as lease, self._tools.open_review(desk) as tools:
            assignment = Assignment(
                prompt=review_prompt(job, diff[:DIFF_LIMIT], cut=cut or len(diff) > DIFF_LIMIT),
                model=lease.model,
                session_id=None,
                time_limit=gate.timeout_seconds,
                silence_limit=SILENCE_LIMIT,
                tools=tools,
            )
            ended = self._agents.run(reviewing, folder, held, assignment, session)
            trouble = lease.trouble
        if desk.review is not None:
            return desk.review
        if trouble is not None:
            return trouble.text
        return "The reviewer ended without a verdict." if ended.end.succeeded else ended.end.describe()


class _Desk:
    def __init__(self, job: Job) -> None:
        self.review: Review | None = None
        self._job = job

    def read_task(self) -> Mapping[str, Any]:
        return task_as_json(self._job)

    def submit(self, review: Review) -> None:
        self.review = review


class _ReviewerSession:
    """Writes into the attempt's session without taking part in it: the work's own agent goes on from its own."""

    def __init__(self, log: SessionLog) -> None:
        self._log = log

    def output(self, text: str) -> None:
        self._log.output(text)

    def entry(self, kind: EntryKind, data: Mapping[str, Any]) -> None:
        self._log.entry(kind, {**data, "reviewer": True})

    def began(self, session_id: str) -> None:
        pass

    def guidance(self) -> list[str]:
        return []
