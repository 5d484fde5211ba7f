"""Who does a task: rules, a task's own wish, what is not there or does not start, and what is remembered of it."""

import shutil
from typing import Any

import pytest

from devteam.access.model import ENGINE
from devteam.executions.schemas import AttemptView
from devteam.kit.errors import Invalid
from devteam.projects.schemas import ProjectPatch
from devteam.tasks.schemas import TaskInput, TaskPatch
from tests.engine.world import Case, Engine, gate

NOT_THERE = ["no-such-agent"]
ENDS_AT_ONCE = ["false"]
fenced = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed: agents are refused")


def rule(*executors: str, **when: Any) -> dict[str, Any]:
    return {"when": when, "choices": [{"executor": executor} for executor in executors]}


def route(attempt: AttemptView) -> str:
    assert attempt.route is not None
    return attempt.route


def retry(case: Case, task: Any) -> AttemptView:
    case.engine.executions.retry_task(ENGINE, task)
    case.settled()
    return case.attempt(task)


def test_rule_chooses_by_kind_and_what_is_not_installed_is_passed_over_and_told(working: Engine) -> None:
    case = working.customer(routes=[rule("acp", "command", kinds=["bug"])], agent_command=NOT_THERE)
    bug, other = case.task(task_kind="bug", labels=["ui"]), case.task("echo b >> b.txt", "Other")
    case.run()
    done = case.attempt(bug)
    assert (done.outcome, done.executor, done.model) == ("succeeded", "command", None)
    assert route(done).startswith("command, by rule 1 (bug). Passed over: acp: no-such-agent is not installed")
    assert f"Executor: {route(done)}" in case.output(done)
    assert route(case.attempt(other)) == "command, by the project's default."
    view = case.view(bug)
    assert (view.task_kind, view.labels, view.size) == ("bug", ["ui"], "unknown")


def test_task_names_its_executor_before_every_rule(working: Engine) -> None:
    case = working.customer(routes=[rule("acp")], agent_command=NOT_THERE)
    task = case.task(executor="command")
    case.run()
    assert route(case.attempt(task)) == "command, by the task's own wish."


def test_language_of_the_repository_is_found_when_a_rule_asks_for_it(working: Engine) -> None:
    case = working.customer(
        executor="acp", agent_command=NOT_THERE, routes=[rule("command", languages=["python"]), rule("command")]
    )
    first = case.task("echo 'print(1)' > main.py", "Begin")
    second = case.task("echo 'print(2)' > main.py", "Go on", depends_on=[first])
    case.run()
    assert route(case.attempt(first)) == "command, by rule 2 (every task)."
    assert route(case.attempt(second)) == "command, by rule 1 (python)."


def test_task_that_nobody_can_do_is_blocked_with_every_reason(working: Engine) -> None:
    case = working.customer(executor="acp", agent_command=NOT_THERE, routes=[rule("command")])
    task = case.task("")
    case.run()
    attempt = case.attempt(task)
    assert case.view(task).status == "blocked" and attempt.reason is not None
    assert attempt.reason.code == "no_executor"
    assert "no-such-agent is not installed" in attempt.reason.text and "has no command" in attempt.reason.text
    assert not attempt.workspace_kept


@fenced
def test_agent_that_does_not_start_hands_the_task_on_within_the_attempt(working: Engine) -> None:
    case = working.customer(routes=[rule("acp", "command")], agent_command=ENDS_AT_ONCE)
    task = case.task()
    case.run()
    attempts = [attempt for attempt in case.attempts() if attempt.task_id == task]
    assert [(each.outcome, each.executor) for each in attempts] == [("succeeded", "command")]
    assert "Passed over: acp: false ended before it said anything" in route(attempts[0])


@fenced
def test_retry_goes_to_the_next_choice_when_the_executor_failed(working: Engine) -> None:
    case = working.customer(executor="acp", agent_command=ENDS_AT_ONCE, routes=[rule("acp", "command")])
    task = case.task("")
    case.run()
    assert (case.attempt(task).outcome, case.attempt(task).executor) == ("failed", "acp")
    patch = TaskPatch.model_validate({"command": {"script": "echo hi >> a.txt"}})
    working.tasks.edit(ENGINE, task, patch)
    again = retry(case, task)
    assert (again.number, again.outcome, again.executor) == (2, "succeeded", "command")
    assert "failed by its own fault in an earlier attempt" in route(again)


def test_retry_goes_to_the_same_choice_when_the_work_failed(working: Engine) -> None:
    case = working.customer(routes=[rule("command")], gates=[gate("grep -q two a.txt")])
    task = case.task("echo hi >> a.txt")
    case.run()
    assert case.attempt(task).outcome == "failed"
    again = retry(case, task)
    assert (again.outcome, route(again)) == ("failed", "command, by rule 1 (every task).")


def test_own_agent_needs_its_command(working: Engine) -> None:
    case = working.customer()
    with pytest.raises(Invalid, match="agentCommand"):
        working.projects.edit(ENGINE, case.project_id, ProjectPatch.model_validate({"routes": [rule("acp")]}))
    wanted = TaskInput.model_validate({"project_id": case.project_id, "title": "x", "executor": "acp"})
    with pytest.raises(Invalid, match="agentCommand"):
        working.tasks.add(ENGINE, case.customer_id, wanted)
    patch = {"routes": [rule("acp")], "agent_command": NOT_THERE}
    view = working.projects.edit(ENGINE, case.project_id, ProjectPatch.model_validate(patch))
    assert view.agent_command == NOT_THERE and view.routes[0].choices[0].executor == "acp"
    assert working.tasks.add(ENGINE, case.customer_id, wanted).executor == "acp"
