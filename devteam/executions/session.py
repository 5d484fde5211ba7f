"""What an agent's session tells and asks while it runs: the port between executors and the attempt's record."""

from collections.abc import Mapping
from dataclasses import dataclass
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
    protocol: Literal["openai", "anthropic"] = "openai"


@dataclass(frozen=True)
class Trouble:
    """Why an agent's calls are refused: the stable code of the reason, and a sentence for a person."""

    code: str
    text: str


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
class RoundEnd:
    """How an agent's round ended. `end.succeeded` says that it ended its turn by itself; whether it did the work,
    the gates decide. `said` are its last words.
    """

    end: CommandEnd
    said: str
