"""What is found out on the base before anybody works at a task: the gates that guard the start, and what speaks
against success. The latter only warns: nothing of it is certain enough to stop.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping

from devteam.executions.lifecycle import GateRecord, Measure
from devteam.executions.ports import GateRun, Held, Job
from devteam.projects.gates import CommandGate, FileGate, GateStage, HttpGate, RegexGate, RepositoryGate
from devteam.tasks.schemas import CommandCriterion
from devteam.workflows.agent_round import TIME_LIMIT as AGENT_TIME_LIMIT
from devteam.workflows.verify import Note, Verifier, gate_record

_STAGE = "pre_execution"
BASE, CRITERIA, ESTIMATE = "base is green", "criteria can be checked", "estimate fits"


class BaseChecks:
    """Looks at the base for one attempt. Every result is stored as soon as it is known."""

    def __init__(
        self, verifier: Verifier, job: Job, held: Held, write: Note, note: Note, store: Callable[[GateRecord], None]
    ) -> None:
        self._verifier = verifier
        self._job = job
        self._held = held
        self._write = write
        self._note = note
        self._store = store

    def guard(self, base: str) -> GateRecord | None:
        """The first required gate of stage pre_execution that does not hold on the base."""
        for gate in self._job.gates_of(GateStage.PRE_EXECUTION):
            if isinstance(gate, HttpGate):
                record = self._verifier.http(GateStage.PRE_EXECUTION, gate, base, self._held, self._note)
            elif isinstance(gate, CommandGate | RegexGate | FileGate):
                record = gate_record(_STAGE, gate, self._on_base(gate, base), None, base)
            else:  # the schema knows no other for this stage
                continue
            self._store(record)
            if gate.required and not record.passed:
                return record
        return None

    def warn(self, base: str, estimate: float | None, program_path: str) -> None:
        """Measure the gates on the base, and record what speaks against the task's success."""
        job = self._job
        runs = {gate.name: self._on_base(gate, base) for gate in job.repository_gates(GateStage.POST_TASK)}
        limit = AGENT_TIME_LIMIT if job.command is None else job.command.time_limit_seconds
        for record in (
            base_is_green(base, runs),
            criteria_can_be_checked(job, base, program_path),
            estimate_fits(base, estimate, limit),
        ):
            if record is not None and not record.passed:
                self._note(f"Before the work, {record.name}: {record.text}")
                self._store(record)

    def _on_base(self, gate: RepositoryGate, base: str) -> GateRun:
        return self._verifier.on_base(self._job, gate, base, self._held, self._write, self._note)


def base_is_green(base: str, runs: Mapping[str, GateRun]) -> GateRecord | None:
    """Whether the gates hold before the work begins. A red base is worked on all the same; what it breaks is told."""
    if not runs:
        return None
    red = [name for name, run in runs.items() if not run.end.succeeded]
    text = f"Red before the work begins: {', '.join(red)}." if red else "Every gate holds on the base."
    measures = [Measure("gates that hold", len(runs) - len(red), len(runs))]
    return GateRecord(_STAGE, BASE, False, not red, text, commit=base, measures=measures)


def criteria_can_be_checked(job: Job, base: str, path: str) -> GateRecord | None:
    """Whether the programs that criteria run are installed; `path` is where programs are looked for here.

    It only warns: the task may bring the program along, and a fence may hold another system than this machine.
    """
    missing = sorted(set(_missing(job, path)))
    if not job.criteria:
        return None
    text = f"Not installed on this machine: {', '.join(missing)}." if missing else "Every criterion's program is there."
    return GateRecord(_STAGE, CRITERIA, False, not missing, text, commit=base)


def estimate_fits(base: str, estimate: float | None, limit: float) -> GateRecord | None:
    """Whether a task's estimate leaves it a chance within its time limit, both in seconds."""
    if estimate is None:
        return None
    fits = estimate <= limit
    text = "The estimate is within the time limit." if fits else "The task's estimate is longer than its time limit."
    measures = [Measure("seconds estimated", estimate, limit)]
    return GateRecord(_STAGE, ESTIMATE, False, fits, text, commit=base, measures=measures)


def _missing(job: Job, path: str) -> Iterator[str]:
    for criterion in job.criteria:
        if not isinstance(criterion, CommandCriterion) or criterion.argv is None:
            continue
        program = criterion.argv[0]
        if os.sep not in program and shutil.which(program, path=path) is None:
            yield program
