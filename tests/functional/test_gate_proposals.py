"""Gates proposed for real repositories, over HTTP and the command line."""

import shlex
from pathlib import Path

from devteam.access.model import Role
from tests.functional.test_cli import Running, running
from tests.functional.world import World
from tests.integration.git_projects import git

__all__ = ["running"]


def repository(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Begin")
    return folder


def test_proposals_name_what_was_found_where(world: World, tmp_path: Path) -> None:
    files = {
        "pyproject.toml": "[tool.pytest.ini_options]\n",
        "Makefile": "lint:\n\truff check\n",
        "big.py": "x" * 300_000,
    }
    found = world.admin.post("/gate-proposals", {"repository": str(repository(tmp_path / "r", files))})
    assert found.status_code == 200, found.text
    told = found.json()
    assert (told["baseBranch"], len(told["commit"])) == ("main", 40)
    assert [(each["gate"]["name"], each["gate"]["required"], each["file"]) for each in told["proposals"]] == [
        ("tests", True, "pyproject.toml"),
        ("lint", False, "Makefile"),
    ]


def test_what_cannot_be_read_is_refused_with_the_reason(world: World, tmp_path: Path) -> None:
    missing = world.admin.post("/gate-proposals", {"repository": str(tmp_path / "none")})
    assert (missing.status_code, missing.json()["errors"][0]["field"]) == (422, "repository")
    made = repository(tmp_path / "r", {"a": "b"})
    branch = world.admin.post("/gate-proposals", {"repository": str(made), "baseBranch": "nope"})
    assert (branch.status_code, branch.json()["errors"][0]["field"]) == (422, "baseBranch")
    assert world.caller(Role.VIEWER).post("/gate-proposals", {"repository": str(made)}).status_code == 403


def test_project_takes_the_gates_that_its_repository_suggests(running: Running, tmp_path: Path) -> None:
    cli = running.cli
    made = repository(tmp_path / "lib", {"tests/test_it.py": "", "go.mod": "module x\n"})
    shown = cli.ok("project", "propose-gates", str(made))
    assert "python -m pytest -q" in shown and "only warns" in shown and "tests/test_it.py" in shown
    assert "suggests none" in cli.ok("project", "propose-gates", str(repository(tmp_path / "bare", {"a": "b"})))
    cli.ok("customer", "add", "Proposed")
    project = cli.json(
        "project", "add", "Proposed", "--repository", str(made), "--proposed-gates", "--gate", "own=true"
    )
    commands = {gate["name"]: shlex.join(gate["argv"] or [gate["script"]]) for gate in project["gates"]}
    assert commands == {
        "own": "true",
        "tests": "python -m pytest -q",
        "tests 2": "go test ./...",
        "vet": "go vet ./...",
    }
