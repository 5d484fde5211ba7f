"""What an agent may do: what is inside its fence, but not git's own files, nor what the project refuses or protects."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from devteam.executions.checks.patterns import matching
from devteam.projects.protection import refused_by

_GIT = ".git"
_HARMLESS = frozenset({"read", "search", "fetch", "think", "switch_mode"})
"""Kinds of tool calls that change no file."""
_PATH_FIELDS = ("path", "file_path", "filePath", "filepath", "abs_path", "notebook_path")


class Verdict(StrEnum):
    """What becomes of a tool call."""

    ALLOW = "allow"
    REFUSE = "refuse"
    ASK = "ask"


@dataclass(frozen=True)
class Ruling:
    """A verdict; `reason` says why a call is refused, `paths` are the protected ones that a person is asked about."""

    verdict: Verdict
    reason: str | None = None
    paths: tuple[str, ...] = ()


_ALLOWED = Ruling(Verdict.ALLOW)


@dataclass(frozen=True)
class Policy:
    """A project's rules for agents: patterns of protected paths, and commands that are refused."""

    protected: Sequence[str] = ()
    refused: Sequence[str] = ()

    def rule(self, call: Mapping[str, Any], workspace: Path) -> Ruling:
        """What becomes of a tool call that the agent asks about."""
        places = list(_places(call))
        if any(_GIT in place.split("/") for place in places):
            return Ruling(Verdict.REFUSE, "git's own files are not for agents")
        entry = refused_by(command_of(call), self.refused) if _may_run(call) else None
        if entry is not None:
            return Ruling(Verdict.REFUSE, f"the project refuses the command: {entry}")
        if call.get("kind") in _HARMLESS:
            return _ALLOWED
        return self.rule_write([path for place in places if (path := _inside(workspace, place)) is not None])

    def rule_write(self, paths: Sequence[str]) -> Ruling:
        """What becomes of a change of files, named relative to the repository."""
        found = sorted(set(matching(paths, self.protected)))
        return Ruling(Verdict.ASK, paths=tuple(found)) if found else _ALLOWED


def command_of(call: Mapping[str, Any]) -> str:
    """The command line of a tool call; agents that do not send it have it as the title."""
    raw = call.get("rawInput")
    command = raw.get("command") if isinstance(raw, Mapping) else None
    if isinstance(command, str):
        return command
    if isinstance(command, list):
        return "\n".join([" ".join(map(str, command)), *map(str, command)])
    title = call.get("title")
    return title.strip("` ") if isinstance(title, str) else ""


def _may_run(call: Mapping[str, Any]) -> bool:
    raw = call.get("rawInput")
    return call.get("kind") == "execute" or (isinstance(raw, Mapping) and "command" in raw)


def _places(call: Mapping[str, Any]) -> Iterator[str]:
    """The files that a call names, wherever the agent puts them."""
    for item in _objects(call.get("locations")):
        yield str(item.get("path", ""))
    for item in _objects(call.get("content")):
        if item.get("type") == "diff":
            yield str(item.get("path", ""))
    raw = call.get("rawInput")
    if isinstance(raw, Mapping):
        yield from (raw[name] for name in _PATH_FIELDS if isinstance(raw.get(name), str))


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _inside(workspace: Path, place: str) -> str | None:
    """Where a file that the call names really is, relative to the workspace; None outside of it."""
    if not place or "\0" in place:
        return None
    target = Path(os.path.realpath(workspace / place))
    root = Path(os.path.realpath(workspace))
    return target.relative_to(root).as_posix() if target.is_relative_to(root) else None
