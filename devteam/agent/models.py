"""Models over HTTP: the OpenAI chat completions format and the Anthropic messages format, both streamed."""

import json
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from devteam.agent.failures import ModelError, Reason, TransientError
from devteam.agent.messages import (
    MALFORMED_EXCERPT,
    AssistantMessage,
    Message,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)

if TYPE_CHECKING:
    from devteam.agent.http import EventSource

Json = dict[str, Any]
Listener = Callable[[str, str], Coroutine[Any, Any, None]]
"""Is told each piece of a streamed answer: its kind, "text" or "thought", and the words."""

OPENAI_URL = "https://api.openai.com/v1"
ANTHROPIC_URL = "https://api.anthropic.com"
ANTHROPIC_VERSION = "2023-06-01"
ANTHROPIC_MAX_OUTPUT = 16_000


@dataclass(frozen=True)
class ToolSpec:
    """A tool as the model sees it; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """A whole answer; `stop` is "end", "length" (cut at the output limit) or "refusal"."""

    message: AssistantMessage
    usage: Usage
    stop: str


@dataclass(frozen=True)
class Request:
    """One question to the model."""

    system: str
    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()


class Model(Protocol):
    """Raises `ModelError`, or `TransientError` when the same question may be asked again."""

    async def complete(self, request: Request, listener: Listener) -> Reply:
        """Ask and stream the answer."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


def model_from_environment(environment: Mapping[str, str]) -> Model:
    """The model that OPENAI_* or else ANTHROPIC_* names."""
    limit = environment.get("DEVTEAM_AGENT_MAX_OUTPUT", "")
    max_output = int(limit) if limit.isdigit() and int(limit) else None
    if name := environment.get("OPENAI_MODEL"):
        base = environment.get("OPENAI_BASE_URL") or OPENAI_URL
        return OpenAIModel(base, environment.get("OPENAI_API_KEY", ""), name, max_output)
    if name := environment.get("ANTHROPIC_MODEL"):
        base = environment.get("ANTHROPIC_BASE_URL") or ANTHROPIC_URL
        return AnthropicModel(base, environment.get("ANTHROPIC_API_KEY", ""), name, max_output)
    raise ModelError(
        Reason.NOT_CONFIGURED,
        "no model is set: give OPENAI_MODEL (with OPENAI_API_KEY and OPENAI_BASE_URL) or ANTHROPIC_MODEL"
        " (with ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL)",
    )


def _list(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def whole(text: str) -> str:
    """Put characters together that a stream split in two, and replace halves that stayed alone."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@dataclass
class _Draft:
    """A tool call while it is being streamed."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def finish(self, *, cut: bool) -> ToolCall:
        """Arguments that cannot be read become an error for the model to correct."""
        number = self.id or f"call_{secrets.token_hex(8)}"
        raw = whole("".join(self.arguments))
        try:
            arguments = json.loads(raw or "{}")
        except (ValueError, RecursionError) as error:
            why = "they were cut at the output limit, send less at once" if cut else str(error)
            excerpt = raw[:MALFORMED_EXCERPT]
            return ToolCall(number, self.name, {}, f"the arguments are not valid JSON ({why}): {excerpt}")
        if not isinstance(arguments, dict):
            return ToolCall(number, self.name, {}, f"the arguments must be an object, not {raw[:MALFORMED_EXCERPT]}")
        return ToolCall(number, self.name, json.loads(whole(json.dumps(arguments, ensure_ascii=False))))


def _calls(drafts: Mapping[int, _Draft], *, cut: bool) -> tuple[ToolCall, ...]:
    """Two calls with one id could not be answered apart."""
    calls: list[ToolCall] = []
    for draft in drafts.values():
        if draft.id in {call.id for call in calls}:
            draft.id = ""
        calls.append(draft.finish(cut=cut))
    return tuple(calls)


def _source(url: str, headers: Mapping[str, str]) -> "EventSource":
    from devteam.agent.http import EventSource  # noqa: PLC0415 - loaded only when needed, see there

    return EventSource(url, headers)


class OpenAIModel:
    """Anything that offers `/chat/completions` below its base address."""

    def __init__(self, base_url: str, key: str, model: str, max_output: int | None = None) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = _source(base_url.rstrip("/") + "/chat/completions", headers)
        self._model = model
        self._max_output = max_output

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close()

    async def complete(self, request: Request, listener: Listener) -> Reply:
        """Ask and stream the answer."""
        text: list[str] = []
        drafts: dict[int, _Draft] = {}
        usage, finish = Usage(), ""
        async for event in self._http.events(self._body(request)):
            if error := event.get("error"):
                raise _stream_error(error)
            usage = _openai_usage(event.get("usage")) or usage
            for choice in _list(event.get("choices"))[:1]:
                finish = _text(choice.get("finish_reason")) or finish
                delta = _dict(choice.get("delta") or choice.get("message"))
                await self._take(delta, text, drafts, listener)
        if not finish:
            raise TransientError(Reason.UNAVAILABLE, "the model's answer was cut off")
        stop = {"length": "length", "content_filter": "refusal"}.get(finish, "end")
        calls = _calls(drafts, cut=stop == "length")
        return Reply(AssistantMessage(whole("".join(text)), calls), usage, stop)

    async def _take(self, delta: Json, text: list[str], drafts: dict[int, _Draft], listener: Listener) -> None:
        if thought := _text(delta.get("reasoning_content")) or _text(delta.get("reasoning")):
            await listener("thought", thought)
        if words := _text(delta.get("content")) or _text(delta.get("refusal")):
            text.append(words)
            await listener("text", words)
        for position, part in enumerate(_list(delta.get("tool_calls"))):
            index = part.get("index")
            draft = drafts.setdefault(index if isinstance(index, int) else len(drafts) + position, _Draft())
            draft.id = draft.id or _text(part.get("id"))
            function = _dict(part.get("function"))
            draft.name += _text(function.get("name"))
            draft.arguments.append(_text(function.get("arguments")))

    def _body(self, request: Request) -> Json:
        messages: list[Json] = [{"role": "system", "content": request.system}]
        messages += [_openai_message(message) for message in request.messages]
        body: Json = {
            "model": self._model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._max_output:
            body["max_tokens"] = self._max_output
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {"name": t.name, "description": t.description, "parameters": t.parameters},
                }
                for t in request.tools
            ]
        return body


