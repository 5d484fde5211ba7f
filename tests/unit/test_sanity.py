"""What is said of a task before anybody works at it."""

from dataclasses import dataclass, field
from typing import Any, cast

from devteam.executions.ports import CommandEnd, GateRun, Job
from devteam.tasks.schemas import CommandCriterion, FileCriterion
from devteam.workflows.sanity import base_is_green, criteria_can_be_checked, estimate_fits


@dataclass
class Asked:
    """The part of a job that counts here."""

    criteria: list[Any] = field(default_factory=list)


def run(code: int) -> GateRun:
    return GateRun(CommandEnd(code, None, timed_out=False, seconds=1, isolation="none"), None, "")


def job(*criteria: Any) -> Job:
    return cast("Job", Asked(list(criteria)))


def test_a_red_base_is_told_with_what_is_red() -> None:
    found = base_is_green("c", {"tests": run(1), "lint": run(0)})
    assert found is not None and (found.passed, found.required) == (False, False)
    assert found.text == "Red before the work begins: tests."
    assert [(measure.actual, measure.required) for measure in found.measures] == [(1, 2)]
    green = base_is_green("c", {"lint": run(0)})
    assert green is not None and green.passed
    assert base_is_green("c", {}) is None


def test_a_criterions_missing_program_is_named_but_not_one_of_the_repository() -> None:
    missing = CommandCriterion(type="command", argv=["no-such-program", "-x"])
    own = CommandCriterion(type="command", argv=["./run.sh"])
    script = CommandCriterion(type="command", script="no-such-program")
    there = CommandCriterion(type="command", argv=["sh"])
    found = criteria_can_be_checked(job(missing, own, script, there), "c", "/bin:/usr/bin")
    assert found is not None and (found.passed, found.required) == (False, False)
    assert found.text == "Not installed on this machine: no-such-program."
    fine = criteria_can_be_checked(job(own, there, FileCriterion(type="file", path="a")), "c", "/bin:/usr/bin")
    assert fine is not None and fine.passed
    assert criteria_can_be_checked(job(), "c", "/bin") is None


def test_an_estimate_beyond_the_time_limit_is_told_with_both_numbers() -> None:
    found = estimate_fits("c", 4000.0, 3600.0)
    assert found is not None and not found.passed and found.measures[0].actual == 4000
    assert estimate_fits("c", None, 3600.0) is None
