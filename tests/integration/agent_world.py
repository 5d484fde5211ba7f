"""Attempts of scripted agents behind the real fence, on a real project, without a database."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from devteam.adapters.executors.acp import AcpAgents
from devteam.adapters.executors.acp_talk import Patience
from devteam.adapters.executors.enclosure import Enclosure
from devteam.adapters.executors.profiles import PROFILES, AgentProfile
from devteam.adapters.executors.programs import AgentPrograms
from devteam.adapters.fences import ResourceLimits
from devteam.adapters.git.attempts import GitWorkspaces
from devteam.executions.lifecycle import RunRef
from devteam.executions.model import Phase
from devteam.executions.ports import Answer, Controllable, Held, Job, Question
from devteam.executions.session import Assignment, EntryKind, ModelAccess, RoundEnd
from devteam.kit.clock import utc_now
from devteam.kit.ids import new_id
from devteam.projects.protection import DEFAULT_PROTECTED_PATHS, DEFAULT_REFUSED_COMMANDS
from devteam.projects.schemas import DeliveryMode
from tests.integration.git_projects import Customer, make_customer

AGENT = Path(__file__).parents[1] / "peers" / "acp_agent.py"


@dataclass
class Told:
    """What an agent told in one round, and guidance for it."""

    entries: list[tuple[EntryKind, Mapping[str, Any]]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)

    def output(self, text: str) -> None:
        self.raw.append(text)

    def entry(self, kind: EntryKind, data: Mapping[str, Any]) -> None:
        self.entries.append((kind, data))

    def began(self, session_id: str) -> None:
        self.sessions.append(session_id)

    def guidance(self) -> list[str]:
        taken, self.waiting = self.waiting, []
        return taken

    def of(self, kind: EntryKind) -> list[Mapping[str, Any]]:
        return [data for each, data in self.entries if each == kind]

    def texts(self, kind: EntryKind) -> list[str]:
        return [str(data.get("text")) for data in self.of(kind)]


class Hold:
    """Control over a run, as the worker has it."""

    def __init__(self) -> None:
        self.under: list[Controllable] = []

    @contextmanager
    def controls(self, process: Controllable) -> Iterator[None]:
        self.under.append(process)
        try:
            yield
        finally:
            self.under.remove(process)

    def checkpoint(self) -> None:
        return


@dataclass
class Round:
    """A round that runs on a thread of its own."""

    job: Job
    workspace: Path
    told: Told
    hold: Hold
    thread: threading.Thread
    ends: list[RoundEnd | BaseException]

    def end(self, seconds: float = 60) -> RoundEnd:
        self.thread.join(seconds)
        assert not self.thread.is_alive(), "the round did not end"
        if isinstance(self.ends[0], BaseException):
            raise self.ends[0]
        return self.ends[0]

    @property
    def control(self) -> Controllable:
        eventually(lambda: bool(self.hold.under))
        return self.hold.under[0]

    def wait_for(self, kind: EntryKind) -> None:
        eventually(lambda: bool(self.told.of(kind)))

    def marked(self) -> list[psutil.Process]:
        """Processes of this round that live, wherever they went."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("DEVTEAM_RUN") == self.job.marker and process.status() != "zombie":
                    found.append(process)
            except psutil.Error:
                continue
        return found


@dataclass
class Alarms:
    """Incidents as they were raised: code and evidence."""

    raised: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def __call__(self, job: Job, code: str, title: str, evidence: Mapping[str, Any]) -> None:
        self.raised.append((code, evidence))

    @property
    def codes(self) -> list[str]:
        return [code for code, _ in self.raised]


