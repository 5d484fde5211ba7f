"""The `command` executor and the gate runner: commands in a workspace, under control, with nothing inherited."""

import os
import stat
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from devteam.adapters.executors.acp_files import OutsideWorkspace, inside, read_inside
from devteam.adapters.executors.enclosure import Enclosure
from devteam.adapters.executors.test_output import TestOutput
from devteam.adapters.processes import CommandResult, CommandSpec, RunningCommand, scrubbed_environment
from devteam.executions.evidence import decisive_lines
from devteam.executions.ports import CommandEnd, GateRun, Held, Job, TestReport
from devteam.projects.rules import Obstacle
from devteam.projects.schemas import Command

TAIL_CHARACTERS = 8_000
_SEARCHED_CHARACTERS = 2_000_000
_REPORT_LIMIT = 64 * 1024 * 1024
_NAME_LIMIT = 500


class CommandExecutor:
    """Runs the task's own command."""

    iterates = False

    def obstacle(self, job: Job) -> Obstacle | None:
        """Only a task without a command cannot be begun."""
        if job.command is not None:
            return None
        return Obstacle("no_command", "The task has no command that the executor could run.")

    def run(self, job: Job, workspace: Path, held: Held, on_output: Callable[[str], None]) -> CommandEnd:
        """The task must have a command; planning made sure of it."""
        assert job.command is not None
        spec = _spec(job.command, job.command.time_limit_seconds, job, workspace, {})
        held.checkpoint()
        running = RunningCommand.start(spec)
        with held.controls(running):
            result = running.wait(on_output)
        return _end(result)


class CommandGateRunner:
    """Runs gates and criteria of type command.

    A gate may write a JUnit report to the file that `DEVTEAM_GATE_REPORT` names; pytest does it by itself,
    told through `PYTEST_ADDOPTS`. Without one the tests that the output names count. What an agent wrote is run
    closed in as the agent was.
    """

    def __init__(self, enclosure: Enclosure) -> None:
        self._enclosure = enclosure

    def run(
        self, command: Command, timeout: float, job: Job, folder: Path, held: Held, on_output: Callable[[str], None]
    ) -> GateRun:
        """Run the command; the report and the end of its output are evidence."""
        reports = folder.parent / "home" / "reports"
        reports.mkdir(parents=True, exist_ok=True)
        report = reports / f"{folder.name}.xml"
        report.unlink(missing_ok=True)
        tail = _Tail(on_output)
        extra = {"DEVTEAM_GATE_REPORT": str(report), "PYTEST_ADDOPTS": f"--junitxml={report}"}
        spec = _spec(command, timeout, job, folder, extra)
        held.checkpoint()
        if not job.needs_fence:
            running = RunningCommand.start(spec)
            with held.controls(running):
                end = _end(running.wait(tail.add))
        else:
            end = self._closed(job, spec, folder, held, tail.add)
        return GateRun(
            end, read_report(report) or tail.tests.report(), tail.end() if end.succeeded else tail.evidence()
        )

    def _closed(
        self, job: Job, spec: CommandSpec, folder: Path, held: Held, on_output: Callable[[str], None]
    ) -> CommandEnd:
        with self._enclosure.closed(job, spec, workspace=folder) as enclosed:
            running = RunningCommand.start(enclosed.spec)
            with held.controls(running), enclosed.watch(running):
                end = _end(running.wait(on_output))
            reason = enclosed.reason()
        return end if reason is None else replace(end, error=reason)


def _spec(command: Command, time_limit: float, job: Job, folder: Path, extra: dict[str, str]) -> CommandSpec:
    return CommandSpec(
        cwd=folder,
        env=scrubbed_environment(home=folder.parent / "home", extra=extra),
        time_limit=time_limit,
        marker=job.marker,
        argv=None if command.argv is None else tuple(command.argv),
        script=command.script,
    )


def _end(result: CommandResult) -> CommandEnd:
    return CommandEnd(
        exit_code=result.exit_code,
        signal=result.signal,
        timed_out=result.timed_out,
        seconds=result.seconds,
        isolation=result.isolation,
        leftovers=result.leftovers,
        error=result.error,
    )


class _Tail:
    """Passes output on and keeps its end, and as much before it as is looked through for what went wrong."""

    def __init__(self, on_output: Callable[[str], None]) -> None:
        self._on_output = on_output
        self._parts: deque[str] = deque()
        self._length = 0
        self.tests = TestOutput()
        """The tests that the output names."""

    def add(self, text: str) -> None:
        self._on_output(text)
        self.tests.add(text)
        self._parts.append(text)
        self._length += len(text)
        while self._length - len(self._parts[0]) >= _SEARCHED_CHARACTERS:
            self._length -= len(self._parts.popleft())

    def end(self) -> str:
        return "".join(self._parts)[-TAIL_CHARACTERS:]

    def evidence(self) -> str:
        """What says why a command failed."""
        return decisive_lines("".join(self._parts)[-_SEARCHED_CHARACTERS:], TAIL_CHARACTERS)


def read_report(path: Path) -> TestReport | None:
    """The tests of a JUnit XML report by result; None when there is no readable report with tests.

    What lies at the path was written by whatever ran there: a link or a pipe is no report.
    """
    try:
        with open(path, "rb", opener=_open_plainly) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > _REPORT_LIMIT:
                return None
            root = ElementTree.parse(file).getroot()  # noqa: S314 - expat itself bounds entity expansion
    except (OSError, ValueError, LookupError, ElementTree.ParseError):
        return None
    passed, failed, skipped = set(), set(), 0
    for case in root.iter("testcase"):
        name = "::".join(part for part in (case.get("classname"), case.get("name")) if part)[:_NAME_LIMIT]
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed.add(name)
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed.add(name)
    if not passed and not failed and not skipped:
        return None
    return TestReport(frozenset(passed - failed), frozenset(failed), skipped)


def read_left_report(folder: Path, path: str) -> str | None:
    """The text of a report that gates left in a workspace; None when there is no plain file, or it is too large."""
    try:
        found = read_inside(folder, inside(folder.resolve(), path), _REPORT_LIMIT + 1)
    except (OutsideWorkspace, OSError):
        return None
    return None if len(found) > _REPORT_LIMIT else found.decode("utf-8", errors="replace")


def _open_plainly(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
