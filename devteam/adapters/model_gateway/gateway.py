"""The gateway's server: one per worker, on loopback and on a Unix socket that can be bound into a fence."""

import asyncio
import json
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from devteam.adapters.model_gateway.budget import Budget
from devteam.adapters.model_gateway.limits import free_again
from devteam.adapters.model_gateway.prices import PriceTable
from devteam.adapters.model_gateway.store import Call, GatewayStore, Provider
from devteam.adapters.model_gateway.usage import Usage, UsageReader
from devteam.kit.clock import Clock
from devteam.kit.ids import new_id
from devteam.kit.log import get_logger

log = get_logger(__name__)

BODY_LIMIT = 50_000_000
DEFAULT_OUTPUT_TOKENS = 16_384
"""What a call without a limit of its own is reserved for."""
LONGEST_HOLD = 600.0
"""Seconds that a call is held while its providers are parked; after that the agent gets the 429."""
PROVIDERS_FRESH = 2.0
_PASSED_ON = frozenset({"content-type", "accept", "anthropic-version", "anthropic-beta", "openai-beta", "user-agent"})
_PASSED_BACK = frozenset({"content-type", "x-request-id", "request-id", "retry-after"})
_UNAVAILABLE = frozenset({500, 502, 503, 504, 529})

_KINDS = {"/chat/completions": "openai", "/responses": "openai", "/messages": "anthropic"}


@dataclass
class GatewayLease:
    """One attempt's way to models: its key works at this gateway only, until the lease ends."""

    attempt_id: UUID
    key: str
    base_url: str
    socket_path: Path
    budget: Budget
    model: str | None
    trouble: str | None = None
    """The last refusal that a person must know of: budget, key, quota."""
    parked_until: datetime | None = None
    models_seen: set[str] = field(default_factory=set)


class ModelGateway:
    """Forwards model calls for attempts."""

    def __init__(self, store: GatewayStore, prices: PriceTable, clock: Clock, socket_path: Path) -> None:
        self.store = store
        self.prices = prices
        self.clock = clock
        self._socket_path = socket_path
        self._leases: dict[str, GatewayLease] = {}
        self._providers: tuple[float, list[Provider]] = (0.0, [])
        self.client: httpx.AsyncClient | None = None
        self._servers: list[uvicorn.Server] = []
        self._ready = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._port = 0

    # --- life ---

    def ensure_started(self) -> None:
        """Listen, unless it does already; returns when the gateway answers."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="model-gateway", daemon=True)
                self._thread.start()
        if not self._ready.wait(20):
            raise RuntimeError("the model gateway did not start")

    def stop(self) -> None:
        """Stop listening; calls in flight are cut."""
        for server in self._servers:
            server.should_exit = True
            server.force_exit = True
        if self._thread is not None:
            self._thread.join(5)
        self._socket_path.unlink(missing_ok=True)

    def lease(self, attempt_id: UUID, *, model: str | None, budget_usd: float | None) -> GatewayLease:
        """A key for an attempt. What earlier runs of it spent counts against the budget."""
        lease = GatewayLease(
            attempt_id=attempt_id,
            key=f"dt-{secrets.token_urlsafe(32)}",
            base_url=f"http://127.0.0.1:{self._port}",
            socket_path=self._socket_path,
            budget=Budget(budget_usd, spent=self.store.spent(attempt_id)),
            model=model,
        )
        self._leases[lease.key] = lease
        return lease

    def end(self, lease: GatewayLease) -> None:
        """The key is worthless from now on."""
        self._leases.pop(lease.key, None)

    def _serve(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._socket_path.unlink(missing_ok=True)
        private = socket.socket(socket.AF_UNIX)
        private.bind(str(self._socket_path))
        # Only a key opens anything; inside a fence the agent runs as another user.
        self._socket_path.chmod(0o666)
        local = socket.socket()
        local.bind(("127.0.0.1", 0))
        self._port = local.getsockname()[1]
        app = Starlette(routes=self._routes())
        timeout = httpx.Timeout(connect=10, read=600, write=60, pool=600)
        limits = httpx.Limits(max_connections=1000, max_keepalive_connections=50)
        async with httpx.AsyncClient(timeout=timeout, limits=limits, follow_redirects=False, trust_env=True) as client:
            self.client = client
            self._servers = [self._server(app), self._server(app)]
            tasks = [
                asyncio.create_task(server.serve(sockets=[listener]))
                for server, listener in zip(self._servers, (private, local), strict=True)
            ]
            while not all(server.started for server in self._servers):  # noqa: ASYNC110 - it offers no event to wait for
                await asyncio.sleep(0.01)
            self._ready.set()
            await asyncio.gather(*tasks)

    def _server(self, app: Starlette) -> uvicorn.Server:
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        return uvicorn.Server(config)

    def _routes(self) -> list[Route]:
        prefixes = ("", "/v1", "/anthropic/v1", "/openai/v1")
        calls = [Route(prefix + path, self._forward, methods=["POST"]) for prefix in prefixes for path in _KINDS]
        return [*calls, *(Route(f"{prefix}/models", self._models, methods=["GET"]) for prefix in prefixes)]

    # --- calls ---

    def _lease_of(self, request: Request) -> GatewayLease | None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        key = request.headers.get("x-api-key") or (bearer if scheme.lower() == "bearer" else "")
        return self._leases.get(key.strip())

    async def _models(self, request: Request) -> Response:
        if self._lease_of(request) is None:
            return _refusal(401, "This key opens nothing here.")
        names = sorted({model for provider in await self.known_providers() for model in provider.models})
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    async def _forward(self, request: Request) -> Response:
        lease = self._lease_of(request)
        if lease is None:
            return _refusal(401, "This key opens nothing here.")
        body = await _read_body(request)
        if body is None:
            return _refusal(413, "The request is larger than 50 MB.")
        try:
            call = json.loads(body)
        except ValueError:
            return _refusal(400, "The body is not JSON.")
        if not isinstance(call, dict) or not isinstance(call.get("model"), str):
            return _refusal(400, "The body names no model.")
        kind = next(kind for path, kind in _KINDS.items() if request.url.path.endswith(path))
        return await _Forwarding(self, lease, request, call, kind).run()

    async def known_providers(self) -> list[Provider]:
        """The providers, read anew every few seconds so that edits and other workers' parking are seen."""
        at, providers = self._providers
        if time.monotonic() - at > PROVIDERS_FRESH:
            providers = await run_in_threadpool(self.store.providers)
            self._providers = (time.monotonic(), providers)
        return providers

    def forget_providers(self) -> None:
        """Read the providers anew at the next call."""
        self._providers = (0.0, [])


