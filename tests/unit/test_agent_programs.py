"""Where agents are found, and what a fence has to show for them."""

import sys
from pathlib import Path

import pytest

from devteam.adapters.executors.programs import AgentPrograms, Program


def program(file: Path, text: str = "#!/bin/sh\n") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    return file


def link(file: Path, target: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(target)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As npm leaves it: links to programs inside packages."""
    made = tmp_path / "agents"
    script = program(made / "node_modules/some-agent/dist/index.js", "#!/usr/bin/env node\n")
    link(made / "node_modules/.bin/some-agent", script)
    return made


def test_the_named_folder_comes_before_path(tmp_path: Path, folder: Path) -> None:
    program(tmp_path / "bin/some-agent")
    found = AgentPrograms(folder, str(tmp_path / "bin")).find(("some-agent", "--acp"))
    assert found is not None
    assert found.argv == (str(folder / "node_modules/some-agent/dist/index.js"), "--acp")


def test_a_package_is_shown_with_all_packages_it_was_installed_with(folder: Path) -> None:
    found = AgentPrograms(folder, "").find(("some-agent",))
    assert found is not None
    assert found.shown == (folder / "node_modules",)


def test_a_script_for_node_sees_the_node_that_the_engine_finds(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python/bin/python"))
    node = program(tmp_path / "versions/24/bin/node")
    link(tmp_path / "bin/node", node)
    found = AgentPrograms(folder, str(tmp_path / "bin")).find(("some-agent",))
    assert found is not None
    assert found.shown == (folder / "node_modules", node)
    assert found.path == (node.parent,)


def test_a_lone_program_is_shown_without_its_neighbours(tmp_path: Path) -> None:
    real = program(tmp_path / "home/.local/bin/agent")
    program(tmp_path / "home/.local/bin/private-tool")
    assert AgentPrograms(None, str(real.parent)).find(("agent",)) == Program((str(real),), shown=(real,))


def test_a_program_of_a_python_environment_is_shown_with_it(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    real = program(environment / "bin/agent")
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\n")
    link(tmp_path / "bin/agent", real)
    assert AgentPrograms(None, str(tmp_path / "bin")).find(("agent",)) == Program((str(real),), shown=(environment,))


def test_a_program_that_every_fence_shows_keeps_its_name() -> None:
    assert AgentPrograms(None, "").find((sys.executable, "-m", "devteam.agent")) == Program(
        (sys.executable, "-m", "devteam.agent")
    )


def test_a_relative_path_is_left_to_the_repository() -> None:
    assert AgentPrograms(None, "").find(("./tools/agent",)) == Program(("./tools/agent",))


@pytest.mark.parametrize("search_path", ["", ".", "bin"])
def test_no_program_is_taken_from_wherever_the_engine_happens_to_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search_path: str
) -> None:
    program(tmp_path / "agent")
    program(tmp_path / "bin/agent")
    monkeypatch.chdir(tmp_path)
    assert AgentPrograms(None, search_path).find(("agent",)) is None


def test_version_is_read_from_the_package_that_the_program_belongs_to(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "some-agent"
    program = package / "bin" / "agent.js"
    program.parent.mkdir(parents=True)
    program.write_text("#!/usr/bin/env node\n")
    program.chmod(0o755)
    shown = tmp_path / "node_modules" / ".bin" / "some-agent"
    shown.parent.mkdir()
    shown.symlink_to(program)
    programs = AgentPrograms(tmp_path, "/usr/bin:/bin")
    assert programs.version(("some-agent",)) is None
    (package / "package.json").write_text('{"name": "some-agent", "version": "1.2.3"}')
    assert programs.version(("some-agent", "acp")) == "1.2.3"
    assert programs.version(("sh",)) is None
    assert programs.version(("not-there",)) is None
