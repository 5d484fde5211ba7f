"""Pure rules of the engine, as tables."""

import ast
import os
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import devteam
from devteam.adapters.executors.command import read_report
from devteam.customers.metrics import confidence, health_of, time_remaining_of
from devteam.customers.waiting import CustomerFacts, WaitReason, activity, reason_to_wait
from devteam.events import schemas as events
from devteam.executions.gates import from_json, judge, to_json
from devteam.executions.model import (
    EXECUTION_MOVES,
    MONITORING_MOVES,
    OPEN,
    PHASE_MOVES,
    ExecutionStatus,
    Monitoring,
    Phase,
)
from devteam.executions.ports import CommandEnd, GateRun, TestReport
from devteam.kit.errors import IllegalMove
from devteam.tasks.model import FINAL, RETRYABLE, RUNNING, TASK_MOVES, UNMET, TaskStatus
from devteam.tasks.rules import GAP, check_move, find_cycle, position_between

NOW = datetime(2026, 1, 1, tzinfo=UTC)


# --- states and moves ---


@pytest.mark.parametrize(
    ("states", "moves", "first"),
    [
        (TaskStatus, TASK_MOVES, {TaskStatus.PENDING, TaskStatus.BLOCKED}),
        (ExecutionStatus, EXECUTION_MOVES, {ExecutionStatus.QUEUED}),
        (Phase, PHASE_MOVES, {Phase.PLANNING}),
        (Monitoring, MONITORING_MOVES, {Monitoring.WATCHING, Monitoring.SKIPPED}),
    ],
)
def test_every_state_has_its_moves_and_can_be_reached(
    states: type[StrEnum], moves: Mapping[Any, frozenset[Any]], first: set[Any]
) -> None:
    assert set(moves) == set(states)
    reached, queue = set(first), deque(first)
    while queue:
        for after in moves[queue.popleft()] - reached:
            reached.add(after)
            queue.append(after)
    assert reached == set(states)
    assert all(state not in after for state, after in moves.items())


def test_states_fall_into_their_groups() -> None:
    assert FINAL.isdisjoint(RUNNING) and RETRYABLE.isdisjoint(RUNNING)
    assert all(TaskStatus.PENDING in TASK_MOVES[status] for status in RETRYABLE | RUNNING)
    assert {TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.SKIPPED, TaskStatus.BLOCKED} == UNMET
    assert all(ExecutionStatus.ABORTED in EXECUTION_MOVES[status] for status in OPEN)


def test_an_illegal_move_says_what_is_legal() -> None:
    with pytest.raises(IllegalMove, match="from completed it can go to failed, pending"):
        check_move(TaskStatus.COMPLETED, TaskStatus.VERIFYING)


# --- the queue ---


def ids(*numbers: int) -> list[UUID]:
    return [UUID(int=number) for number in numbers]


@pytest.mark.parametrize(
    ("graph", "cycle"),
    [
        ({}, None),
        ({1: [2], 2: [3]}, None),
        ({1: [1]}, [1, 1]),
        ({1: [2], 2: [1]}, [1, 2, 1]),
        ({1: [2, 4], 2: [3], 3: [1], 4: []}, [1, 2, 3, 1]),
        ({1: [2], 2: [3], 3: [2]}, None),  # a circle that does not go through 1
    ],
)
def test_a_cycle_is_found_with_its_path(graph: dict[int, list[int]], cycle: list[int] | None) -> None:
    found = find_cycle({UUID(int=task): ids(*needed) for task, needed in graph.items()}, UUID(int=1))
    assert found == (None if cycle is None else ids(*cycle))


@given(st.none() | st.floats(-1e6, 1e6), st.none() | st.floats(-1e6, 1e6))
def test_a_position_lies_between_its_neighbours_or_there_is_none(left: float | None, right: float | None) -> None:
    if left is not None and right is not None and left > right:
        left, right = right, left
    found = position_between(left, right)
    if found is None:
        assert left is not None and right is not None and right - left < 1e-5
    else:
        assert (left is None or left < found) and (right is None or found < right)


