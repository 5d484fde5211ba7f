"""What is said between the user, the model and the tools, independent of any provider's format."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

MALFORMED_EXCERPT = 400


@dataclass(frozen=True)
class ToolCall:
    """The model asks for a tool. `error` says what was wrong with arguments that could not be read."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    error: str | None = None


@dataclass(frozen=True)
class UserMessage:
    """Said by the user, or by this agent on the user's side (a summary, guidance)."""

    text: str


@dataclass(frozen=True)
class AssistantMessage:
    """Said by the model. `thinking` holds signed blocks that the provider wants back as they were."""

    text: str
    calls: Sequence[ToolCall] = ()
    thinking: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class ToolMessage:
    """What a tool answered."""

    call_id: str
    name: str
    text: str
    failed: bool = False


Message = UserMessage | AssistantMessage | ToolMessage


@dataclass(frozen=True)
class Usage:
    """Tokens. `input` counts everything sent, `cached` is the part of it that was read from a cache."""

    input: int = 0
    output: int = 0
    cached: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.input + other.input, self.output + other.output, self.cached + other.cached)


@dataclass(frozen=True)
class PlanStep:
    """One step of the plan; `status` is pending, in_progress or completed."""

    text: str
    status: str = "pending"


@dataclass
class Transcript:
    """Everything the model is shown, and the plan."""

    messages: list[Message] = field(default_factory=list)
    plan: list[PlanStep] = field(default_factory=list)

    def close_open_calls(self, reason: str) -> list[ToolMessage]:
        """Answer calls that have no result, because providers refuse a conversation with unanswered ones."""
        answered = {message.call_id for message in self.messages if isinstance(message, ToolMessage)}
        last = next((m for m in reversed(self.messages) if isinstance(m, AssistantMessage)), None)
        calls = last.calls if last else ()
        added = [ToolMessage(c.id, c.name, reason, failed=True) for c in calls if c.id not in answered]
        self.messages.extend(added)
        return added


def to_json(message: Message) -> dict[str, Any]:
    """For the session file."""
    match message:
        case UserMessage():
            return {"role": "user", **asdict(message)}
        case AssistantMessage():
            return {"role": "assistant", **asdict(message)}
        case ToolMessage():
            return {"role": "tool", **asdict(message)}


def from_json(data: Mapping[str, Any]) -> Message:
    """The reverse of `to_json`; raises KeyError, TypeError or ValueError for anything else."""
    fields = {key: value for key, value in data.items() if key != "role"}
    match data["role"]:
        case "user":
            return UserMessage(**fields)
        case "assistant":
            calls = tuple(ToolCall(**call) for call in fields.pop("calls"))
            return AssistantMessage(calls=calls, **fields)
        case "tool":
            return ToolMessage(**fields)
        case role:
            raise ValueError(f"unknown role {role!r}")