def _openai_message(message: Message) -> Json:
    match message:
        case UserMessage():
            return {"role": "user", "content": message.text}
        case ToolMessage():
            return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
        case AssistantMessage():
            said: Json = {"role": "assistant", "content": message.text or None}
            if message.calls:
                said["tool_calls"] = [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                    }
                    for call in message.calls
                ]
            elif not message.text:
                said["content"] = ""
            return said


def _openai_usage(value: Any) -> Usage | None:
    if not isinstance(value, dict):
        return None
    cached = _count(_dict(value.get("prompt_tokens_details")).get("cached_tokens"))
    return Usage(_count(value.get("prompt_tokens")), _count(value.get("completion_tokens")), cached)


def _stream_error(error: Any) -> ModelError | TransientError:
    """An error told inside a stream that began well; overload and the like are worth another try."""
    about = _dict(error)
    kind = f"{about.get('type', '')} {about.get('code', '')}"
    message = f"the model broke off: {about.get('message') or error}"
    if "rate_limit" in kind or "429" in kind:
        return TransientError(Reason.RATE_LIMITED, message)
    if any(word in kind for word in ("invalid", "authentication", "permission", "not_found", "quota")):
        return ModelError(Reason.BAD_REQUEST, message)
    return TransientError(Reason.UNAVAILABLE, message)


class AnthropicModel:
    """Anything that offers `/v1/messages` below its base address."""

    def __init__(self, base_url: str, key: str, model: str, max_output: int | None = None) -> None:
        headers = {"anthropic-version": ANTHROPIC_VERSION} | ({"x-api-key": key} if key else {})
        base = base_url.rstrip("/").removesuffix("/v1")
        self._http = _source(f"{base}/v1/messages", headers)
        self._model = model
        self._max_output = max_output or ANTHROPIC_MAX_OUTPUT

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close()

    async def complete(self, request: Request, listener: Listener) -> Reply:
        """Ask and stream the answer."""
        answer = _AnthropicAnswer(listener)
        async for event in self._http.events(self._body(request)):
            await answer.take(event)
        return answer.reply()

    def _body(self, request: Request) -> Json:
        # The marks let the provider keep what was sent so far: each turn repeats nearly all of the one before.
        mark = {"cache_control": {"type": "ephemeral"}}
        messages = _anthropic_messages(request.messages)
        if messages:
            messages[-1]["content"][-1] |= mark
        body: Json = {
            "model": self._model,
            "max_tokens": self._max_output,
            "system": [{"type": "text", "text": request.system} | mark],
            "messages": messages,
            "stream": True,
        }
        if request.tools:
            body["tools"] = [
                {"name": t.name, "description": t.description, "input_schema": t.parameters} for t in request.tools
            ]
        return body