class Person:
    """Whom the engine asks: answers are laid ready, and who is asked before that waits."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.elsewhere = False
        self._answers: list[Answer] = []

    def forget(self) -> None:
        self.asked.clear()
        self._answers.clear()

    def says(self, *, approved: bool, text: str | None = None, expired: bool = False) -> None:
        self._answers.append(Answer(approved, text, None if expired else "Ada", expired))

    def waits(self, job: Job) -> bool:
        return self.elsewhere

    def ask(self, job: Job, question: Question, held: Held) -> Answer:
        self.asked.append(question)
        while not self._answers:
            time.sleep(0.02)
            held.checkpoint()
        return self._answers.pop(0)


class AgentWorld:
    """An engine's data folder with one project; every round is an attempt of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.customer: Customer = make_customer(folder)
        self.workspaces = GitWorkspaces(self.data / "mirrors", self.data / "workspaces")
        self.project = new_id()
        self.alarms = Alarms()
        self.person = Person()
        self.enclosure = Enclosure(
            self.data, lambda job: self.workspaces.mirror(job).path, limits=ResourceLimits(), alarm=self.alarms
        )
        self.program = folder / "program" / "acp-agent"
        self.program.parent.mkdir()
        shutil.copy(AGENT, self.program)
        text = self.program.read_text()
        self.program.write_text(f"#!{sys.executable}\n{text}")
        self.program.chmod(0o755)

    def job(self, *command: str, executor: str = "acp") -> Job:
        return Job(
            ref=RunRef(new_id(), 1, new_id()), phase=Phase.EXECUTION, round=1, frozen=False, number=1,
            task_id=new_id(), title="Try it", description="", command=None, criteria=[], project_id=self.project,
            repository=str(self.customer.bare), base_branch="main", delivery_mode=DeliveryMode.BRANCH, gates=[],
            monitoring_window=0.0, executor=executor, started_at=utc_now(), branch=None, base_commit=None,
            work_commit=None, commit=None, merged_commit=None, monitor_until=None, agent_command=command or None,
            protected_paths=DEFAULT_PROTECTED_PATHS, refused_commands=DEFAULT_REFUSED_COMMANDS,
        )  # fmt: skip

    def start(
        self,
        behaviour: str,
        *,
        prompt: str = "Do it.",
        session_id: str | None = None,
        time_limit: float = 60.0,
        silence: float = 60.0,
        patience: Patience | None = None,
        program: str | None = None,
    ) -> Round:
        job, workspace = self.prepared("acp", program or str(self.program), behaviour)
        return self.begin(
            job,
            workspace,
            prompt=prompt,
            session_id=session_id,
            time_limit=time_limit,
            silence=silence,
            patience=patience,
        )

    def prepared(self, executor: str, *command: str) -> tuple[Job, Path]:
        """An attempt with its workspace."""
        job = self.job(*command, executor=executor)
        prepared = self.workspaces.prepare(job)
        return replace(job, base_commit=prepared.base_commit, branch=prepared.branch), prepared.path

    def begin(
        self,
        job: Job,
        workspace: Path,
        *,
        prompt: str,
        session_id: str | None = None,
        time_limit: float = 300.0,
        silence: float = 300.0,
        patience: Patience | None = None,
        model: ModelAccess | None = None,
        programs: AgentPrograms | None = None,
        profiles: Mapping[str, AgentProfile] = PROFILES,
    ) -> Round:
        """A round of an attempt."""
        agents = AcpAgents(self.enclosure, self.person, programs, patience=patience or Patience(), profiles=profiles)
        assignment = Assignment(prompt, model, session_id, time_limit, silence)
        told, hold = Told(), Hold()
        ends: list[RoundEnd | BaseException] = []

        def go() -> None:
            try:
                ends.append(agents.run(job, workspace, hold, assignment, told))
            except BaseException as error:  # noqa: BLE001 - whoever waits for the end raises it
                ends.append(error)

        thread = threading.Thread(target=go, daemon=True)
        thread.start()
        return Round(job, workspace, told, hold, thread, ends)

    def run(self, behaviour: str, **options: Any) -> tuple[RoundEnd, Round]:
        run = self.start(behaviour, **options)
        return run.end(), run


def eventually(true: Any) -> None:
    """Wait until it is so, 30 s at most."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.01)
