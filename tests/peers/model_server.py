"""A model that follows a script: OpenAI chat completions, Anthropic messages and Google's calls, with faults.

In a test:

    with ModelServer([call("shell", command="pytest"), say("Done.")]) as server:
        ...  # OPENAI_BASE_URL=server.openai_url or ANTHROPIC_BASE_URL=server.anthropic_url

By hand: `python tests/peers/model_server.py SCRIPT.json [PORT]`, with answers as in `answer_from_json`.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A tool call; `raw` takes the place of the arguments when they are to be malformed."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    raw: str | None = None

    @property
    def text(self) -> str:
        return json.dumps(self.arguments) if self.raw is None else self.raw


@dataclass(frozen=True)
class Answer:
    """What the model says. `pause` is how many seconds it stops before the end; `stop` is OpenAI's finish reason."""

    text: str = ""
    calls: Sequence[Call] = ()
    thought: str = ""
    input_tokens: int = 100
    output_tokens: int = 10
    cached_tokens: int = 0
    pause: float = 0.0
    stop: str = ""
    thought_tokens: int = 0
    """Of the output."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong instead of an answer: a status, or (with `cut`) a stream that ends half-way."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "scripted fault"
    cut: bool = False
    details: Sequence[Mapping[str, Any]] = ()


Step = Answer | Fault


@dataclass(frozen=True)
class Seen:
    """A request as it came; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: Json
    at: float

    @property
    def messages(self) -> list[Json]:
        found: list[Json] = self.body.get("messages", [])
        return found

    def results(self) -> list[str]:
        """The texts of the tool results in the conversation."""
        found = [str(m["content"]) for m in self.messages if m.get("role") == "tool"]
        for message in self.messages:
            blocks = message["content"] if isinstance(message.get("content"), list) else []
            found += [str(block["content"]) for block in blocks if block.get("type") == "tool_result"]
        for content in self.body.get("contents", []):
            parts = [part["functionResponse"] for part in content.get("parts", []) if "functionResponse" in part]
            found += [_response_text(part.get("response")) for part in parts]
        return found


def _response_text(response: Any) -> str:
    output = response.get("output") if isinstance(response, dict) else None
    return output if isinstance(output, str) else json.dumps(response)


Script = Sequence[Step] | Callable[[Seen], Step]


def say(text: str, **more: Any) -> Answer:
    """An answer in words."""
    return Answer(text, **more)


def call(name: str, **arguments: Any) -> Answer:
    """An answer that asks for one tool."""
    return Answer(calls=[Call(name, arguments)])


class ModelServer:
    """Serves while it is entered.

    A sequence is followed step by step; with `by_results` an answer is chosen by the number of tool results in the
    conversation, whoever asks and how often, and faults in front of it are spent first. When the script is over, the
    server says so in words.
    """

    def __init__(self, script: Script, *, by_results: bool = False, port: int = 0) -> None:
        self._script = script
        self._by_results = by_results
        self._position = 0
        self._lock = threading.Lock()
        self.seen: list[Seen] = []
        self.closing = threading.Event()
        self._server = _Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def openai_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def anthropic_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def google_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def step_for(self, seen: Seen) -> Step:
        """What happens to this request."""
        with self._lock:
            self.seen.append(seen)
            if callable(self._script):
                return self._script(seen)
            if self._by_results:
                return self._by_number_of_results(self._script, seen)
            position, self._position = self._position, self._position + 1
            return self._script[position] if position < len(self._script) else Answer("The script is over.")

    def _by_number_of_results(self, script: Sequence[Step], seen: Seen) -> Step:
        faults = [step for step in script if isinstance(step, Fault)]
        if self._position < len(faults):
            self._position += 1
            return faults[self._position - 1]
        answers = [step for step in script if isinstance(step, Answer)]
        number = len(seen.results())
        return answers[number] if number < len(answers) else Answer("The script is over.")


