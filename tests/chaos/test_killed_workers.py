"""Workers that are killed, frozen or stopped in each phase: the attempt goes on, and nothing is done twice."""

import signal
import time

import pytest

from tests.chaos.held import PHASES, assert_done_once, held_case
from tests.engine.world import Case, Engine, WorkerProcess, eventually


def goes_on(case: Case, run: int) -> bool:
    """Whether the run has begun to work: it has said where it goes on, or holds processes again."""
    attempt = case.attempts()[0]
    if attempt.monitoring == "watching":
        return attempt.run > run and any(True for _ in case.processes())
    return attempt.run > run and (f"Run {attempt.run} goes on from" in case.output(attempt))


@pytest.mark.parametrize("phase", PHASES)
def test_a_worker_killed_in_a_phase_is_followed_by_one_that_goes_on_from_there(lone_engine: Engine, phase: str) -> None:
    first = lone_engine.worker()
    case, hold = held_case(lone_engine, phase)
    run = case.attempts()[0].run
    other = lone_engine.worker()
    killed = first.kill()
    eventually(lambda: goes_on(case, run), timeout=30, what="the attempt goes on")
    print(f"killed in {phase}: the attempt went on after {time.monotonic() - killed:.2f} s")
    assert case.attempts()[0].worker_id == worker_id(lone_engine, other)
    assert (case.attempts()[0].phase if phase != "monitoring" else phase) == phase
    hold.release()
    assert_done_once(case)


def worker_id(engine: Engine, worker: WorkerProcess) -> object:
    return engine.scalar("SELECT id FROM workers WHERE pid = :pid AND state = 'alive'", pid=worker.pid)


def test_a_worker_killed_while_its_command_had_worked_repeats_the_command_on_a_clean_base(lone_engine: Engine) -> None:
    worker = lone_engine.worker()
    case = lone_engine.customer()
    hold = case.hold()
    task = case.task(f"echo x >> x; echo ran >> {case.folder}/ran; {hold.script()}")
    case.start()
    hold.await_reached()
    worker.kill()
    hold.release()
    lone_engine.worker()
    assert_done_once(case, runs_of_the_command=2)
    attempt = case.attempt(task)
    assert "The interrupted work is kept as" in case.output(attempt)


def test_a_worker_that_is_stopped_cleanly_leaves_its_work_to_the_next_start(lone_engine: Engine) -> None:
    worker = lone_engine.worker()
    case, hold = held_case(lone_engine, "execution")
    worker.stop()
    case.assert_no_process_is_left()
    assert lone_engine.scalar("SELECT count(*) FROM workers WHERE state <> 'dead'") == 0
    assert case.attempts()[0].outcome is None
    lone_engine.worker()
    hold.release()
    assert_done_once(case)


@pytest.mark.parametrize("phase", ["execution", "delivery"])
def test_a_frozen_worker_that_wakes_up_is_fenced(lone_engine: Engine, phase: str) -> None:
    sleeper = lone_engine.worker()
    case, hold = held_case(lone_engine, phase)
    lone_engine.worker()
    sleeper.process.send_signal(signal.SIGSTOP)
    eventually(lambda: goes_on(case, 1), timeout=40)
    if phase == "execution":
        hold.release()
        assert_done_once(case)
        sleeper.process.send_signal(signal.SIGCONT)
    else:
        sleeper.process.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        hold.release()
        assert_done_once(case)
    eventually(lambda: "worker_declared_dead" in sleeper.log.read_text())
    eventually(lambda: worker_id(lone_engine, sleeper), what="it joins again")
    assert_done_once(case)
    later = case.task("echo later > later", title="Later")
    sleeper_only(lone_engine, sleeper)
    case.settled()
    assert case.view(later).status == "completed"


def sleeper_only(engine: Engine, worker: WorkerProcess) -> None:
    """End every other worker."""
    for other in engine.workers:
        if other is not worker and other.process.poll() is None:
            other.stop()


def test_a_worker_that_was_suspended_alone_goes_on_without_losing_its_run(lone_engine: Engine) -> None:
    worker = lone_engine.worker()
    case, hold = held_case(lone_engine, "execution")
    worker.process.send_signal(signal.SIGSTOP)
    time.sleep(4)  # longer than its leases
    worker.process.send_signal(signal.SIGCONT)
    time.sleep(1)
    hold.release()
    assert_done_once(case)
    assert case.attempts()[0].run in (1, 2)  # 2 is the watch over the delivery
    assert "worker_declared_dead" not in worker.log.read_text()


def test_an_attempt_that_ends_every_worker_is_given_up(lone_engine: Engine) -> None:
    lone_engine.worker()
    case, hold = held_case(lone_engine, "execution")
    lone_engine.scalar("UPDATE attempts SET run = 21 RETURNING 1")
    for worker in lone_engine.workers:
        worker.kill()
    lone_engine.worker()
    hold.release()
    case.settled()
    task, attempt = case.snapshot().tasks[0], case.attempts()[0]
    assert (task.status, attempt.outcome) == ("blocked", "lost")
    assert task.status_reason is not None and task.status_reason.code == "lost_too_often"