def test_the_middle_of_a_fresh_gap_can_be_taken_many_times() -> None:
    left, right, times = 0.0, GAP, 0
    while (middle := position_between(left, right)) is not None:
        right, times = middle, times + 1
    assert times >= 25


# --- gates ---


def ran(code: int = 0, report: TestReport | None = None, **end: Any) -> GateRun:
    values = {"exit_code": code, "signal": None, "timed_out": False, "seconds": 1.0, "isolation": "subreaper", **end}
    return GateRun(CommandEnd(**values), report, "tail")


def counted(passed: str = "", failed: str = "", skipped: int = 0) -> TestReport:
    return TestReport(frozenset(passed.split()), frozenset(failed.split()), skipped)


VERDICTS = [
    ("green on green", ran(), ran(), True, False, "Passed."),
    ("green, base unknown", ran(), None, True, None, "Passed."),
    ("red on green", ran(1), ran(), False, False, "It ended with exit code 1."),
    ("red, base unknown", ran(1), None, False, None, "It ended with exit code 1."),
    ("green on red", ran(), ran(1), True, True, "Passed; the base was red before."),
    ("red on red without a report", ran(1), ran(1), False, True, "without a test report nothing shows what works"),
    (
        "red on red, nothing broken",
        ran(1, counted("a b", "c")),
        ran(1, counted("a", "b c")),
        True,
        True,
        "1 tests fail as on the base, which was red before; nothing that passed is broken.",
    ),
    (
        "red on red, one broken",
        ran(1, counted("b", "a c")),
        ran(1, counted("a b", "c")),
        False,
        True,
        "1 tests that passed on the base do not pass now, a first.",
    ),
    ("red on red, one vanished", ran(1, counted("b", "c")), ran(1, counted("a b", "c")), False, True, "a first"),
    ("red on red, all fail", ran(1, counted("", "a b")), ran(1, counted("", "a b")), False, True, "No test passes"),
    ("red on red, base without report", ran(1, counted("a", "b")), ran(1), True, True, "nothing that passed is broken"),
    ("red on green, one broken", ran(1, counted("", "a")), ran(0, counted("a")), False, False, "a first"),
    ("green although tests vanished", ran(0, counted("a")), ran(0, counted("a b")), True, False, "Passed."),
    ("timed out on red", ran(1, counted("a"), timed_out=True), ran(1, counted("a")), False, True, "time limit"),
    ("killed on green", ran(1, None, exit_code=None, signal=9), ran(), False, False, "signal 9"),
    (
        "not started on red",
        ran(1, None, exit_code=None, error="command not found: x"),
        ran(1, None, exit_code=None, error="command not found: x"),
        False,
        True,
        "command not found: x",
    ),
]


@pytest.mark.parametrize(
    ("run", "base", "passed", "base_red", "text"), [row[1:] for row in VERDICTS], ids=[row[0] for row in VERDICTS]
)
def test_a_gate_is_judged_against_its_base(
    run: GateRun, base: GateRun | None, passed: bool, base_red: bool | None, text: str
) -> None:
    verdict = judge(run, base)
    assert (verdict.passed, verdict.base_red) == (passed, base_red)
    assert text in verdict.text and verdict.text.count("\n") == 0


def test_a_verdict_shows_twenty_broken_tests_at_most() -> None:
    verdict = judge(ran(1, counted("", "x")), ran(0, counted(" ".join(f"t{n:03}" for n in range(50)))))
    assert verdict.tests is not None and len(verdict.tests["broken"]) == 20
    assert verdict.text.startswith("50 tests")


@pytest.mark.parametrize("run", [row[1] for row in VERDICTS], ids=[row[0] for row in VERDICTS])
def test_a_run_is_the_same_after_it_was_stored(run: GateRun) -> None:
    assert from_json(to_json(run)) == run


def report_of(tmp_path: Path, content: bytes) -> TestReport | None:
    file = tmp_path / "report.xml"
    file.write_bytes(content)
    return read_report(file)


