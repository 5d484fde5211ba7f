"""Decide what a gate's run means against what the same gate showed on the base."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devteam.executions.ports import CommandEnd, GateRun, TestReport

FLAKY_SUSPECTS = 10
"""With at most so many failing tests a gate is run again: one that passes then was flaky, not broken."""
_SHOWN_BROKEN = 20


@dataclass(frozen=True)
class Verdict:
    """`passed` decides; `base_red` is None when the base was not measured."""

    passed: bool
    base_red: bool | None
    text: str
    tests: Mapping[str, Any] | None


def judge(run: GateRun, baseline: GateRun | None) -> Verdict:
    """A gate passes when its command succeeds; on a base that was red before, it also passes when the test report
    proves that something works and that nothing which passed on the base is broken now.
    """
    base_red = None if baseline is None else not baseline.end.succeeded
    broken = _broken(run.report, baseline.report if baseline else None)
    tests = _counts(run.report, broken)
    if run.end.succeeded:
        text = "Passed; the base was red before." if base_red else run.text or "Passed."
        return Verdict(True, base_red, text, tests)
    if broken:
        text = f"{len(broken)} tests that passed on the base do not pass now, {broken[0]} first."
        return Verdict(False, base_red, text, tests)
    if not base_red or run.end.timed_out or run.end.error is not None:
        return Verdict(False, base_red, run.describe(), tests)
    if run.report is None:
        text = f"{run.describe()} The base was red before too, and without a test report nothing shows what works."
        return Verdict(False, True, text, tests)
    if not run.report.passed:
        return Verdict(False, True, "No test passes; the base was red before too.", tests)
    text = f"{len(run.report.failed)} tests fail as on the base, which was red before; nothing that passed is broken."
    return Verdict(True, True, text, tests)


def suspects(run: GateRun, baseline: GateRun) -> list[str]:
    """Failing tests that may only be flaky, because they are few and did not fail on the base."""
    end = run.end
    if end.succeeded or end.timed_out or end.error is not None or run.report is None:
        return []
    failed = run.report.failed - (baseline.report.failed if baseline.report is not None else frozenset())
    return sorted(failed) if len(failed) <= FLAKY_SUSPECTS else []


def _broken(report: TestReport | None, before: TestReport | None) -> list[str]:
    """Tests that passed before and do not pass now, missing ones included."""
    if report is None or before is None:
        return []
    return sorted(before.passed - report.passed)


def _counts(report: TestReport | None, broken: list[str]) -> Mapping[str, Any] | None:
    if report is None:
        return None
    return {
        "passed": len(report.passed),
        "failed": len(report.failed),
        "skipped": report.skipped,
        "broken": broken[:_SHOWN_BROKEN],
    }


def to_json(run: GateRun) -> dict[str, Any]:
    """A run as stored for reuse as a baseline."""
    end = run.end
    return {
        "exit_code": end.exit_code,
        "signal": end.signal,
        "timed_out": end.timed_out,
        "seconds": end.seconds,
        "isolation": end.isolation,
        "error": end.error,
        "output_tail": run.output_tail,
        "text": run.text,
        "report": None
        if run.report is None
        else {
            "passed": sorted(run.report.passed),
            "failed": sorted(run.report.failed),
            "skipped": run.report.skipped,
        },
    }


def from_json(stored: Mapping[str, Any]) -> GateRun:
    """The inverse of `to_json`."""
    report = stored["report"]
    return GateRun(
        end=CommandEnd(
            exit_code=stored["exit_code"],
            signal=stored["signal"],
            timed_out=stored["timed_out"],
            seconds=stored["seconds"],
            isolation=stored["isolation"],
            error=stored["error"],
        ),
        report=None
        if report is None
        else TestReport(frozenset(report["passed"]), frozenset(report["failed"]), report["skipped"]),
        output_tail=stored["output_tail"],
        text=stored.get("text"),
    )
