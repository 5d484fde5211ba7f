"""Makes git repositories of source distributions.

An import is the same on every machine and on every day: the commit's author, date, message and content depend
on the archive alone, so its hash does too.
"""

import os
import shutil
import subprocess
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from devteam.kit.errors import DevTeamError

BRANCH = "main"
AUTHOR = "Demo import"
EMAIL = "demo@localhost"

_LARGEST_BYTES = 200 * 1024 * 1024
_MOST_MEMBERS = 20_000

_GIT_IGNORE = """\
__pycache__/
*.py[cod]
*.egg-info/
.hypothesis/
.mypy_cache/
.pytest_cache/
.ruff_cache/
build/
dist/
"""


class ImportFailed(DevTeamError):
    """An archive could not be made a repository."""

    code = "import_failed"


def import_package(archive: Path, target: Path, *, force: bool = False) -> Path:
    """The bare repository `<target>/<name>/origin.git` (branch main) of `<name>-<version>.tar.gz`.

    Beside it lies `checkout`, a clone to look around in. An import that is already there is kept with all
    that was delivered to it; `force` makes it anew. Raises `ImportFailed`.
    """
    name, version = _name_and_version(archive)
    home = target.absolute() / name
    origin = home / "origin.git"
    if not force and _is_import(origin):
        return origin
    if not force and home.exists():
        raise ImportFailed(f"{home} is there but holds no complete import; remove it or import with force.")
    target.mkdir(parents=True, exist_ok=True)
    # Made aside and moved into place whole: a crash leaves either no import or a complete one.
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target) as scratch:
        fresh = Path(scratch) / "fresh"
        _build(archive, f"{name} {version}", fresh)
        if home.exists():
            shutil.rmtree(home)
        fresh.rename(home)
    return origin


def _name_and_version(archive: Path) -> tuple[str, str]:
    stem = archive.name.removesuffix(".tar.gz")
    name, dash, version = stem.rpartition("-")
    if stem == archive.name or not dash or not name or not version or name.startswith("."):
        raise ImportFailed(f"{archive.name} is not named like a source distribution (name-version.tar.gz).")
    return name, version


def _is_import(origin: Path) -> bool:
    if not (origin / "HEAD").is_file():
        return False
    found = subprocess.run(
        [
            "git",
            "--git-dir",
            str(origin),
            "rev-parse",
            "--verify",
            "--quiet",
            f"refs/heads/{BRANCH}^{{commit}}",
        ],
        env=_environment(),
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    return found.returncode == 0


def _build(archive: Path, label: str, home: Path) -> None:
    checkout, origin = home / "checkout", home / "origin.git"
    home.mkdir()
    date = _unpack(archive, checkout)
    notes = _tidy(checkout)
    message = "\n".join([f"Import {label} from its source distribution", "", *notes])
    _git(home, "init", "--quiet", "--template=", f"--initial-branch={BRANCH}", str(checkout))
    _git(checkout, "add", "--all", "--force")
    _git(checkout, "commit", "--quiet", "--no-verify", "--message", message, date=date)
    _git(home, "init", "--quiet", "--template=", "--bare", f"--initial-branch={BRANCH}", str(origin))
    # No hook of this machine's own settings runs in the demo's repositories.
    for repository in (checkout, origin):
        _git(repository, "config", "core.hooksPath", os.devnull)
    _git(checkout, "remote", "add", "origin", "../origin.git")
    _git(checkout, "push", "--quiet", "--no-verify", "--set-upstream", "origin", BRANCH)


def _unpack(archive: Path, checkout: Path) -> datetime:
    """Unpacks the archive's one folder as `checkout`; returns the time of its newest file."""
    scratch = checkout.with_name("unpacked")
    try:
        with tarfile.open(archive, mode="r:gz") as tar:
            members = tar.getmembers()
            _check(archive, members)
            tar.extractall(scratch, members=members, filter="data")
    except (tarfile.TarError, EOFError, OSError) as exc:
        raise ImportFailed(f"{archive.name} cannot be unpacked: {exc}") from exc
    tops = list(scratch.iterdir())
    if len(tops) != 1 or not tops[0].is_dir():
        raise ImportFailed(f"{archive.name} does not hold exactly one folder.")
    tops[0].rename(checkout)
    scratch.rmdir()
    return datetime.fromtimestamp(max(int(member.mtime) for member in members if member.isfile()), UTC)


def _check(archive: Path, members: list[tarfile.TarInfo]) -> None:
    if not any(member.isfile() for member in members):
        raise ImportFailed(f"{archive.name} holds no file.")
    if len(members) > _MOST_MEMBERS or sum(member.size for member in members) > _LARGEST_BYTES:
        raise ImportFailed(f"{archive.name} is too large to import.")
    for member in members:
        parts = Path(member.name).parts
        # The filter would make an absolute path relative; here it means that the archive is not what it says.
        if member.name.startswith("/") or ".." in parts or ".git" in parts:
            raise ImportFailed(f"{archive.name} holds the path {member.name!r}, which does not belong there.")


def _tidy(checkout: Path) -> list[str]:
    """Removes what packaging generated and ignores what running tests leaves; says what it did."""
    notes = []
    generated = [*checkout.glob("*.egg-info"), *checkout.glob("PKG-INFO")]
    for path in generated:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    if generated:
        removed = " and ".join(sorted(path.name for path in generated))
        notes.append(f"Left out, as packaging generates them: {removed}.")
    ignore = checkout / ".gitignore"
    if not ignore.exists():
        ignore.write_text(_GIT_IGNORE, encoding="utf-8")
        notes.append("Added, as source distributions carry none: a .gitignore for what running the tests leaves.")
    return notes


def _git(folder: Path, *arguments: str, date: datetime | None = None) -> None:
    command = ["git", "-c", "core.autocrlf=false", "-c", "commit.gpgSign=false", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=_environment(date),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as exc:
        raise ImportFailed(f"git could not be started: {exc}") from exc
    if done.returncode != 0:
        raise ImportFailed(f"git {arguments[0]} failed: {done.stdout.decode(errors='replace').strip()}")


def _environment(date: datetime | None = None) -> dict[str, str]:
    """Without the machine's and the user's git settings, and variables that point at another repository."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    stamp = f"{int(date.timestamp())} +0000" if date else ""
    return {
        **kept,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": AUTHOR,
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_COMMITTER_NAME": AUTHOR,
        "GIT_COMMITTER_EMAIL": EMAIL,
        **({"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp} if stamp else {}),
        "LC_ALL": "C",
    }
