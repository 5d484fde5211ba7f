"""Pure rules of the queue: legal moves, cycles, positions."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from devteam.kit.errors import IllegalMove
from devteam.tasks.model import TASK_MOVES, TaskStatus

GAP = 1024.0
"""Distance between neighbours of a fresh queue; moves take midpoints."""
_SMALLEST_GAP = 1e-6


def check_move(before: TaskStatus, after: TaskStatus) -> None:
    """Raise IllegalMove unless a task may go from one status to the other."""
    if after not in TASK_MOVES[before]:
        allowed = ", ".join(sorted(TASK_MOVES[before]))
        raise IllegalMove(f"A task cannot go from {before} to {after}; from {before} it can go to {allowed}.")


def find_cycle(depends_on: Mapping[UUID, Iterable[UUID]], start: UUID) -> list[UUID] | None:
    """The path of a dependency cycle through `start`, beginning and ending with it; None when there is none."""
    stack: list[tuple[UUID, list[UUID]]] = [(start, [start])]
    seen: set[UUID] = set()
    while stack:
        task, path = stack.pop()
        for dependency in depends_on.get(task, ()):
            if dependency == start:
                return [*path, start]
            if dependency not in seen:
                seen.add(dependency)
                stack.append((dependency, [*path, dependency]))
    return None


def position_between(before: float | None, after: float | None) -> float | None:
    """A position between two neighbours; None when the gap is used up and the queue must be renumbered."""
    match before, after:
        case None, None:
            return GAP
        case None, float(right):
            return right - GAP
        case float(left), None:
            return left + GAP
        case float(left), float(right):
            middle = (left + right) / 2
            return middle if left + _SMALLEST_GAP < middle < right - _SMALLEST_GAP else None
        case _:
            raise AssertionError((before, after))
