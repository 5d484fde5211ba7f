"""Which of the engine's folders and of the system's may appear inside a fence, and how."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from devteam.adapters.fences.model import FenceRefused

ETC: Final = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "ssl/certs", "ssl/openssl.cnf", "ca-certificates",
    "pki/ca-trust/extracted", "pki/tls/certs", "crypto-policies", "localtime", "timezone", "mime.types", "protocols",
    "services", "bash.bashrc", "inputrc", "terminfo", "magic", "python3", "python3.11",
)  # fmt: skip
# Whoever names one of these as an agent's folder would open the fence.
NEVER_SHOWN: Final = frozenset(
    Path("/", name)
    for name in ("", "boot", "dev", "etc", "home", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp", "var")
)


def python_folders() -> list[Path]:
    """DevTeam's own Python with its packages, wherever they are, and DevTeam itself."""
    prefixes = [sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix)]
    return [*map(Path, prefixes), Path(__file__).resolve().parents[2]]


def own_folder(folder: Path) -> Path:
    """A folder that only the engine's user may enter, made when it is not there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return checked(folder)


def check_apart(workspace: Path, home: Path, others: Sequence[Path]) -> None:
    """What is mounted must not lie where a command can turn it into a link to something else."""
    for writable in (workspace, home, home.parent / ".fence"):
        for path in (workspace, home, *others):
            if path != writable and path.is_relative_to(writable):
                raise FenceRefused(f"{path} lies inside {writable}, where the command can change it")


def checked(folder: Path) -> Path:
    """A folder that is to be written: one that became a link would open whatever it leads to."""
    if folder.is_symlink() or not folder.is_dir():
        raise FenceRefused(f"{folder} is not a folder of the engine's own")
    return folder


def shown_apart(data: Path, folders: Sequence[Path]) -> list[Path]:
    """Folders to read, for fences that cannot leave anything out below them: none may lie around the data folder."""
    wanted = list(dict.fromkeys(Path(os.path.realpath(folder)) for folder in folders))
    for folder in wanted:
        if folder in NEVER_SHOWN or Path(os.path.realpath(data)).is_relative_to(folder):
            raise FenceRefused(f"the folder {folder} holds too much to be shown to a command")
    return wanted
