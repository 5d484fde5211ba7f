"""Whether a task's work may be delivered: its criteria, the project's gates, DevTeam's own checks, then people."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from devteam.approvals.repository import approved_paths
from devteam.executions.checks.dependencies import is_wanted
from devteam.executions.checks.registry import CHECKS
from devteam.executions.checks.secrets import mask_secrets
from devteam.executions.checks.verdict import Facts, Tested, Verdict
from devteam.executions.gates import suspects
from devteam.executions.lifecycle import GateRecord
from devteam.executions.ports import Asker, Held, Job, Question, Workspaces
from devteam.executions.session import Finding, Review
from devteam.kit.db import Database
from devteam.projects.gates import BuiltinCheck, BuiltinGate, GateStage, HttpGate, ReviewGate
from devteam.workflows.ask import explain_refusal
from devteam.workflows.verify import Note, Verifier

LicenceOf = Callable[[Path, str, str], str | None]
"""The licence of a package of an ecosystem as its installation says, seen from a workspace."""

_STAGE = GateStage.POST_TASK
_TAIL_CHARACTERS = 8_000


class Reviewer(Protocol):
    """Has an agent read a change."""

    def review(
        self, job: Job, gate: ReviewGate, folder: Path, held: Held, on_output: Callable[[str], None]
    ) -> Review | str:
        """The verdict, or a sentence on why there is none."""
        ...


@dataclass(frozen=True)
class Checkers:
    """What quality assurance works with."""

    database: Database
    workspaces: Workspaces
    verifier: Verifier
    asker: Asker
    licence_of: LicenceOf
    read_report: Callable[[Path, str], str | None]
    """The text of a report that gates left in a workspace, where there is one."""
    reviewer: Reviewer | None


@dataclass(frozen=True)
class _Found:
    gate: BuiltinGate
    verdict: Verdict
    seconds: float
    listed: bool
    """Whether the project lists the gate; one that it does not is only told of when it matters."""


class QualityAssurance:
    """One round over one attempt's work. Every result is stored as soon as it is known."""

    def __init__(
        self, checkers: Checkers, job: Job, held: Held, write: Note, note: Note, store: Callable[[GateRecord], None]
    ) -> None:
        self._with = checkers
        self._job = job
        self._held = held
        self._write = write
        self._note = note
        self._store = store
        self._failed: list[GateRecord] = []
        self._tested: list[Tested] = []

    def check(self, folder: Path, *, by_agent: bool) -> list[GateRecord]:
        """What does not hold and must, in the order of its finding; nobody is asked while anything else fails."""
        self._criteria(folder)
        self._gates(folder)
        found = self._inspect(folder, by_agent=by_agent)
        self._found([each for each in found if each.verdict.passed or not self._is_question(each)])
        self._reviews(folder)
        for each in found:
            if not each.verdict.passed and self._is_question(each):
                self._ask(each)
        return self._failed

    def _keep(self, record: GateRecord) -> None:
        self._store(record)
        if record.required and record.passed is False:
            self._failed.append(record)

    def _criteria(self, folder: Path) -> None:
        for number, criterion in enumerate(self._job.criteria, start=1):
            self._keep(
                self._with.verifier.criterion(self._job, number, criterion, folder, self._held, self._write, self._note)
            )

    def _gates(self, folder: Path) -> None:
        job, verifier = self._job, self._with.verifier
        assert job.base_commit is not None
        for gate in job.repository_gates(_STAGE):
            before = verifier.on_base(job, gate, job.base_commit, self._held, self._write, self._note)
            record, run = verifier.gate(job, gate, folder, before, self._held, self._write, self._note)
            if suspected := suspects(run, before):
                self._note(f"Gate {gate.name}: run again, to see whether {suspected[0]} always fails")
                record, run = verifier.gate(job, gate, folder, before, self._held, self._write, self._note)
                record = told_flaky(record, suspected)
            self._keep(record)
            if before.report is not None and run.report is not None:
                self._tested.append(Tested(gate.name, before.report, run.report))
        for asking in job.gates_of(_STAGE):
            if isinstance(asking, HttpGate):
                self._keep(verifier.http(_STAGE, asking, job.work_commit, self._held, self._note))

    # --- DevTeam's own checks ---

    def _inspect(self, folder: Path, *, by_agent: bool) -> list[_Found]:
        job = self._job
        assert job.base_commit is not None and job.work_commit is not None
        listed = [gate for gate in job.gates_of(_STAGE) if isinstance(gate, BuiltinGate)]
        workspaces = self._with.workspaces
        with self._with.database.statement() as connection:
            approved = approved_paths(connection, job.ref.attempt_id)
        facts = Facts(
            changes=workspaces.inspect(job, job.base_commit, job.work_commit, is_wanted),
            history=workspaces.inspect_history(job, job.base_commit, job.work_commit) if job.by_person else None,
            criteria=len(job.criteria),
            protected_paths=job.protected_paths,
            approved_paths=approved,
            tested=self._tested,
            licence_of=lambda ecosystem, name: self._with.licence_of(folder, ecosystem, name),
            report=lambda path: self._with.read_report(folder, path),
        )
        found = []
        for gate in [*listed, *implied(job, listed, by_agent=by_agent)]:
            self._held.checkpoint()
            began = time.monotonic()
            verdict = CHECKS[gate.check](facts, gate.options)
            found.append(_Found(gate, verdict, time.monotonic() - began, gate in listed))
        return found

    def _found(self, found: list[_Found]) -> None:
        for each in found:
            if each.listed or each.gate.check is BuiltinCheck.SECRET_SCAN or not each.verdict.passed:
                self._note(f"Check {each.gate.name}: {_clean(each.verdict.text)}")
                self._keep(self._record(each))

    def _record(self, found: _Found) -> GateRecord:
        verdict = found.verdict
        return GateRecord(
            stage=_STAGE.value,
            name=found.gate.name,
            required=found.gate.required,
            passed=verdict.passed,
            text=_clean(verdict.text),
            commit=self._job.work_commit,
            seconds=found.seconds,
            output_tail=_clean("\n".join(verdict.details))[:_TAIL_CHARACTERS],
            measures=verdict.measures,
        )

    # --- reviews ---

    def _reviews(self, folder: Path) -> None:
        """What agents say who read the change; what fails anyway costs no review."""
        for gate in self._job.gates_of(_STAGE):
            if isinstance(gate, ReviewGate):
                self._keep(self._review(gate, folder))

    def _review(self, gate: ReviewGate, folder: Path) -> GateRecord:
        record = GateRecord(_STAGE.value, gate.name, gate.required, None, "", commit=self._job.work_commit)
        if self._failed:
            return replace(record, text="It is reviewed once all else holds.")
        self._note(f"Review {gate.name}: {gate.executor.value} reads the change")
        began = time.monotonic()
        reviewer = self._with.reviewer
        answer = (
            "No agent can be started here."
            if reviewer is None
            else reviewer.review(self._job, gate, folder, self._held, self._write)
        )
        self._held.checkpoint()
        record = replace(record, seconds=time.monotonic() - began)
        if isinstance(answer, str):
            return self._without_review(gate, record, answer)
        self._note(f"Review {gate.name}: {'accepted' if answer.accepted else 'rejected'}. {answer.summary}")
        findings = "\n".join(_finding(each) for each in answer.findings)
        return replace(
            record,
            passed=answer.accepted,
            text=_clean(answer.summary),
            output_tail=_clean(mask_secrets(findings))[:_TAIL_CHARACTERS],
        )

    def _without_review(self, gate: ReviewGate, record: GateRecord, why: str) -> GateRecord:
        """No verdict is not the work's fault: a person says whether it goes on without one."""
        record = replace(record, text=f"There is no review: {why}")
        self._note(f"Review {gate.name}: {record.text}")
        if not gate.required:
            return record
        question = Question(
            kind="review",
            title=f"{self._job.title}: deliver without {gate.name}?"[:300],
            detail=record.text,
            fingerprint=hashlib.sha256(f"{gate.name}\n{self._job.work_commit}".encode()).hexdigest(),
            data={"gate": gate.name, "commit": self._job.work_commit},
        )
        answer = self._with.asker.ask(self._job, question, self._held)
        self._held.checkpoint()
        said = f"Approved by {answer.by or 'a person'}." if answer.approved else explain_refusal(answer)
        return replace(record, passed=answer.approved, text=f"{record.text} {said}")

    # --- people ---

    def _is_question(self, found: _Found) -> bool:
        return found.gate.required and found.verdict.ask is not None

    def _ask(self, found: _Found) -> None:
        """Let a person decide what the check may not; while something else fails anyway, nobody is troubled."""
        record = self._record(found)
        if self._failed:
            self._keep(replace(record, passed=None, text=f"{record.text} A person is asked once all else holds."))
            return
        self._note(f"Check {found.gate.name}: {record.text} A person is asked")
        answer = self._with.asker.ask(self._job, self._question(found, record), self._held)
        self._held.checkpoint()
        if answer.approved:
            said = f" ({answer.text})" if answer.text else ""
            text = f"{record.text} Approved by {answer.by or 'a person'}{said}."
        else:
            text = f"{record.text} {explain_refusal(answer)}"
        self._note(f"Check {found.gate.name}: {text}")
        self._keep(replace(record, passed=answer.approved, text=text))

    def _question(self, found: _Found, record: GateRecord) -> Question:
        assert found.verdict.ask is not None
        about = [found.gate.check.value, record.text, *found.verdict.details]
        if not found.verdict.paths:
            about.append(self._job.work_commit or "")
        return Question(
            kind=found.verdict.ask,
            title=f"{self._job.title}: {found.gate.name}"[:300],
            detail="\n".join([record.text, record.output_tail]).strip(),
            fingerprint=hashlib.sha256("\n".join(about).encode("utf-8", "replace")).hexdigest(),
            data={
                "check": found.gate.check.value,
                "paths": [_clean(path) for path in found.verdict.paths],
                "round": self._job.round,
                "commit": self._job.work_commit,
            },
        )


