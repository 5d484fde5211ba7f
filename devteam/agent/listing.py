"""Which files a folder holds, without those that git ignores."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from devteam.agent.paths import PathRefused, Workspace
from devteam.agent.processes import run_command

LISTED_LIMIT = 50_000
_LISTING_BYTES = 16 * 1024 * 1024
_LISTING_SECONDS = 30.0
_NEVER_LISTED = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".mypy_cache"})


async def list_files(workspace: Workspace, folder: Path) -> list[str]:
    """Paths relative to the root, sorted. Outside of a git repository well-known folders of tools are left out."""
    if (single := _single(workspace, folder)) is not None:
        return single
    found = await _known_to_git(workspace.root, folder)
    return sorted(_walk(workspace.root, folder) if found is None else found)[:LISTED_LIMIT]


async def _known_to_git(root: Path, folder: Path) -> list[str] | None:
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(root), "ls-files"]
    command += ["--cached", "--others", "--exclude-standard", "-z", "--", str(folder)]
    try:
        result = await run_command(
            command, cwd=root, time_limit=_LISTING_SECONDS, limit=_LISTING_BYTES, errors_shown=False
        )
    except OSError:
        return None
    if result.code != 0:
        return None
    names = dict.fromkeys(os.fsdecode(name) for name in result.raw.split(b"\0") if name)
    return _existing(root, names)


def _single(workspace: Workspace, path: Path) -> list[str] | None:
    """A file stands for itself; None for a folder."""
    if path.is_file():
        return [workspace.name(path)]
    if not path.is_dir():
        raise PathRefused(f"there is no folder {workspace.name(path)}")
    return None


def _existing(root: Path, names: Iterable[str]) -> list[str]:
    """Without what git knows but the tree lacks."""
    return [name for name in names if os.path.lexists(root / name)]


def _walk(root: Path, folder: Path) -> list[str]:
    found: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _NEVER_LISTED)
        found += [str((Path(parent) / name).relative_to(root)) for name in files]
        if len(found) >= LISTED_LIMIT:
            break
    return found


def glob_pattern(glob: str) -> re.Pattern[str]:
    """`**` crosses folders, `*` and `?` do not; a pattern without a slash is about the file's name alone.

    Raises re.error for a bad set of characters.
    """
    if "/" not in glob:
        glob = f"**/{glob}"
    parts: list[str] = []
    position = 0
    while position < len(glob):
        for token, expression in (("**/", "(?:.*/)?"), ("**", ".*"), ("*", "[^/]*"), ("?", "[^/]")):
            if glob.startswith(token, position):
                parts.append(expression)
                position += len(token)
                break
        else:
            end = glob.find("]", position + 2) if glob[position] == "[" else -1
            if end > 0:
                inside = glob[position + 1 : end].replace("\\", r"\\")
                parts.append(f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]")
                position = end + 1
            else:
                parts.append(re.escape(glob[position]))
                position += 1
    return re.compile("".join(parts) + r"\Z")
