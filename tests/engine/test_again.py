"""Attempts that go on from earlier ones: run again, sent back, taken over by a person and handed back."""

import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from devteam.access.model import ENGINE, Actor, Role
from devteam.adapters.git.bundles import GitBundles
from devteam.executions.again import Again, RequestedAttempt, RunAgainInput
from devteam.executions.schemas import AttemptView
from devteam.executions.take_over import TakeOver
from devteam.kit.clock import utc_now
from devteam.kit.db import sql
from devteam.kit.errors import Conflict, Forbidden, Invalid
from devteam.kit.ids import new_id
from devteam.projects.schemas import ExecutorKind
from devteam.tasks.schemas import TaskPatch
from tests.engine.world import Case, Engine, eventually, gate
from tests.integration.git_projects import git

NO_BAD = gate("! grep -q bad a.txt", name="no bad")
ANNA = Actor(user_id=new_id(), name="Anna", role=Role.DEVELOPER, customers=None)


class Desk:
    """What a developer does, on an engine with a worker."""

    def __init__(self, engine: Engine) -> None:
        self.again = Again(engine.database, utc_now)
        self.hands = TakeOver(engine.database, utc_now, GitBundles(engine.data / "mirrors"))

    def clone(self, attempt: AttemptView, folder: Path) -> Path:
        """The attempt's work in a clone of the person's own."""
        into = folder / f"clone-{attempt.number}"
        with self.hands.bundle(ANNA, attempt.id, "whole") as bundle:
            git(folder, "clone", "--quiet", str(bundle), str(into))
        return into

    def bundle(self, clone: Path, since: str) -> bytes:
        file = clone.parent / "back.bundle"
        git(clone, "bundle", "create", "--quiet", str(file), "HEAD", f"^{since}")
        return file.read_bytes()


def commit_by_hand(clone: Path, files: dict[str, str], message: str) -> str:
    for name, content in files.items():
        (clone / name).write_text(content)
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "-m", message)
    return git(clone, "rev-parse", "HEAD")


@pytest.fixture
def desk(working: Engine) -> Desk:
    return Desk(working)


def failed(case: Case, script: str = "echo bad >> a.txt; echo more > b.txt") -> tuple[UUID, AttemptView]:
    """A task whose first attempt failed at the gate."""
    task = case.task(script, title="Say it well")
    case.run()
    attempt = case.attempt(task)
    assert (case.view(task).status, attempt.outcome) == ("failed", "failed"), case.output(attempt)
    return task, attempt


def edit_command(case: Case, task: UUID, script: str) -> None:
    case.engine.tasks.edit(ENGINE, task, TaskPatch.model_validate({"command": {"script": script}}))


def ended(case: Case, task: UUID, number: int) -> AttemptView:
    """The attempt of that number, when it has ended and nothing of it is watched."""

    def look() -> AttemptView | None:
        attempt = case.attempt(task)
        done = attempt.number == number and attempt.outcome is not None and attempt.monitoring != "watching"
        return attempt if done else None

    return eventually(look, what=f"attempt {number} ended")


def test_attempt_is_run_again_from_the_files_that_a_round_left(working: Engine, desk: Desk) -> None:
    case = working.customer(gates=[NO_BAD])
    task, first = failed(case)
    assert [saved.round for saved in first.rounds] == [1]
    edit_command(case, task, "sed -i s/bad/good/ a.txt")
    asked = desk.again.run_again(ANNA, first.id, RunAgainInput(from_round=1))
    assert asked.request.start_commit == first.rounds[0].work_commit
    second = ended(case, task, 2)
    assert (second.outcome, case.view(task).status) == ("succeeded", "completed"), case.output(second)
    assert case.show("a.txt") == "one\ngood" and case.show("b.txt") == "more"
    assert second.request is not None
    assert (second.request.base_attempt_id, second.request.from_round, second.request.author) == (first.id, 1, "Anna")
    assert len(case.subjects()) == 2, "one delivery, whatever it was made in"
    kept = {attempt.id: attempt.outcome for attempt in case.attempts()}
    assert kept[first.id] == "failed"
    assert case.output(first) != case.output(second)


