"""How much of the model's window the conversation takes, and how to make it shorter."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from devteam.agent.messages import AssistantMessage, Message, ToolMessage, Transcript, UserMessage
from devteam.agent.prompts import summary_message

CHARACTERS_PER_TOKEN = 4
COMPACT_AT = 0.8
_TAIL_SHARE = 0.25
_RENDERED_SHARE = 0.5
_RENDERED_RESULT = 2_000
_CUT_RESULT = 1_500
_OVERHEAD_CHARACTERS = 40  # roles, ids and brackets around a message

Summarise = Callable[[str], Awaitable[str]]


def characters(message: Message) -> int:
    """About how many characters of the window a message takes."""
    size = len(message.text) + _OVERHEAD_CHARACTERS
    if isinstance(message, AssistantMessage):
        size += sum(len(call.name) + len(str(call.arguments)) + _OVERHEAD_CHARACTERS for call in message.calls)
        size += sum(len(str(block)) for block in message.thinking)
    return size


def tokens(messages: Sequence[Message]) -> int:
    """An estimate."""
    return sum(map(characters, messages)) // CHARACTERS_PER_TOKEN


@dataclass
class Meter:
    """The window in tokens.

    What the model counted is taken with a guess of what came after it, but never less than a guess of the whole: some
    servers count only what they had not in their cache.
    """

    window: int
    fixed: int = 0  # tokens of the system prompt and the tools
    _reported: int = 0
    _reported_messages: int = 0

    def report(self, used: int, messages: int) -> None:
        """The model counted `used` tokens for the first `messages` messages; 0 if it did not count."""
        self._reported, self._reported_messages = used, messages if used else 0

    def forget(self) -> None:
        """The conversation was cut, so the report is void."""
        self._reported = self._reported_messages = 0

    def used(self, messages: Sequence[Message]) -> int:
        """Tokens of the next call, without its answer."""
        guessed = self.fixed + tokens(messages)
        if not self._reported_messages:
            return guessed
        return max(guessed, self._reported + tokens(messages[self._reported_messages :]))

    def is_full(self, messages: Sequence[Message]) -> bool:
        """Whether the conversation should be cut before the next call."""
        return self.used(messages) > self.window * COMPACT_AT


async def compact(transcript: Transcript, window: int, summarise: Summarise) -> list[Message]:
    """A shorter conversation: the first request, notes of the middle, and the last messages as they were.

    `window` is in tokens. The result is valid for providers: no tool result without its call.
    """
    messages = transcript.messages
    budget = int(window * _TAIL_SHARE) * CHARACTERS_PER_TOKEN
    start = _tail_start(messages, budget)
    middle, tail = messages[1:start], messages[start:]
    rendered = render(messages[:start], int(window * _RENDERED_SHARE) * CHARACTERS_PER_TOKEN)
    notes = (await summarise(rendered)).strip() or render(middle, budget // 2)
    requests = [m.text for m in middle if isinstance(m, UserMessage)]
    in_tail = any(isinstance(m, UserMessage) for m in tail)
    told = summary_message(notes, transcript.plan, requests[-1] if requests and not in_tail else None)
    if tokens(tail) * CHARACTERS_PER_TOKEN > budget:
        tail = [_cut_result(message) for message in tail]
    return [*messages[:1], UserMessage(told), *tail]


def _tail_start(messages: Sequence[Message], budget: int) -> int:
    """Where the last messages begin that fit the budget; at least the last answer of the model stays whole."""
    start = next((i for i in range(len(messages) - 1, 0, -1) if not isinstance(messages[i], ToolMessage)), 1)
    size = sum(map(characters, messages[start:]))
    for index in range(start - 1, 0, -1):
        size += characters(messages[index])
        if size > budget:
            break
        if not isinstance(messages[index], ToolMessage):
            start = index
    return start


def _cut_result(message: Message) -> Message:
    if isinstance(message, ToolMessage) and len(message.text) > _CUT_RESULT:
        return replace(message, text=f"{message.text[:_CUT_RESULT]}\n[... cut; look again if you need the rest ...]")
    return message


def render(messages: Sequence[Message], limit: int) -> str:
    """The conversation as text of at most about `limit` characters: the beginning and the end."""
    text = "\n\n".join(_rendered(message) for message in messages)
    if len(text) <= limit:
        return text
    return f"{text[: limit // 3]}\n\n[... left out ...]\n\n{text[-(limit - limit // 3) :]}"


def _rendered(message: Message) -> str:
    match message:
        case UserMessage():
            return f"USER: {message.text}"
        case ToolMessage():
            state = "FAILED " if message.failed else ""
            return f"{state}RESULT of {message.name}: {message.text[:_RENDERED_RESULT]}"
        case AssistantMessage():
            calls = [f"CALL {call.name}: {str(dict(call.arguments))[:_RENDERED_RESULT]}" for call in message.calls]
            return "\n".join(filter(None, [f"AGENT: {message.text}" if message.text else "", *calls]))
