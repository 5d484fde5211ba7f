"""Attempts through all phases: a real worker process, real commands, real git."""

import os
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from devteam.access.model import ENGINE
from devteam.adapters.git.attempts import task_branch
from devteam.executions.model import Phase
from devteam.kit.db import sql
from devteam.projects.schemas import ProjectPatch
from devteam.workflows.merge_queue import turn_key
from devteam.workflows.run_attempt import MAX_BASE_MOVES
from tests.engine.world import Engine, eventually, gate, is_root
from tests.integration.git_projects import git

ON_BASE = 'case "$PWD" in */base-*) true;; *) false;; esac'


def test_a_task_goes_through_all_five_phases_and_is_delivered(working: Engine) -> None:
    case = working.customer(gates=[gate("grep -q hi a.txt || [ ! -e marker ]")])
    task = case.task("echo hi >> a.txt; touch marker; echo said", description="Say hi.")
    seen = case.run()
    attempt = seen.attempts[0]
    assert case.view(task).status == "completed"
    assert [span.phase for span in attempt.phases] == [
        "planning", "execution", "quality_assurance", "delivery", "monitoring",
    ]  # fmt: skip
    assert all(span.ended_at for span in attempt.phases)
    assert [a.ended_at for a in attempt.phases[:-1]] == [b.started_at for b in attempt.phases[1:]]
    assert (attempt.outcome, attempt.monitoring, attempt.branch) == ("succeeded", "passed", "main")
    assert attempt.commit == case.repository.head() == case.deliveries(attempt)[0]
    assert case.show("a.txt") == "one\nhi"
    message = git(case.repository.bare, "log", "-1", "--format=%B", "main")
    assert f"DevTeam-Task: {task}" in message and "DevTeam-Executor: command" in message and "Say hi." in message
    assert (attempt.files_changed, attempt.lines_added, attempt.lines_deleted) == (2, 1, 0)
    assert "said\n" in case.output(attempt)
    assert [(result.stage, result.name, result.passed) for result in attempt.gates] == [
        ("post_task", "check", True), ("post_task", "secret scan", True), ("post_merge", "check", True),
    ]  # fmt: skip
    assert not attempt.workspace_kept and not (working.data / "workspaces" / str(attempt.id)).exists()
    case.assert_no_process_is_left()


def test_a_failing_gate_fails_the_task_and_the_queue_goes_on_without_its_dependants(working: Engine) -> None:
    case = working.customer(gates=[gate("! grep -q bad a.txt", name="no bad")])
    bad = case.task("echo bad >> a.txt", title="Bad")
    waits = case.task(title="Waits", depends_on=[bad])
    deeper = case.task(title="Deeper", depends_on=[waits])
    good = case.task("echo good > b.txt", title="Good")
    seen = case.run()
    assert [case.view(task).status for task in (bad, waits, deeper, good)] == [
        "failed", "blocked", "blocked", "completed",
    ]  # fmt: skip
    reason = case.view(waits).status_reason
    assert reason is not None and (reason.code, reason.text) == ("dependency", "It depends on “Bad”, which is failed.")
    assert "which is blocked" in str(case.view(deeper).status_reason)
    failed = case.attempt(bad)
    assert failed.reason is not None and failed.reason.code == "gate_failed"
    assert failed.reason.text == "Gate no bad failed: It ended with exit code 1."
    assert failed.workspace_kept and Path(str(failed.workspace_path), "a.txt").read_text() == "one\nbad\n"
    assert seen.execution is not None and seen.execution.status_reason is not None
    assert seen.execution.status_reason.text == "Nothing more can run by itself: 1 failed and 2 blocked."
    assert "bad" not in case.show("a.txt")
    assert seen.customer.needs_you == 1


def test_a_command_that_passes_its_time_limit_is_ended_with_all_it_started(working: Engine) -> None:
    case = working.customer()
    script = "trap '' TERM; (trap '' TERM; setsid sleep 300) & echo started; while :; do sleep 1; done"
    task = case.task(script, time_limit=1)
    case.run()
    attempt = case.attempt(task)
    assert case.view(task).status == "failed"
    assert attempt.reason is not None and attempt.reason.code == "time_limit"
    assert "time limit" in attempt.reason.text
    case.assert_no_process_is_left()


