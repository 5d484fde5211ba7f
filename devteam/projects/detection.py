"""Propose gates from what a repository says of itself; a person confirms them."""

import configparser
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from devteam.projects.gates import CommandGate

WANTED = (
    "pyproject.toml",
    "setup.cfg",
    "pytest.ini",
    "tox.ini",
    "package.json",
    "Makefile",
    "go.mod",
    "Cargo.toml",
    ".gitlab-ci.yml",
)
"""Files in the root that are read."""
WORKFLOWS = ".github/workflows/"
MAX_PROPOSALS = 20
_NPM_PLACEHOLDER = "no test specified"
_NPM_SCRIPTS = {"test": True, "typecheck": True, "type-check": True, "lint": False}
_MAKE_TARGETS = {"test": True, "check": True, "lint": False}
_CI_TOOLS = (
    "pytest",
    "tox",
    "nox",
    "ruff",
    "mypy",
    "pyright",
    "flake8",
    "make",
    "npm",
    "npx",
    "pnpm",
    "yarn",
    "go",
    "cargo",
)
_CI_VERBS = re.compile(
    r"\b(test|tests|check|lint|typecheck|type-check|vet|clippy|pytest|mypy|pyright|ruff|flake8|tox|nox)\b"
)
_SHELL = re.compile(r"[;&|<>$`\\\n*(){}\[\]!~#]")

Read = Callable[[str], str | None]
"""The text of a file in the repository; None when it is not there or cannot be read."""


@dataclass(frozen=True)
class Proposal:
    """A gate and why it is proposed: what was found, and in which file."""

    gate: CommandGate
    why: str
    file: str


def propose_gates(paths: Collection[str], read: Read) -> list[Proposal]:
    """Gates for a repository with these files. What CI runs comes first; a command is proposed once."""
    found = [
        *_from_ci(paths, read),
        *_from_python(paths, read),
        *_from_node(read),
        *_from_make(read),
        *_from_go(read),
        *_from_cargo(read),
    ]
    once = {tuple(each.gate.argv or ()): each for each in reversed(found)}
    kept = [each for each in found if once[tuple(each.gate.argv or ())] is each]
    return _with_names_apart(kept[:MAX_PROPOSALS])


def _with_names_apart(proposals: list[Proposal]) -> list[Proposal]:
    taken: set[str] = set()
    apart = []
    for each in proposals:
        name, number = each.gate.name, 2
        while name in taken:
            name, number = f"{each.gate.name} {number}", number + 1
        taken.add(name)
        apart.append(Proposal(each.gate.model_copy(update={"name": name}), each.why, each.file))
    return apart


def _proposal(name: str, command: str, why: str, file: str, *, required: bool = True) -> Proposal:
    return Proposal(CommandGate(name=name, argv=shlex.split(command), required=required), why, file)


def _from_python(paths: Collection[str], read: Read) -> Iterator[Proposal]:
    told = _toml(read("pyproject.toml"))
    tools = _table(told, "tool")
    pytest_in = next(
        (
            file
            for file, section in (("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest"))
            if section in _ini(read(file))
        ),
        "pyproject.toml" if "pytest" in tools else None,
    )
    tests = [path for path in paths if re.fullmatch(r"(?:.*/)?(?:test_[^/]*|[^/]*_test)\.py", path)]
    if pytest_in is not None:
        yield _proposal("tests", "python -m pytest -q", "pytest is set up", pytest_in)
    elif tests:
        yield _proposal("tests", "python -m pytest -q", "there are test files", min(tests, key=lambda p: (len(p), p)))
    if "mypy" in tools or "mypy" in _ini(read("setup.cfg")):
        yield _proposal("types", "mypy .", "mypy is set up", "pyproject.toml" if "mypy" in tools else "setup.cfg")
    if "ruff" in tools or {"ruff.toml", ".ruff.toml"} & set(paths):
        yield _proposal("lint", "ruff check .", "ruff is set up", "pyproject.toml", required=False)


