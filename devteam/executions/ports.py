"""What an attempt needs from the outside: a workspace, an executor, gates, a place to deliver to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from devteam.executions.checks.changes import Changes
from devteam.executions.lifecycle import RunRef
from devteam.executions.model import Phase
from devteam.executions.requests import PERSON, RequestKind, Start
from devteam.projects.gates import BuiltinGate, Command, Gate, GateStage, HttpGate, RepositoryGate, ReviewGate
from devteam.projects.rules import Choice, Obstacle, Routing
from devteam.projects.schemas import DeliveryMode
from devteam.tasks.schemas import Criterion, TaskCommand


@dataclass(frozen=True)
class Again:
    """What a person asked of this attempt: to go on from an earlier one, or to take over what a person did."""

    kind: RequestKind
    base_attempt_id: UUID
    start: Start
    from_round: int | None
    from_ordinal: int | None
    instructions: str | None
    author: str


@dataclass(frozen=True)
class Job:
    """An attempt as its phases see it, read afresh from the database at the begin of each."""

    ref: RunRef
    phase: Phase
    round: int
    frozen: bool
    number: int
    task_id: UUID
    title: str
    description: str
    command: TaskCommand | None
    criteria: Sequence[Criterion]
    project_id: UUID
    repository: str
    base_branch: str
    delivery_mode: DeliveryMode
    gates: Sequence[Gate]
    monitoring_window: float
    executor: str
    started_at: datetime
    branch: str | None
    base_commit: str | None
    work_commit: str | None
    commit: str | None
    merged_commit: str | None
    monitor_until: datetime | None
    model: str | None = None
    agent_command: tuple[str, ...] | None = None
    budget_usd: float | None = None
    egress: tuple[str, ...] = ()
    protected_paths: tuple[str, ...] = ()
    refused_commands: tuple[str, ...] = ()
    session_id: str | None = None
    again: Again | None = None
    author_name: str | None = None
    author_email: str | None = None
    """Who stands as the author of what is delivered; None is DevTeam itself."""
    used_model: str | None = None
    """The model that the newest call went to."""
    base_moves: int = 0
    """How often the base moved under the delivery so far."""
    routing: Routing | None = None
    """What the executor is chosen from; None where nothing is to be chosen."""
    route: str | None = None
    """Why this executor; None until planning has settled it."""
    passed_over: Mapping[Choice, Obstacle] = field(default_factory=dict)
    """What failed by its own fault in this attempt."""
    failed_before: frozenset[Choice] = frozenset()
    """What did so in earlier attempts at the task."""

    @property
    def choice(self) -> Choice:
        """The executor with the model that it asks for."""
        return Choice(self.executor, self.model)

    def by(self, choice: Choice) -> "Job":
        """The same attempt, done by another executor."""
        return replace(self, executor=choice.executor, model=choice.model)

    @property
    def by_person(self) -> bool:
        """Whether a person did the work: nothing runs in execution, and their commits are delivered as they are."""
        return self.executor == PERSON

    @property
    def needs_fence(self) -> bool:
        """Whether the workspace may hold what an agent wrote, so that nothing of it runs without a fence."""
        if self.by_person:
            return self.again is None or self.again.start.by_agent
        return self.executor != "command"

    @property
    def begins_at(self) -> str | None:
        """The commit whose files the first round begins with; None before planning has found the base."""
        start = None if self.again is None else self.again.start.start_commit
        return start or self.base_commit

    @property
    def marker(self) -> str:
        """What every process of this run carries in its environment."""
        return f"{self.ref.attempt_id}:{self.ref.run}"

    def gates_of(self, stage: GateStage) -> list[Gate]:
        """The project's gates of one stage, in order."""
        return [gate for gate in self.gates if gate.stage is stage]

    def repository_gates(self, stage: GateStage) -> list[RepositoryGate]:
        """Those of them whose verdict follows from the repository's files alone."""
        return [gate for gate in self.gates_of(stage) if not isinstance(gate, HttpGate | BuiltinGate | ReviewGate)]


class Controllable(Protocol):
    """Processes that can be frozen, thawed and ended from another thread."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def terminate(self) -> None: ...


class Held(Protocol):
    """The control over a run: whoever starts processes for it puts them under it."""

    def controls(self, process: Controllable) -> AbstractContextManager[None]:
        """While the block lasts, pause, resume and stop reach the process."""
        ...

    def checkpoint(self) -> None:
        """Wait here while the run is paused. Raises Stopped when it must end."""
        ...


@dataclass(frozen=True)
class CommandEnd:
    """How a command ended. `error` says in a sentence why it failed where the exit code does not tell, and `code` is
    the stable name of that reason; `seconds` leaves out frozen time. `fence` is what closed it in, part by part.
    """

    exit_code: int | None
    signal: int | None
    timed_out: bool
    seconds: float
    isolation: str
    leftovers: int = 0
    error: str | None = None
    code: str | None = None
    fence: Mapping[str, Any] | None = None

    @property
    def succeeded(self) -> bool:
        """Exit code 0."""
        return self.exit_code == 0 and not self.timed_out and self.error is None

    def describe(self) -> str:
        """One sentence on the end."""
        if self.error is not None:
            return self.error
        if self.timed_out:
            return f"It was ended at its time limit, after {self.seconds:.0f} s."
        if self.signal is not None:
            return f"It was ended by signal {self.signal}."
        return f"It ended with exit code {self.exit_code}."


class Executor(Protocol):
    """Does the work of a task in its workspace. One that `iterates` gets failed gates back as its next prompt."""

    @property
    def iterates(self) -> bool: ...

    def obstacle(self, job: Job) -> Obstacle | None:
        """Why it could not even begin here: not installed, no fence, no provider with the model. Starts nothing."""
        ...

    def run(self, job: Job, workspace: Path, held: Held, on_output: Callable[[str], None]) -> CommandEnd: ...


@dataclass(frozen=True)
class TestReport:
    """Names of tests by result, from a JUnit report."""

    __test__ = False

    passed: frozenset[str]
    failed: frozenset[str]
    skipped: int


@dataclass(frozen=True)
class GateRun:
    """What running a gate showed; `text` says it where more is known than how a command ended."""

    end: CommandEnd
    report: TestReport | None
    output_tail: str
    text: str | None = None

    def describe(self) -> str:
        """One sentence on what was found."""
        return self.text or self.end.describe()


class GateRunner(Protocol):
    """Runs a gate's command in a folder."""

    def run(
        self, command: Command, timeout: float, job: Job, folder: Path, held: Held, on_output: Callable[[str], None]
    ) -> GateRun: ...


