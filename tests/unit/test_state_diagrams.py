"""The drawn state machines are the ones that the code enforces."""

import re
from enum import StrEnum
from pathlib import Path

import pytest

from devteam.entrypoints.state_diagrams import MACHINES, PATH, Machine, page

ROOT = Path(__file__).parents[2]


def test_the_committed_page_is_current() -> None:
    assert (ROOT / PATH).read_text(encoding="utf-8") == page(), "run `make contracts`"


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.title)
def test_every_state_is_drawn_and_can_be_reached(machine: Machine) -> None:
    section = page().split(f"## {machine.title}\n")[1].split("\n## ")[0]
    arrows = re.findall(r"^    (\S+) --> (\S+)$", section, flags=re.MULTILINE)
    reached: set[str] = {"[*]"}
    while more := {target for source, target in arrows if source in reached} - reached:
        reached |= more
    assert reached - {"[*]"} == {str(state) for state in machine.moves}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.title)
def test_every_state_has_a_row_in_its_table(machine: Machine) -> None:
    kind: type[StrEnum] = type(next(iter(machine.start)))
    assert set(machine.moves) == set(kind)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.title)
def test_a_state_without_a_way_on_is_an_end(machine: Machine) -> None:
    assert {state for state, targets in machine.moves.items() if not targets} <= set(machine.ends)
