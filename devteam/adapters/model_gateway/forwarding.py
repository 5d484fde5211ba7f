"""One model call on its way: to the first provider that can take it, and the answer back as it arrives."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, TypeGuard

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Send

from devteam.adapters.egress import pace
from devteam.adapters.model_gateway.google import Target, without_key
from devteam.adapters.model_gateway.lease import GatewayLease
from devteam.adapters.model_gateway.limits import free_again
from devteam.adapters.model_gateway.redact import redacted
from devteam.adapters.model_gateway.store import Call, Provider
from devteam.adapters.model_gateway.usage import Usage, UsageReader
from devteam.executions.session import Trouble
from devteam.kit.db import UNAVAILABLE
from devteam.kit.ids import new_id
from devteam.kit.log import get_logger

if TYPE_CHECKING:
    from devteam.adapters.model_gateway.gateway import ModelGateway

log = get_logger(__name__)


@dataclass(frozen=True)
class Kind:
    """Which protocol a path belongs to, and whether the provider takes money for it."""

    protocol: str
    paid: bool = True


CALLS: Mapping[str, Kind] = {
    "/chat/completions": Kind("openai"),
    "/responses": Kind("openai"),
    "/messages": Kind("anthropic"),
    "/messages/count_tokens": Kind("anthropic", paid=False),
}
DEFAULT_OUTPUT_TOKENS = 16_384
"""What a call without a limit of its own is reserved for."""
BYTES_PER_TOKEN = 3
"""Of a request, at worst."""
CALLER_GONE = 499
ERROR_LIMIT = 1_000_000
_PASSED_ON = frozenset({"content-type", "accept", "anthropic-version", "anthropic-beta", "openai-beta", "user-agent"})
_PASSED_BACK = frozenset({"content-type", "content-length", "x-request-id", "request-id", "retry-after"})
_REFUSALS: Mapping[int, str] = {401: "model_unauthorized", 402: "model_payment_required", 403: "model_forbidden"}
"""The stable code of what only a person can mend."""
_MEANINGS: Mapping[str, str] = {
    "model_unauthorized": "it does not accept the key",
    "model_payment_required": "there is no credit left",
    "model_forbidden": "the key may not use the model",
}
_WRONG_KEY = b"API_KEY_INVALID"
"""What Google says of a key that it does not know, with a 400."""
_UNAVAILABLE = frozenset({500, 502, 503, 504, 529})
_SHORTEST_PARK, _LONGEST_FLOOR = 0.25, 30.0
_LOOK_SECONDS = 2.0
_ASK_USAGE = b'{"stream_options":{"include_usage":true},'


class _Then(Enum):
    """What becomes of a call after a provider was asked, unless that left an answer to give."""

    DONE = auto()
    NEXT = auto()


class ProviderCut(Exception):
    """The provider ended its answer half-way; so does the gateway's."""


