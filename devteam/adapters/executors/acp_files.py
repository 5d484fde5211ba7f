"""Files of a workspace, opened for an agent from outside its fence while the agent may change the folders."""

import os
import stat
from contextlib import suppress
from pathlib import Path

_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class OutsideWorkspace(Exception):
    """The path leads out of the workspace, or into git's own folders."""


def inside(workspace: Path, path: str) -> tuple[str, ...]:
    """The real path's parts below the workspace, links resolved. Raises OutsideWorkspace."""
    if "\0" in path:
        raise OutsideWorkspace(path)
    target = Path(os.path.realpath(workspace / path))
    if not target.is_relative_to(workspace):
        raise OutsideWorkspace(path)
    parts = target.relative_to(workspace).parts
    if not parts or any(part.lower() == ".git" for part in parts):
        raise OutsideWorkspace(path)
    return parts


def read_inside(workspace: Path, parts: tuple[str, ...], limit: int) -> bytes:
    """The first bytes of a regular file. Raises OSError."""
    with os.fdopen(_open(workspace, parts, os.O_RDONLY), "rb") as file:
        return file.read(limit)


def write_inside(workspace: Path, parts: tuple[str, ...], content: bytes) -> None:
    """Make a regular file hold the content, folders made as needed. Raises OSError."""
    with os.fdopen(_open(workspace, parts, os.O_WRONLY | os.O_CREAT, make=True), "wb") as file:
        file.truncate()
        file.write(content)


def _open(workspace: Path, parts: tuple[str, ...], flags: int, *, make: bool = False) -> int:
    """Step by step and never through a link: the agent may exchange a folder for one at any moment."""
    folder = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | _FLAGS)
    try:
        for part in parts[:-1]:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=folder)
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=folder)
            os.close(folder)
            folder = below
        file = os.open(parts[-1], flags | _FLAGS, 0o644, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(22, "not a regular file")
    return file