def test_a_report_is_read_by_result(tmp_path: Path) -> None:
    content = b"""<testsuites><testsuite><testcase classname="c" name="ok"/><testcase name="bad"><failure/></testcase>
        <testcase name="err"><error/></testcase><testcase name="skip"><skipped/></testcase>
        <testcase name="twice"/><testcase name="twice"><failure/></testcase></testsuite></testsuites>"""
    assert report_of(tmp_path, content) == counted("c::ok", "bad err twice", 1)


LAUGHS = (
    b'<!DOCTYPE l [<!ENTITY a "'
    + b"a" * 1000
    + b'">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, (b"&%c;" % (97 + n)) * 30) for n in range(6))
    + b"]><testsuite><testcase name='&g;'/></testsuite>"
)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not xml",
        b"<testsuite>",
        b"<testsuite/>",
        b"\xff\xfe\x00",
        b'<?xml version="1.0" encoding="no-such"?><testsuite/>',
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&e;"/></testsuite>',
        LAUGHS,
    ],
)
def test_what_is_no_report_is_no_report(tmp_path: Path, content: bytes) -> None:
    assert report_of(tmp_path, content) is None


def test_a_report_that_is_a_link_or_a_pipe_or_a_folder_is_not_read(tmp_path: Path) -> None:
    real = tmp_path / "real.xml"
    real.write_text("<testsuite><testcase name='a'/></testsuite>")
    assert read_report(real) is not None
    (tmp_path / "link.xml").symlink_to(real)
    (tmp_path / "folder.xml").mkdir()
    os.mkfifo(tmp_path / "pipe.xml")
    for name in ("link.xml", "folder.xml", "pipe.xml", "missing.xml"):
        assert read_report(tmp_path / name) is None


def test_a_name_without_end_is_cut(tmp_path: Path) -> None:
    report = report_of(tmp_path, b"<testsuite><testcase name='" + b"n" * 100_000 + b"'/></testsuite>")
    assert report is not None and [len(name) for name in report.passed] == [500]


def test_deeply_nested_elements_do_no_harm(tmp_path: Path) -> None:
    content = b"<a>" * 100_000 + b"<testcase name='x'/>" + b"</a>" * 100_000
    assert report_of(tmp_path, content) in (counted("x"), None)


# --- why is nothing running ---


def facts(**changes: Any) -> CustomerFacts:
    values = {
        "archived": False, "status": "active", "reason": None, "pause_requested": False, "stopping": False,
        "running": False, "awaiting_approval": False, "has_next": True, "pending": 1, "blocked": 0, "manual": 0,
    }  # fmt: skip
    return CustomerFacts(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "reason", "doing"),
    [
        ({}, WaitReason.WAITING_FOR_SLOT, "selecting"),
        ({"status": "queued"}, WaitReason.WAITING_FOR_SLOT, "initializing"),
        ({"running": True}, None, "task_executing"),
        ({"running": True, "awaiting_approval": True}, None, "awaiting_approval"),
        ({"running": True, "awaiting_approval": True, "stopping": True}, None, "stopping"),
        ({"running": True, "stopping": True}, None, "stopping"),
        ({"running": True, "pause_requested": True}, None, "stopping"),
        ({"status": None}, WaitReason.NOT_STARTED, None),
        ({"status": "aborted"}, WaitReason.ABORTED, None),
        ({"status": "paused"}, WaitReason.PAUSED, None),
        ({"status": "error"}, WaitReason.ERROR, None),
        ({"archived": True}, WaitReason.ARCHIVED, "selecting"),
        ({"pause_requested": True}, WaitReason.PAUSING, "selecting"),
        ({"has_next": False, "pending": 0}, WaitReason.NO_TASKS, "blocked"),
        ({"has_next": False, "pending": 0, "blocked": 2}, WaitReason.ALL_BLOCKED, "blocked"),
        ({"has_next": False, "pending": 2, "manual": 2}, WaitReason.HELD_BY_PEOPLE, "blocked"),
        ({"has_next": False, "pending": 3, "manual": 2}, WaitReason.WAITING_FOR_DEPENDENCY, "blocked"),
        ({"status": "completed", "has_next": False, "pending": 0}, WaitReason.NO_TASKS, None),
    ],
)
def test_one_reason_says_why_nothing_runs(changes: dict[str, Any], reason: WaitReason | None, doing: str) -> None:
    assert reason_to_wait(facts(**changes)) is reason
    assert activity(facts(**changes)) == doing


