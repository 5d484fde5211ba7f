"""Read what a call used from the provider's answer, streamed or whole, without changing a byte of it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

_LINE_LIMIT = 4_000_000
_WHOLE_LIMIT = 64_000_000
_LARGEST = 2**31 - 1
"""What the record can hold; nothing beyond it is a number of tokens."""
_END = re.compile(rb'data:\s*(\[DONE\]|\{\s*"type"\s*:\s*"(message_stop|response\.(completed|incomplete|failed))")')


@dataclass(frozen=True)
class Usage:
    """Tokens of one call. `input_tokens` holds those read from a cache (`cached_tokens`) and written to one
    (`written_tokens`) too; `known` says that the provider reported something.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    known: bool = False
    written_tokens: int = 0


class UsageReader:
    """Fed with the answer's bytes as they pass by.

    `complete` says that the provider told what the whole call used; until then `pieces`, the number of events that
    passed, is the best guess at the tokens of the output, of which each holds one or more. `ended` says that a stream
    has told all that its caller waits for.
    """

    def __init__(self, *, streamed: bool) -> None:
        self.complete = False
        self.ended = False
        self.pieces = 0
        self._streamed = streamed
        self._pending = bytearray()
        self._usage = Usage()
        self._finished = False
        self._of_google: dict[str, Any] = {}
        self._size = 0

    def feed(self, data: bytes) -> None:
        """The next bytes of the answer."""
        self._size += len(data)
        if not self._streamed:
            if self._size <= _WHOLE_LIMIT:
                self._pending += data
            return
        self._pending += data
        if b"\n" not in data:
            del self._pending[: max(0, len(self._pending) - _LINE_LIMIT)]
            return
        *lines, rest = bytes(self._pending).split(b"\n")
        self._pending = bytearray(rest[-_LINE_LIMIT:])
        for line in lines:
            if line.startswith(b"data:"):
                self.pieces += 1
                self.ended = self.ended or _END.match(line) is not None
                if b'"usage' in line or b'"finishReason"' in line:
                    self._read(line[5:].strip())

    def finish(self) -> Usage:
        """What the call used, as far as the provider said."""
        if not self._streamed:
            self.pieces = self._size // 4
            if self._size <= _WHOLE_LIMIT:
                self._read(bytes(self._pending))
            self._pending.clear()
        return self._usage

    def _read(self, text: bytes) -> None:
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            return
        # Google's stream without events is one long list of them.
        for each in event if isinstance(event, list) else [event]:
            if isinstance(each, dict):
                self._read_event(each)

    def _read_event(self, event: dict[str, Any]) -> None:
        for holder in (event, event.get("message"), event.get("response")):
            if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
                self._usage = merge(self._usage, holder["usage"])
                self.complete = event.get("type") != "message_start"
        if "usageMetadata" in event or "candidates" in event:
            self._read_google(event)

    def _read_google(self, event: Mapping[str, Any]) -> None:
        """Each piece of a stream tells the usage until then; it is whole when a candidate is finished or refused."""
        candidates = event.get("candidates")
        candidates = candidates if isinstance(candidates, list) else []
        ended = any(isinstance(each, Mapping) and each.get("finishReason") for each in candidates)
        self._finished = self._finished or ended or "promptFeedback" in event or not self._streamed
        reported = event.get("usageMetadata")
        if isinstance(reported, Mapping):
            self._of_google |= reported
            self._usage = from_google(self._of_google)
        self.complete = self._finished and bool(self._of_google)


def merge(usage: Usage, reported: Mapping[str, Any]) -> Usage:
    """Add a provider's usage object; Anthropic tells input at the start and output, cumulative, at the end.

    OpenAI's input tokens include the cached ones, Anthropic's do not; here they always do.
    """
    output = _count(reported, "completion_tokens", "output_tokens")
    found = replace(usage, known=True, output_tokens=usage.output_tokens if output is None else output)
    prompt = _count(reported, "prompt_tokens", "input_tokens")
    if prompt is None:
        return found
    details = reported.get("prompt_tokens_details", reported.get("input_tokens_details"))
    if "prompt_tokens" in reported or isinstance(details, Mapping):
        cached = _count(details, "cached_tokens") or 0
        return replace(found, input_tokens=prompt, cached_tokens=min(cached, prompt), written_tokens=0)
    read, written = _count(reported, "cache_read_input_tokens"), _count(reported, "cache_creation_input_tokens")
    read = usage.cached_tokens if read is None else read
    written = usage.written_tokens if written is None else written
    # A few servers speak Anthropic's protocol and end with an empty count of the input that they told at the start.
    total = max(usage.input_tokens, min(prompt + read + written, _LARGEST))
    return replace(found, input_tokens=total, cached_tokens=read, written_tokens=written)


def from_google(reported: Mapping[str, Any]) -> Usage:
    """Google's usage object; its prompt includes what came from a cache, its candidates leave out the thoughts."""
    prompt = (_count(reported, "promptTokenCount") or 0) + (_count(reported, "toolUsePromptTokenCount") or 0)
    output = (_count(reported, "candidatesTokenCount") or 0) + (_count(reported, "thoughtsTokenCount") or 0)
    cached = _count(reported, "cachedContentTokenCount") or 0
    return Usage(
        input_tokens=min(prompt, _LARGEST),
        cached_tokens=min(cached, prompt, _LARGEST),
        output_tokens=min(output, _LARGEST),
        known=True,
    )


def _count(reported: Any, *names: str) -> int | None:
    """The first of the names that holds a number of tokens."""
    for name in names:
        value = reported.get(name) if isinstance(reported, Mapping) else None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return min(value, _LARGEST)
    return None