def test_attempt_is_run_again_afresh_and_only_when_nothing_runs(working: Engine, desk: Desk) -> None:
    case = working.customer(gates=[NO_BAD])
    task, first = failed(case)
    hold = case.hold()
    edit_command(case, task, f"{hold.script()}; echo good >> a.txt")
    desk.again.run_again(ANNA, first.id, RunAgainInput())
    hold.await_reached()
    with pytest.raises(Conflict, match="Another attempt at the task runs"):
        desk.again.run_again(ANNA, first.id, RunAgainInput())
    running = case.in_phase("execution")
    with pytest.raises(Conflict, match="still runs"):
        desk.again.run_again(ANNA, running.id, RunAgainInput())
    hold.release()
    second = ended(case, task, 2)
    assert second.outcome == "succeeded" and case.show("a.txt") == "one\ngood"
    with pytest.raises(Conflict, match="completed"):
        desk.again.run_again(ANNA, second.id, RunAgainInput())


def test_points_and_executors_that_are_not_there_are_refused(working: Engine, desk: Desk) -> None:
    case = working.customer(gates=[NO_BAD])
    _, first = failed(case)
    for wanted, sentence in (
        (RunAgainInput(from_round=7), "no saved work of round 7"),
        (RunAgainInput(from_ordinal=3), "no entry 3"),
        (RunAgainInput(from_round=1, from_ordinal=1), "not both"),
        (RunAgainInput(executor=ExecutorKind.ACP), "agentCommand"),
    ):
        with pytest.raises(Invalid, match=sentence):
            desk.again.run_again(ANNA, first.id, wanted)
    viewer = Actor(user_id=new_id(), name="Vera", role=Role.VIEWER, customers=None)
    with pytest.raises(Forbidden):
        desk.again.run_again(viewer, first.id, RunAgainInput())


def test_delivery_on_a_branch_that_is_sent_back_gets_a_second_commit(working: Engine, desk: Desk) -> None:
    case = working.customer(gates=[NO_BAD], delivery_mode="branch")
    task = case.task("echo first >> a.txt", title="Branch it")
    case.run()
    first = case.attempt(task)
    assert first.outcome == "succeeded" and first.branch is not None
    edit_command(case, task, "echo second >> a.txt")
    asked = desk.again.send_back(ANNA, first.id, "The second line is missing.")
    assert asked.task.status_reason is not None
    assert "sent attempt 1 back" in asked.task.status_reason.text
    second = ended(case, task, 2)
    assert (second.outcome, second.branch) == ("succeeded", first.branch), case.output(second)
    assert git(case.repository.bare, "rev-parse", f"{second.commit}^") == first.commit
    assert case.show("a.txt", first.branch) == "one\nfirst\nsecond"
    assert len(case.subjects(first.branch)) == 3


def test_merged_delivery_is_not_sent_back(working: Engine, desk: Desk) -> None:
    case = working.customer()
    task = case.task()
    case.run()
    with pytest.raises(Conflict, match="merged"):
        desk.again.send_back(ANNA, case.attempt(task).id, "No.")


# --- by hand ---


def taken(case: Case, desk: Desk, task: UUID) -> AttemptView:
    """Take the task's newest attempt over and wait until it has ended."""
    desk.hands.take_over(ANNA, case.attempt(task).id)
    return eventually(lambda: a if (a := case.attempt(task)).outcome is not None else None, what="it was stopped")


def test_running_attempt_is_taken_over_and_handed_back_through_the_gates(working: Engine, desk: Desk) -> None:
    case = working.customer(gates=[gate("grep -q whole a.txt", name="whole")])
    hold = case.hold()
    task = case.task(f"echo half >> a.txt; {hold.script()}", title="Half")
    case.start()
    hold.await_reached()
    first = taken(case, desk, task)
    view = case.view(task)
    assert (first.outcome, first.taken_over_by) == ("cancelled", "Anna")
    assert (view.status, view.assignee) == ("pending", "Anna")
    case.assert_no_process_is_left()

    clone = desk.clone(first, case.folder)
    assert (clone / "a.txt").read_text() == "one\nhalf\n"
    assert first.base_commit is not None
    one = commit_by_hand(clone, {"a.txt": "one\nwhole\n"}, "Say the whole of it")
    two = commit_by_hand(clone, {"c.txt": "c\n"}, "And add c")
    asked = desk.hands.hand_back(ANNA, first.id, desk.bundle(clone, first.base_commit))
    assert asked.request.start_commit == two
    second = ended(case, task, 2)
    assert (second.outcome, second.executor, second.commit) == ("succeeded", "person", two), case.output(second)
    assert ("whole", True) in [(g.name, g.passed) for g in second.gates if g.stage == "post_task"]
    assert [span.phase for span in second.phases] == [
        "planning", "execution", "quality_assurance", "delivery", "monitoring",
    ]  # fmt: skip
    authors = git(case.repository.bare, "log", "-2", "--format=%an <%ae> %s", "main").splitlines()
    assert authors == ["Ann <ann@example.test> And add c", "Ann <ann@example.test> Say the whole of it"]
    assert one in git(case.repository.bare, "rev-list", "main").splitlines()
    assert (case.view(task).status, case.view(task).assignee) == ("completed", None)
    assert case.attempts()[-1].taken_over_by is None