def _finding(finding: Finding) -> str:
    place = finding.path if finding.line is None else f"{finding.path}:{finding.line}"
    return f"{place}: {'must' if finding.must else 'should'}: {finding.text}"


def told_flaky(record: GateRecord, suspected: Sequence[str]) -> GateRecord:
    """The second run's result: where it passed, with the tests that did not pass at first."""
    if not record.passed or record.tests is None:
        return record
    text = f"{record.text} Flaky: {suspected[0]}{f' and {len(suspected) - 1} more' if suspected[1:] else ''}."
    return replace(
        record,
        text=f"{text} It failed at first and passed unchanged.",
        tests={**record.tests, "flaky": list(suspected)},
    )


def implied(job: Job, listed: list[BuiltinGate], *, by_agent: bool) -> list[BuiltinGate]:
    """The checks that run on every task without being listed; what an operator's own command does is only told of."""
    there = {gate.check for gate in listed}
    names = {gate.name for gate in job.gates_of(_STAGE)}
    wanted = [(BuiltinCheck.SECRET_SCAN, True)]
    if not job.by_person:
        wanted += [(BuiltinCheck.PROTECTED_PATHS, by_agent), (BuiltinCheck.WEAKENED_TESTS, by_agent)]
    if by_agent:
        wanted.append((BuiltinCheck.NOTHING_HAPPENED, True))
    return [
        BuiltinGate(type="builtin", name=_name(check, names), check=check, required=required)
        for check, required in wanted
        if check not in there
    ]


def _name(check: BuiltinCheck, taken: set[str]) -> str:
    name = check.value.replace("_", " ")
    return f"{name} (DevTeam)" if name in taken else name


def _clean(text: str) -> str:
    """Text that the database can hold, on whatever path it is: without NUL, lone surrogates and control characters."""
    plain = text.encode("utf-8", "replace").decode()
    return "".join(char if char >= " " or char == "\n" else "\ufffd" for char in plain)
