"""What the model gateway adds to a call, and two hundred streams through it at once.

Three processes as in real life: a provider that answers at once, the gateway with its database, and an agent that calls
the provider directly and through the gateway in turn, over the same connections. A call is streamed and has a budget.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
from pydantic import SecretStr

from benchmarks.common import (
    Child,
    Figure,
    add_customers,
    median,
    migrated,
    percentile,
    postgres,
    report,
    temporary_folder,
)
from devteam.access.model import ENGINE
from devteam.adapters.egress import Bandwidth
from devteam.adapters.fences import ResourceLimits
from devteam.adapters.model_gateway import GatewayStore, ModelGateway, PriceTable
from devteam.adapters.model_gateway.lease import GatewayLease
from devteam.adapters.secret_box import SecretBox
from devteam.kit.clock import utc_now
from devteam.kit.db import Database, sql
from devteam.kit.ids import new_id
from devteam.providers.schemas import PriceInput, ProviderInput, ProviderKind
from devteam.providers.service import ProviderService

ADDED_LIMIT_MS = 5.0
MODEL = "benchmark"
PIECES = 20
PAUSE = 0.05
"""Seconds between the pieces of a slow stream."""

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_USAGE = {"choices": [], "usage": {"prompt_tokens": 2000, "completion_tokens": 20}}


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _event(payload: object) -> bytes:
    return _chunk(b"data: " + json.dumps(payload).encode() + b"\n\n")


_PIECE = _event({"choices": [{"index": 0, "delta": {"content": "some words "}}]})
_END = _event(_USAGE) + _chunk(b"data: [DONE]\n\n") + _chunk(b"")


async def _provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            slow = b'"slow"' in await reader.readexactly(length)
            writer.write(_HEAD)
            for _ in range(PIECES):
                writer.write(_PIECE)
                if slow:
                    await writer.drain()
                    await asyncio.sleep(PAUSE)
            writer.write(_END)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def provider() -> None:
    """The provider's process: tells its port, serves until its input ends."""
    server = await asyncio.start_server(_provide, "127.0.0.1", 0, backlog=1000)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # with whatever connections there are


def _call(*, slow: bool = False) -> dict[str, object]:
    words = [{"role": "user", "content": "Mend the failing test. " * 400}]
    return {"model": MODEL, "messages": words, "stream": True, "max_tokens": 100, "user": "slow" if slow else "quick"}


def _timed(client: httpx.Client) -> tuple[float, float]:
    """Seconds to the first piece and to the end of a call."""
    began = time.perf_counter()
    with client.stream("POST", "/chat/completions", json=_call()) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        first = time.perf_counter() - began
        for _ in pieces:
            pass
    answer.raise_for_status()
    return first, time.perf_counter() - began


async def _streams(base_url: str, key: str, count: int) -> tuple[int, float]:
    """How many of so many streams at once came whole, and the longest time that one took."""

    async def one(client: httpx.AsyncClient) -> float:
        began = time.perf_counter()
        answer = await client.post("/chat/completions", json=_call(slow=True))
        whole = answer.status_code == 200 and answer.text.count("some words") == PIECES and "[DONE]" in answer.text
        return time.perf_counter() - began if whole else -1.0

    async with httpx.AsyncClient(
        base_url=base_url,
        headers={"authorization": f"Bearer {key}"},
        limits=httpx.Limits(max_connections=count),
        timeout=120,
        trust_env=False,
    ) as client:
        times = await asyncio.gather(*(one(client) for _ in range(count)))
    return sum(taken >= 0 for taken in times), max(times)