def test_commits_handed_back_keep_their_author_when_the_base_has_moved(working: Engine, desk: Desk) -> None:
    case = working.customer(gates=[NO_BAD])
    task, _ = failed(case)
    first = taken(case, desk, task)
    clone = desk.clone(first, case.folder)
    commit_by_hand(clone, {"a.txt": "one\nbetter\n"}, "Better")
    case.task("echo x > x.txt", title="Meanwhile")
    case.settled()
    assert first.base_commit is not None
    desk.hands.hand_back(ANNA, first.id, desk.bundle(clone, first.base_commit))
    second = ended(case, task, 2)
    assert second.outcome == "succeeded", case.output(second)
    shown = git(case.repository.bare, "log", "-1", "--format=%an %s", "main")
    assert shown == "Ann Better"
    assert case.show("a.txt") == "one\nbetter" and case.show("x.txt") == "x"


def test_regression_by_a_persons_commits_takes_all_of_them_back(working: Engine, desk: Desk) -> None:
    only_after_the_merge = 'case "$PWD" in */base-*) [ ! -e c.txt ];; *) ! grep -q bad a.txt;; esac'
    case = working.customer(gates=[gate(only_after_the_merge)])
    task, _ = failed(case)
    first = taken(case, desk, task)
    clone = desk.clone(first, case.folder)
    commit_by_hand(clone, {"a.txt": "one\nbetter\n"}, "Better")
    commit_by_hand(clone, {"c.txt": "c\n"}, "And c")
    assert first.base_commit is not None
    desk.hands.hand_back(ANNA, first.id, desk.bundle(clone, first.base_commit))
    second = ended(case, task, 2)
    assert (second.monitoring, case.view(task).status) == ("regressed", "failed"), case.output(second)
    assert second.revert_commit == case.repository.head()
    assert git(case.repository.bare, "diff", first.base_commit, "main") == "", "nothing of the work is left"


def test_gate_that_fails_on_what_was_handed_back_fails_the_task(working: Engine, desk: Desk) -> None:
    case = working.customer(gates=[NO_BAD])
    task, _ = failed(case)
    first = taken(case, desk, task)
    clone = desk.clone(first, case.folder)
    commit_by_hand(clone, {"b.txt": "still bad\n"}, "Not enough")
    assert first.base_commit is not None
    desk.hands.hand_back(ANNA, first.id, desk.bundle(clone, first.base_commit))
    second = ended(case, task, 2)
    assert (second.outcome, case.view(task).status) == ("failed", "failed")
    assert second.reason is not None and "no bad" in second.reason.text
    assert case.subjects() == ["Begin"]
    assert taken(case, desk, task).id == second.id, "it can be taken over again"
    assert (desk.clone(case.attempt(task), case.folder) / "b.txt").read_text() == "still bad\n"


def test_task_that_is_held_waits_and_goes_on_when_it_is_released(working: Engine, desk: Desk) -> None:
    case = working.customer(gates=[NO_BAD])
    task, _ = failed(case)
    first = taken(case, desk, task)
    edit_command(case, task, "echo good >> a.txt")
    other = case.task(title="Other")
    case.settled()
    assert case.view(task).status == "pending", "the engine leaves it alone"
    assert case.view(other).status == "completed"
    bob = Actor(user_id=new_id(), name="Bob", role=Role.DEVELOPER, customers=None)
    with pytest.raises(Conflict, match="Anna has taken"):
        desk.hands.take_over(bob, first.id)
    with pytest.raises(Conflict, match="Anna has taken"):
        desk.again.run_again(bob, first.id, RunAgainInput())
    with pytest.raises(Forbidden):
        desk.hands.release(bob, first.id)
    desk.hands.release(ANNA, first.id)
    second = ended(case, task, 2)
    assert (second.outcome, second.executor, second.request) == ("succeeded", "command", None)


