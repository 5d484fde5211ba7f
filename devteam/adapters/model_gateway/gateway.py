"""The gateway's server: one per worker, on loopback and on a Unix socket that can be bound into a fence."""

import asyncio
import atexit
import concurrent.futures
import contextlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from devteam.adapters.egress import Bandwidth, pace
from devteam.adapters.model_gateway import google
from devteam.adapters.model_gateway.budget import Budget
from devteam.adapters.model_gateway.forwarding import CALLS, Forwarding, refusal
from devteam.adapters.model_gateway.lease import GatewayLease, Sound
from devteam.adapters.model_gateway.prices import PriceTable
from devteam.adapters.model_gateway.redact import redacted
from devteam.adapters.model_gateway.store import Call, GatewayStore, Provider
from devteam.kit.clock import Clock
from devteam.kit.db import UNAVAILABLE
from devteam.kit.log import get_logger
from devteam.kit.sockets import remove_dead_sockets

log = get_logger(__name__)

BODY_LIMIT = 50_000_000
LONGEST_HOLD = 600.0
"""Seconds that a call is held while its providers are parked; after that the agent gets the 429."""
FRESH_SECONDS = 2.0
STOP_SECONDS = 5.0
_RECORD_PAUSES = (0.0, 0.2, 1.0, 5.0, 20.0)
"""Seconds before each try to record a call while the database is away."""
_PREFIXES = ("", "/v1", "/anthropic/v1", "/openai/v1")
_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")


@dataclass(frozen=True)
class Known:
    """What the gateway read from the database a moment ago."""

    providers: tuple[Provider, ...]
    token_hashes: Collection[bytes]
    at: float


