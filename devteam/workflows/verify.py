"""Run gates and acceptance criteria, and compare gates with what they showed on the base."""

import hashlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

from devteam.executions.gates import from_json, judge, to_json
from devteam.executions.lifecycle import GateRecord, Measure
from devteam.executions.ports import GateRun, GateRunner, Held, HttpAnswer, HttpProbe, Job, Workspaces
from devteam.kit.clock import Clock
from devteam.kit.db import Database, sql
from devteam.projects.gates import Command, CommandGate, Gate, GateStage, HttpGate, RegexGate, RepositoryGate
from devteam.tasks.schemas import CommandCriterion, FileCriterion, RegexCriterion
from devteam.workflows.patience import patiently
from devteam.workflows.search import judged, search_command

_SEARCH_TIMEOUT = 5.0
_SEARCH = """
import re, sys
with open(sys.argv[1], "rb") as file:
    text = file.read(10_000_000).decode("utf-8", "replace")
sys.exit(0 if re.search(sys.argv[2], text, re.MULTILINE) else 100)
"""
"""Runs in a process of its own: some patterns search for ever, and nothing can stop a thread of ours that does."""
_NOT_FOUND = 100
_REMEMBERED = 64
"""Runs of gates on bases kept in memory; a test report may hold ten thousand names."""

Note = Callable[[str], None]


class Verifier:
    """Runs what must hold. A gate's run on a commit of the base is measured once and kept."""

    def __init__(
        self, database: Database, clock: Clock, runner: GateRunner, workspaces: Workspaces, http: HttpProbe
    ) -> None:
        self._database = database
        self._http = http
        self._clock = clock
        self._runner = runner
        self._workspaces = workspaces
        self._measuring: WeakValueDictionary[tuple[UUID, str, str], threading.Lock] = WeakValueDictionary()
        self._locks = threading.Lock()
        self._recent: dict[tuple[UUID, str, str], GateRun] = {}

    def on_base(self, job: Job, gate: RepositoryGate, commit: str, held: Held, write: Note, note: Note) -> GateRun:
        """What the gate shows on a commit of the base: as measured before, else measured now."""
        key = (job.project_id, commit, fingerprint(gate))
        with self._alone(key, held):
            known = self._recent.get(key) or self._known(*key)
            if known is not None:
                return self._remember(key, known)
            note(f"Measuring gate {gate.name} on the base {commit[:12]}")
            with self._workspaces.checkout(job, commit) as folder:
                run = self.measure(job, gate, folder, held, write)
            self._keep(*key, run)
            return self._remember(key, run)

    def _remember(self, key: tuple[UUID, str, str], run: GateRun) -> GateRun:
        """What was measured once never changes, and the phases of an attempt ask for it several times."""
        self._recent[key] = run
        while len(self._recent) > _REMEMBERED:
            self._recent.pop(next(iter(self._recent), key), None)
        return run

    @contextmanager
    def _alone(self, key: tuple[UUID, str, str], held: Held) -> Iterator[None]:
        """One measurement of a kind at a time: an attempt and the watch over the last delivery want the same.

        A stop reaches who waits; who is paused meanwhile waits without the lock.
        """
        with self._locks:
            lock = self._measuring.get(key)
            if lock is None:
                lock = self._measuring[key] = threading.Lock()
        while not lock.acquire(timeout=0.2):
            held.checkpoint()
        try:
            yield
        finally:
            lock.release()

    def measure(self, job: Job, gate: RepositoryGate, folder: Path, held: Held, write: Note) -> GateRun:
        """What the gate shows on the files of a folder."""
        if isinstance(gate, CommandGate):
            run = self._runner.run(gate, gate.timeout_seconds, job, folder, held, write)
        else:
            pattern = gate.pattern if isinstance(gate, RegexGate) else ""
            search = search_command(gate.path, pattern)
            run = judged(gate, self._runner.run(search, gate.timeout_seconds, job, folder, held, write))
        held.checkpoint()
        return run

    def gate(
        self,
        job: Job,
        gate: RepositoryGate,
        folder: Path,
        baseline: GateRun | None,
        held: Held,
        write: Note,
        note: Note,
    ) -> tuple[GateRecord, GateRun]:
        """Run a post-task gate on the work and judge it."""
        note(f"Gate {gate.name}")
        run = self.measure(job, gate, folder, held, write)
        record = gate_record(GateStage.POST_TASK.value, gate, run, baseline, job.work_commit)
        note(f"Gate {gate.name}: {record.text}")
        return record, run

    def http(self, stage: GateStage, gate: HttpGate, commit: str | None, held: Held, note: Note) -> GateRecord:
        """Ask the gate's server, and judge its answer."""
        note(f"Gate {gate.name}: asking {gate.url}")
        answer = self._http.get(gate, held)
        held.checkpoint()
        record = http_record(stage.value, gate, answer, commit)
        note(f"Gate {gate.name}: {record.text}")
        return record

    def criterion(
        self,
        job: Job,
        number: int,
        criterion: CommandCriterion | FileCriterion | RegexCriterion,
        folder: Path,
        held: Held,
        write: Note,
        note: Note,
    ) -> GateRecord:
        """Check one acceptance criterion of the task."""
        name = f"criterion {number}"
        note(f"Acceptance {name}")
        if isinstance(criterion, CommandCriterion):
            run = self._runner.run(criterion, criterion.timeout_seconds, job, folder, held, write)
            held.checkpoint()
            return GateRecord(
                stage="acceptance",
                name=name,
                required=True,
                passed=run.end.succeeded,
                text="Holds." if run.end.succeeded else run.end.describe(),
                commit=job.work_commit,
                exit_code=run.end.exit_code,
                seconds=run.end.seconds,
                output_tail=run.output_tail,
            )
        passed, text = check_path(folder, criterion)
        if passed and isinstance(criterion, RegexCriterion):
            passed, text = self._search(job, folder, criterion, held, write)
        return GateRecord("acceptance", name, True, passed, text, commit=job.work_commit)

    def _search(self, job: Job, folder: Path, criterion: RegexCriterion, held: Held, write: Note) -> tuple[bool, str]:
        argv = [sys.executable, "-I", "-S", "-c", _SEARCH, criterion.path, criterion.pattern]
        end = self._runner.run(Command(argv=argv), _SEARCH_TIMEOUT, job, folder, held, write).end
        held.checkpoint()
        if end.exit_code not in (0, _NOT_FOUND) or end.timed_out:
            return False, f"Searching {criterion.path} for the pattern {criterion.pattern!r} failed: {end.describe()}"
        found = end.succeeded
        word = "holds" if found else "does not hold"
        return found == criterion.present, f"{criterion.path} {word} the pattern {criterion.pattern!r}."

    def _known(self, project_id: UUID, commit: str, gate_fingerprint: str) -> GateRun | None:
        with self._database.statement() as connection:
            stored = connection.execute(
                sql(
                    """SELECT result FROM gate_baselines
                       WHERE project_id = :project_id AND commit = :commit AND fingerprint = :fingerprint"""
                ),
                {"project_id": project_id, "commit": commit, "fingerprint": gate_fingerprint},
            ).scalar()
        return None if stored is None else from_json(stored)

    def _keep(self, project_id: UUID, commit: str, gate_fingerprint: str, run: GateRun) -> None:
        patiently(lambda: self._store(project_id, commit, gate_fingerprint, run))

    def _store(self, project_id: UUID, commit: str, gate_fingerprint: str, run: GateRun) -> None:
        with self._database.statement() as connection:
            connection.execute(
                sql(
                    """INSERT INTO gate_baselines (project_id, commit, fingerprint, result, measured_at)
                       VALUES (:project_id, :commit, :fingerprint, CAST(:result AS jsonb), :now)
                       ON CONFLICT DO NOTHING"""
                ),
                {
                    "project_id": project_id,
                    "commit": commit,
                    "fingerprint": gate_fingerprint,
                    "result": json.dumps(to_json(run)),
                    "now": self._clock(),
                },
            )