def test_what_a_command_leaves_running_is_killed_and_the_work_counts(working: Engine) -> None:
    case = working.customer()
    task = case.task("(trap '' TERM; exec setsid sleep 300) & echo x > x.txt; exit 0")
    case.run()
    assert case.view(task).status == "completed" and case.show("x.txt") == "x"
    case.assert_no_process_is_left()


def test_output_that_is_no_text_is_kept_readable(working: Engine) -> None:
    case = working.customer()
    task = case.task(r"printf 'a\377\376b\000c\360\237\n'; echo d > d.txt")
    case.run()
    assert case.view(task).status == "completed"
    assert "a��b�c" in case.output(case.attempt(task))


def test_a_gate_whose_command_does_not_exist_fails_with_its_name(working: Engine) -> None:
    case = working.customer(gates=[{"name": "lint", "argv": ["no-such-linter", "."]}])
    task = case.task()
    case.run()
    reason = case.attempt(task).reason
    assert reason is not None and reason.text == "Gate lint failed: command not found: no-such-linter"


def test_a_gate_that_is_not_required_only_warns(working: Engine) -> None:
    case = working.customer(gates=[gate("exit 3", required=False)])
    task = case.task()
    case.run()
    assert case.view(task).status == "completed"
    assert [result.passed for result in case.attempt(task).gates if result.name == "check"] == [False, False]


def write_report(passed: str, failed: str = "") -> str:
    cases = "".join(f'<testcase name="{name}"/>' for name in passed.split())
    cases += "".join(f'<testcase name="{name}"><failure/></testcase>' for name in failed.split())
    return f"echo '<testsuite>{cases}</testsuite>' > \"$DEVTEAM_GATE_REPORT\""


def test_on_a_red_base_a_task_passes_that_breaks_nothing_and_fails_that_breaks_something(working: Engine) -> None:
    red = f"{write_report('t1 t2', 'old')}; [ ! -e breaks ] || {write_report('t1', 'old t2')}; exit 1"
    case = working.customer(gates=[gate(red, name="tests")])
    fine = case.task("echo fine > fine")
    breaks = case.task("touch breaks")
    case.run()
    assert (case.view(fine).status, case.view(breaks).status) == ("completed", "failed")
    first, result = case.attempt(fine).gates[:2]
    assert (first.stage, first.name, first.required) == ("pre_execution", "base is green", False)
    assert (result.passed, result.base_red) == (True, True)
    assert "red before" in result.text
    reason = case.attempt(breaks).reason
    assert reason is not None and "t2" in reason.text
    broken = case.attempt(breaks).gates[1].tests
    assert broken is not None and broken.broken == ["t2"]


def test_on_a_red_base_without_a_report_nothing_is_believed(working: Engine) -> None:
    case = working.customer(gates=[gate("exit 1")])
    task = case.task()
    case.run()
    assert case.view(task).status == "failed"
    assert case.attempt(task).gates[1].base_red is True


def test_a_pre_execution_gate_that_does_not_hold_blocks_the_task_before_any_work(working: Engine) -> None:
    case = working.customer(gates=[gate("exit 7", name="ready", stage="pre_execution")])
    task = case.task("touch ran")
    case.run()
    view, attempt = case.view(task), case.attempt(task)
    assert (view.status, attempt.phase) == ("blocked", "planning")
    assert view.status_reason is not None and view.status_reason.code == "pre_execution_gate"
    assert "exit code 7" in view.status_reason.text


CRITERIA: list[tuple[dict[str, object], bool]] = [
    ({"type": "command", "script": "test -e new"}, True),
    ({"type": "command", "argv": ["test", "-e", "missing"]}, False),
    ({"type": "file", "path": "new"}, True),
    ({"type": "file", "path": "missing"}, False),
    ({"type": "file", "path": "a.txt", "exists": False}, False),
    ({"type": "regex", "path": "new", "pattern": "^x+$"}, True),
    ({"type": "regex", "path": "new", "pattern": "y"}, False),
    ({"type": "regex", "path": "new", "pattern": "y", "present": False}, True),
    ({"type": "regex", "path": "missing", "pattern": "y", "present": False}, False),
    ({"type": "regex", "path": "folder", "pattern": "y", "present": False}, False),
    ({"type": "file", "path": "out"}, False),
    ({"type": "regex", "path": "out", "pattern": "root"}, False),
    ({"type": "file", "path": "n" * 300}, False),
    ({"type": "file", "path": "loop/x", "exists": False}, True),
]


