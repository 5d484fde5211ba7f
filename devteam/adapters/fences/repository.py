"""A git repository for the command inside the fence, with no way to write into the mirror.

The `.git` file of a workspace names a folder inside the mirror, whose settings, hooks, refs and objects a command must
not change. So the fence shows, at exactly that path, a repository of the command's own: its branches, index, settings
and new objects are private, and the mirror's objects are there read-only as alternates. `git status`, `diff`, `log`,
`commit` and the like work as usual; the engine never looks at any of it, it saves the files alone.

Everything is copied from the mirror as files: what the workspace's `.git` says is the command's word and not believed.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from devteam.adapters.fences.model import FenceRefused

_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tsymlinks = true
\tlogallrefupdates = true
[gc]
\tauto = 0
[maintenance]
\tauto = false
[user]
\tname = DevTeam
\temail = devteam@localhost
"""
_SHOWN = ("refs/remotes/", "refs/tags/")


@dataclass(frozen=True)
class PrivateRepository:
    """The folder with the command's own repository, where it is to appear, and the objects that it reads."""

    folder: Path
    shown_at: Path
    objects: Path


def private_repository(mirror: Path, workspace: Path, keep: Path) -> PrivateRepository:
    """The workspace's own repository in the folder `keep`, made when the worktree is another one than last time.

    Raises FenceRefused when the mirror knows no such worktree.
    """
    registration = registration_of(mirror, workspace)
    made = PrivateRepository(keep / "git", registration, mirror / "objects")
    born = (registration / "gitdir").stat()
    stamp = f"{registration}:{born.st_ino}:{born.st_mtime_ns}"
    noted = keep / "git.made"
    if made.folder.is_dir() and noted.is_file() and noted.read_text(encoding="utf-8") == stamp:
        return made
    noted.unlink(missing_ok=True)
    if made.folder.exists():
        shutil.rmtree(made.folder)
    _make(made, mirror)
    noted.write_text(stamp, encoding="utf-8")
    return made


def registration_of(mirror: Path, workspace: Path) -> Path:
    """The folder inside the mirror that is the worktree's own. Raises FenceRefused when there is none."""
    wanted = {os.fspath(workspace / ".git"), os.path.join(os.path.realpath(workspace), ".git")}
    for folder in (mirror / "worktrees").glob("*"):
        try:
            if (folder / "gitdir").read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n") in wanted:
                return folder
        except OSError:
            continue
    raise FenceRefused(f"the workspace {workspace} is no worktree of its mirror")


def _make(made: PrivateRepository, mirror: Path) -> None:
    folder = made.folder
    for name in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info", "hooks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "config").write_text(_CONFIG, encoding="utf-8")
    (folder / "objects/info/alternates").write_text(f"{made.objects}\n", encoding="utf-8")
    head = (made.shown_at / "HEAD").read_text(encoding="utf-8")
    (folder / "HEAD").write_text(head, encoding="utf-8")
    refs = _packed(mirror) | _loose(mirror)
    own = head.removeprefix("ref:").strip()
    shown = {name: sha for name, sha in refs.items() if name == own or name.startswith(_SHOWN)}
    lines = [f"{sha} {name}\n" for name, sha in sorted(shown.items())]
    packed = "# pack-refs with: sorted \n" + "".join(lines)
    (folder / "packed-refs").write_text(packed, encoding="utf-8", errors="surrogateescape")
    for source, name in ((made.shown_at / "index", "index"), (mirror / "info" / "exclude", "info/exclude")):
        if source.is_file():
            shutil.copy2(source, folder / name)


def _packed(mirror: Path) -> dict[str, str]:
    try:
        text = (mirror / "packed-refs").read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return {}
    pairs = (line.split(" ", 1) for line in text.splitlines() if line and line[0] not in "#^")
    return {name: sha for sha, name in pairs}


def _loose(mirror: Path) -> dict[str, str]:
    found = {}
    for folder, _, names in os.walk(mirror / "refs"):
        for name in names:
            file = Path(folder, name)
            try:
                content = file.read_text(encoding="ascii").strip()
            except (OSError, ValueError):
                continue  # a ref in the making, or gone
            if len(content) in (40, 64) and not name.endswith(".lock"):
                found[file.relative_to(mirror).as_posix()] = content
    return found