def test_every_reason_has_a_sentence() -> None:
    assert all(reason.text.endswith(".") for reason in WaitReason)


# --- metrics ---


def measured(**changes: Any) -> Any:
    values = {
        "succeeded": 0, "finished": 0, "open": 0, "total": 0, "phase_started_at": None, "health": None,
        "basis": 0, "low": None, "median": None, "high": None,
    }  # fmt: skip
    return SimpleNamespace(**{**values, **changes})


@pytest.mark.parametrize(
    ("row", "score", "parts"),
    [
        (measured(), None, []),
        (measured(finished=4, succeeded=4), 1.0, ["recent success"]),
        (measured(finished=4, succeeded=1), 0.25, ["recent success"]),
        (measured(finished=2, succeeded=1, total=4, open=1), 0.594, ["recent success", "open problems"]),
        (measured(phase_started_at=NOW - timedelta(seconds=300)), 1.0, ["freshness"]),
        (measured(phase_started_at=NOW - timedelta(seconds=900)), 0.5, ["freshness"]),
        (measured(phase_started_at=NOW - timedelta(hours=3)), 0.0, ["freshness"]),
        (measured(phase_started_at=NOW - timedelta(seconds=900), median=3000.0), 1.0, ["freshness"]),
    ],
)
def test_health_is_the_weighted_mean_of_what_was_measured(row: Any, score: float | None, parts: list[str]) -> None:
    health = health_of(row, NOW)
    assert (health["score"], [part["name"] for part in health["parts"]]) == (score, parts)
    assert health["trend"] == (None if score is None else "steady")


def test_the_trend_compares_with_the_oldest_sample_that_is_kept() -> None:
    health, trends = None, []
    for succeeded in (10, 9, 5, *[5] * 20, 9):
        health = health_of(measured(finished=10, succeeded=succeeded, health=health), NOW)
        trends.append(health["trend"])
    assert trends[:3] == ["steady", "down", "down"] and trends[-1] == "up"
    assert health is not None and len(health["samples"]) == 20


@pytest.mark.parametrize(
    ("basis", "word"), [(0, "unknown"), (2, "unknown"), (3, "low"), (9, "low"), (10, "medium"), (30, "high")]
)
def test_time_remaining_needs_three_finished_attempts(basis: int, word: str) -> None:
    remaining = time_remaining_of(measured(basis=basis, low=1.0, median=2.0, high=3.0), NOW)
    assert remaining["confidence"] == confidence(basis) == word
    assert remaining["median"] == (2.0 if basis >= 3 else None)


# --- events ---


def recorded_types() -> dict[str, str]:
    """Every event type that the code records, with a place where it does."""
    found = {}
    for file in Path(devteam.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and _records(node):
                for value in _literals(node.args):
                    found[value] = f"{file.name}:{node.lineno}"
            if isinstance(node, ast.keyword) and node.arg == "event":
                for value in _literals([node.value]):
                    found[value] = f"{file.name}:{node.value.lineno}"
    return found


def _records(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in ("record", "Event", "_tell", "_record_system")


def _literals(nodes: list[ast.expr]) -> list[str]:
    values = [node.value for node in nodes[:3] if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    kinds = {"customer", "project", "task", "execution", "attempt", "worker", "user"}
    return [value for value in values if "_" in value and value not in kinds]


def test_every_event_that_the_code_records_has_a_sentence() -> None:
    types = recorded_types()
    assert {"task_added", "attempt_started", "worker_lost", "execution_paused"} <= set(types)
    missing = {kind: place for kind, place in types.items() if kind not in events._TEXTS}
    assert not missing
    assert set(events._TEXTS) >= events.NOTABLE