@pytest.fixture
def held(working: Engine, desk: Desk) -> tuple[Case, AttemptView, Path]:
    """An attempt that was taken over, and a clone of it."""
    case = working.customer(gates=[NO_BAD])
    task, _ = failed(case)
    first = taken(case, desk, task)
    return case, first, desk.clone(first, case.folder)


def refused(desk: Desk, attempt: AttemptView, bundle: bytes) -> str:
    with pytest.raises(Invalid) as caught:
        desk.hands.hand_back(ANNA, attempt.id, bundle)
    return caught.value.code


def test_bundles_that_are_not_sound_are_refused_and_change_nothing(
    held: tuple[Case, AttemptView, Path], desk: Desk
) -> None:
    case, first, clone = held
    base = first.base_commit
    assert base is not None
    commit_by_hand(clone, {"a.txt": "one\n", "big.bin": "0" * 1000}, "Sound")
    sound = desk.bundle(clone, base)
    header, _, pack = sound.partition(b"\n\n")
    assert refused(desk, first, b"") == refused(desk, first, b"no bundle at all" * 100) == "bad_bundle"
    assert refused(desk, first, sound[:-200]) == "bad_bundle", "cut off"
    middle = len(pack) // 2
    assert refused(desk, first, header + b"\n\n" + pack[:middle] + b"\xff" + pack[middle + 1 :]) == "bad_bundle"
    assert refused(desk, first, header.replace(b"HEAD", b"refs/tags/x") + b"\n\n" + pack) == "bad_bundle"

    git(clone, "checkout", "--quiet", "--orphan", "elsewhere")
    commit_by_hand(clone, {"new.txt": "n\n"}, "Another history")
    file = clone.parent / "orphan.bundle"
    git(clone, "bundle", "create", "--quiet", str(file), "HEAD")
    assert refused(desk, first, file.read_bytes()) == "wrong_base"

    nothing = subprocess.run(
        ["git", "bundle", "create", "--quiet", str(file), f"{base}"], cwd=clone, capture_output=True, check=False
    )
    assert nothing.returncode != 0 or refused(desk, first, file.read_bytes()) == "bad_bundle"
    assert case.attempt(first.task_id).taken_over_by == "Anna"
    answer: RequestedAttempt = desk.hands.hand_back(ANNA, first.id, sound)
    assert ended(case, first.task_id, 2).outcome == "succeeded", answer


def test_bundle_with_a_tree_that_would_write_into_git_is_refused(
    held: tuple[Case, AttemptView, Path], desk: Desk
) -> None:
    _, first, clone = held
    blob = (
        subprocess.run(
            ["git", "hash-object", "-w", "--stdin"], cwd=clone, input=b"#!/bin/sh\n", capture_output=True, check=True
        )
        .stdout.decode()
        .strip()
    )
    entry = f"100755 {'.git'}\0".encode() + bytes.fromhex(blob)
    tree = subprocess.run(
        ["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"],
        cwd=clone, input=entry, capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    bad = git(clone, "commit-tree", tree, "-p", "HEAD", "-m", "Evil")
    git(clone, "update-ref", "HEAD", bad)
    assert first.base_commit is not None
    assert refused(desk, first, desk.bundle(clone, first.base_commit)) == "bad_bundle"


def test_work_with_an_open_critical_incident_is_not_gone_on_with(working: Engine, desk: Desk) -> None:
    case = working.customer(gates=[NO_BAD])
    task, first = failed(case)
    with working.database.transaction() as connection:
        connection.execute(
            sql(
                """INSERT INTO incidents (id, customer_id, project_id, task_id, attempt_id, class, code, title, status,
                       opened_at, last_at)
                   VALUES (:id, :customer, :project, :task, :attempt, 'CRITICAL', 'escape', 'It left its fence', 'open',
                       now(), now())"""
            ),
            {
                "id": new_id(),
                "customer": case.customer_id,
                "project": case.project_id,
                "task": task,
                "attempt": first.id,
            },
        )
    with pytest.raises(Conflict, match="It left its fence"):
        desk.again.run_again(ANNA, first.id, RunAgainInput(from_round=1))
    with pytest.raises(Conflict, match="It left its fence"):
        desk.again.send_back(ANNA, first.id, "Go on.")
    desk.again.run_again(ANNA, first.id, RunAgainInput())
    assert ended(case, task, 2).reason is not None, "afresh it may be"
