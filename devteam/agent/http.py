"""Server-sent events over HTTP, with what goes wrong as our errors. Loading httpx takes longer than all the rest of the
agent, so this module is loaded when a model is first spoken to.
"""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from devteam.agent.failures import ModelError, Reason, TransientError, failure_of

Json = dict[str, Any]

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 300.0  # a model may think this long before its first word
_STREAM_LIMIT_BYTES = 64 * 1024 * 1024
_ERROR_BODY_BYTES = 64 * 1024


class EventSource:
    """Streams server-sent events and turns what goes wrong into our errors."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        try:
            self._url = httpx.URL(url)
            self._client = httpx.AsyncClient(timeout=timeout, headers=dict(headers))
        except (httpx.InvalidURL, ValueError, ImportError) as error:
            raise ModelError(Reason.NOT_CONFIGURED, f"the model's address or key cannot be used: {error}") from error

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def events(self, body: Json) -> AsyncIterator[Json]:
        """The objects of the stream, or the one object of an answer that is none."""
        try:
            content = json.dumps(body, ensure_ascii=False).encode(errors="replace")
            headers = {"content-type": "application/json"}
            async with self._client.stream("POST", self._url, content=content, headers=headers) as response:
                if response.status_code != httpx.codes.OK:
                    said = await _read_some(response)
                    raise failure_of(response.status_code, response.headers, said)
                if "json" in response.headers.get("content-type", ""):
                    yield _object(await response.aread())
                    return
                async for data in _event_data(response):
                    yield _object(data)
        except httpx.UnsupportedProtocol as error:
            raise ModelError(Reason.NOT_CONFIGURED, f"the model's address cannot be used: {error}") from error
        except httpx.TransportError as error:
            what = str(error) or type(error).__name__
            raise TransientError(Reason.UNAVAILABLE, f"the connection to the model failed: {what}") from error


async def _read_some(response: httpx.Response) -> str:
    found = b""
    async for chunk in response.aiter_bytes():
        found += chunk
        if len(found) > _ERROR_BODY_BYTES:
            break
    return found[:_ERROR_BODY_BYTES].decode(errors="replace")


async def _event_data(response: httpx.Response) -> AsyncIterator[bytes]:
    """The data lines, split at newlines only: text inside JSON may hold other characters that count as line ends."""
    rest = b""
    total = 0
    async for chunk in response.aiter_bytes():
        total += len(chunk)
        if total > _STREAM_LIMIT_BYTES:
            raise ModelError(Reason.BAD_ANSWER, "the model's answer has no end")
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if line.startswith(b"data:") and data and data != b"[DONE]":
                yield data


def _object(data: bytes) -> Json:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        excerpt = data[:120].decode(errors="replace")
        raise TransientError(Reason.BAD_ANSWER, f"the model's answer is not JSON: {excerpt!r}")
    return found