def test_each_acceptance_criterion_is_judged_and_all_must_hold(working: Engine) -> None:
    case = working.customer()
    script = "echo xxx > new; ln -s /etc/passwd out; ln -s loop loop; mkdir folder; touch folder/f"
    every = case.task(script, acceptance_criteria=[criterion for criterion, _ in CRITERIA])
    holding = case.task(f"rm -rf *; {script}", acceptance_criteria=[c for c, holds in CRITERIA if holds])
    case.run()
    results = [result for result in case.attempt(every).gates if result.stage == "acceptance"]
    assert [(r.name, r.passed) for r in results] == [
        (f"criterion {number}", holds) for number, (_, holds) in enumerate(CRITERIA, start=1)
    ], [result.text for result in results]
    assert (case.view(every).status, case.view(holding).status) == ("failed", "completed")
    reason = case.attempt(every).reason
    assert reason is not None and reason.text == "Acceptance criterion 2 failed: It ended with exit code 1."


def test_a_pattern_that_searches_for_ever_is_ended(working: Engine) -> None:
    case = working.customer()
    other = working.customer()
    slow = case.task(
        "head -c 60000 /dev/zero | tr '\\0' a > a.txt; echo b >> a.txt",
        acceptance_criteria=[{"type": "regex", "path": "a.txt", "pattern": "(a+)+$(?!\n)"}],
    )
    quick = other.task()
    case.start()
    case.in_phase("quality_assurance")
    other.run()  # the worker is alive meanwhile
    case.settled(90)
    assert other.view(quick).status == "completed"
    assert case.view(slow).status == "failed"
    assert "time limit" in str(case.attempt(slow).reason)


def test_a_branch_delivery_that_nobody_merges_ends_as_not_merged(working: Engine) -> None:
    case = working.customer(delivery_mode="branch")
    task = case.task(title="On a branch")
    case.run()
    attempt = case.attempt(task)
    assert (attempt.branch, attempt.monitoring) == (task_branch(task, "On a branch"), "not_merged")
    assert case.repository.head(str(attempt.branch)) == attempt.commit
    assert case.repository.head() != attempt.commit


def test_a_branch_that_a_person_merges_is_watched_from_then_on_and_passes(working: Engine) -> None:
    case = working.customer(delivery_mode="branch", monitoring_window_seconds=3600, gates=[gate("true")])
    task = case.task()
    case.start()
    eventually(lambda: case.view(task).status == "completed")
    attempt = case.attempt(task)
    eventually(lambda: working.scalar("SELECT monitor_at > now() FROM attempts WHERE id = :id", id=attempt.id))
    git(case.repository.clone, "fetch", "--quiet")
    git(case.repository.clone, "merge", "--quiet", "--ff-only", f"origin/{attempt.branch}")
    git(case.repository.clone, "push", "--quiet", "origin", "main")
    soon = "UPDATE attempts SET monitor_at = now(), monitor_until = now() WHERE id = :id RETURNING 1"
    assert working.scalar(soon, id=attempt.id) == 1
    eventually(lambda: case.attempt(task).monitoring != "watching")
    assert case.attempt(task).monitoring == "passed"
    assert [(result.stage, result.passed) for result in case.attempt(task).gates][-1] == ("post_merge", True)


def test_a_merge_commit_delivery_leaves_a_merge_on_the_base(working: Engine) -> None:
    case = working.customer(delivery_mode="merge_commit", gates=[gate("true")])
    task = case.task()
    case.run()
    attempt = case.attempt(task)
    parents = git(case.repository.bare, "log", "-1", "--format=%P", "main").split()
    assert attempt.merged_commit == case.repository.head() and parents[1] == attempt.commit
    assert attempt.monitoring == "passed"


def pushes_once(folder: Path, repository: Path, change: str, *, when: str = "[ -e new ]") -> str:
    """A gate's script that pushes a commit to the base while the work is verified, once per file of `folder`."""
    return (
        f"{when} && [ ! -e {folder}/pushed ] && touch {folder}/pushed && cd {folder} && rm -rf other"
        f" && git -c safe.directory=* clone -q {repository} other && cd other && {change}"
        " && git add -A && git -c user.name=x -c user.email=x@y commit -qm moved && git push -q origin main; true"
    )


