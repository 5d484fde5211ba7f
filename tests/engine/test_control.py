"""Commands of people and what they do to the real processes."""

import time
from typing import Any
from uuid import UUID

import psutil
import pytest

from devteam.access.model import ENGINE
from devteam.executions.model import PauseMode
from devteam.kit.errors import Conflict
from tests.engine.world import Case, Engine, eventually, gate, states
from tests.integration.git_projects import git

STOPPED = {psutil.STATUS_STOPPED}
BUSY = "i=0; while :; do i=$((i+1)); echo $i > count; sleep 0.02; done"


def frozen(case: Case) -> bool:
    """Whether every process of the customer's attempt stands still, the two that supervise it left out."""
    commands = [p for p in case.processes() if "runner.py" not in " ".join(p.cmdline())]
    return bool(commands) and states(commands) == STOPPED


def count(case: Case) -> str:
    return (case.engine.data / "workspaces" / str(case.attempts()[0].id) / "tree" / "count").read_text()


def busy(working: Engine, **fields: Any) -> Case:
    """A customer whose task has begun to work and does not end by itself."""
    case = working.customer()
    case.task(BUSY, **fields)
    case.start()
    case.in_phase("execution")
    eventually(lambda: len(case.processes()) > 2 and count(case))
    return case


def execution_id(case: Case) -> UUID:
    execution = case.snapshot().execution
    assert execution is not None
    return execution.id


def status(case: Case) -> str:
    execution = case.snapshot().execution
    assert execution is not None
    return execution.status


def test_pause_now_freezes_the_processes_and_resume_lets_them_go_on(working: Engine) -> None:
    case = busy(working)
    began = time.monotonic()
    working.executions.pause(ENGINE, execution_id(case), PauseMode.NOW)
    working.executions.pause(ENGINE, execution_id(case), PauseMode.NOW)
    eventually(lambda: status(case) == "paused", timeout=20)
    assert frozen(case) and case.attempts()[0].frozen
    assert time.monotonic() - began < 20
    seen = count(case)
    card = case.snapshot().customer
    assert card.current_task is not None and card.current_task.frozen
    assert card.wait_reason is None
    working.executions.resume(ENGINE, execution_id(case))
    eventually(lambda: count(case) != seen)
    eventually(lambda: not case.attempts()[0].frozen)
    assert status(case) == "active" and case.attempts()[0].run == 1
    working.executions.abort(ENGINE, execution_id(case), "done")
    eventually(lambda: case.attempts()[0].outcome)
    events = working.scalar("SELECT count(*) FROM events WHERE stream = :c AND type = 'execution_pause_requested'",
                            c=case.customer_id)  # fmt: skip
    assert events == 1


def test_pause_after_the_current_task_lets_it_end(working: Engine) -> None:
    case = working.customer()
    hold = case.hold()
    first = case.task(f"{hold.script()}; echo x > x")
    second = case.task("echo y > y")
    case.start()
    hold.await_reached()
    working.executions.pause(ENGINE, execution_id(case), PauseMode.AFTER_CURRENT_TASK)
    assert status(case) == "active"
    hold.release()
    eventually(lambda: status(case) == "paused")
    assert case.view(first).status == "completed" and case.view(second).status == "pending"
    working.executions.resume(ENGINE, execution_id(case))
    case.settled()
    assert case.view(second).status == "completed"


def test_abort_kills_the_processes_keeps_the_work_and_releases_the_task(working: Engine) -> None:
    case = busy(working, title="Long")
    working.executions.abort(ENGINE, execution_id(case), "wrong customer")
    assert status(case) == "aborted"
    working.executions.abort(ENGINE, execution_id(case), "again")
    eventually(lambda: case.attempts()[0].outcome == "cancelled", timeout=20)
    case.assert_no_process_is_left()
    attempt = case.attempts()[0]
    task = case.snapshot().tasks[0]
    assert (task.status, task.status_reason and task.status_reason.code) == ("pending", "aborted")
    mirror = working.data / "mirrors" / f"{case.project_id}.git"
    salvaged = git(mirror, "show", f"refs/devteam/attempts/{attempt.id}/salvage/1:count")
    assert int(salvaged) > 0
    assert not (working.data / "workspaces" / str(attempt.id)).exists()
    case.start()  # a new execution takes the task up again
    eventually(lambda: len(case.attempts()) == 2)
    working.executions.abort(ENGINE, execution_id(case), "done")
    eventually(lambda: case.attempts()[0].outcome)


def test_cancelling_the_running_task_kills_it_and_the_queue_goes_on(working: Engine) -> None:
    case = busy(working)
    task = case.snapshot().tasks[0].id
    after = case.task("echo y > y")
    waits = case.task(depends_on=[task], title="Waits")
    working.executions.cancel_task(ENGINE, task, "not needed")
    working.executions.cancel_task(ENGINE, task, "not needed")
    case.settled()
    assert [case.view(t).status for t in (task, after, waits)] == ["cancelled", "completed", "blocked"]
    assert "which is cancelled" in str(case.view(waits).status_reason)
    case.assert_no_process_is_left()


