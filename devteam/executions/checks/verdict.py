"""What a check is told, and what it answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from devteam.executions.checks.changes import Changes
from devteam.executions.lifecycle import Measure
from devteam.executions.ports import TestReport

SHOWN = 50
"""How many findings a verdict lists."""


@dataclass(frozen=True)
class Tested:
    """What a gate's test report said on the base and says on the work."""

    __test__ = False

    gate: str
    before: TestReport
    after: TestReport


@dataclass(frozen=True)
class Facts:
    """All that checks judge by.

    `history` holds every commit's own changes where commits are delivered as somebody made them. `criteria` counts
    the task's acceptance criteria. `approved_paths` are protected files that a person allowed this attempt to change.
    `licence_of` answers the licence of a package of an ecosystem, where it is known.
    """

    changes: Changes
    history: Changes | None = None
    criteria: int = 0
    protected_paths: Sequence[str] = ()
    approved_paths: frozenset[str] = frozenset()
    tested: Sequence[Tested] = ()
    licence_of: Callable[[str, str], str | None] = field(default=lambda _ecosystem, _name: None)
    report: Callable[[str], str | None] = field(default=lambda _path: None)


@dataclass(frozen=True)
class Verdict:
    """`ask` is the kind of question that a person may answer with yes where the check itself must say no.

    `details` are lines of evidence, and `paths` the files that they are about. Neither holds a secret.
    """

    passed: bool
    text: str
    details: Sequence[str] = ()
    paths: Sequence[str] = ()
    measures: Sequence[Measure] = ()
    ask: str | None = None


Check = Callable[[Facts, Mapping[str, Any]], Verdict]
"""A check: facts and the gate's options in, a verdict out. It reads nothing else, and changes nothing."""


def shown(items: Sequence[str], limit: int = 3) -> str:
    """The first few of a list, and how many more there are."""
    more = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {more} more" if more > 0 else "")


def listed(lines: Sequence[str]) -> list[str]:
    """As many lines as a verdict lists."""
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"… and {more} more"] if more > 0 else [])]