def test_work_on_a_base_that_moved_is_rebased_verified_again_and_delivered(working: Engine) -> None:
    case = working.customer()
    script = pushes_once(case.folder, case.repository.bare, "echo theirs > theirs")
    working.projects.edit(ENGINE, case.project_id, ProjectPatch.model_validate({"gates": [gate(script)]}))
    task = case.task("echo new > new")
    case.run()
    attempt = case.attempt(task)
    assert case.view(task).status == "completed", attempt.reason
    assert case.subjects()[0].endswith("Change") and case.subjects()[1] == "moved"
    assert [span.phase for span in attempt.phases].count(Phase.QUALITY_ASSURANCE) == 2
    assert (attempt.round, case.show("theirs"), case.show("new")) == (2, "theirs", "new")


def test_work_that_conflicts_with_the_moved_base_blocks_the_task(working: Engine) -> None:
    case = working.customer()
    script = pushes_once(case.folder, case.repository.bare, "echo theirs > a.txt")
    working.projects.edit(ENGINE, case.project_id, ProjectPatch.model_validate({"gates": [gate(script)]}))
    task = case.task("echo ours > a.txt; touch new")
    case.run()
    reason = case.view(task).status_reason
    assert reason is not None and reason.code == "merge_conflict"
    assert reason.text == "The base moved on and both sides changed a.txt."
    assert case.attempt(task).workspace_kept and case.show("a.txt") == "theirs"


def test_a_base_that_keeps_moving_blocks_the_task(working: Engine) -> None:
    case = working.customer()
    script = f"rm -f {case.folder}/pushed; " + pushes_once(
        case.folder, case.repository.bare, "date +%s%N > theirs", when=f"[ -e new ] && ! {{ {ON_BASE}; }}"
    )
    working.projects.edit(ENGINE, case.project_id, ProjectPatch.model_validate({"gates": [gate(script)]}))
    task = case.task("echo new > new")
    case.run()
    reason = case.view(task).status_reason
    assert reason is not None and reason.code == "base_keeps_moving"
    assert case.attempt(task).round == 1 + MAX_BASE_MOVES


def test_a_push_that_comes_between_our_look_and_our_push_means_another_round(working: Engine) -> None:
    """The repository takes somebody else's commit at the very moment of ours, which git then refuses."""
    case = working.customer(author_name="Ada Lovelace", author_email="ada@example.org", gates=[gate("true")])
    theirs, bare = case.folder / "racer", case.repository.bare
    git(case.folder, "clone", "--quiet", str(bare), str(theirs))
    racer = f"""
        [ -e {case.folder}/raced ] && exit 0
        touch {case.folder}/raced
        unset GIT_QUARANTINE_PATH $(git rev-parse --local-env-vars)
        cd {theirs}
        echo theirs > theirs
        git add theirs
        git -c user.name=R -c user.email=r@example.org commit --quiet --message moved
        git push --quiet origin HEAD:main >&2
    """
    case.hook(racer)
    task = case.task("echo new > new")
    case.run()
    attempt = case.attempt(task)
    assert case.view(task).status == "completed", (attempt.reason, case.output(attempt))
    assert case.subjects()[0].endswith("Change") and case.subjects()[1] == "moved"
    assert (attempt.round, case.show("theirs"), case.show("new")) == (2, "theirs", "new")
    assert len(case.deliveries(attempt)) == 1


