"""Writing into an agent's private home, where an earlier round of the agent may have planted links."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from devteam.kit.ids import new_id

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_in_home(home: Path, place: str, text: str) -> Path:
    """Write a file at a place below the home, as a new one; links on the way there are replaced, never followed.

    Raises OSError when something else is in the way.
    """
    *folders, name = Path(place).parts
    descriptor = os.open(home, _FOLDER)
    try:
        for folder in folders:
            inner = _enter(descriptor, folder)
            os.close(descriptor)
            descriptor = inner
        fresh = f".{new_id().hex}"
        with os.fdopen(os.open(fresh, _NEW_FILE, 0o600, dir_fd=descriptor), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(fresh, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
    finally:
        os.close(descriptor)
    return home / place


def _enter(parent: int, name: str) -> int:
    """The folder, made when there is none; what is no folder goes."""
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except NotADirectoryError:  # what the kernel says of links, too
        os.unlink(name, dir_fd=parent)
        os.mkdir(name, 0o700, dir_fd=parent)
        return os.open(name, _FOLDER, dir_fd=parent)
