"""What an agent's session tells and asks while it runs: the port between executors and the attempt's record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from devteam.executions.ports import CommandEnd

EntryKind = Literal[
    "prompt", "message", "thought", "plan", "tool_call", "tool_update", "permission", "usage", "note", "steer"
]


@dataclass(frozen=True)
class ModelAccess:
    """How an agent reaches its model: an address and a key of this attempt's own."""

    base_url: str
    key: str
    socket: str | None
    model: str
    protocol: Literal["openai", "anthropic", "google"] = "openai"


@dataclass(frozen=True)
class Trouble:
    """Why an agent's calls are refused: the stable code of the reason, and a sentence for a person."""

    code: str
    text: str


@dataclass(frozen=True)
class ToolAccess:
    """How an agent reaches the tools that DevTeam gives it: a socket and a token of this round's own."""

    socket: Path
    token: str


@dataclass(frozen=True)
class Assignment:
    """What an agent is asked to do in this round."""

    prompt: str
    model: ModelAccess | None
    session_id: str | None
    """The session of the round or run before, to go on with where the agent can load it."""
    time_limit: float
    silence_limit: float
    """Seconds without any sign of life after which the agent counts as hung."""
    tools: ToolAccess | None = None


class Session(Protocol):
    """Where an executor reports to. Every method is quick and safe to call from the executor's own threads."""

    def output(self, text: str) -> None:
        """Raw output, shown as a log."""
        ...

    def entry(self, kind: EntryKind, data: Mapping[str, Any]) -> None:
        """One thing that the agent said or did; JSON with camelCase keys."""
        ...

    def began(self, session_id: str) -> None:
        """The agent's own name for the session, so that a later run can load it."""
        ...

    def guidance(self) -> list[str]:
        """What people added since the last call, oldest first."""
        ...


@dataclass(frozen=True)
class PlanStep:
    """A step of an agent's plan."""

    content: str
    status: Literal["pending", "in_progress", "completed"]


class Desk(Protocol):
    """What an agent can ask of DevTeam while it works. Calls come from threads of their own; a DevTeamError is told
    to the agent.
    """

    def read_task(self) -> Mapping[str, Any]:
        """The task and what counts as done, as JSON."""
        ...

    def report_progress(self, text: str, plan: Sequence[PlanStep]) -> None:
        """Tell people where the work stands; an empty plan leaves the one that was told before."""
        ...

    def ask(self, question: str, *, wait: bool) -> str:
        """Ask the project manager: the answer, or with `wait` false that it will come as guidance."""
        ...

    def report_blocked(self, reason: str) -> None:
        """The task cannot be done as it stands; the attempt ends with the agent's turn."""
        ...

    def propose(self, title: str, description: str, reason: str) -> None:
        """Propose a follow-up task, which a person approves or not."""
        ...


@dataclass(frozen=True)
class Finding:
    """What a reviewer found at a place of the change; what `must` be mended stands against accepting it."""

    path: str
    line: int | None
    must: bool
    text: str


@dataclass(frozen=True)
class Review:
    """A reviewer's verdict on a change."""

    accepted: bool
    summary: str
    findings: Sequence[Finding]


class ReviewDesk(Protocol):
    """What a reviewing agent can ask and answer."""

    def read_task(self) -> Mapping[str, Any]:
        """The task and what counts as done, as JSON."""
        ...

    def submit(self, review: Review) -> None:
        """The verdict; the last one counts."""
        ...


@dataclass(frozen=True)
class RoundEnd:
    """How an agent's round ended. `end.succeeded` says that it ended its turn by itself; whether it did the work,
    the gates decide. `said` are its last words.
    """

    end: CommandEnd
    said: str