def test_delivery_waits_for_its_turn_on_the_branch(working: Engine) -> None:
    case = working.customer()
    task = case.task("echo new > new")
    key = turn_key(str(case.repository.bare), "main")
    with working.database.statement() as connection:
        assert connection.execute(sql("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one()
        case.start()
        case.in_phase("delivery")
        assert not case.deliveries(case.attempt(task))
        connection.execute(sql("SELECT pg_advisory_unlock(:key)"), {"key": key})
    case.settled()
    assert case.attempt(task).outcome == "succeeded"


def test_delivered_commit_names_its_author_and_carries_readable_trailers(working: Engine) -> None:
    case = working.customer(
        author_name="Ada Lovelace",
        author_email="ada@example.org",
        gates=[gate("true", name="tests"), gate("true", name="lint"), gate("false", name="slow", required=False)],
    )
    task = case.task("echo new > new", description="As asked:\n\n---\nNo-Trailer: of ours\n\n# ---- >8 ----\nDone.")
    case.run()
    attempt = case.attempt(task)
    assert attempt.commit is not None
    shown = git(case.repository.bare, "log", "-1", "--format=%an <%ae> by %cn", attempt.commit)
    assert shown == "Ada Lovelace <ada@example.org> by DevTeam"
    message = git(case.repository.bare, "log", "-1", "--format=%B", attempt.commit)
    parsed = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input=message, capture_output=True, text=True, check=True
    )
    assert parsed.stdout.splitlines() == [
        f"DevTeam-Task: {task}",
        f"DevTeam-Attempt: {attempt.id}",
        "DevTeam-Executor: command",
        "DevTeam-Gates: tests, lint, secret scan",
    ]


@pytest.mark.parametrize(
    "identity",
    [
        {"authorName": "Ada\nCommitter: x"},
        {"authorName": "<ada>"},
        {"authorName": "..."},
        {"authorEmail": "ada"},
        {"authorEmail": "a b@c"},
        {"authorEmail": "a@b>"},
    ],
    ids=str,
)
def test_identity_that_git_could_misread_is_refused(identity: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ProjectPatch.model_validate(identity)


@pytest.mark.parametrize("mode", ["fast_forward", "merge_commit"])
def test_a_regression_after_the_merge_is_reverted_and_fails_the_task(working: Engine, mode: str) -> None:
    case = working.customer(
        delivery_mode=mode, gates=[gate(f"if [ -e new ] && {{ {ON_BASE}; }}; then echo broke; exit 1; fi", name="late")]
    )
    task = case.task("echo new > new", title="Breaks later")
    after = case.task("echo after > after", title="After", depends_on=[task])
    case.start()
    eventually(lambda: case.attempt(task).monitoring == "regressed" if case.attempts() else False)
    case.settled()
    attempt, view = case.attempt(task), case.view(task)
    assert view.status == "failed" and view.status_reason is not None
    assert view.status_reason.code == "regression"
    assert view.status_reason.text == (
        "After the merge gate late fails on main: It ended with exit code 1. The delivery was reverted."
    )
    assert attempt.outcome == "succeeded" and attempt.revert_commit is not None
    assert attempt.revert_commit in git(case.repository.bare, "rev-list", "main")
    assert "new" not in git(case.repository.bare, "ls-tree", "--name-only", "main").splitlines()
    assert case.view(after).status in ("blocked", "completed", "failed")


def test_nothing_to_change_completes_the_task_without_a_commit(working: Engine) -> None:
    case = working.customer()
    head = case.repository.head()
    task = case.task("true")
    case.run()
    attempt = case.attempt(task)
    assert case.view(task).status == "completed" and attempt.monitoring == "skipped"
    assert attempt.reason is not None and attempt.reason.text == "Nothing needed to change."
    assert (attempt.commit, case.repository.head()) == (None, head)


def test_a_task_without_a_command_is_blocked(working: Engine) -> None:
    case = working.customer()
    task = case.task("")
    case.run()
    reason = case.view(task).status_reason
    assert reason is not None and reason.code == "no_command"


def test_a_repository_that_vanished_blocks_the_task_with_a_reason(working: Engine) -> None:
    case = working.customer()
    task = case.task(f"mv {case.repository.bare} {case.repository.bare}.gone; echo x > x")
    case.run()
    view = case.view(task)
    assert view.status == "blocked" and view.status_reason is not None
    assert view.status_reason.code == "git_repository_not_found"
    os.rename(f"{case.repository.bare}.gone", case.repository.bare)
    working.executions.retry_task(ENGINE, task)
    working.tasks.get(ENGINE, task)
    case.settled()
    assert case.attempt(task).number == 2


@pytest.mark.skipif(not is_root(), reason="only root can mount a small file system")
def test_a_full_disk_blocks_the_task_and_says_so(lone_engine: Engine) -> None:
    small = lone_engine.data / "workspaces"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        lone_engine.worker()
        case = lone_engine.customer(gates=[gate("[ ! -e x ] || { dd if=/dev/zero of=../fill bs=4k; exit 1; }")])
        full, later = case.task("echo x > x"), case.task()
        case.run()
        assert case.view(full).status in ("failed", "blocked")
        reason = case.view(later).status_reason
        assert case.view(later).status == "blocked" and reason is not None
        assert reason.code in ("git_disk_full", "disk_full") and "full" in reason.text
        case.assert_no_process_is_left()
    finally:
        lone_engine.close()
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_the_worker_met_no_error_of_its_own(working: Engine) -> None:
    """Last in this file: everything above was told to people as reasons, nothing went wrong inside."""
    errors = [e for worker in working.workers for e in worker.errors() if e["event"] != "attempt_error"]
    assert errors == []
    inside = [e for worker in working.workers for e in worker.errors() if e.get("code") == "internal_error"]
    assert inside == []