def test_cancelling_a_frozen_task_ends_it_and_the_execution_stays_paused(working: Engine) -> None:
    case = busy(working)
    working.executions.pause(ENGINE, execution_id(case), PauseMode.NOW)
    eventually(lambda: status(case) == "paused")
    working.executions.cancel_task(ENGINE, case.snapshot().tasks[0].id, None)
    eventually(lambda: case.attempts()[0].outcome == "cancelled")
    case.assert_no_process_is_left()
    assert status(case) == "paused"


def test_a_pause_while_gates_run_freezes_the_gate(working: Engine) -> None:
    case = working.customer(gates=[gate(f"[ ! -e x ] || {{ touch {{}}; {BUSY}; }}".replace("{}", "began"))])
    case.task("echo x > x")
    case.start()
    case.in_phase("quality_assurance")
    eventually(lambda: len(case.processes()) > 2)
    working.executions.pause(ENGINE, execution_id(case), PauseMode.NOW)
    eventually(lambda: status(case) == "paused", timeout=20)
    eventually(lambda: frozen(case), timeout=5)
    working.executions.abort(ENGINE, execution_id(case), "done")
    eventually(lambda: case.attempts()[0].outcome)
    case.assert_no_process_is_left()


def test_a_pause_during_a_push_lets_the_push_end_first(working: Engine) -> None:
    case = working.customer()
    hold = case.hold()
    case.hook(hold.script())
    task = case.task("echo x > x")
    other = busy(working)
    case.start()
    hold.await_reached()
    working.executions.pause(ENGINE, execution_id(case), PauseMode.NOW)
    working.executions.pause(ENGINE, execution_id(other), PauseMode.NOW)
    eventually(lambda: status(other) == "paused", timeout=20)  # nobody else waits for the push
    assert status(case) == "active"
    hold.release()
    case.settled()
    assert case.view(task).status == "completed" and case.show("x") == "x"
    working.executions.abort(ENGINE, execution_id(other), "done")
    eventually(lambda: other.attempts()[0].outcome)


def test_an_emergency_stop_ends_everything_and_can_be_taken_back(lone_engine: Engine) -> None:
    lone_engine.worker(slots=5)
    cases = [busy(lone_engine) for _ in range(5)]
    idle = lone_engine.customer()
    idle.task("true")
    began = time.monotonic()
    stopped = lone_engine.executions.emergency_stop(ENGINE, "fire")
    assert len(stopped.execution_ids) == 5
    lone_engine.executions.emergency_stop(ENGINE, "fire")
    eventually(lambda: all(not case.processes() for case in cases), timeout=30)
    took = time.monotonic() - began
    print(f"emergency stop of five customers took {took:.2f} s")
    eventually(lambda: all(case.attempts()[0].outcome == "cancelled" for case in cases))
    for case in cases:
        assert status(case) == "paused"
        assert case.snapshot().tasks[0].status == "pending"
    assert idle.snapshot().execution is None
    time.sleep(0.5)  # nothing may start again by itself
    assert all(len(case.attempts()) == 1 for case in cases)
    resumed = lone_engine.executions.emergency_resume(ENGINE)
    assert sorted(resumed.execution_ids) == sorted(stopped.execution_ids)
    eventually(lambda: all(len(case.attempts()) == 2 for case in cases))
    lone_engine.executions.emergency_stop(ENGINE, "over")
    eventually(lambda: all(not case.processes() for case in cases))


def test_a_paused_attempt_whose_worker_dies_waits_for_the_resume_with_the_next_worker(lone_engine: Engine) -> None:
    worker = lone_engine.worker()
    case = lone_engine.customer()
    hold = case.hold()
    task = case.task(f"{hold.script()}; echo x > x")
    case.start()
    hold.await_reached()
    lone_engine.executions.pause(ENGINE, execution_id(case), PauseMode.NOW)
    eventually(lambda: status(case) == "paused")
    worker.kill()
    case.assert_no_process_is_left()
    lone_engine.worker()
    eventually(lambda: case.attempts()[0].run == 2)
    attempt = case.attempts()[0]
    assert (attempt.frozen, attempt.outcome, status(case)) == (True, None, "paused")
    time.sleep(1.0)  # it must not begin
    assert not case.processes()
    lone_engine.executions.resume(ENGINE, execution_id(case))
    hold.release()
    case.settled()
    assert case.view(task).status == "completed" and len(case.deliveries(case.attempts()[0])) == 1


def test_an_aborted_attempt_whose_worker_dies_is_tidied_up_by_the_next_worker(lone_engine: Engine) -> None:
    worker = lone_engine.worker()
    case = busy(lone_engine)
    worker.kill()
    lone_engine.executions.abort(ENGINE, execution_id(case), "gone")
    lone_engine.worker()
    eventually(lambda: case.attempts()[0].outcome == "cancelled")
    assert case.snapshot().tasks[0].status == "pending"
    assert not (lone_engine.data / "workspaces" / str(case.attempts()[0].id)).exists()


def test_a_command_that_does_not_fit_the_state_is_refused(working: Engine) -> None:
    case = working.customer()
    case.task("true")
    case.run()
    with pytest.raises(Conflict):
        working.executions.pause(ENGINE, execution_id(case), PauseMode.NOW)
    with pytest.raises(Conflict):
        working.executions.abort(ENGINE, execution_id(case), "late")
    with pytest.raises(Conflict):
        working.executions.retry_task(ENGINE, case.snapshot().tasks[0].id)