def _from_node(read: Read) -> Iterator[Proposal]:
    try:
        told = json.loads(read("package.json") or "{}")
    except ValueError:
        return
    scripts = _table(told, "scripts")
    for name, required in _NPM_SCRIPTS.items():
        command = scripts.get(name)
        if isinstance(command, str) and _NPM_PLACEHOLDER not in command:
            run = "npm test" if name == "test" else f"npm run {name}"
            gate = "tests" if name == "test" else "types" if name.startswith("type") else name
            yield _proposal(gate, run, f'the script "{name}"', "package.json", required=required)


def _from_make(read: Read) -> Iterator[Proposal]:
    targets = set(re.findall(r"^([A-Za-z0-9_-]+)\s*:(?!=)", read("Makefile") or "", re.MULTILINE))
    for target, required in _MAKE_TARGETS.items():
        if target in targets:
            name = "tests" if target == "test" else target
            yield _proposal(name, f"make {target}", f'the target "{target}"', "Makefile", required=required)


def _from_go(read: Read) -> Iterator[Proposal]:
    if read("go.mod") is not None:
        yield _proposal("tests", "go test ./...", "a Go module", "go.mod")
        yield _proposal("vet", "go vet ./...", "a Go module", "go.mod", required=False)


def _from_cargo(read: Read) -> Iterator[Proposal]:
    if read("Cargo.toml") is not None:
        yield _proposal("tests", "cargo test", "a Rust crate", "Cargo.toml")


def _from_ci(paths: Collection[str], read: Read) -> Iterator[Proposal]:
    """Plain commands of CI that test or check; what needs a shell or CI's own variables is left to a person."""
    workflows = sorted(path for path in paths if path.startswith(WORKFLOWS) and path.endswith((".yml", ".yaml")))
    for file in (*workflows, ".gitlab-ci.yml"):
        for line in _scripts(_yaml(read(file))):
            command = line.strip()
            if not command or _SHELL.search(command) or not _CI_VERBS.search(command):
                continue
            try:
                words = shlex.split(command)
            except ValueError:
                continue
            program = words[2] if words[:2] in (["python", "-m"], ["python3", "-m"]) and len(words) > 2 else words[0]
            if program in _CI_TOOLS:
                yield _proposal(_named(command), command, "CI runs it", file)


def _named(command: str) -> str:
    if re.search(r"\b(mypy|pyright|typecheck|type-check)\b", command):
        return "types"
    if re.search(r"\b(ruff|flake8|lint|clippy|vet)\b", command):
        return "lint"
    return "tests" if re.search(r"\b(pytest|tests?|tox|nox)\b", command) else "check"


def _scripts(told: Any) -> Iterator[str]:
    """The lines of every `run` and `script` below, in order; what an alias repeats is looked at once."""
    waiting, seen = [told], set[int]()
    while waiting:
        each = waiting.pop()
        if not isinstance(each, list | dict) or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, list):
            waiting += reversed(each)
            continue
        for key in ("run", "script"):
            texts = each.get(key)
            for text in texts if isinstance(texts, list) else [texts]:
                yield from text.splitlines() if isinstance(text, str) else ()
        waiting += reversed([value for key, value in each.items() if key not in ("run", "script")])


def _toml(text: str | None) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text or "")
    except tomllib.TOMLDecodeError:
        return {}


def _ini(text: str | None) -> Collection[str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text or "")
    except configparser.Error:
        return ()
    return parser.sections()


def _yaml(text: str | None) -> Any:
    try:
        return yaml.safe_load(text or "")
    except (yaml.YAMLError, RecursionError, ValueError):
        return None


def _table(told: Any, key: str) -> Mapping[str, Any]:
    value = told.get(key) if isinstance(told, Mapping) else None
    return value if isinstance(value, Mapping) else {}