class ModelGateway:
    """Forwards model calls for attempts. Leases may be taken and ended from any thread."""

    def __init__(
        self,
        store: GatewayStore,
        prices: PriceTable,
        clock: Clock,
        socket_path: Path,
        *,
        bandwidth: Bandwidth | None = None,
        longest_hold: float = LONGEST_HOLD,
    ) -> None:
        self.store = store
        self.prices = prices
        self.clock = clock
        self.longest_hold = longest_hold
        self._socket_path = socket_path
        self._bandwidth = bandwidth
        self._leases: dict[str, GatewayLease] = {}
        self._known: Known | None = None
        self._stale = True
        self._reading = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None
        self._servers: list[uvicorn.Server] = []
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._recorder: concurrent.futures.ThreadPoolExecutor | None = None
        self._port = 0

    # --- life ---

    def ensure_started(self) -> None:
        """Listen, unless it does already; returns when the gateway answers."""
        with self._starting:
            if self._thread is None:
                self._ready.clear()
                self._stopping.clear()
                self._failure = None
                self._recorder = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="model-calls")
                own = self._socket_path
                remove_dead_sockets(own.parent.glob(f"{own.stem.partition('-')[0]}-*{own.suffix}"))
                atexit.register(self.stop)
                self._thread = threading.Thread(target=self._serve, name="model-gateway", daemon=True)
                self._thread.start()
        if not self._ready.wait(20) or self._failure is not None:
            raise RuntimeError("the model gateway did not start") from self._failure

    def stop(self) -> None:
        """Stop listening; calls in flight are cut, what they used is recorded."""
        with self._starting:
            for server in self._servers:
                server.should_exit = True
                server.force_exit = True
            if self._thread is not None:
                self._thread.join(STOP_SECONDS)
                self._thread = None
            self._stopping.set()
            if self._recorder is not None:
                self._recorder.shutdown()
            atexit.unregister(self.stop)
            self._servers = []
            self._leases.clear()
            self._socket_path.unlink(missing_ok=True)

    def lease(
        self, attempt_id: UUID, *, model: str | None, budget_usd: float | None, sound: Sound | None = None
    ) -> GatewayLease:
        """A key for an attempt. What earlier runs of it spent counts against the budget."""
        lease = GatewayLease(
            attempt_id=attempt_id,
            key=f"dt-{secrets.token_urlsafe(32)}",
            base_url=f"http://127.0.0.1:{self._port}",
            socket_path=self._socket_path,
            budget=Budget(budget_usd, spent=self.store.spent(attempt_id)),
            model=model,
            bucket=None if self._bandwidth is None else self._bandwidth.of(attempt_id),
            sound=sound,
        )
        self._leases[lease.key] = lease
        return lease

    def end(self, lease: GatewayLease) -> None:
        """The key is worthless from now on; waits a little until its calls are in the record."""
        self._leases.pop(lease.key, None)
        concurrent.futures.wait(list(lease.unrecorded), timeout=STOP_SECONDS)
        if lease.budget.overshoot or lease.over_budget:
            self._note_overshoot(lease)

    def _note_overshoot(self, lease: GatewayLease) -> None:
        """How far beyond the budget it went before it was stopped, as measured; often nothing."""
        log.warning("budget_stopped", attempt=str(lease.attempt_id), overshoot=round(lease.budget.overshoot, 6))
        try:
            self.store.note_overshoot(lease.attempt_id, lease.budget.overshoot)
        except UNAVAILABLE:
            log.error("overshoot_not_recorded", attempt=str(lease.attempt_id))

    def _serve(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - whoever waits for the start is told
            self._failure = error
            log.error("model_gateway_ended", error=f"{type(error).__name__}: {error}")
        finally:
            self._ready.set()

    async def _run(self) -> None:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as private, contextlib.closing(_tcp_socket()) as local:
            self._socket_path.unlink(missing_ok=True)
            private.bind(str(self._socket_path))
            # Only a key opens anything; inside a fence the agent runs as another user.
            self._socket_path.chmod(0o666)
            local.bind(("127.0.0.1", 0))
            self._port = local.getsockname()[1]
            self._reading = asyncio.Lock()
            async with _client() as client:
                self._client = client
                await self._listen(private, local)

    async def _listen(self, *listeners: socket.socket) -> None:
        app = Starlette(routes=self._routes())
        self._servers = [_server(app) for _ in listeners]
        tasks = [
            asyncio.create_task(server.serve(sockets=[listener]))
            for server, listener in zip(self._servers, listeners, strict=True)
        ]
        while not all(server.started for server in self._servers):  # noqa: ASYNC110 - it offers no event to wait for
            await asyncio.sleep(0.01)
        self._ready.set()
        await asyncio.gather(*tasks)
        await _cancel_the_rest()

    def _routes(self) -> list[Route]:
        calls = [Route(prefix + path, _Calls(self), methods=["POST"]) for prefix in _PREFIXES for path in CALLS]
        calls += [Route(prefix + google.PATH, _Calls(self), methods=["POST"]) for prefix in google.PREFIXES]
        return [*calls, *(Route(f"{prefix}/models", self._models, methods=["GET"]) for prefix in _PREFIXES)]

    # --- what calls need ---

    @property
    def client(self) -> httpx.AsyncClient:
        """The way to providers."""
        assert self._client is not None
        return self._client

    def lease_of(self, request: Request) -> GatewayLease | None:
        """Whose call it is."""
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        told = (
            request.headers.get("x-api-key"),
            request.headers.get("x-goog-api-key"),
            bearer if scheme.lower() == "bearer" else None,
            request.query_params.get("key"),
        )
        return self._leases.get(next((key for key in told if key), "").strip())

    async def known(self) -> Known:
        """Providers, prices and token hashes, read anew every few seconds so that edits and other workers' parking
        are seen; while the database is away, those of before.
        """
        async with self._reading:
            if self._known is None or self._stale or time.monotonic() - self._known.at > FRESH_SECONDS:
                try:
                    self._known = await run_in_threadpool(self._read)
                    self._stale = False
                except UNAVAILABLE:
                    if self._known is None:
                        raise
                    log.warning("providers_not_read_anew")
            return self._known

    def _read(self) -> Known:
        self.prices.refresh()
        return Known(tuple(self.store.providers()), self.store.token_hashes(), time.monotonic())

    def forget(self) -> None:
        """Read from the database anew at the next call."""
        self._stale = True

    def record(self, lease: GatewayLease, call: Call) -> None:
        """Keep a call; returns at once."""
        assert self._recorder is not None
        try:
            recording = self._recorder.submit(self._record, call)
        except RuntimeError:  # the process is about to end
            self._record(call)
            return
        lease.unrecorded.add(recording)
        recording.add_done_callback(lease.unrecorded.discard)

    def _record(self, call: Call) -> None:
        for pause in _RECORD_PAUSES:
            self._stopping.wait(pause)
            try:
                self.store.record(call)
                return
            except UNAVAILABLE:
                continue
            except Exception as error:  # noqa: BLE001 - the record of a call never stops the work
                log.error("call_not_recorded", attempt=str(call.attempt_id), error=f"{type(error).__name__}: {error}")
                return
        log.error("call_not_recorded", attempt=str(call.attempt_id), error="the database is away")

    async def without_secrets(self, lease: GatewayLease, body: bytes) -> bytes:
        """What an agent sends out, with this installation's own secrets masked."""
        known = await self.known()
        keys = [provider.secret for provider in known.providers if provider.secret is not None]
        body, own = redacted(body, [lease.key])
        body, found = redacted(body, [*keys, *list(self._leases)], known.token_hashes)
        if own + found:
            lease.masked += own + found
            log.warning("secrets_masked", attempt=str(lease.attempt_id), count=own + found)
        if own:  # any look at its environment shows it to the agent, and it opens nothing but this gateway
            self._sound(lease, "attempt_key_leaving", "The attempt's own key was on its way out", {"masked": own})
        if found:
            self._sound(lease, "secret_leaving", "A key of this installation was on its way out", {"masked": found})
        return body

    def _sound(self, lease: GatewayLease, code: str, title: str, evidence: Mapping[str, Any]) -> None:
        """Record an incident beside the call; the end of the lease waits for it."""
        if lease.sound is None or self._recorder is None:
            return
        sounding = self._recorder.submit(lease.sound, code, title, evidence)
        lease.unrecorded.add(sounding)
        sounding.add_done_callback(lease.unrecorded.discard)

    async def _models(self, request: Request) -> Response:
        if self.lease_of(request) is None:
            return refusal(401, "This key opens nothing here.")
        names = sorted({model for provider in (await self.known()).providers for model in provider.models})
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})


