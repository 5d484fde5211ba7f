"""Settles on an attempt's executor: at planning, and again when the one that was chosen could not begin."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from devteam.executions.ports import Executor, Job, Workspaces
from devteam.projects.languages import main_language
from devteam.projects.rules import EXECUTORS_FAULTS, Choice, Decision, Obstacle, candidates, choose


class Router:
    """Asks the rules, knowing what this worker has."""

    def __init__(self, executors: Mapping[str, Executor], workspaces: Workspaces) -> None:
        self._executors = executors
        self._workspaces = workspaces

    def hopeless(self, job: Job) -> Obstacle | None:
        """What makes planning needless: nothing but a command is to do the task, and it has none."""
        if job.routing is None or job.routing.routes:
            return None
        only_commands = all(each.choice.executor == "command" for each in candidates(job.routing))
        return self._executors["command"].obstacle(job) if only_commands else None

    def decide(self, job: Job, commit: str) -> Decision:
        """The first choice in the task's order that can begin here; `commit` is what the language is read from."""
        routing = job.routing
        assert routing is not None
        if routing.asks_language:
            language = main_language(self._workspaces.files(job, commit))
            routing = replace(routing, traits=replace(routing.traits, language=language))
        return choose(
            candidates(routing),
            lambda choice: self._obstacle(job.by(choice)),
            failed_now=job.passed_over,
            failed_before=job.failed_before,
        )

    def _obstacle(self, job: Job) -> Obstacle | None:
        executor = self._executors.get(job.executor)
        if executor is None:
            return Obstacle("executor_unknown", f"This worker knows no executor {job.executor}.")
        if job.executor == "command" and job.again is not None and job.again.start.by_agent:
            text = "Commands run without a fence, so not over files that an agent wrote; run it again from its begin."
            return Obstacle("no_fence", text)
        return executor.obstacle(job)


def passed_over(job: Job, code: str, text: str) -> list[dict[str, Any]]:
    """What failed by its own fault in the attempt, with the executor that it has now when the code says that it did."""
    failed: dict[Choice, Obstacle] = dict(job.passed_over)
    if code in EXECUTORS_FAULTS:
        failed[job.choice] = Obstacle(code, text)
    return [
        {"executor": choice.executor, "model": choice.model, "code": why.code, "text": why.text}
        for choice, why in failed.items()
    ]