class _Forwarding:
    """One call on its way."""

    def __init__(
        self, gateway: ModelGateway, lease: GatewayLease, request: Request, call: dict[str, Any], kind: str
    ) -> None:
        self._gateway = gateway
        self._lease = lease
        self._request = request
        self._call = call
        self._kind = kind
        self._model: str = call["model"]
        self._streamed = call.get("stream") is True
        self._id = new_id()
        self._began = time.monotonic()

    async def run(self) -> Response:
        """Find a provider that takes the call, waiting for parked ones, and pass its answer on."""
        while True:
            providers = [p for p in await self._gateway.known_providers() if p.takes(self._kind, self._model)]
            if not providers:
                return self._refuse(404, f"No provider of kind {self._kind} offers the model {self._model}.")
            now = self._gateway.clock()
            free = [p for p in providers if p.parked_until is None or p.parked_until <= now]
            for number, provider in enumerate(free):
                refused = self._reserve(provider)
                if refused is not None:
                    return refused
                answer = await self._ask(provider, last=number == len(free) - 1)
                if answer is not None:
                    return answer
            waited = await self._wait(providers)
            if waited is not None:
                return waited

    def _reserve(self, provider: Provider) -> Response | None:
        """Set the worst case aside, or refuse: over budget, or a price that nobody knows under a budget."""
        budget = self._lease.budget
        if budget.limit is None:
            budget.reserve(self._id, 0.0)
            return None
        worst = Usage(input_tokens=len(json.dumps(self._call)) // 3, output_tokens=self._output_limit())
        cost = self._gateway.prices.cost(self._model, worst, base_url=provider.base_url)
        if cost is None:
            return self._refuse(402, f"The price of {self._model} is unknown, so the budget cannot be kept: set one.")
        if not budget.reserve(self._id, cost):
            spent = f"{budget.spent:.4f} of {budget.limit:.4f} US dollars are spent"
            return self._refuse(402, f"The budget of the attempt does not cover this call: {spent}.")
        return None

    def _output_limit(self) -> int:
        for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"):
            value = self._call.get(name)
            if isinstance(value, int) and value > 0:
                return value
        return DEFAULT_OUTPUT_TOKENS

    async def _ask(self, provider: Provider, *, last: bool) -> Response | None:
        """The provider's answer; None when another one, or a later time, should be tried."""
        client = self._gateway.client
        assert client is not None
        request = client.build_request(
            "POST", self._address(provider), headers=self._headers(provider), content=self._body()
        )
        try:
            answer = await client.send(request, stream=True)
        except httpx.HTTPError as exc:
            log.warning("provider_unreachable", provider=provider.name, error=type(exc).__name__)
            await self._record(provider, 0, Usage())
            if not last:
                return None
            return self._refuse(502, f"The provider {provider.name} cannot be reached ({type(exc).__name__}).")
        if answer.status_code == 429:
            await self._park(provider, answer)
            return None
        if answer.status_code in _UNAVAILABLE and not last:
            await answer.aclose()
            await self._record(provider, answer.status_code, Usage())
            return None
        if answer.status_code in (401, 402, 403):
            self._lease.trouble = f"The provider {provider.name} answered {answer.status_code}."
        headers = {key: value for key, value in answer.headers.items() if key.lower() in _PASSED_BACK}
        return StreamingResponse(self._pass(provider, answer), status_code=answer.status_code, headers=headers)

    def _address(self, provider: Provider) -> str:
        path = self._request.url.path
        suffix = next(suffix for suffix in _KINDS if path.endswith(suffix))
        if self._kind == "anthropic" and not provider.base_url.endswith("/v1"):
            suffix = f"/v1{suffix}"
        return provider.base_url + suffix

    def _headers(self, provider: Provider) -> dict[str, str]:
        headers = {key: value for key, value in self._request.headers.items() if key.lower() in _PASSED_ON}
        headers["accept-encoding"] = "identity"
        if provider.secret is not None and self._kind == "anthropic":
            headers["x-api-key"] = provider.secret
        elif provider.secret is not None:
            headers["authorization"] = f"Bearer {provider.secret}"
        return headers

    def _body(self) -> bytes:
        """The call as it came; a streamed one is asked to tell its usage too."""
        call = dict(self._call)
        if self._streamed and self._request.url.path.endswith("/chat/completions"):
            call["stream_options"] = {**(call.get("stream_options") or {}), "include_usage": True}
        return json.dumps(call).encode()

    async def _pass(self, provider: Provider, answer: httpx.Response) -> AsyncIterator[bytes]:
        reader = UsageReader(streamed=self._streamed and answer.is_success)
        try:
            async for data in answer.aiter_raw():
                reader.feed(data)
                yield data
        except httpx.HTTPError as exc:
            log.warning("provider_cut_the_stream", provider=provider.name, error=type(exc).__name__)
            raise
        finally:
            await answer.aclose()
            await asyncio.shield(self._record(provider, answer.status_code, reader.finish()))

    async def _record(self, provider: Provider, status: int, usage: Usage) -> None:
        cost = self._gateway.prices.cost(self._model, usage, base_url=provider.base_url) if usage.known else 0.0
        self._lease.budget.settle(self._id, cost or 0.0)
        self._lease.models_seen.add(self._model)
        call = Call(
            attempt_id=self._lease.attempt_id,
            provider_id=provider.id,
            model=self._model,
            status=status,
            usage=usage,
            cost=cost if usage.known else None,
            seconds=time.monotonic() - self._began,
        )
        await run_in_threadpool(self._gateway.store.record, call)

    async def _park(self, provider: Provider, answer: httpx.Response) -> None:
        until, told = free_again(answer.headers, self._gateway.clock())
        await answer.aclose()
        await self._record(provider, 429, Usage())
        reason = "It asked to wait until then." if told else "It said that there were too many requests."
        await run_in_threadpool(self._gateway.store.park, provider.id, until, reason)
        self._gateway.forget_providers()
        log.warning("provider_parked", provider=provider.name, until=until.isoformat())

    async def _wait(self, providers: list[Provider]) -> Response | None:
        """Hold the call until the first provider is free again; the 429 when that is too long."""
        fresh = [p for p in await self._gateway.known_providers() if p.id in {known.id for known in providers}]
        parked = [p.parked_until for p in fresh if p.parked_until is not None]
        if not parked or len(parked) < len(fresh):
            return None
        now = self._gateway.clock()
        seconds = (min(parked) - now).total_seconds()
        self._lease.parked_until = min(parked)
        if time.monotonic() - self._began + seconds > LONGEST_HOLD:
            self._lease.trouble = f"All providers of {self._model} are at their limit until {min(parked).isoformat()}."
            response = self._refuse(429, self._lease.trouble)
            response.headers["retry-after"] = str(max(1, int(seconds)))
            return response
        await asyncio.sleep(max(0.05, seconds))
        self._gateway.forget_providers()
        self._lease.parked_until = None
        return None

    def _refuse(self, status: int, message: str) -> Response:
        if status == 402:
            self._lease.trouble = message
        return _refusal(status, message)


async def _read_body(request: Request) -> bytes | None:
    """The body; None when it is too large."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_LIMIT:
            return None
    return bytes(body)


def _refusal(status: int, message: str) -> Response:
    """An error in the shape that both protocols' clients understand."""
    kind = {401: "authentication_error", 402: "billing_error", 429: "rate_limit_error"}.get(status, "api_error")
    return JSONResponse({"type": "error", "error": {"type": kind, "message": message}}, status_code=status)