class _AnthropicAnswer:
    """Puts a streamed answer together."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._text: list[str] = []
        self._drafts: dict[int, _Draft] = {}
        self._thinking: dict[int, Json] = {}
        self._usage: Json = {}
        self._stop = ""
        self._complete = False

    async def take(self, event: Json) -> None:
        match event.get("type"):
            case "error":
                raise _stream_error(event.get("error"))
            case "message_start":
                self._usage |= _dict(_dict(event.get("message")).get("usage"))
            case "content_block_start":
                await self._start(_count(event.get("index")), _dict(event.get("content_block")))
            case "content_block_delta":
                await self._add(_count(event.get("index")), _dict(event.get("delta")))
            case "message_delta":
                self._usage |= _dict(event.get("usage"))
                self._stop = _text(_dict(event.get("delta")).get("stop_reason")) or self._stop
            case "message_stop":
                self._complete = True
            case "message":  # an answer that was not streamed
                for index, block in enumerate(_list(event.get("content"))):
                    await self._start(index, block)
                self._usage |= _dict(event.get("usage"))
                self._stop = _text(event.get("stop_reason"))
                self._complete = True

    async def _start(self, index: int, block: Json) -> None:
        match block.get("type"):
            case "tool_use":
                draft = _Draft(_text(block.get("id")), _text(block.get("name")))
                if block.get("input"):
                    draft.arguments.append(json.dumps(block["input"]))
                self._drafts[index] = draft
            case "thinking" | "redacted_thinking":
                self._thinking[index] = dict(block)
                await self._say("thought", _text(block.get("thinking")))
            case "text":
                await self._say("text", _text(block.get("text")))

    async def _add(self, index: int, delta: Json) -> None:
        match delta.get("type"):
            case "text_delta":
                await self._say("text", _text(delta.get("text")))
            case "input_json_delta" if index in self._drafts:
                self._drafts[index].arguments.append(_text(delta.get("partial_json")))
            case "thinking_delta":
                block = self._thinking.setdefault(index, {"type": "thinking", "thinking": ""})
                block["thinking"] = _text(block.get("thinking")) + _text(delta.get("thinking"))
                await self._say("thought", _text(delta.get("thinking")))
            case "signature_delta" if index in self._thinking:
                self._thinking[index]["signature"] = _text(delta.get("signature"))

    async def _say(self, kind: str, words: str) -> None:
        if not words:
            return
        if kind == "text":
            self._text.append(words)
        await self._listener(kind, words)

    def reply(self) -> Reply:
        if not self._complete:
            raise TransientError(Reason.UNAVAILABLE, "the model's answer was cut off")
        stop = {"max_tokens": "length", "refusal": "refusal"}.get(self._stop, "end")
        signed = tuple(b for b in self._thinking.values() if b.get("signature") or b.get("data"))
        calls = _calls(self._drafts, cut=stop == "length")
        return Reply(AssistantMessage(whole("".join(self._text)), calls, signed), _anthropic_usage(self._usage), stop)


def _anthropic_usage(usage: Json) -> Usage:
    cached = _count(usage.get("cache_read_input_tokens"))
    sent = _count(usage.get("input_tokens")) + cached + _count(usage.get("cache_creation_input_tokens"))
    return Usage(sent, _count(usage.get("output_tokens")), cached)


def _anthropic_messages(messages: Sequence[Message]) -> list[Json]:
    """Neighbours of one role become one message, as the format wants it."""
    found: list[Json] = []
    for message in messages:
        role, blocks = _anthropic_blocks(message)
        if not blocks:
            continue
        if found and found[-1]["role"] == role:
            found[-1]["content"] += blocks
        else:
            found.append({"role": role, "content": blocks})
    return found


def _anthropic_blocks(message: Message) -> tuple[str, list[Json]]:
    match message:
        case UserMessage():
            return "user", [{"type": "text", "text": message.text}] if message.text.strip() else []
        case ToolMessage():
            result = {"type": "tool_result", "tool_use_id": message.call_id, "content": message.text or "(nothing)"}
            return "user", [result | ({"is_error": True} if message.failed else {})]
        case AssistantMessage():
            blocks: list[Json] = [dict(block) for block in message.thinking]
            if message.text.strip():
                blocks.append({"type": "text", "text": message.text})
            blocks += [
                {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}
                for call in message.calls
            ]
            return "assistant", blocks
