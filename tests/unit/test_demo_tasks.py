"""The demo's data holds together and is what the HTTP API takes."""

import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest

from devteam.customers.schemas import CustomerInput
from devteam.demo import packages
from devteam.demo.model import DemoCustomer
from devteam.demo.packages import PACKAGES, DemoPackage, DemoUnavailable, fetch_packages
from devteam.demo.tasks import CUSTOMERS, TOOLS
from devteam.projects.gates import CommandGate
from devteam.projects.schemas import ProjectInput
from devteam.tasks.schemas import TaskInput

each_customer = pytest.mark.parametrize("customer", CUSTOMERS, ids=lambda customer: customer.project.package)


def test_every_package_has_one_customer() -> None:
    assert [customer.project.package for customer in CUSTOMERS] == [package.name for package in PACKAGES]
    assert len({customer.name for customer in CUSTOMERS}) == 5


def test_all_priority_classes_and_delivery_modes_occur() -> None:
    classes = Counter(customer.priority_class for customer in CUSTOMERS)
    assert classes == {"priority_customer": 2, "standard_customer": 2, "low_priority_customer": 1}
    modes = Counter(customer.project.delivery_mode for customer in CUSTOMERS)
    assert modes == {"fast_forward": 2, "branch": 2, "merge_commit": 1}


def test_one_task_fails_its_gate_one_times_out_and_one_is_blocked() -> None:
    endings = Counter(task.expected for customer in CUSTOMERS for task in customer.project.tasks)
    assert {ending: endings[ending] for ending in ("gate_fails", "times_out", "blocked")} == {
        "gate_fails": 1,
        "times_out": 1,
        "blocked": 1,
    }


@each_customer
def test_tasks_depend_on_earlier_tasks_only(customer: DemoCustomer) -> None:
    seen: set[str] = set()
    for task in customer.project.tasks:
        assert set(task.depends_on) <= seen, task.key
        assert task.key not in seen
        seen.add(task.key)
    assert 5 <= len(seen) <= 7


@each_customer
def test_only_a_merging_project_has_tasks_that_build_on_completed_ones(customer: DemoCustomer) -> None:
    """With delivery by branch the base stands still, so nothing could build on what was delivered."""
    if customer.project.delivery_mode == "branch":
        assert all(task.expected == "blocked" for task in customer.project.tasks if task.depends_on)


@each_customer
def test_the_api_takes_every_body_as_it_is(customer: DemoCustomer) -> None:
    project = customer.project
    CustomerInput.model_validate(customer.body())
    sent = ProjectInput.model_validate(project.body("/demo/origin.git"))
    assert [gate.argv for gate in sent.gates if isinstance(gate, CommandGate)] == [
        list(gate.argv) for gate in project.gates
    ]
    ids = {task.key: str(uuid4()) for task in project.tasks}
    for task in project.tasks:
        accepted = TaskInput.model_validate(task.body(str(uuid4()), ids))
        assert accepted.command is not None
        assert accepted.command.time_limit_seconds == task.time_limit_seconds
        assert [str(one) for one in accepted.depends_on] == [ids[key] for key in task.depends_on]
        assert accepted.acceptance_criteria


def test_every_program_that_is_run_is_one_of_the_named_tools() -> None:
    started = set()
    for customer in CUSTOMERS:
        for task in customer.project.tasks:
            started.update([task.argv[0]] if task.argv else [])
            started.update(c["argv"][0] for c in task.acceptance if c["type"] == "command")
        started.update(gate.argv[0] for gate in customer.project.gates)
    assert started - {"python"} <= set(TOOLS)
    beside_python = str(Path(sys.executable).parent)
    assert all(shutil.which(tool, path=beside_python) for tool in TOOLS)


def test_every_package_is_pinned_by_hash() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{64}", package.sha256) for package in PACKAGES)


def test_an_unreachable_index_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(DemoUnavailable, match="index cannot be reached") as caught:
        fetch_packages(tmp_path, PACKAGES[:1])
    assert "devteam demo --repository PATH" in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_an_archive_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = DemoPackage("forged", "1.0", "0" * 64, "none")
    monkeypatch.setattr(packages, "_run", lambda command, environment: _arrive(command, b"not the package"))
    with pytest.raises(DemoUnavailable, match="pinned hash"):
        fetch_packages(tmp_path, [forged])


def _arrive(command: list[str], content: bytes) -> None:
    """What pip does when it succeeds."""
    arrived = Path(command[-1])
    arrived.mkdir()
    (arrived / "forged-1.0.tar.gz").write_bytes(content)
