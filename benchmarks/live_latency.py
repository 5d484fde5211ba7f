"""From commit to socket: events of many customers on 200 pages that show the overview.

Three kinds of processes besides PostgreSQL: this one writes changes by the product's own `customer_change` at a steady
rate, one event each, over all customers in turn; the real web process; and clients, each with its share of the
sockets, that note when a customer's card of a version came, or of a later one (changes of one customer that are close
together are sent as their sum). All on one host, so all read the same clock. Every pair of change and socket is one
sample; its time runs from the moment right before the commit, so it holds the commit's wait for the disk too. The
writer's commits are printed beside it.
"""

import argparse
import asyncio
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

from benchmarks.common import (
    Child,
    Figure,
    cpu_seconds,
    median,
    migrated,
    percentile,
    postgres,
    report,
    temporary_folder,
)
from benchmarks.many_customers import fill
from benchmarks.thin_socket import ThinSocket
from benchmarks.web_process import web_process
from devteam.access.model import ENGINE
from devteam.customers.change import joined_change
from devteam.kit.clock import utc_now
from devteam.kit.db import Database
from devteam.kit.log import configure_logging

LIMIT_MS = 100.0
WRITERS = 4
CLIENT_PROCESSES = 2
_CARD = re.compile(
    rb'\{"id":"([0-9a-f-]{36})","set":\{.*?\},"kind":"customer","unset":\[\],"version":(\d+)\}'  # as stored
    rb'|\{"kind":"customer","id":"([0-9a-f-]{36})","version":(\d+),"set":'  # summed up
)
"""Finds the cards in a frame; to parse all frames of all sockets would take the machine that is measured."""
_SETTLE_SECONDS = 2.0

Seen = list[tuple[float, str, int]]


# --- clients ---


class Page:
    """One socket that shows the overview: notes every card that comes after the snapshot."""

    def __init__(self, port: int, token: str) -> None:
        self.seen: Seen = []
        self.ready = asyncio.Event()
        self.socket = ThinSocket(port, token, self._take)

    async def open(self, port: int) -> None:
        """Connect and subscribe; `ready` is set once the snapshot is here."""
        await asyncio.get_running_loop().create_connection(lambda: self.socket, "127.0.0.1", port)
        await self.socket.opened()
        self.socket.send({"type": "hello", "protocol": 1})
        self.socket.send({"type": "subscribe", "topics": ["overview"]})

    def _take(self, at: float, frame: bytes) -> None:
        if self.ready.is_set():
            self.seen.extend((at, (a or c).decode(), int(b or d)) for a, b, c, d in _CARD.findall(frame))
        elif b'"type":"snapshot"' in frame[:200]:
            self.ready.set()


async def watch(port: int, token: str, sockets: int, orders: asyncio.Queue[str]) -> list[Seen]:
    """Open the sockets, say so, note what comes until told to stop."""
    pages = [Page(port, token) for _ in range(sockets)]
    for page in pages:
        await page.open(port)
        await page.ready.wait()
    print("{}", flush=True)
    await orders.get()
    for page in pages:
        page.socket.close()
    return [page.seen for page in pages]


def be_clients(port: int, token: str, sockets: int) -> None:
    """One process of clients: reports readiness, then what it saw into the file that it is told."""

    async def work() -> tuple[list[Seen], str]:
        orders: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        told: list[str] = []

        def listen() -> None:
            told.append(sys.stdin.readline())
            loop.call_soon_threadsafe(orders.put_nowait, "stop")

        threading.Thread(target=listen, daemon=True).start()
        return await watch(port, token, sockets, orders), told[0]

    seen, order = asyncio.run(work())
    Path(json.loads(order)["into"]).write_text(json.dumps(seen))
    print("{}", flush=True)


# --- writer ---


def write(
    database: Database, customers: Sequence[UUID], *, rate: int, seconds: float
) -> tuple[list[tuple[str, int, float]], list[float]]:
    """Commit events at a steady rate: (customer, version of its card, time right before the commit), commit times."""
    made: list[tuple[str, int, float]] = []
    committing: list[float] = []

    def change_one(number: int) -> None:
        customer_id = customers[number % len(customers)]
        with database.transaction() as connection:
            with joined_change(connection, customer_id, ENGINE, utc_now()) as change:
                change.record("attempt_phase", "customer", customer_id, phase="execution")
            assert change.stored is not None
            at = time.time()
        committing.append(1000 * (time.time() - at))
        made.append((str(customer_id), change.stored.card.version, at))

    begun = time.monotonic()
    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            pool.submit(change_one, number)
    print(f"{len(made)} events in {time.monotonic() - begun:.1f} s")
    return made, committing


def latencies(made: Sequence[tuple[str, int, float]], seen: Seen) -> tuple[list[float], int]:
    """Milliseconds from each commit to one socket, and how many never came."""
    came: dict[str, list[tuple[float, int]]] = {}
    for at, customer, version in seen:
        came.setdefault(customer, []).append((at, version))
    taken, missing = [], 0
    for customer, version, at in made:
        first = next((when for when, newer in came.get(customer, ()) if newer >= version), None)
        if first is None:
            missing += 1
        else:
            taken.append(1000 * (first - at))
    return taken, missing


def run(*, sockets: int, rate: int, seconds: float, customers: int) -> int:
    """Measure and report."""
    with ExitStack() as opened:
        folder = opened.enter_context(temporary_folder())
        server = opened.enter_context(postgres(folder))
        database = migrated(server.url)
        opened.callback(database.dispose)
        ids = fill(database, customers=customers, tasks=20)
        web = opened.enter_context(web_process(database, folder))
        clients = []
        for _ in range(CLIENT_PROCESSES):
            share = str(sockets // CLIENT_PROCESSES)
            client = Child(
                "benchmarks.live_latency", "--client", str(web.port), "--token", web.token, "--sockets", share
            )
            opened.callback(client.end)
            clients.append(client)
        for client in clients:
            client.answer()
        write(database, ids, rate=rate, seconds=1.0)  # warm up
        used = cpu_seconds(web.pid)
        made, committing = write(database, ids, rate=rate, seconds=seconds)
        used = cpu_seconds(web.pid) - used
        time.sleep(_SETTLE_SECONDS)
        taken: list[float] = []
        missing = 0
        for number, client in enumerate(clients):
            file = folder / f"seen-{number}.json"
            client.ask(into=str(file))
            for seen in json.loads(file.read_text()):
                some, lost = latencies(made, seen)
                taken += some
                missing += lost
    return report(
        f"Commit to socket: {rate} events/s for {seconds:g} s, {sockets} sockets, {customers} customers",
        [
            Figure("commit to socket, median", median(taken), "ms", note=f"{len(taken)} samples"),
            Figure("commit to socket, p99", percentile(taken, 0.99), "ms", LIMIT_MS),
            Figure("commit to socket, worst", max(taken), "ms"),
            Figure("events that a socket never got", missing, "", 0),
            Figure("commit, median", median(committing), "ms", note=f"p99 {percentile(committing, 0.99):.1f} ms"),
            Figure("web process, CPU", 100 * used / seconds, "% of a core"),
        ],
    )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=200)
    parser.add_argument("--rate", type=int, default=200, help="events per second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--client", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--token", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        be_clients(given.client, given.token, given.sockets)
        return 0
    configure_logging("benchmark", level=logging.WARNING)
    return run(sockets=given.sockets, rate=given.rate, seconds=given.seconds, customers=given.customers)


if __name__ == "__main__":
    sys.exit(main())
