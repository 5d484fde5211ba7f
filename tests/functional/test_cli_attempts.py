"""The command line on a running engine: take a task over, commit by hand, hand back; run again, send back, compare."""

from pathlib import Path
from typing import Any

from tests.functional.test_cli_engine import Started, eventually, up
from tests.integration.git_projects import commit_files, git

__all__ = ["up"]


def customer(up: Started, name: str, *project: str) -> Path:
    """A customer with one project; its repository."""
    origin = up.cli.cwd / f"origin-{name.lower()}"
    origin.mkdir()
    git(origin, "init", "--quiet", "--initial-branch", "main")
    commit_files(origin, {"README": "Hello\n"})
    up.cli.ok("customer", "add", name)
    up.cli.ok("project", "add", name, "--repository", origin.name, "--gate", "good=! grep -q bad README", *project)
    return origin


def task(up: Started, name: str, status: str, attempts: int) -> dict[str, Any]:
    """The customer's one task, once it stands so after so many attempts."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = up.cli.inside("task", "list", name, "--json").json()
        return (found[0]["status"], found[0]["attempts"]) == (status, attempts)

    eventually(look, f"a task that is {status} after {attempts} attempts, not {found}")
    return found[0]


def test_work_is_taken_over_committed_by_hand_and_handed_back(up: Started) -> None:
    cli = up.cli
    origin = customer(up, "Hands", "--delivery-mode", "branch")
    cli.ok("task", "add", "Hands", "Say it", "--run", "echo bad >> README")
    cli.ok("start", "Hands")
    attempt_id = task(up, "Hands", "failed", 1)["lastAttemptId"]

    said = cli.ok("attempt", "checkout", "Hands", "--into", "mine")
    clone = cli.cwd / "mine"
    assert f"hand-back {attempt_id} --from mine" in said
    assert (clone / "README").read_text() == "Hello\nbad\n"
    assert git(clone, "remote", "get-url", "origin") == str(origin)
    assert task(up, "Hands", "pending", 1)["assignee"] is not None
    assert "is there already" in cli.refused("attempt", "checkout", "Hands", "--into", "mine")

    assert "no checkout" in cli.refused("attempt", "hand-back", "Hands", "--from", str(origin))
    (clone / "README").write_text("Hello\ngood\n")
    assert "not committed" in cli.refused("attempt", "hand-back", "Hands", "--from", "mine")
    git(clone, "commit", "--quiet", "--all", "--message", "Say it well")
    assert "handed back" in cli.ok("attempt", "hand-back", "Hands", "--from", "mine")

    done = task(up, "Hands", "completed", 2)
    view = cli.json("attempt", "artifacts", done["lastAttemptId"])
    assert view["attemptId"] == done["lastAttemptId"]
    branch = next(line.strip() for line in git(origin, "branch", "--list", "task/*").splitlines())
    assert git(origin, "log", "-1", "--format=%an %s", branch) == "Ann Say it well"
    compared = cli.ok("attempt", "compare", attempt_id, done["lastAttemptId"])
    assert "person" in compared and "post_task: good" in compared and "README" in compared
    assert "different tasks" not in compared


def test_failed_attempt_is_run_again_and_delivery_on_a_branch_sent_back(up: Started) -> None:
    cli = up.cli
    customer(up, "Again", "--delivery-mode", "branch")
    cli.ok("task", "add", "Again", "Count up", "--run", "echo bad >> README")
    cli.ok("start", "Again")
    first = task(up, "Again", "failed", 1)["lastAttemptId"]
    cli.ok("task", "edit", "Count up", "--customer", "Again", "--run", "sed -i s/bad/good/ README; echo more >> README")
    assert "run attempt 1 again" in cli.ok("attempt", "run-again", "Again", "--from-round", "1")
    second = task(up, "Again", "completed", 2)["lastAttemptId"]
    assert "completed" in cli.refused("attempt", "run-again", first)
    assert "sent attempt 2 back" in cli.ok("attempt", "send-back", "Again", "One more, please")
    third = task(up, "Again", "completed", 3)["lastAttemptId"]
    files = cli.json("attempt", "compare", second, third)["files"]
    assert [(file["path"], file["same"]) for file in files] == [("README", False)]


def test_task_is_released_without_any_work(up: Started) -> None:
    cli = up.cli
    customer(up, "Release")
    cli.ok("task", "add", "Release", "Try", "--run", "echo bad >> README")
    cli.ok("start", "Release")
    attempt_id = task(up, "Release", "failed", 1)["lastAttemptId"]
    assert "Nobody" in cli.refused("attempt", "release", attempt_id)
    cli.ok("attempt", "checkout", attempt_id, "--into", "released")
    assert "no commit" not in cli.ok("attempt", "release", attempt_id)
    task(up, "Release", "failed", 2)
