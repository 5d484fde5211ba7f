"""The demo on repositories of the caller's own: codemods that suit what is in them."""

import re
import subprocess
from pathlib import Path

from devteam.demo.model import DemoCustomer, DemoGate, DemoProject, DemoTask
from devteam.kit.errors import Invalid

_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")
_TEST_SECONDS = 600.0

# Text files only, as git sees them, so that images and the like keep their bytes.
_TRIM = """\
git grep --cached -Il '' | while IFS= read -r file; do
  [ -L "$file" ] || sed -i 's/[[:blank:]]*$//' "$file"
done
"""
_END = """\
git grep --cached -Il '' | while IFS= read -r file; do
  [ -L "$file" ] || [ -z "$(tail -c 1 "$file")" ] || printf '\\n' >> "$file"
done
"""


def clone_bare(source: Path, target: Path) -> Path:
    """A bare copy, so that the demo never pushes to the original; one that is there already is kept.

    Raises Invalid for what is no repository.
    """
    source = source.expanduser().absolute()
    if not source.is_dir():
        raise Invalid(f"There is no repository at {source}.", code="repository_not_found")
    origin = target / source.name.removesuffix(".git") / "origin.git"
    if origin.exists():
        return origin
    origin.parent.mkdir(parents=True, exist_ok=True)
    command = ["git", "clone", "--quiet", "--bare", "--", str(source), str(origin)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Invalid(f"{source} cannot be cloned: {done.stderr.strip()[-300:]}", code="repository_unreadable")
    return origin


def own_customer(origin: Path, number: int) -> DemoCustomer:
    """A customer for the repository. Its tests are the gate when it has Python tests; without any there is none."""
    files = _files(origin)
    python = any(name.endswith(".py") for name in files)
    tested = any(_TEST_FILE.search(name) for name in files)
    argv = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    gates = (DemoGate("tests", argv, _TEST_SECONDS),) if tested else ()
    name = origin.parent.name
    project = DemoProject(
        package=name, delivery_mode="branch", gates=gates, tasks=_PYTHON if python else _ANY, base_branch=None
    )
    return DemoCustomer(f"Own repository {number}: {name}", "standard_customer", project)


def _files(origin: Path) -> list[str]:
    command = ["git", "--git-dir", str(origin), "ls-tree", "-r", "--name-only", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise Invalid(f"{origin.parent.name} has no commits.", code="repository_empty")
    return done.stdout.splitlines()


def _codemod(key: str, title: str, argv: tuple[str, ...], depends_on: tuple[str, ...] = ()) -> DemoTask:
    return DemoTask(
        key=key,
        title=title,
        description=f"Run {' '.join(argv)}.",
        kind="lint",
        acceptance=(),
        estimate_seconds=20.0,
        argv=argv,
        depends_on=depends_on,
        time_limit_seconds=_TEST_SECONDS,
    )


def _script(key: str, title: str, script: str) -> DemoTask:
    return DemoTask(
        key=key,
        title=title,
        description="In every text file that git tracks.",
        kind="format",
        acceptance=(),
        estimate_seconds=20.0,
        script=script,
        time_limit_seconds=_TEST_SECONDS,
    )


_CHECK = ("ruff", "check", "--isolated", "--no-cache", "--fix", "--exit-zero")
_ANY = (
    _script("trim", "Trim trailing blanks", _TRIM),
    _script("end", "End files with a newline", _END),
)
_PYTHON = (
    _codemod("imports", "Drop unused imports", (*_CHECK, "--select", "F401", ".")),
    _codemod("sort", "Sort imports", (*_CHECK, "--select", "I", "."), ("imports",)),
    _codemod("syntax", "Modernise the syntax", (*_CHECK, "--select", "UP", ".")),
    *_ANY,
)