class _Server(ThreadingHTTPServer):
    """Knows the script."""

    daemon_threads = True

    def __init__(self, owner: ModelServer, port: int) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_GET(self) -> None:
        self._whole(200, {"object": "list", "data": [{"id": "scripted", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        step = self.server.owner.step_for(Seen(self.path, headers, body, time.monotonic()))
        path = self.path.partition("?")[0]
        speak = next((speak for end, speak in _SPEAKERS.items() if path.endswith(end)), None)
        if speak is None:
            self._whole(404, {"error": {"message": f"no such path {path}"}})
            return
        if path.endswith(":streamGenerateContent"):
            body = {**body, "stream": True}
        try:
            self._play(step, body, speak)
        except ConnectionError:
            self.close_connection = True  # whoever asked went away

    def _play(self, step: Step, body: Json, speak: "Callable[[Answer], _Speech]") -> None:
        if isinstance(step, Fault) and not step.cut:
            error: Json = {"type": "scripted", "message": step.message}
            if step.details:
                error["details"] = list(step.details)
            self._whole(step.status, {"type": "error", "error": error}, step.headers)
            return
        cut = isinstance(step, Fault)
        answer = Answer("This answer is cut half-way.") if isinstance(step, Fault) else step
        speech = speak(answer)
        if not body.get("stream"):
            self._whole(200, speech.whole)
            return
        self._stream(speech, answer.pause, cut=cut)

    def _stream(self, speech: "_Speech", pause: float, *, cut: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        events = list(speech.events)
        middle = len(events) // 2
        for number, (name, event) in enumerate(events):
            if number == middle and cut:
                self.close_connection = True
                return
            if number == middle and pause:
                self.server.owner.closing.wait(pause)
            data = event if isinstance(event, str) else json.dumps(event)
            self._chunk((f"event: {name}\n" if name else "") + f"data: {data}\n\n")
        self._chunk("")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _whole(self, status: int, body: Json, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@dataclass(frozen=True)
class _Speech:
    """An answer in a provider's format: as events (name, data) and whole."""

    events: Sequence[tuple[str, Json | str]]
    whole: Json


def _pieces(text: str, size: int = 7) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


_numbers = iter(range(1, sys.maxsize))


def _openai(answer: Answer) -> _Speech:
    calls = [
        {"index": i, "id": f"call_{next(_numbers)}", "type": "function", "function": {"name": c.name, "arguments": ""}}
        for i, c in enumerate(answer.calls)
    ]
    stop = answer.stop or ("tool_calls" if calls else "stop")
    usage = {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens},
    }
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in _pieces(answer.thought)]
    deltas += [{"content": piece} for piece in _pieces(answer.text)]
    for index, (started, asked) in enumerate(zip(calls, answer.calls, strict=True)):
        deltas.append({"tool_calls": [started]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in _pieces(asked.text)
        ]
    events: list[tuple[str, Json | str]] = [
        ("", head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}) for delta in deltas
    ]
    events.append(("", head | {"choices": [{"index": 0, "delta": {}, "finish_reason": stop}]}))
    events.append(("", head | {"choices": [], "usage": usage}))
    events.append(("", "[DONE]"))
    message: Json = {"role": "assistant", "content": answer.text or None}
    if calls:
        message["tool_calls"] = [
            started | {"function": {"name": asked.name, "arguments": asked.text}}
            for started, asked in zip(calls, answer.calls, strict=True)
        ]
    choice = {"index": 0, "message": message, "finish_reason": stop}
    return _Speech(events, head | {"object": "chat.completion", "choices": [choice], "usage": usage})


_ANTHROPIC_STOPS = {"length": "max_tokens", "content_filter": "refusal", "stop": "end_turn"}


def _anthropic(answer: Answer) -> _Speech:
    stop = _ANTHROPIC_STOPS.get(answer.stop) or ("tool_use" if answer.calls else "end_turn")
    usage = {
        "input_tokens": answer.input_tokens - answer.cached_tokens,
        "cache_read_input_tokens": answer.cached_tokens,
    }
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted"}
    blocks: list[tuple[Json, Json, list[Json]]] = []  # how it starts, whole, its deltas
    if answer.thought:
        whole = {"type": "thinking", "thinking": answer.thought, "signature": "signed"}
        pieces: list[Json] = [{"type": "thinking_delta", "thinking": p} for p in _pieces(answer.thought)]
        pieces.append({"type": "signature_delta", "signature": "signed"})
        blocks.append(({"type": "thinking", "thinking": ""}, whole, pieces))
    if answer.text:
        pieces = [{"type": "text_delta", "text": p} for p in _pieces(answer.text)]
        blocks.append(({"type": "text", "text": ""}, {"type": "text", "text": answer.text}, pieces))
    for asked in answer.calls:
        start = {"type": "tool_use", "id": f"toolu_{next(_numbers)}", "name": asked.name, "input": {}}
        pieces = [{"type": "input_json_delta", "partial_json": p} for p in _pieces(asked.text)]
        blocks.append((start, start | {"input": dict(asked.arguments)}, pieces))
    message: Json = head | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    events: list[tuple[str, Json | str]] = [_event("message_start", message=message)]
    for index, (start, _, pieces) in enumerate(blocks):
        events.append(_event("content_block_start", index=index, content_block=start))
        events += [_event("content_block_delta", index=index, delta=piece) for piece in pieces]
        events.append(_event("content_block_stop", index=index))
    spent = {"output_tokens": answer.output_tokens}
    events.append(_event("message_delta", delta={"stop_reason": stop}, usage=spent))
    events.append(_event("message_stop"))
    content = [whole for _, whole, _ in blocks]
    return _Speech(events, head | {"content": content, "stop_reason": stop, "usage": usage | spent})


def _event(kind: str, **more: Any) -> tuple[str, Json | str]:
    return kind, {"type": kind, **more}


def _google(answer: Answer) -> _Speech:
    usage = {
        "promptTokenCount": answer.input_tokens,
        "cachedContentTokenCount": answer.cached_tokens,
        "candidatesTokenCount": answer.output_tokens - answer.thought_tokens,
        "thoughtsTokenCount": answer.thought_tokens,
        "totalTokenCount": answer.input_tokens + answer.output_tokens,
    }
    calls: list[Json] = [{"functionCall": {"name": c.name, "args": dict(c.arguments)}} for c in answer.calls]
    streamed: list[Json] = [{"text": piece, "thought": True} for piece in _pieces(answer.thought)]
    streamed += [{"text": piece} for piece in _pieces(answer.text)] + calls
    whole: list[Json] = [{"text": answer.thought, "thought": True}] if answer.thought else []
    whole += ([{"text": answer.text}] if answer.text else []) + calls
    stop = _GOOGLE_STOPS.get(answer.stop, "STOP")
    head = {"modelVersion": "scripted", "responseId": f"response-{next(_numbers)}"}
    started = {"promptTokenCount": answer.input_tokens, "totalTokenCount": answer.input_tokens}
    events: list[tuple[str, Json | str]] = [
        ("", head | {"candidates": [_candidate([part])], "usageMetadata": started}) for part in streamed
    ]
    ended = _candidate([{"text": ""}]) | {"finishReason": stop}
    events.append(("", head | {"candidates": [ended], "usageMetadata": usage}))
    candidate = _candidate(whole) | {"finishReason": stop}
    return _Speech(events, head | {"candidates": [candidate], "usageMetadata": usage})


_GOOGLE_STOPS = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}


def _candidate(parts: list[Json]) -> Json:
    return {"index": 0, "content": {"role": "model", "parts": parts}}


_SPEAKERS: Mapping[str, Callable[[Answer], _Speech]] = {
    "/chat/completions": _openai,
    "/messages": _anthropic,
    ":generateContent": _google,
    ":streamGenerateContent": _google,
}


def answer_from_json(data: Json) -> Step:
    """`{"text", "thought", "calls": [{"name", "arguments"}]}`, or `{"fault": {"status", "headers", "cut"}}`."""
    if "fault" in data:
        return Fault(**data["fault"])
    calls = [Call(item["name"], item.get("arguments", {}), item.get("raw")) for item in data.get("calls", [])]
    return Answer(**{**data, "calls": calls})


def main() -> None:
    """Serve a script by hand until interrupted; each conversation is answered by its number of tool results."""
    script = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with ModelServer([answer_from_json(item) for item in script], by_results=True, port=port) as server:
        sys.stdout.write(f"OPENAI_BASE_URL={server.openai_url}\nANTHROPIC_BASE_URL={server.anthropic_url}\n")
        sys.stdout.write(f"GOOGLE_GEMINI_BASE_URL={server.google_url}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
