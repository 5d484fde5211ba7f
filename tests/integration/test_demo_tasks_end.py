"""Every task of the demo ends as it was measured to: real packages, real tools, their own test suites.

No engine takes part: this holds the data true, so that a surprise in the demo is the engine's.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import pytest

from devteam.demo.importer import import_package
from devteam.demo.model import DemoCustomer, DemoTask, Expectation
from devteam.demo.packages import DemoUnavailable, fetch_packages
from devteam.demo.tasks import CUSTOMERS

Ending = Expectation | Literal["command_fails", "not_accepted", "changes_nothing"]

BASES = {
    "inflection": (455, 0),
    "tabulate": (174, 0),
    "pystache": (253, 0),
    "schedule": (0, 1),
    "toolz": (179, 1),
}
"""Tests passed and failed on Python 3.11, before any task."""


@dataclass(frozen=True)
class Suite:
    """The outcome of a package's own tests."""

    passed: frozenset[str]
    failed: frozenset[str]


@pytest.fixture(scope="module")
def origins(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("demo")
    try:
        archives = fetch_packages(folder / "packages")
    except DemoUnavailable as exc:
        if "cannot be reached" in exc.message:
            pytest.skip(exc.message)
        raise
    return {name: import_package(archive, folder / "repositories") for name, archive in archives.items()}


def environment(home: Path) -> dict[str, str]:
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


def run(argv: Sequence[str], folder: Path, seconds: float, **more: str) -> int | None:
    """The exit code; None when the time limit came first. Ends the whole process group."""
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env={**environment(folder.parent), **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=Test", "-c", "user.email=test@localhost", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder.parent), check=True, capture_output=True, text=True
    )
    return done.stdout


def suite_of(customer: DemoCustomer, workspace: Path) -> Suite:
    report = workspace.parent / "report.xml"
    report.unlink(missing_ok=True)
    (gate,) = (gate for gate in customer.project.gates if gate.name == "tests")
    run(gate.argv, workspace, gate.timeout_seconds, PYTEST_ADDOPTS=f"--junitxml={report}")
    passed, failed = set(), set()
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            failed.add(name)
        elif case.find("skipped") is None:
            passed.add(name)
    return Suite(frozenset(passed), frozenset(failed))


def holds(criterion: Mapping[str, Any], workspace: Path) -> bool:
    match criterion["type"]:
        case "command":
            return run(criterion["argv"], workspace, criterion["timeoutSeconds"]) == 0
        case "file":
            return (workspace / criterion["path"]).exists() is criterion["exists"]
        case "regex":
            text = (workspace / criterion["path"]).read_text(encoding="utf-8")
            found = re.search(criterion["pattern"], text, re.MULTILINE) is not None
            return found is criterion["present"]
        case other:
            raise AssertionError(other)


def ending_of(customer: DemoCustomer, task: DemoTask, workspace: Path, base: Suite) -> tuple[Ending, Suite]:
    """How the task ends and what the tests say then.

    A gate that is red on the base may stay so, but nothing that passed there may break.
    """
    argv = task.argv or ("/bin/sh", "-e", "-c", task.script or "")
    exit_code = run(argv, workspace, task.time_limit_seconds)
    if exit_code != 0:
        return ("times_out" if exit_code is None else "command_fails"), base
    git(workspace, "add", "--all")
    if not git(workspace, "diff", "--cached", "--name-only"):
        return "changes_nothing", base
    if not all(holds(criterion, workspace) for criterion in task.acceptance):
        return "not_accepted", base
    others = [gate for gate in customer.project.gates if gate.name != "tests"]
    if any(run(gate.argv, workspace, gate.timeout_seconds) != 0 for gate in others):
        return "gate_fails", base
    after = suite_of(customer, workspace)
    broken = base.passed - after.passed or after.failed - base.failed
    return ("gate_fails" if broken else "completed"), after


@pytest.mark.timeout(300)
@pytest.mark.parametrize("customer", CUSTOMERS, ids=lambda customer: customer.project.package)
def test_every_task_ends_as_measured(customer: DemoCustomer, origins: Mapping[str, Path], tmp_path: Path) -> None:
    project = customer.project
    base = tmp_path / "base"
    git(tmp_path, "clone", "--quiet", str(origins[project.package]), str(base))
    before = suite_of(customer, base)
    if sys.version_info[:2] == (3, 11):
        assert (len(before.passed), len(before.failed)) == BASES[project.package]
    endings: dict[str, Ending] = {}
    for task in project.tasks:
        if any(endings[key] != "completed" for key in task.depends_on):
            endings[task.key] = "blocked"
            continue
        workspace = tmp_path / task.key
        git(tmp_path, "clone", "--quiet", str(base), str(workspace))
        endings[task.key], after = ending_of(customer, task, workspace, before)
        untracked = git(workspace, "ls-files", "--others", "--exclude-standard")
        assert not untracked or endings[task.key] == "times_out", "running the gates leaves nothing to commit"
        if endings[task.key] == "completed" and project.delivery_mode != "branch":
            git(workspace, "commit", "--quiet", "--message", task.title)
            git(base, "pull", "--quiet", "--ff-only", str(workspace), "HEAD")
            before = after
    assert endings == {task.key: task.expected for task in project.tasks}