class Forwarding:
    """One call. `run` answers it; whatever happens, what it cost is settled and recorded."""

    def __init__(
        self,
        gateway: "ModelGateway",
        lease: GatewayLease,
        request: Request,
        call: Mapping[str, Any],
        body: bytes,
        target: Target | None = None,
    ) -> None:
        self._gateway = gateway
        self._lease = lease
        self._request = request
        self._call = call
        self._model: str = call["model"]
        self._target = target
        if target is None:
            self._path = max((path for path in CALLS if request.url.path.endswith(path)), key=len)
            self._kind = CALLS[self._path]
        else:
            self._path, self._kind = "", Kind("google", paid=target.paid)
        self._streamed = call.get("stream") is True
        self._body = self._asking_usage(body)
        self._id = new_id()
        self._began = time.monotonic()
        self._refusals = 0
        self._booked = False

    async def run(self, send: Send) -> None:
        """Find a provider that takes the call, waiting for parked ones, and pass its answer on."""
        try:
            answer = await self._answer(send)
            if answer is not None:
                await answer(self._request.scope, self._request.receive, send)
        finally:
            self._lease.budget.release(self._id)

    async def _answer(self, send: Send) -> Response | None:
        """What to answer; None when the answer was passed on already."""
        while True:
            providers = await self._takers()
            if not providers:
                return refusal(404, f"No provider of kind {self._kind.protocol} offers the model {self._model}.")
            now = self._gateway.clock()
            free = [p for p in providers if p.parked_until is None or p.parked_until <= now]
            for number, provider in enumerate(free):
                refused = self._reserve(provider)
                if refused is not None:
                    return refused
                answer = await self._ask(provider, send, last=number == len(free) - 1)
                if answer is _Then.DONE:
                    return None
                if isinstance(answer, Response):
                    return answer
            waited = await self._wait()
            if waited is not None:
                return waited

    async def _takers(self) -> list[Provider]:
        """Where the call can go; one that could go nowhere is worth a fresh look, since providers are just added."""
        takers = await self._known_takers()
        if takers:
            return takers
        self._gateway.forget()
        return await self._known_takers()

    async def _known_takers(self) -> list[Provider]:
        known = await self._gateway.known()
        return [provider for provider in known.providers if provider.takes(self._kind.protocol, self._model)]

    # --- money ---

    def _reserve(self, provider: Provider) -> Response | None:
        """Set the worst case aside, or refuse: over budget, or a price that nobody knows under a budget."""
        budget = self._lease.budget
        if budget.limit is None or not self._kind.paid:
            budget.reserve(self._id, 0.0)
            return None
        size = len(self._body) // BYTES_PER_TOKEN
        written = size if self._kind.protocol == "anthropic" else 0  # into a cache, which costs more
        worst = Usage(input_tokens=size, output_tokens=self._most_output(), written_tokens=written)
        cost = self._gateway.prices.cost(self._model, worst, base_url=provider.base_url)
        if cost is None:
            words = f"The price of {self._model} is unknown, so the budget cannot be kept: set one."
            return self._refuse("price_unknown", words)
        if not budget.reserve(self._id, cost):
            spent = f"{budget.spent:.4f} of {budget.limit:.4f} US dollars are spent"
            return self._refuse(
                "budget_spent",
                f"The budget of the attempt does not cover this call: {spent}, and it could cost {cost:.4f}.",
            )
        return None

    def _most_output(self) -> int:
        limits = [self._call.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens")]
        told = [limit for limit in limits if _is_count(limit)]
        choices = self._call.get("n")
        return (max(told) if told else DEFAULT_OUTPUT_TOKENS) * (choices if _is_count(choices) else 1)

    def _refuse(self, code: str, message: str) -> Response:
        self._lease.refused = Trouble(code, message)
        return refusal(402, message)

    def _book(self, provider: Provider, status: int, usage: Usage) -> None:
        """The call is over: settle it and keep it in the record."""
        cost = self._cost(provider, usage)
        self._lease.budget.settle(self._id, cost or 0.0)
        self._lease.models_seen.add(self._model)
        call = Call(
            attempt_id=self._lease.attempt_id,
            provider_id=provider.id,
            model=self._model,
            status=status,
            usage=usage,
            cost=cost,
            seconds=time.monotonic() - self._began,
        )
        self._gateway.record(self._lease, call)

    def _cost(self, provider: Provider, usage: Usage) -> float | None:
        """US dollars; None when that is not known: no usage was told, or nobody knows the price."""
        if not self._kind.paid:
            return 0.0
        return self._gateway.prices.cost(self._model, usage, base_url=provider.base_url) if usage.known else None

    def _guessed(self, reported: Usage, pieces: int) -> Usage:
        """The usage of a call whose provider had no time to tell it: it is paid for all the same."""
        return replace(
            reported,
            known=True,
            input_tokens=reported.input_tokens or len(self._body) // (BYTES_PER_TOKEN + 1),
            output_tokens=max(reported.output_tokens, pieces),
        )

    # --- the provider ---

    async def _ask(self, provider: Provider, send: Send, *, last: bool) -> Response | _Then:
        """Its answer, `DONE` when it was passed on, or `NEXT` when another one or a later time should be tried."""
        request = self._gateway.client.build_request(
            "POST", self._address(provider), headers=self._headers(provider), content=self._body
        )
        try:
            answer = await self._gateway.client.send(request, stream=True)
        except httpx.HTTPError as exc:
            log.warning("provider_unreachable", provider=provider.name, error=type(exc).__name__)
            self._book(provider, 0, Usage())
            if not last:
                return _Then.NEXT
            return refusal(502, f"The provider {provider.name} cannot be reached ({type(exc).__name__}).")
        except asyncio.CancelledError:
            self._book(provider, CALLER_GONE, self._guessed(Usage(), 0))
            raise
        try:
            if answer.is_success:
                await self._pass(provider, answer, send)
                return _Then.DONE
            return await self._failed(provider, answer, last=last)
        finally:
            await answer.aclose()

    async def _failed(self, provider: Provider, answer: httpx.Response, *, last: bool) -> Response | _Then:
        """A provider's refusal: parked, tried elsewhere, or passed on without the key that it may quote."""
        self._book(provider, answer.status_code, Usage())
        content = await _beginning(answer)
        no_credit = answer.status_code == 429 and b"insufficient_quota" in content
        if answer.status_code == 429 and not no_credit:
            await self._park(provider, answer, content)
            return _Then.NEXT
        if (answer.status_code in _UNAVAILABLE or no_credit) and not last:
            return _Then.NEXT
        status = 401 if answer.status_code == 400 and _WRONG_KEY in content else answer.status_code
        if status in _REFUSALS or no_credit:
            code = "model_payment_required" if no_credit else _REFUSALS[status]
            what = "that there is no credit left" if no_credit else f"{answer.status_code}: {_MEANINGS[code]}"
            self._lease.provider_trouble = Trouble(code, f"The provider {provider.name} answered {what}.")
        content, _ = redacted(content, [] if provider.secret is None else [provider.secret])
        headers = {name: value for name, value in _passed_back(answer).items() if name != "content-length"}
        return Response(content, status_code=answer.status_code, headers=headers)

    async def _pass(self, provider: Provider, answer: httpx.Response, send: Send) -> None:
        """Hand the answer on as it comes."""
        streamed = answer.headers.get("content-type", "").startswith("text/event-stream")
        reader = UsageReader(streamed=streamed)
        plain = "content-encoding" not in answer.headers
        headers = [(name.encode(), value.encode("latin-1")) for name, value in _passed_back(answer).items()]
        status = answer.status_code
        self._lease.provider_trouble = None
        held = b""
        try:
            await send({"type": "http.response.start", "status": status, "headers": headers})
            async for data in answer.aiter_raw() if plain else answer.aiter_bytes():
                reader.feed(data)
                await pace(self._lease.bucket, len(data))
                if not streamed:  # of use only when it is whole, by when it has to be settled
                    held, data = data, held  # noqa: PLW2901 - each piece is sent one turn late, the last one after the loop
                elif reader.ended:
                    self._book_once(provider, status, reader)
                await send({"type": "http.response.body", "body": data, "more_body": True})
        except httpx.HTTPError as exc:
            log.warning("provider_cut_the_stream", provider=provider.name, error=type(exc).__name__)
            raise ProviderCut(provider.name) from exc
        except asyncio.CancelledError:
            status = CALLER_GONE
            raise
        finally:
            self._book_once(provider, status, reader)
        await send({"type": "http.response.body", "body": held, "more_body": False})

    def _book_once(self, provider: Provider, status: int, reader: UsageReader) -> None:
        """Before its caller sees the end of the answer, who may begin the next call at once."""
        if not self._booked:
            self._booked = True
            usage = reader.finish()
            self._book(provider, status, usage if reader.complete else self._guessed(usage, reader.pieces))

    def _address(self, provider: Provider) -> str:
        query = without_key(self._request.url.query)
        asked = f"?{query}" if query else ""
        if self._target is not None:
            return self._target.address(provider.base_url) + asked
        suffix = self._path
        if self._kind.protocol == "anthropic" and not provider.base_url.endswith("/v1"):
            suffix = f"/v1{suffix}"
        return f"{provider.base_url}{suffix}{asked}"

    def _headers(self, provider: Provider) -> dict[str, str]:
        headers = {key: value for key, value in self._request.headers.items() if key.lower() in _PASSED_ON}
        headers["accept-encoding"] = "identity"
        if provider.secret is not None and self._kind.protocol == "anthropic":
            headers["x-api-key"] = provider.secret
        elif provider.secret is not None and self._kind.protocol == "google":
            headers["x-goog-api-key"] = provider.secret
        elif provider.secret is not None:
            headers["authorization"] = f"Bearer {provider.secret}"
        return headers

    def _asking_usage(self, body: bytes) -> bytes:
        """The call as it came, byte by byte; a streamed chat is asked to tell its usage too."""
        options = self._call.get("stream_options")
        if not self._streamed or self._path != "/chat/completions":
            return body
        if options is None and "stream_options" not in self._call:
            return _ASK_USAGE + body.lstrip()[1:]
        if isinstance(options, dict) and options.get("include_usage") is True:
            return body
        asked = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        return json.dumps({**json.loads(body), "stream_options": asked}).encode()

    # --- waiting ---

    async def _park(self, provider: Provider, answer: httpx.Response, content: bytes) -> None:
        """Nobody asks it again until it said; a little longer each time that it says so to the same call."""
        now = self._gateway.clock()
        until, told = free_again(answer.headers, now, content)
        floor = min(_SHORTEST_PARK * 2**self._refusals, _LONGEST_FLOOR)
        self._refusals += 1
        until = max(until, now + timedelta(seconds=floor))
        reason = "It asked to wait until then." if told else "It said that there were too many requests."
        try:
            await run_in_threadpool(self._gateway.store.park, provider.id, until, reason)
            self._gateway.forget()
        except UNAVAILABLE:
            await asyncio.sleep(floor)
        log.warning("provider_parked", provider=provider.name, until=until.isoformat())

    async def _wait(self) -> Response | None:
        """Hold the call while every provider is parked; the 429 when that is too long."""
        parked = [provider.parked_until for provider in await self._takers()]
        now = self._gateway.clock()
        times = [until for until in parked if until is not None and until > now]
        if not times or len(times) < len(parked):
            return None
        soonest: datetime = min(times)
        seconds = (soonest - now).total_seconds()
        self._lease.parked_until = soonest
        if time.monotonic() - self._began + seconds > self._gateway.longest_hold:
            message = f"All providers of {self._model} are at their limit until {soonest.isoformat()}."
            self._lease.provider_trouble = Trouble("model_rate_limited", message)
            response = refusal(429, message)
            response.headers["retry-after"] = str(max(1, round(seconds)))
            return response
        # In small steps: a new provider or a new key may end the wait.
        await asyncio.sleep(min(max(0.01, seconds), _LOOK_SECONDS))
        self._lease.parked_until = None
        return None


async def _beginning(answer: httpx.Response) -> bytes:
    """An error's text, of which a provider may send as much as it likes."""
    content = bytearray()
    try:
        async for data in answer.aiter_bytes():
            content += data
            if len(content) >= ERROR_LIMIT:
                break
    except httpx.HTTPError:
        pass  # what came of it is better than nothing
    return bytes(content[:ERROR_LIMIT])


def _passed_back(answer: httpx.Response) -> dict[str, str]:
    """Headers that are the caller's business; a length that counts compressed bytes is not."""
    plain = "content-encoding" not in answer.headers
    return {
        name: value
        for name, value in answer.headers.items()
        if (name in _PASSED_BACK or "ratelimit" in name) and (plain or name != "content-length")
    }


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def refusal(status: int, message: str) -> Response:
    """An error in the shape that all protocols' clients understand."""
    kind = {401: "authentication_error", 402: "billing_error", 429: "rate_limit_error"}.get(status, "api_error")
    return JSONResponse(
        {"type": "error", "error": {"type": kind, "code": status, "message": message}}, status_code=status
    )
