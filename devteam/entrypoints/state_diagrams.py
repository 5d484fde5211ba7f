"""Draw the state machines into the documentation: `python -m devteam.entrypoints.state_diagrams [FOLDER]`."""

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from devteam.approvals.model import APPROVAL_MOVES, ApprovalStatus
from devteam.executions.model import EXECUTION_MOVES, MONITORING_MOVES, PHASE_MOVES, ExecutionStatus, Monitoring, Phase
from devteam.incidents.model import INCIDENT_MOVES, IncidentStatus
from devteam.tasks.model import FINAL, TASK_MOVES, TaskStatus

PATH = Path("docs/reference/state-machines.md")

_INTRODUCTION = """\
# State machines

Generated from the tables of legal moves in the `model.py` of `tasks`, `executions`, `approvals` and `incidents` by
`make contracts`; a test keeps this page current. A move that is not drawn is refused.
"""


@dataclass(frozen=True)
class Machine:
    """A table of legal moves, and how it is introduced. `ends` are the states that count as an end."""

    title: str
    text: str
    moves: Mapping[Any, Collection[Any]]
    start: Collection[StrEnum]
    ends: Collection[StrEnum]


MACHINES: tuple[Machine, ...] = (
    Machine(
        title="Execution",
        text=(
            "An execution is the engine's run over one customer's queue. `error` means that it cannot go on without a\n"
            "person. `completed` becomes `active` again when a task is added and the execution continues by itself."
        ),
        moves=EXECUTION_MOVES,
        start=(ExecutionStatus.QUEUED,),
        ends=(ExecutionStatus.COMPLETED, ExecutionStatus.ABORTED),
    ),
    Machine(
        title="Task",
        text=(
            "`pending` to `completed` is a person finishing a manual task; `completed` to `failed` is a regression\n"
            "that monitoring found; back to `pending` is a retry, or the release of a task whose attempt was stopped."
        ),
        moves=TASK_MOVES,
        start=(TaskStatus.PENDING,),
        ends=FINAL,
    ),
    Machine(
        title="Phases of an attempt",
        text=(
            "Back from quality assurance is a round of repair; back from delivery is a rebase onto a base that moved,\n"
            "whose result must hold again."
        ),
        moves=PHASE_MOVES,
        start=(Phase.PLANNING,),
        ends=(Phase.MONITORING,),
    ),
    Machine(
        title="Monitoring of a delivery",
        text="Monitoring begins when the attempt has succeeded; it holds no slot and blocks nothing.",
        moves=MONITORING_MOVES,
        start=(Monitoring.WATCHING, Monitoring.SKIPPED),
        ends=tuple(state for state, targets in MONITORING_MOVES.items() if not targets),
    ),
    Machine(
        title="Approval",
        text=(
            "A question that waits for a person. `expired` is one that nobody answered in time, or whose attempt\n"
            "ended before: silence means no."
        ),
        moves=APPROVAL_MOVES,
        start=(ApprovalStatus.PENDING,),
        ends=tuple(state for state, targets in APPROVAL_MOVES.items() if not targets),
    ),
    Machine(
        title="Incident",
        text=(
            "`acknowledged` is a person who has taken it on. What happens again after `resolved` is a new incident;\n"
            "what happens again before counts up."
        ),
        moves=INCIDENT_MOVES,
        start=(IncidentStatus.OPEN,),
        ends=(IncidentStatus.RESOLVED,),
    ),
)


def page() -> str:
    """The whole page as committed."""
    return "\n".join([_INTRODUCTION, *(_section(machine) for machine in MACHINES)])


def _section(machine: Machine) -> str:
    return "\n".join([f"## {machine.title}", "", machine.text, "", "```mermaid", *_diagram(machine), "```", ""])


def _diagram(machine: Machine) -> Iterator[str]:
    yield "stateDiagram-v2"
    yield from (f"    [*] --> {state}" for state in machine.start)
    for state, targets in machine.moves.items():
        yield from (f"    {state} --> {target}" for target in _in_order(targets, machine))
    yield from (f"    {state} --> [*]" for state in machine.moves if state in machine.ends)


def _in_order(states: Iterable[StrEnum], machine: Machine) -> list[StrEnum]:
    """A set has no order of its own; the table's rows have."""
    return sorted(states, key=list(machine.moves).index)


def main(arguments: list[str]) -> None:
    """Write the page."""
    folder = Path(arguments[0]) if arguments else PATH.parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PATH.name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