class _Calls:
    """Takes a call in, and drops it when its caller goes away."""

    def __init__(self, gateway: ModelGateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            taken = await self._take(request)
        except ClientDisconnect:
            return
        if isinstance(taken, Response):
            await taken(scope, receive, send)
            return
        work = asyncio.ensure_future(taken.run(send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()
        await asyncio.wait({work})
        if not work.cancelled():
            work.result()

    async def _take(self, request: Request) -> Forwarding | Response:
        lease = self._gateway.lease_of(request)
        if lease is None:
            return refusal(401, "This key opens nothing here.")
        body = await _read_body(request)
        if body is None:
            return refusal(413, "The request is larger than 50 MB.")
        await pace(lease.bucket, len(body))
        try:
            call = json.loads(body.decode())
        except (ValueError, RecursionError):
            return refusal(400, "The body is not JSON.")
        target = None
        if "target" in request.path_params:
            target = google.target_of(request.path_params["target"])
            if target is None:
                return refusal(404, "Only generateContent, streamGenerateContent and countTokens are passed on.")
            call = target.call(call) if isinstance(call, dict) else None
        if not isinstance(call, dict) or not isinstance(call.get("model"), str):
            return refusal(400, "The body names no model." if target is None else "The body is no call.")
        try:
            body = await self._gateway.without_secrets(lease, body)
        except UNAVAILABLE:
            return refusal(503, "The gateway's database cannot be reached.")
        return Forwarding(self._gateway, lease, request, call, body, target)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _read_body(request: Request) -> bytes | None:
    """The body; None when it is too large."""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told[:20]) > BODY_LIMIT:
        return None
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_LIMIT:
            return None
    return bytes(body)


def _tcp_socket() -> socket.socket:
    """The protocol is named, or the event loop would not take it for TCP and let small pieces wait 40 ms."""
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)


def _client() -> httpx.AsyncClient:
    """Proxies of the environment lead to the world, never back to this machine."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(connect=10, read=600, write=60, pool=600),
        limits=httpx.Limits(max_connections=1000, max_keepalive_connections=50),
        follow_redirects=False,
        trust_env=True,
        mounts=dict.fromkeys(_LOOPBACK),
    )


def _server(app: Starlette) -> uvicorn.Server:
    """What goes wrong in a call is told by the gateway; the server's own log would repeat it with a traceback."""
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,
        server_header=False,
    )
    return uvicorn.Server(config)


async def _cancel_the_rest() -> None:
    """Let calls in flight settle and record what they used."""
    rest: list[asyncio.Task[Any]] = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=2)
