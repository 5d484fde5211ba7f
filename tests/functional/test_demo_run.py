"""`devteam demo` from its command line to commits in the repository, on a repository of one's own."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SECONDS = 110


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the database's account can reach, which pytest's own is not for root."""
    with tempfile.TemporaryDirectory(prefix="devteam-demo-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.timeout(SECONDS + 60)
def test_the_demo_works_through_a_repository_and_tells_what_became_of_it(folder: Path) -> None:
    source = folder / "sums"
    source.mkdir()
    (source / "sums.py").write_text("import os\n\n\ndef add(a, b):   \n    return a + b\n")
    (source / "test_sums.py").write_text("from sums import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n")
    git(source, "init", "-q", "-b", "trunk")
    git(source, "add", ".")
    git(source, "-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-qm", "first")
    before = git(source, "rev-parse", "trunk")

    summary = folder / "summary.json"
    command = [sys.executable, "-m", "devteam", "demo", "--data", str(folder / "data"), "--exit-when-done"]
    command += ["--no-browser", "--summary", str(summary), "--repository", str(source)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(summary.read_text())
    (customer,) = told["customers"]
    origin = Path(customer["origin"])
    tasks = {task["title"]: task for task in customer["tasks"]}
    dropped = tasks["Drop unused imports"]
    assert dropped["status"] == "completed"
    assert git(origin, "rev-parse", dropped["branch"]) == dropped["commit"]
    assert "import os" not in git(origin, "show", f"{dropped['commit']}:sums.py")
    assert [(gate["name"], gate["passed"]) for gate in dropped["gates"]] == [("tests", True)]
    assert set(dropped["phase_times"]) == {"planning", "execution", "quality_assurance", "delivery", "monitoring"}
    assert git(source, "rev-parse", "trunk") == before
    assert told["seconds"] > 0
    left = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