@dataclass(frozen=True)
class HttpAnswer:
    """How a server answered: its status, or why there was none. `contains` is None when no text was asked for."""

    status: int | None
    contains: bool | None
    seconds: float
    error: str | None = None


class HttpProbe(Protocol):
    """Asks servers, from outside any fence, that the operator allows gates to ask."""

    def get(self, gate: HttpGate, held: Held) -> HttpAnswer: ...


@dataclass(frozen=True)
class Prepared:
    """A workspace that is ready: a worktree on its own branch at the base commit."""

    path: Path
    base_commit: str
    branch: str


class Workspaces(Protocol):
    """Isolated workspaces on the project's mirror. Every method may be run again after a kill."""

    def prepare(self, job: Job, bundle: bytes | None = None) -> Prepared:
        """Fetch the project's repository and make the worktree: at the newest base commit, or where an earlier attempt
        is gone on from. `bundle` holds the commits that a person handed back.
        """
        ...

    def reset(self, job: Job, commit: str) -> Path:
        """The worktree with exactly the commit's files, made anew when it is gone."""
        ...

    def save(self, job: Job) -> str:
        """Put the worktree's state into git; the commit, or the base commit when nothing changed.

        What each round saved stays in the mirror.
        """
        ...

    def salvage(self, job: Job) -> str | None:
        """Put an interrupted worktree's partial state onto a salvage ref; None when it holds nothing new."""
        ...

    def checkout(self, job: Job, commit: str) -> AbstractContextManager[Path]:
        """A second, short-lived worktree with the commit's files."""
        ...

    def changes(self, job: Job, base: str, commit: str) -> list[tuple[str, int | None, int | None]]:
        """Per file the lines added and deleted; None for binary files."""
        ...

    def diff(self, job: Job, base: str, commit: str) -> tuple[str, bool]:
        """The unified diff, and whether it was cut."""
        ...

    def inspect(self, job: Job, base: str, commit: str, wants_text: Callable[[str], bool]) -> Changes:
        """All that changed, line by line, for checks; with the whole texts of the files that are chosen."""
        ...

    def inspect_history(self, job: Job, base: str, commit: str) -> Changes:
        """What each commit between the two changed by itself, where they are delivered as somebody made them."""
        ...

    def files(self, job: Job, commit: str) -> Iterable[tuple[str, int]]:
        """Paths and sizes in bytes of a commit's files."""
        ...

    def discard(self, job: Job) -> None:
        """Remove the workspace; the refs in the mirror stay."""
        ...

    def path(self, attempt_id: UUID) -> Path:
        """Where the attempt's worktree is or would be."""
        ...


@dataclass(frozen=True)
class Delivered:
    """The delivery is in the project's repository: `branch` there holds `commit`."""

    commit: str
    branch: str
    merged_commit: str | None


@dataclass(frozen=True)
class BaseMoved:
    """The base went on; the work was replayed on its new head and must be verified again."""

    base_commit: str
    work_commit: str


@dataclass(frozen=True)
class DeliveryConflict:
    """The work cannot be replayed on the new base by itself."""

    base_commit: str
    paths: Sequence[str]


@dataclass(frozen=True)
class Reverted:
    """The delivery was taken back on the base by this commit."""

    commit: str


class Deliveries(Protocol):
    """Hands work over to the project's repository; every method finds out what an earlier run already did."""

    def deliver(
        self, job: Job, message: str, before_push: Callable[[], None]
    ) -> Delivered | BaseMoved | DeliveryConflict: ...

    def base_head(self, job: Job) -> str:
        """The base branch's newest commit."""
        ...

    def contains(self, job: Job, commit: str) -> bool:
        """Whether the base branch holds the commit."""
        ...

    def revert(self, job: Job, reason: str, before_push: Callable[[], None]) -> Reverted | DeliveryConflict: ...


@dataclass(frozen=True)
class Question:
    """What an attempt asks of a person. The same fingerprint of one attempt and kind is one question, asked once."""

    kind: str
    title: str
    detail: str
    fingerprint: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a person said, or that nobody did in time."""

    approved: bool
    text: str | None = None
    by: str | None = None
    expired: bool = False


class Asker(Protocol):
    """Asks a person and waits. The attempt's clock stands still and it holds no slot meanwhile."""

    def ask(self, job: Job, question: Question, held: Held) -> Answer:
        """The answer, at once when it was given before. Raises Stopped when the run must end."""
        ...

    def waits(self, job: Job) -> bool:
        """Whether somebody of this run waits for an answer now; quick."""
        ...


class Alarm(Protocol):
    """Records that something went wrong which matters; quick, and never a reason for the caller to fail."""

    def __call__(self, job: Job, code: str, title: str, evidence: Mapping[str, Any]) -> None: ...


JobLoader = Callable[[UUID, int], Job]
OutputSink = Callable[[str], None]
JsonObject = dict[str, Any]
