"""What agents may do without asking, what they must ask a person about, and what they may not."""

from pathlib import Path
from typing import Any

import pytest

from devteam.adapters.executors.policy import Policy, Verdict
from devteam.projects.protection import DEFAULT_PROTECTED_PATHS, DEFAULT_REFUSED_COMMANDS, refused_by

POLICY = Policy(DEFAULT_PROTECTED_PATHS, DEFAULT_REFUSED_COMMANDS)


def edit(path: str, **fields: Any) -> dict[str, Any]:
    return {"toolCallId": "c", "kind": "edit", "title": "Edit", "locations": [{"path": path}], **fields}


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/ci.yml",
        ".gitlab-ci.yml",
        ".circleci/config.yml",
        "Jenkinsfile",
        "poetry.lock",
        "web/yarn.lock",
        "package-lock.json",
        "web/package-lock.json",
        "migrations/0001.sql",
        "app/db/migrations/versions/0001.py",
    ],
)
def test_protected_paths_are_asked_about(tmp_path: Path, path: str) -> None:
    for named in (path, str(tmp_path / path), f"{tmp_path}/x/../{path}"):
        ruling = POLICY.rule(edit(named), tmp_path)
        assert (ruling.verdict, ruling.paths) == (Verdict.ASK, (path,))


@pytest.mark.parametrize("path", ["README.md", "src/lock.py", "github/x.yml", "docs/migrations.md", "x.lock.py"])
def test_other_paths_are_not(tmp_path: Path, path: str) -> None:
    assert POLICY.rule(edit(path), tmp_path).verdict is Verdict.ALLOW


def test_a_path_is_found_wherever_the_agent_names_it(tmp_path: Path) -> None:
    for call in (
        {"kind": "edit", "content": [{"type": "diff", "path": ".travis.yml", "newText": ""}]},
        {"kind": "edit", "rawInput": {"file_path": str(tmp_path / ".travis.yml")}},
        {"rawInput": {"filePath": ".travis.yml"}},
        {"kind": "delete", "locations": [{"path": ".travis.yml"}, "nonsense", None]},
    ):
        assert POLICY.rule(call, tmp_path).paths == (".travis.yml",)


def test_a_link_is_no_way_around(tmp_path: Path) -> None:
    (tmp_path / ".github").mkdir()
    (tmp_path / "innocent").symlink_to(".github")
    assert POLICY.rule(edit("innocent/x.yml"), tmp_path).paths == (".github/x.yml",)


def test_reading_needs_nobody(tmp_path: Path) -> None:
    assert POLICY.rule(edit("poetry.lock", kind="read"), tmp_path).verdict is Verdict.ALLOW


def test_gits_own_files_are_refused_whatever_the_project_says(tmp_path: Path) -> None:
    for kind in ("edit", "read", "delete"):
        ruling = Policy().rule(edit(".git/hooks/pre-commit", kind=kind), tmp_path)
        assert ruling.verdict is Verdict.REFUSE and ruling.reason


def test_a_project_that_protects_nothing_asks_nobody(tmp_path: Path) -> None:
    assert Policy().rule(edit("poetry.lock"), tmp_path).verdict is Verdict.ALLOW
    assert Policy().rule({"kind": "execute", "title": "sudo ls"}, tmp_path).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("command", "entry"),
    [
        ("git push", "git push"),
        ("git -C /x push --force", "git push"),
        ("git -c a=b push", "git push"),
        ("cd x && git push origin main", "git push"),
        ("true; sudo make install", "sudo"),
        ("/usr/bin/sudo -E ls", "sudo"),
        ("FOO=1 BAR=2 sudo ls", "sudo"),
        ("echo $(gh pr create)", "gh"),
        ("bash -c 'cd x && git push'", "git push"),
        ("if true; then docker run x; fi", "docker"),
        ("env X=1 npm publish", "npm publish"),
        ("ls | xargs sudo rm", "sudo"),
        ("echo 'unclosed; sudo ls", "sudo"),
    ],
)
def test_refused_commands_are_found(command: str, entry: str) -> None:
    assert refused_by(command, DEFAULT_REFUSED_COMMANDS) == entry


@pytest.mark.parametrize(
    "command",
    [
        "git status",
        "git pushx",
        "git log --grep push",
        "echo sudo",
        "python sudo.py",
        "npm test",
        "ls gh",
        "",
        "git commit -m 'git push'",
    ],
)
def test_others_are_not(command: str) -> None:
    assert refused_by(command, DEFAULT_REFUSED_COMMANDS) is None


def test_a_rule_may_be_a_regular_expression() -> None:
    assert refused_by("curl http://x | sh", [r"/\|\s*sh\b/"]) == r"/\|\s*sh\b/"
    assert refused_by("curl http://x", [r"/\|\s*sh\b/"]) is None


@pytest.mark.parametrize(
    "call",
    [
        {"kind": "execute", "rawInput": {"command": "git push"}},
        {"kind": "execute", "rawInput": {"command": ["bash", "-lc", "git push"]}},
        {"rawInput": {"command": ["git", "push"]}},
        {"kind": "execute", "title": "`git push`"},
    ],
)
def test_the_command_is_found_wherever_the_agent_names_it(tmp_path: Path, call: dict[str, Any]) -> None:
    ruling = POLICY.rule(call, tmp_path)
    assert ruling.verdict is Verdict.REFUSE and ruling.reason == "the project refuses the command: git push"


def test_a_call_without_anything_is_allowed(tmp_path: Path) -> None:
    assert POLICY.rule({"toolCallId": "c"}, tmp_path).verdict is Verdict.ALLOW
    assert (
        POLICY.rule({"kind": "edit", "rawInput": {"path": "x\0y"}, "locations": 3}, tmp_path).verdict is Verdict.ALLOW
    )
