"""Read what a call used from the provider's answer, streamed or whole, without changing a byte of it."""

import json
from dataclasses import dataclass, replace
from typing import Any

_LINE_LIMIT = 4_000_000


@dataclass(frozen=True)
class Usage:
    """Tokens of one call. `input_tokens` holds the cached ones too; `known` says that the provider reported it."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    known: bool = False


class UsageReader:
    """Fed with the answer's bytes as they pass by."""

    def __init__(self, *, streamed: bool) -> None:
        self._streamed = streamed
        self._pending = bytearray()
        self._usage = Usage()

    def feed(self, data: bytes) -> None:
        """The next bytes of the answer."""
        self._pending += data
        if not self._streamed:
            return
        *lines, rest = bytes(self._pending).split(b"\n")
        self._pending = bytearray(rest[-_LINE_LIMIT:])
        for line in lines:
            if line.startswith(b"data:"):
                self._read(line[5:].strip())

    def finish(self) -> Usage:
        """What the call used, as far as the provider said."""
        if not self._streamed:
            self._read(bytes(self._pending))
        return self._usage

    def _read(self, text: bytes) -> None:
        if not text or text == b"[DONE]":
            return
        try:
            event = json.loads(text)
        except ValueError:
            return
        if isinstance(event, dict):
            for holder in (event, event.get("message"), event.get("response")):
                if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
                    self._usage = merge(self._usage, holder["usage"])


def merge(usage: Usage, reported: dict[str, Any]) -> Usage:
    """Add a provider's usage object; Anthropic tells input at the start and output, cumulative, at the end.

    OpenAI's prompt tokens include the cached ones, Anthropic's input tokens do not; here they always do.
    """

    def count(name: str) -> int | None:
        value = reported.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

    found = replace(usage, known=True)
    prompt = count("prompt_tokens")
    if prompt is not None:
        details = reported.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else 0
        return replace(
            found,
            input_tokens=prompt,
            cached_tokens=cached if isinstance(cached, int) else 0,
            output_tokens=count("completion_tokens") or 0,
        )
    fresh, output = count("input_tokens"), count("output_tokens")
    if fresh is not None:
        read, written = count("cache_read_input_tokens") or 0, count("cache_creation_input_tokens") or 0
        details = reported.get("input_tokens_details")
        if isinstance(details, dict):  # OpenAI's responses: cached tokens are inside the input tokens
            read, fresh = int(details.get("cached_tokens") or 0), fresh - int(details.get("cached_tokens") or 0)
        found = replace(found, input_tokens=fresh + read + written, cached_tokens=read)
    if output is not None:
        found = replace(found, output_tokens=output)
    return found
