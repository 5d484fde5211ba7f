"""People name things by id, by an end of the id, or by name; scripts by id."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from devteam.cli.failure import CliError

SHORTEST_ID_PART = 4
SHOWN = 8


@dataclass(frozen=True)
class Named:
    """Something that can be named."""

    id: str
    name: str


def named(things: Iterable[Mapping[str, Any]], *, by: str = "name") -> list[Named]:
    """Views as things that can be named; `by` is the field that holds the name."""
    return [Named(thing["id"], thing[by]) for thing in things]


def as_id(text: str) -> str | None:
    """The text as a full id, if it is one."""
    try:
        return str(UUID(text)) if re.fullmatch(r"[0-9a-fA-F-]{32,36}", text) else None
    except ValueError:
        return None


def resolve(wanted: str, things: Sequence[Named], what: str) -> str:
    """The id of the one thing that is meant; `what` is its word. Raises CliError when it is none or several.

    An exact name wins over one in other letter case, and that over a part of an id.
    """
    for found in (_by_id(wanted, things), _by_name(wanted, things), _by_id_part(wanted, things)):
        if len(found) == 1:
            return found[0].id
        if found:
            raise CliError(f"'{wanted}' could be any of these {what}s: {_listed(found)}. Use an id.")
    raise CliError(f"There is no {what} '{wanted}'{_hint(wanted, things)}")


def _by_id(wanted: str, things: Sequence[Named]) -> list[Named]:
    full = as_id(wanted)
    return [thing for thing in things if thing.id == full]


def _by_name(wanted: str, things: Sequence[Named]) -> list[Named]:
    exact = [thing for thing in things if thing.name == wanted]
    return exact or [thing for thing in things if thing.name.casefold() == wanted.casefold()]


def _by_id_part(wanted: str, things: Sequence[Named]) -> list[Named]:
    part = wanted.replace("-", "").lower()
    if len(part) < SHORTEST_ID_PART or not re.fullmatch("[0-9a-f]+", part):
        return []
    return [thing for thing in things if _has_end(thing.id.replace("-", ""), part)]


def _has_end(full: str, part: str) -> bool:
    return full.startswith(part) or full.endswith(part)


def _listed(things: Sequence[Named]) -> str:
    shown = ", ".join(f"{thing.name} ({thing.id})" for thing in things[:SHOWN])
    more = len(things) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _hint(wanted: str, things: Sequence[Named]) -> str:
    close = difflib.get_close_matches(wanted, [thing.name for thing in things], n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else "."


def repository_address(text: str) -> str:
    """A repository as the engine knows it: a path becomes absolute here, where it is relative to something."""
    if "://" in text or not text.strip():
        return text
    path = Path(text).expanduser()
    if re.match(r"[^/]+:", text) and not path.exists():  # user@host:path
        return text
    return os.path.normpath(Path.cwd() / path)
