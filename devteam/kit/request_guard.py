"""What stands before every request: bounded and readable bodies, headers that protect the page, no error unanswered."""

import json
import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, NoReturn

from fastapi import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from devteam.kit.errors import FieldError
from devteam.kit.problems import problem_response, unexpected

DRAIN_FACTOR = 64
"""A body that is too large is read on and thrown away, up to this many times the limit: a client that is cut off
while it still writes sees a broken connection instead of the answer."""

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; object-src 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": with it browsers send "Origin: null" where the Origin check needs the true one.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_MAY_BE_UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


class _Disconnected(Exception):
    pass


class RequestGuard:
    """ASGI middleware around the whole HTTP application. `larger` are paths whose bodies may be that large."""

    def __init__(
        self, app: ASGIApp, *, max_body_bytes: int, larger: Mapping[re.Pattern[str], int] | None = None
    ) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._larger = dict(larger or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, is_api=scope["path"].startswith("/api/"))
        try:
            await self._guarded(scope, receive, answer)
        except _Disconnected:
            return
        except Exception as error:
            response = unexpected(error, method=scope["method"], path=scope["path"])
            if answer.begun:
                raise
            await response(scope, receive, answer)

    async def _guarded(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if scope["method"] in _BODILESS:
            await self._app(scope, receive, answer)
            return
        limit = next((size for path, size in self._larger.items() if path.fullmatch(scope["path"])), None)
        limit = limit or self._max_body_bytes
        body = await self._read_body(receive, limit)
        refusal = self._too_large(limit) if body is None else refuse_body(scope, body)
        if refusal is not None:
            await refusal(scope, receive, answer)
            return
        await self._app(scope, _replay(body or b"", receive), answer)

    async def _read_body(self, receive: Receive, limit: int) -> bytes | None:
        """The whole body; None when it is larger than allowed."""
        kept: list[bytes] = []
        size = 0
        async for chunk in _chunks(receive):
            size += len(chunk)
            if size <= limit:
                kept.append(chunk)
            elif size > self._max_body_bytes * DRAIN_FACTOR:
                break
        return b"".join(kept) if size <= limit else None

    def _too_large(self, limit: int) -> Response:
        return problem_response(
            413,
            "body_too_large",
            f"The request is larger than the {limit // 1024} KiB that are allowed.",
            headers={"Connection": "close"},
        )


async def _chunks(receive: Receive) -> Any:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def refuse_body(scope: Scope, body: bytes) -> Response | None:
    """A problem when a JSON body is not JSON, or holds text that no database and no program could keep."""
    content_type = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
    if not body or not (content_type == "application/json" or content_type.endswith("+json")):
        return None
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        return problem_response(400, "invalid_json", "The body is not valid UTF-8.")
    except RecursionError:
        return problem_response(400, "invalid_json", "The body is nested too deeply.")
    except ValueError:
        return problem_response(400, "invalid_json", "The body is not valid JSON.")
    if _MAY_BE_UNSTORABLE.search(body) is None:
        return None
    errors = [FieldError(path, message) for path, message in _unstorable(value)]
    return problem_response(422, "invalid", errors[0].message, errors=errors[:50]) if errors else None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _unstorable(value: Any) -> Iterator[tuple[str, str]]:
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        path, part = stack.pop()
        match part:
            case str():
                if "\0" in part:
                    yield path[1:201], "The text holds a NUL character."
                elif any("\ud800" <= character <= "\udfff" for character in part):
                    yield path[1:201], "The text is not valid Unicode."
            case list():
                stack += [(f"{path}.{index}", item) for index, item in enumerate(part)]
            case dict():
                for key, item in part.items():
                    shown = key.encode("utf-8", "replace").decode().replace("\0", "?")[:80]
                    if shown != key[:80]:
                        yield f"{path}.{shown}"[1:201], "The field's name is not valid."
                    stack.append((f"{path}.{shown}", item))


class _Answer:
    """Sends on, adds the protecting headers, and knows whether the answer has begun."""

    def __init__(self, send: Send, *, is_api: bool) -> None:
        self._send = send
        self._is_api = is_api
        self.begun = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            if self._is_api:
                headers.setdefault("Cache-Control", "private, no-cache")
                headers.add_vary_header("Cookie, Authorization")
        await self._send(message)
