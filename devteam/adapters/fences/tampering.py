"""What a command did to git's own files, found out after it ended.

The engine believes none of these files (see `devteam.adapters.git.workspace`) and runs nothing that they name, so what
is found here had no effect on it. But it would have had one on whoever uses git there, so somebody must know of it.
"""

import os
import re
import stat
from pathlib import Path
from typing import Final

from devteam.adapters.fences.model import FenceRefused
from devteam.adapters.fences.repository import registration_of
from devteam.adapters.git.command import GitError, run_git

_FILE_LIMIT: Final = 1_000_000
_SHOWN: Final = 20

_RUNS_PROGRAMS: Final = re.compile(
    r"core\.(hookspath|fsmonitor|sshcommand|gitproxy|askpass|worktree|alternaterefscommand)"
    r"|filter\..*\.(clean|smudge|process)|diff\.external|diff\..*\.(command|textconv)|merge\..*\.driver"
    r"|submodule\..*\.(url|update)|include(if\..*)?\.path|credential\.(.*\.)?helper|url\..*\.(push)?insteadof"
    r"|gpg\.(.*\.)?program|remote\..*\.(uploadpack|receivepack|vcs)|extensions\..*"
)
"""Settings by which git runs a program, reads another file's settings, or goes elsewhere."""
_USUAL: Final = re.compile(r"core\.hookspath=(\./)?\.husky(/_)?|filter\.lfs\.(clean|smudge|process)=git-lfs [a-z %-]+")
"""What package managers of good repute set when a project is installed."""
_BAD_ADDRESS: Final = re.compile(r"-|ext::|fd::", re.IGNORECASE)
_BAD_SUBMODULE: Final = re.compile(r"^\s*(url\s*=\s*\"?(-|ext::|fd::)|update\s*=\s*\"?!)", re.IGNORECASE | re.MULTILINE)


def tampering(mirror: Path, workspace: Path, keep: Path) -> list[str]:
    """One sentence for each thing found; `keep` is where the fence keeps the workspace's private repository."""
    found = [*_dot_git(mirror, workspace, keep), *_submodules(workspace)]
    private = keep / "git"
    if private.is_dir() and not private.is_symlink():
        found += _settings(mirror, private / "config", _text(workspace / ".gitmodules") or "")
        found += _hooks(private / "hooks")
        found += _alternates(private, expected=f"{mirror / 'objects'}\n")
    else:  # without a fence the command had the mirror's own
        found += [*_settings(mirror, mirror / "config", ""), *_hooks(mirror / "hooks")]
    return found[:_SHOWN]


def _dot_git(mirror: Path, workspace: Path, keep: Path) -> list[str]:
    file = workspace / ".git"
    try:
        registration = registration_of(mirror, workspace)
    except FenceRefused:
        return ["the mirror's registration of the worktree is gone"]
    try:
        status = file.lstat()
    except OSError:
        return ["the workspace's .git file was deleted"]
    if not stat.S_ISREG(status.st_mode):
        kind = "link" if stat.S_ISLNK(status.st_mode) else "folder" if stat.S_ISDIR(status.st_mode) else "special file"
        return [f"the workspace's .git file was replaced by a {kind}"]
    told = (_text(file) or "").removeprefix("gitdir:").strip()
    # A fence that cannot mount the private repository in the registration's place names it instead.
    if not told or os.path.realpath(told) not in (os.path.realpath(registration), os.path.realpath(keep / "git")):
        return [f"the workspace's .git file leads to {told[:200] or 'nowhere'}"]
    return []


def _settings(mirror: Path, config: Path, modules: str) -> list[str]:
    if _text(config) is None:
        return ["the settings of the workspace's repository were replaced"]
    try:
        listed = run_git(["config", "--file", config, "--no-includes", "--list", "-z"], git_dir=mirror, ok=range(256))
    except GitError:
        return []
    if listed.code != 0:
        return ["the settings of the workspace's repository cannot be read"]
    found = []
    for item in listed.items:
        name, _, value = item.decode("utf-8", "replace").partition("\n")
        if _RUNS_PROGRAMS.fullmatch(name.lower()) and not _is_usual(name.lower(), value, modules):
            found.append(f"git setting {name} = {value[:200]}")
    return found


def _is_usual(name: str, value: str, modules: str) -> bool:
    if name.startswith("submodule.") and name.endswith(".url"):  # as `git submodule init` copies them
        return value in modules and not _BAD_ADDRESS.match(value)
    return _USUAL.fullmatch(f"{name}={value}") is not None


def _hooks(folder: Path) -> list[str]:
    if folder.is_symlink():
        return ["the folder of git hooks was replaced by a link"]
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.name.endswith(".sample"))
    except OSError:
        return []
    return [f"git hook {name}" for name in names[:_SHOWN]]


def _alternates(private: Path, *, expected: str) -> list[str]:
    info = private / "objects" / "info"
    found = []
    if _text(info / "alternates") != expected:
        found.append("the alternates of the workspace's repository were changed")
    if os.path.lexists(info / "http-alternates"):
        found.append("alternates over HTTP were set")
    return found


def _submodules(workspace: Path) -> list[str]:
    text = _text(workspace / ".gitmodules")
    if text is None or not _BAD_SUBMODULE.search(text):
        return []
    return ["a submodule in .gitmodules names a program instead of an address"]


def _text(file: Path) -> str | None:
    """A plain file's text; None when it is no such file. What lies here was written by the command."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return opened.read(_FILE_LIMIT).decode("utf-8", "replace")