def agent() -> None:
    """The agent's process: one order, one answer."""
    order = json.loads(sys.stdin.readline())
    direct, through = (
        httpx.Client(base_url=url, headers={"authorization": f"Bearer {order['key']}"}, timeout=60, trust_env=False)
        for url in (order["direct"], order["gateway"])
    )
    firsts: dict[str, list[float]] = {"direct": [], "gateway": []}
    wholes: dict[str, list[float]] = {"direct": [], "gateway": []}
    for number in range(order["calls"] + order["calls"] // 10 + 1):
        for name, client in (("direct", direct), ("gateway", through)):
            first, whole = _timed(client)
            if number > order["calls"] // 10:
                firsts[name].append(first)
                wholes[name].append(whole)
    came, longest = asyncio.run(_streams(order["gateway"], order["key"], order["streams"]))
    print(json.dumps({"first": firsts, "whole": wholes, "came": came, "longest": longest}), flush=True)


def _attempt(database: Database) -> UUID:
    """An attempt for the record of calls."""
    customer, project = add_customers(database, 1, repository="/nowhere")[0]
    ids = {"customer": customer, "project": project, "execution": new_id(), "task": new_id(), "attempt": new_id()}
    with database.transaction() as connection:
        connection.execute(sql("SET LOCAL session_replication_role = replica"))  # an attempt alone, without its history
        connection.execute(
            sql(
                """INSERT INTO attempts (id, customer_id, execution_id, task_id, project_id, number, executor, phase,
                       phase_started_at, started_at)
                   VALUES (:attempt, :customer, :execution, :task, :project, 1, 'native', 'execution', now(), now())"""
            ),
            ids,
        )
    return ids["attempt"]


def _overshoot(gateway: ModelGateway, before: GatewayLease) -> Figure:
    """By how much a budget is overspent when every call turns out dearer than anybody could tell from its request."""
    small = {"model": MODEL, "messages": [{"role": "user", "content": "Go on."}], "stream": True, "max_tokens": 20}
    told = _USAGE["usage"]
    assert isinstance(told, dict)
    cost = (told["prompt_tokens"] * 1 + told["completion_tokens"] * 4) / 1e6
    spent = gateway.store.spent(before.attempt_id)
    lease = gateway.lease(before.attempt_id, model=MODEL, budget_usd=spent + 4.5 * cost)
    made = 0
    with httpx.Client(base_url=f"{lease.base_url}/v1", headers={"authorization": f"Bearer {lease.key}"}) as client:
        while client.post("/chat/completions", json=small).status_code == 200:
            made += 1
    overshoot = max(0.0, lease.budget.spent - spent - 4.5 * cost)
    gateway.end(lease)
    note = f"{made} calls were let through"
    return Figure("a budget of 4.5 calls is overspent by", overshoot / cost, "calls", 1.0, note)


def run(*, calls: int, streams: int) -> int:
    """Measure and report."""
    with temporary_folder() as folder, postgres(folder) as server:
        database = migrated(server.url)
        box = SecretBox(folder / "secret.key")
        peer = Child("benchmarks.gateway", "--as", "provider")
        direct = f"http://127.0.0.1:{peer.answer()['port']}/v1"
        providers = ProviderService(database, utc_now, box)
        wanted = ProviderInput(
            name="peer", kind=ProviderKind.OPENAI, base_url=direct, secret=SecretStr("sk-of-the-peer"), models=[MODEL]
        )
        providers.add(ENGINE, wanted)
        providers.set_price(ENGINE, PriceInput(model=MODEL, input_usd=1, cached_usd=0.1, output_usd=4))
        store = GatewayStore(database, utc_now, box)
        bandwidth = Bandwidth(ResourceLimits().network_bandwidth)  # as a worker has it
        gateway = ModelGateway(store, PriceTable(store.prices), utc_now, folder / "gateway.sock", bandwidth=bandwidth)
        gateway.ensure_started()
        lease = gateway.lease(_attempt(database), model=MODEL, budget_usd=1000.0)
        caller = Child("benchmarks.gateway", "--as", "agent")
        told = caller.ask(direct=direct, gateway=f"{lease.base_url}/v1", key=lease.key, calls=calls, streams=streams)
        caller.end()
        over = _overshoot(gateway, lease)
        peer.end()
        gateway.end(lease)
        gateway.stop()
        database.dispose()
    return report("What the model gateway adds to a call", [*_figures(told, streams), over])


def _figures(told: dict[str, Any], streams: int) -> Sequence[Figure]:
    def added(what: str, share: float | None) -> tuple[float, str]:
        times = [told[what][way] for way in ("gateway", "direct")]
        through, direct = (1000 * (median(t) if share is None else percentile(t, share)) for t in times)
        return through - direct, f"{direct:.2f} ms directly, {through:.2f} ms through it"

    figures = [
        Figure("added to the first piece, p50", added("first", None)[0], "ms", ADDED_LIMIT_MS, added("first", None)[1]),
        Figure("added to a whole call, p50", added("whole", None)[0], "ms", ADDED_LIMIT_MS, added("whole", None)[1]),
        Figure("added to a whole call, p95", added("whole", 0.95)[0], "ms", None, added("whole", 0.95)[1]),
    ]
    lost = streams - told["came"]
    note = f"of {streams} at once; the slowest took {told['longest']:.1f} s, the provider alone {PIECES * PAUSE:.1f} s"
    return [*figures, Figure("streams that did not come whole", lost, "streams", 0, note)]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--as", dest="part", choices=("provider", "agent"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part == "provider":
        asyncio.run(provider())
        return 0
    if given.part == "agent":
        agent()
        return 0
    return run(calls=given.calls, streams=given.streams)


if __name__ == "__main__":
    sys.exit(main())
