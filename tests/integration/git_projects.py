"""Customers' repositories for tests: real ones, made with git in a temporary folder."""

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from devteam.adapters.git import Mirror

WHEN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", "Ann"), ("EMAIL", "ann@example.test"))
    },
}


def git(folder: Path, *args: str | bytes) -> str:
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", *args],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace").strip()


def commit_files(folder: Path, files: dict[str, str], message: str = "Change") -> str:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


@dataclass(frozen=True)
class Customer:
    """A customer's bare repository and the clone in which a developer of theirs works."""

    bare: Path
    clone: Path

    def commit(self, files: dict[str, str], message: str = "Change") -> str:
        sha = commit_files(self.clone, files, message)
        git(self.clone, "push", "--quiet", "origin", "HEAD")
        return sha

    def head(self, branch: str = "main") -> str:
        return git(self.bare, "rev-parse", f"refs/heads/{branch}")

    def mirror(self, path: Path) -> Mirror:
        mirror = Mirror(path, str(self.bare))
        mirror.fetch()
        return mirror


def make_customer(folder: Path, files: dict[str, str] | None = None) -> Customer:
    bare, clone = folder / "customer.git", folder / "customer"
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    git(folder, "clone", "--quiet", str(bare), str(clone))
    git(clone, "checkout", "--quiet", "-B", "main")
    customer = Customer(bare, clone)
    customer.commit(files or {"README.md": "Hello\n", "src/app.py": "print('one')\nprint('two')\n"}, "Begin")
    return customer
