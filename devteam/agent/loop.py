"""The agent's loop: ask the model, run the tools it asks for, until it has nothing left to do."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from devteam.agent.context import Meter, compact, tokens
from devteam.agent.failures import ModelError, Patience, Reason, TransientError, with_patience
from devteam.agent.messages import (
    Message,
    PlanStep,
    ToolCall,
    ToolMessage,
    Transcript,
    Usage,
    UserMessage,
)
from devteam.agent.models import Model, Reply, Request
from devteam.agent.paths import PathRefused
from devteam.agent.prompts import EMPTY_ANSWER, SUMMARISE
from devteam.agent.sessions import SessionLog
from devteam.agent.tools import Action, Diff, Outcome, Tool, ToolRefused, perform, prepare

Json = dict[str, Any]

MODES = {"ask": "Ask before edits and commands", "edit": "Edit files and run commands without asking"}
_FLUSH_SECONDS = 0.1  # streamed words are told together, not one by one
_SHOWN_ARGUMENT = 2_000
_EMPTY_ANSWERS = 2
_WORTH_CUTTING = 4  # messages
_REFUSED = "The user did not allow this. Do not try to reach the same by another way; go on without it or stop."
_CANCELLED = "The user cancelled the turn; this did not finish."

PERMISSION_OPTIONS = (
    {"optionId": "allow_once", "name": "Allow once", "kind": "allow_once"},
    {"optionId": "allow_always", "name": "Allow for this session", "kind": "allow_always"},
    {"optionId": "reject_once", "name": "Refuse", "kind": "reject_once"},
)


class Client(Protocol):
    """Who the work is done for."""

    async def update(self, update: Json) -> None:
        """Tell what happens."""
        ...

    async def ask_permission(self, tool_call: Json, options: list[Json]) -> str | None:
        """The id of the option chosen; None when the turn was cancelled instead."""
        ...


class TurnCancelled(Exception):
    """The user cancelled while being asked."""


@dataclass(frozen=True)
class Limits:
    """`window` is in tokens, `turns` in calls of the model for one prompt."""

    window: int = 120_000
    turns: int = 80
    patience: Patience = field(default_factory=Patience)


@dataclass
class Conversation:
    """One session's conversation, and what it may do."""

    transcript: Transcript
    log: SessionLog
    client: Client
    system: str
    tools: Mapping[str, Tool]
    limits: Limits
    open_model: Callable[[], Model]
    mode: str = "ask"
    usage: Usage = field(default_factory=Usage)
    """Of the current turn; all calls of the model, those for notes too."""

    def __post_init__(self) -> None:
        specs = "".join(f"{t.spec.name}{t.spec.description}{t.spec.parameters}" for t in self.tools.values())
        self._meter = Meter(self.limits.window, fixed=tokens([UserMessage(self.system + specs)]))
        self._allowed: set[str] = set()
        self._guidance: list[str] = []
        self._model: Model | None = None

    async def close(self) -> None:
        """Give the model's connections back."""
        if self._model:
            await self._model.close()

    def steer(self, text: str) -> None:
        """Guidance to be heard before the next call of the model."""
        self._guidance.append(text)

    async def turn(self, prompt: str) -> str:
        """Work until done; the answer is a stop reason of ACP. Raises `ModelError`.

        When cancelled, the conversation stays valid, so that another turn can follow.
        """
        self.usage = Usage()
        self._guidance.clear()
        self._model = self._model or self.open_model()
        self._say(UserMessage(prompt))
        self.log.update(_chunk("user_message_chunk", prompt, uuid4().hex))
        try:
            return await self._work()
        except TurnCancelled:
            self._close_calls()
            return "cancelled"
        except BaseException:
            self._close_calls()
            raise

    async def set_plan(self, steps: list[PlanStep]) -> None:
        """The plan is now this."""
        self.transcript.plan = steps
        self.log.plan(steps)
        entries = [{"content": s.text, "status": s.status, "priority": "medium"} for s in steps]
        await self._tell({"sessionUpdate": "plan", "entries": entries})

    async def _work(self) -> str:
        empty = 0
        for _ in range(self.limits.turns):
            self._take_guidance()
            if self._meter.is_full(self.transcript.messages) and len(self.transcript.messages) >= _WORTH_CUTTING:
                await self._cut(self.limits.window)
            reply = await self._ask()
            if reply.message.text or reply.message.calls:
                self._say(reply.message)
            await self._count(reply)
            if reply.stop == "refusal":
                return "refusal"
            if reply.message.calls:
                await self._run_calls(reply.message.calls)
            elif self._guidance:
                continue
            elif reply.stop == "length":
                return "max_tokens"
            elif reply.message.text.strip():
                return "end_turn"
            elif (empty := empty + 1) == _EMPTY_ANSWERS:
                raise ModelError(Reason.BAD_ANSWER, "the model gives empty answers")
            else:
                self._say(UserMessage(EMPTY_ANSWER))
        return "max_turn_requests"

    def _say(self, message: Message) -> None:
        self.transcript.messages.append(message)
        self.log.message(message)

    def _take_guidance(self) -> None:
        guidance, self._guidance = self._guidance, []
        for text in guidance:
            self._say(UserMessage(text))
            self.log.update(_chunk("user_message_chunk", text, uuid4().hex))

    def _close_calls(self) -> None:
        for message in self.transcript.close_open_calls(_CANCELLED):
            self.log.message(message)

    # --- the model ---------------------------------------------------------------------------------------------------

    async def _ask(self) -> Reply:
        """One answer; a conversation that turns out too long for the model is cut once."""
        try:
            return await self._stream()
        except ModelError as error:
            if error.reason is not Reason.CONTEXT_TOO_LONG or len(self.transcript.messages) < _WORTH_CUTTING:
                raise
        used = min(self._meter.used(self.transcript.messages), self.limits.window)
        await self._cut(used // 2)
        return await self._stream()

    async def _stream(self) -> Reply:
        model = self._model
        assert model is not None
        specs = tuple(tool.spec for tool in self.tools.values())

        async def once() -> Reply:
            words = _Words(self._tell, self.log)
            try:
                request = Request(self.system, tuple(self.transcript.messages), specs)
                return await model.complete(request, words.hear)
            finally:
                await words.end()

        return await with_patience(once, self.limits.patience, self._tell_wait)

    async def _tell_wait(self, error: TransientError, wait: float) -> None:
        await self.think(f"{error.message} (asking again in {wait:.1f} s)")

    async def think(self, text: str) -> None:
        """Tell the client what goes on with the agent itself."""
        await self._tell(_chunk("agent_thought_chunk", text, uuid4().hex), keep=True)

    async def _count(self, reply: Reply) -> None:
        self.usage += reply.usage
        used = reply.usage.input + reply.usage.output
        messages = self.transcript.messages
        self._meter.report(used, len(messages))
        shown = self._meter.used(messages)
        await self._tell({"sessionUpdate": "usage_update", "used": shown, "size": self.limits.window}, keep=False)

    async def _cut(self, window: int) -> None:
        """Replace the middle of the conversation by notes that the model writes."""
        model = self._model
        assert model is not None

        async def summarise(rendered: str) -> str:
            request = Request(SUMMARISE, (UserMessage(rendered),))
            reply = await with_patience(
                lambda: model.complete(request, _unheard), self.limits.patience, self._tell_wait
            )
            self.usage += reply.usage
            return reply.message.text

        messages = await compact(self.transcript, window, summarise)
        self.transcript.messages = messages
        self.log.reset(messages)
        self._meter.forget()
        await self.think("The conversation became too long; its middle is now kept as notes.")

    # --- tools -------------------------------------------------------------------------------------------------------

    async def _run_calls(self, calls: Sequence[ToolCall]) -> None:
        for call in calls:
            outcome = await self._run_call(call)
            self._say(ToolMessage(call.id, call.name, outcome.text, outcome.failed))

    async def _run_call(self, call: ToolCall) -> Outcome:
        # Providers may use an id again in a later answer; for the client each call is one of its own.
        shown = uuid4().hex
        try:
            action = prepare(self.tools, call)
        except (ToolRefused, PathRefused) as refusal:
            await self._tell(_call_started(shown, Action(call.name or "unknown tool", "other", _never), call))
            return await self._end_call(shown, Outcome(str(refusal), failed=True), None)
        await self._tell(_call_started(shown, action, call))
        try:
            if not await self._may(shown, action, call):
                return await self._end_call(shown, Outcome(_REFUSED, failed=True), None)
            await self._tell(_call_update(shown, "in_progress"), keep=False)
            outcome = await perform(action, lambda text: self._tell_output(shown, text))
        except BaseException:
            await self._end_call(shown, Outcome(_CANCELLED, failed=True), None)
            raise
        return await self._end_call(shown, outcome, None if outcome.failed else action.diff)

    async def _end_call(self, shown: str, outcome: Outcome, diff: Diff | None) -> Outcome:
        content = [_diff_content(diff)] if diff else [_text_content(outcome.text)]
        update = _call_update(shown, "failed" if outcome.failed else "completed")
        await self._tell(update | {"content": content})
        return outcome

    async def _tell_output(self, shown: str, text: str) -> None:
        await self._tell(_call_update(shown, "in_progress") | {"content": [_text_content(text)]}, keep=False)

    async def _may(self, shown: str, action: Action, call: ToolCall) -> bool:
        """Whether the user allows it; without asking when the mode or an earlier answer says so."""
        if action.permission is None or self.mode == "edit" or action.permission in self._allowed:
            return True
        described = {k: v for k, v in _call_started(shown, action, call).items() if k != "sessionUpdate"}
        chosen = await self.client.ask_permission(described, [dict(option) for option in PERMISSION_OPTIONS])
        if chosen is None:
            raise TurnCancelled
        if chosen == "allow_always":
            self._allowed.add(action.permission)
        return chosen in ("allow_once", "allow_always")

    async def _tell(self, update: Json, *, keep: bool = True) -> None:
        """`keep` is for what a client sees again when it loads the session."""
        if keep:
            self.log.update(update)
        await self.client.update(update)


async def _never(_: Any) -> Outcome:
    raise AssertionError("a refused call does not run")


async def _unheard(_kind: str, _words: str) -> None:
    return


class _Words:
    """Tells streamed words in pieces of a tenth of a second, and keeps each message whole for later."""

    def __init__(self, tell: Callable[..., Any], log: SessionLog) -> None:
        self._tell = tell
        self._log = log
        self._kind = ""
        self._id = ""
        self._pending: list[str] = []
        self._said: list[str] = []
        self._told_at = 0.0

    async def hear(self, kind: str, words: str) -> None:
        """A listener for models."""
        if kind != self._kind:
            await self.end()
            self._kind, self._id = kind, uuid4().hex
        self._pending.append(words)
        if time.monotonic() - self._told_at >= _FLUSH_SECONDS:
            await self._flush()

    async def end(self) -> None:
        """The message is over."""
        await self._flush()
        if self._said:
            self._log.update(_chunk(self._name, "".join(self._said), self._id))
            self._said = []

    async def _flush(self) -> None:
        if not self._pending:
            return
        words, self._pending = "".join(self._pending), []
        self._said.append(words)
        self._told_at = time.monotonic()
        await self._tell(_chunk(self._name, words, self._id), keep=False)

    @property
    def _name(self) -> str:
        return "agent_message_chunk" if self._kind == "text" else "agent_thought_chunk"


def _chunk(kind: str, text: str, number: str) -> Json:
    return {"sessionUpdate": kind, "content": {"type": "text", "text": text}, "messageId": number}


def _text_content(text: str) -> Json:
    return {"type": "content", "content": {"type": "text", "text": text}}


def _diff_content(diff: Diff) -> Json:
    old = {} if diff.old is None else {"oldText": diff.old}
    return {"type": "diff", "path": str(diff.path), "newText": diff.new} | old


def _call_started(number: str, action: Action, call: ToolCall) -> Json:
    shown = {key: _short(value) for key, value in call.arguments.items()}
    update: Json = {
        "sessionUpdate": "tool_call",
        "toolCallId": number,
        "title": action.title,
        "kind": action.kind,
        "status": "pending",
        "rawInput": {"tool": call.name} | shown,
    }
    if action.path:
        update["locations"] = [{"path": str(action.path)}]
    if action.diff:
        update["content"] = [_diff_content(action.diff)]
    return update


def _call_update(number: str, status: str) -> Json:
    return {"sessionUpdate": "tool_call_update", "toolCallId": number, "status": status}


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _SHOWN_ARGUMENT:
        return f"{value[:_SHOWN_ARGUMENT]}[... {len(value) - _SHOWN_ARGUMENT} more characters]"
    return value
