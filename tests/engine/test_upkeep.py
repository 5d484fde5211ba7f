"""Old workspaces go by age and by size, and never before all of their state was read back from git."""

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from devteam.access.model import ENGINE
from devteam.entrypoints.worker import build_upkeep
from devteam.executions.schemas import AttemptView
from devteam.kit.clock import utc_now
from devteam.kit.db import sql
from devteam.kit.settings import UpkeepSettings
from tests.engine.world import Case, Engine, gate
from tests.integration.git_projects import git

GIT = "git -c user.name=E -c user.email=e@example.org"


def failed(engine: Engine, script: str = "echo new > new") -> tuple[Case, AttemptView, Path]:
    """A customer with a failed attempt, whose workspace is kept."""
    case = engine.customer(gates=[gate("[ ! -e new ]")])
    task = case.task(script)
    case.run()
    attempt = case.attempt(task)
    assert attempt.workspace_kept and attempt.workspace_path is not None, attempt.reason
    return case, attempt, Path(attempt.workspace_path)


def look(engine: Engine, *, days: float = 0.0, **settings: Any) -> list[UUID]:
    """What an upkeep clears away that looks so many days from now."""
    made = build_upkeep(
        engine.database, engine.data, UpkeepSettings(**settings), clock=lambda: utc_now() + timedelta(days=days)
    )
    return made.look()


def in_mirror(engine: Engine, case: Case, *words: str) -> str:
    return git(engine.data / "mirrors" / f"{case.project_id}.git", *words)


def test_kept_workspace_goes_after_its_time_and_its_newest_state_is_in_git(working: Engine) -> None:
    case, attempt, tree = failed(working)
    (tree / "found by hand").write_text("a person was here\n")
    assert attempt.id not in look(working, days=6.9)
    assert tree.is_dir()
    assert attempt.id in look(working, days=7.1)
    assert not tree.parent.exists()
    ref = f"refs/devteam/attempts/{attempt.id}/kept"
    assert in_mirror(working, case, "show", f"{ref}:found by hand") == "a person was here"
    assert in_mirror(working, case, "show", f"{ref}:new") == "new"
    after = case.attempt(attempt.task_id)
    assert (after.workspace_kept, after.workspace_path, after.version) == (False, None, attempt.version + 1)
    recorded = working.scalar(
        "SELECT data ->> 'commit' FROM events WHERE type = 'workspace_reclaimed' AND subject_id = :id", id=attempt.id
    )
    assert recorded == in_mirror(working, case, "rev-parse", ref)
    assert attempt.id not in look(working, days=30)


def test_above_the_limit_the_oldest_go_first(working: Engine) -> None:
    look(working, days=30)
    first, second = failed(working)[1], failed(working)[1]
    older, folder = (working.data / "workspaces" / str(each.id) / "tree" for each in (first, second))
    for place in (older, folder):
        (place / "large").write_bytes(b"x" * 1_000_000)
    assert look(working, workspaces_max_bytes=50_000_000) == []
    assert look(working, workspaces_max_bytes=1_500_000) == [first.id]
    assert not older.exists()
    assert folder.is_dir()
    assert look(working, workspaces_max_bytes=0) == [second.id]


def test_workspace_in_use_stays_however_old(working: Engine) -> None:
    case, attempt, tree = failed(working)
    with working.database.transaction() as connection:
        connection.execute(
            sql("UPDATE attempts SET taken_over_by = 'Ada', taken_over_at = now() WHERE id = :id"), {"id": attempt.id}
        )
    running = working.customer()
    hold = running.hold()
    running.task(hold.script())
    running.start()
    hold.await_reached()
    at_work = Path(running.in_phase("execution").workspace_path or working.data / "workspaces")
    assert not {attempt.id} & set(look(working, days=30, workspaces_max_bytes=0))
    assert tree.is_dir() and at_work.is_dir() and list((working.data / "workspaces").glob("*/tree"))
    hold.release()
    running.settled()
    assert case.attempt(attempt.task_id).workspace_kept


def test_what_cannot_be_proven_to_be_in_git_stays(working: Engine) -> None:
    case, attempt, tree = failed(working)
    mirror = working.data / "mirrors" / f"{case.project_id}.git"
    for record in (mirror / "devteam" / "worktrees").glob("*.json"):
        record.unlink()
    assert attempt.id not in look(working, days=30)
    assert (tree / "new").is_file() and case.attempt(attempt.task_id).workspace_kept


def test_commits_that_the_executor_made_are_kept_too(working: Engine) -> None:
    script = f"echo one > draft; git add draft; {GIT} commit -qm draft; rm draft; {GIT} commit -qam gone; exit 1"
    case, attempt, _ = failed(working, script)
    assert attempt.id in look(working, days=8)
    tip = f"refs/devteam/attempts/{attempt.id}/kept-commits"
    assert in_mirror(working, case, "log", "--format=%s", "-2", tip).splitlines() == ["gone", "draft"]
    assert in_mirror(working, case, "show", f"{tip}~1:draft") == "one"


def test_leftover_of_a_killed_clean_up_goes_and_strangers_stay(working: Engine) -> None:
    case, attempt, tree = failed(working)
    with working.database.transaction() as connection:
        connection.execute(sql("UPDATE attempts SET workspace_kept = false WHERE id = :id"), {"id": attempt.id})
    stranger = working.data / "workspaces" / "00000000-0000-7000-8000-000000000001" / "tree"
    stranger.mkdir(parents=True)
    assert attempt.id not in look(working)
    assert attempt.id in look(working, days=1)
    assert not tree.exists() and stranger.is_dir()
    assert case.attempt(attempt.task_id).outcome == "failed"


def test_mirror_is_packed_now_and_then_without_losing_what_nothing_refers_to(working: Engine) -> None:
    case = working.customer()
    case.task()
    case.run()
    mirror = working.data / "mirrors" / f"{case.project_id}.git"
    lost = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=mirror, input="lost", capture_output=True, text=True, check=True
    ).stdout.strip()
    look(working, days=40)
    assert "count: 0" in git(mirror, "count-objects", "-v").splitlines()
    assert git(mirror, "cat-file", "-p", lost) == "lost"
    stamp = (mirror / "devteam" / "repacked").read_text()
    look(working, days=46)
    assert (mirror / "devteam" / "repacked").read_text() == stamp
    working.tasks.get(ENGINE, case.task())
    case.settled()
