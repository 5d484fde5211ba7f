"""The demo on a repository of one's own: what it finds there decides what it does."""

import subprocess
from pathlib import Path

import pytest

from devteam.demo.own import clone_bare, own_customer
from devteam.kit.errors import Invalid


def make_repository(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    for command in (
        ["init", "-q", "-b", "trunk"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def test_a_python_repository_with_tests_has_them_as_its_gate(tmp_path: Path) -> None:
    source = make_repository(tmp_path / "py", {"a.py": "import os\n", "test_a.py": "def test(): pass\n"})
    customer = own_customer(clone_bare(source, tmp_path / "target"), 1)
    assert [gate.name for gate in customer.project.gates] == ["tests"]
    assert "Drop unused imports" in [task.title for task in customer.project.tasks]
    assert customer.project.body("x")["baseBranch"] is None


def test_a_repository_without_python_gets_tasks_for_any_text_and_no_gate(tmp_path: Path) -> None:
    source = make_repository(tmp_path / "js", {"a.js": "var a"})
    customer = own_customer(clone_bare(source, tmp_path / "target"), 2)
    assert customer.project.gates == ()
    assert [task.title for task in customer.project.tasks] == ["Trim trailing blanks", "End files with a newline"]


def test_what_is_no_repository_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="There is no repository at"):
        clone_bare(tmp_path / "missing", tmp_path / "target")
    (tmp_path / "plain").mkdir()
    with pytest.raises(Invalid, match="cannot be cloned"):
        clone_bare(tmp_path / "plain", tmp_path / "target")
    subprocess.run(["git", "init", "-q", str(tmp_path / "empty")], check=True)
    with pytest.raises(Invalid, match="no commits"):
        own_customer(clone_bare(tmp_path / "empty", tmp_path / "target"), 1)