def http_record(stage: str, gate: HttpGate, answer: HttpAnswer, commit: str | None) -> GateRecord:
    """A server's answer with its verdict, ready to be stored."""
    measures = () if answer.status is None else (Measure("status", answer.status, gate.expected_status),)
    if answer.status is None:
        passed, text = False, answer.error or "There was no answer."
    elif answer.status != gate.expected_status:
        passed, text = False, f"{gate.url} answered {answer.status} instead of {gate.expected_status}."
    elif gate.contains is not None and not answer.contains:
        passed, text = False, answer.error or f"The answer of {gate.url} does not contain {gate.contains!r}."
    else:
        passed, text = True, f"{gate.url} answered {answer.status}."
    return GateRecord(
        stage, gate.name, gate.required, passed, text, commit=commit, seconds=answer.seconds, measures=measures
    )


def gate_record(stage: str, gate: Gate, run: GateRun, baseline: GateRun | None, commit: str | None) -> GateRecord:
    """A gate's run with its verdict, ready to be stored."""
    verdict = judge(run, baseline)
    return GateRecord(
        stage=stage,
        name=gate.name,
        required=gate.required,
        passed=verdict.passed,
        text=verdict.text,
        commit=commit,
        base_red=verdict.base_red,
        exit_code=run.end.exit_code,
        seconds=run.end.seconds,
        tests=verdict.tests,
        output_tail=run.output_tail,
    )


def fingerprint(gate: RepositoryGate) -> str:
    """What makes two runs of a gate comparable: what it runs or looks for."""
    if isinstance(gate, CommandGate):
        looked_for: list[Any] = [gate.argv, gate.script]
    else:
        looked_for = [gate.model_dump(mode="json", exclude={"name", "stage", "required", "timeout_seconds"})]
    return hashlib.sha256(json.dumps(looked_for).encode()).hexdigest()


def check_path(folder: Path, criterion: FileCriterion | RegexCriterion) -> tuple[bool, str]:
    """Whether a criterion on a path holds as far as the path goes, and a sentence.

    A path that leaves the workspace through a link fails; a pattern needs a file to be searched.
    """
    target = folder / criterion.path
    try:
        inside = target.resolve().is_relative_to(folder.resolve())
        exists, is_file = target.exists(), target.is_file()
    except (OSError, RuntimeError):  # a name that is too long, links in a circle
        inside, exists, is_file = True, False, False
    if not inside:
        return False, f"{criterion.path} leads out of the workspace."
    if isinstance(criterion, FileCriterion):
        return exists == criterion.exists, f"{criterion.path} {'exists' if exists else 'does not exist'}."
    if not is_file:
        return False, f"{criterion.path} {'is no file' if exists else 'does not exist'}."
    return True, f"{criterion.path} is a file."
