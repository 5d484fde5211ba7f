"""Where agents' programs are, and which of a machine's folders a fence has to show for them."""

import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ALWAYS_SHOWN: Final = Path("/usr")
_INTERPRETER_LINE: Final = 200


@dataclass(frozen=True)
class Program:
    """A command that starts inside a fence: `shown` is what it has to see there, `path` where it looks for others."""

    argv: tuple[str, ...]
    shown: tuple[Path, ...] = ()
    path: tuple[Path, ...] = ()


class AgentPrograms:
    """Looks for agents in one folder that the operator names, then on the engine's own PATH.

    The folder is one into which npm has installed: programs are in its `node_modules/.bin`.
    """

    def __init__(self, folder: Path | None, search_path: str) -> None:
        own = [] if folder is None else [str(folder.absolute() / "node_modules" / ".bin")]
        # A relative place would be another one for every process.
        others = [place for place in search_path.split(os.pathsep) if os.path.isabs(place)]
        self._search = os.pathsep.join([*own, str(Path(sys.executable).parent), *others])

    def find(self, argv: tuple[str, ...]) -> Program | None:
        """The command with its program's place, or None when it is not installed.

        A relative path belongs to the repository, in which it is looked for when it starts.
        """
        name = argv[0]
        if os.sep in name and not os.path.isabs(name):
            return Program(argv)
        found = shutil.which(name, path=self._search)
        if found is None:
            return None
        real = Path(found).resolve()
        # A program may mind its name, as Python does in an environment; where the fence shows both, it keeps it.
        started = found if _is_shown(Path(found)) and _is_shown(real) else str(real)
        node = self._node(real)
        shown = (_around(real), *([] if node is None else [node]))
        return Program(
            (started, *argv[1:]),
            shown=tuple(place for place in shown if not _is_shown(place)),
            path=() if node is None else (node.parent,),
        )

    def version(self, argv: tuple[str, ...]) -> str | None:
        """The version of the npm package that the command's program belongs to; None when there is none to read."""
        found = shutil.which(argv[0], path=self._search)
        if found is None:
            return None
        real = Path(found).resolve()
        for folder in real.parents:
            if folder.name == "node_modules":
                return None
            with suppress(OSError, ValueError):
                told = json.loads((folder / "package.json").read_text(encoding="utf-8"))
                if isinstance(told, dict) and isinstance(told.get("version"), str):
                    return str(told["version"])
        return None

    def _node(self, program: Path) -> Path | None:
        """Node itself, for a script that asks for it; many agents are such scripts."""
        with program.open("rb") as file:
            first = file.read(_INTERPRETER_LINE).partition(b"\n")[0]
        if first.rstrip() != b"#!/usr/bin/env node":
            return None
        found = shutil.which("node", path=self._search)
        if found is None:
            return None
        return Path(found) if _is_shown(Path(found)) else Path(found).resolve()


def _is_shown(place: Path) -> bool:
    """Whether every fence shows it: the system's programs and DevTeam's own Python."""
    return any(place.is_relative_to(folder) for folder in (_ALWAYS_SHOWN, Path(sys.prefix), Path(sys.base_prefix)))


def _around(program: Path) -> Path:
    """What a program needs around it: the packages it was installed with, its Python environment, or nothing."""
    packages = next((parent for parent in reversed(program.parents) if parent.name == "node_modules"), None)
    if packages is not None:
        return packages
    environment = program.parent.parent
    return environment if (environment / "pyvenv.cfg").is_file() else program
