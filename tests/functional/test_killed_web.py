"""The web process is killed while it works on a command; whoever sends the command again gets it done once."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from devteam.kit.db import sql
from tests.functional.world import API, World

_SERVE = """
import sys, uvicorn
from devteam.entrypoints.web import create_app
from devteam.kit.settings import WebSettings
uvicorn.run(create_app(WebSettings()), fd=int(sys.argv[1]), log_level="error", access_log=False)
"""


@contextmanager
def web_process(url: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A web process of its own: its address, and the process."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        descriptor = listening.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(descriptor)],
            env={**os.environ, "DATABASE_URL": url},
            pass_fds=[descriptor],
        )
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", process
        finally:
            process.kill()
            process.wait()


def waiting_for_a_lock(world: World) -> bool:
    with world.database.transaction() as connection:
        return bool(
            connection.execute(
                sql(
                    """SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'"""
                )
            ).scalar_one()
        )


def test_command_that_died_with_the_web_process_is_done_once_when_sent_again(world: World) -> None:
    customer = world.customer()
    path = f"/customers/{customer}/tasks"
    body = {"projectId": str(world.project(customer)), "title": "Only once"}
    headers = {"Authorization": f"Bearer {world.admin.token}", "Idempotency-Key": "once"}
    lost: list[Exception] = []

    with web_process(world.database.url) as (address, process):

        def send() -> None:
            try:
                httpx.post(address + API + path, json=body, headers=headers, timeout=60)
            except httpx.HTTPError as error:
                lost.append(error)

        with world.database.transaction() as connection:
            # Somebody else changes the customer, so the command stops in the middle: its key is in, its task is not.
            connection.execute(
                sql("SELECT 1 FROM stream_heads WHERE stream = :stream FOR UPDATE"), {"stream": customer}
            )
            sender = threading.Thread(target=send)
            sender.start()
            deadline = time.monotonic() + 60
            while not waiting_for_a_lock(world):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
            sender.join()
    assert len(lost) == 1
    first = world.admin.post(path, body, Idempotency_Key="once")
    assert first.status_code == 201
    assert "idempotent-replayed" not in first.headers
    again = world.admin.post(path, body, Idempotency_Key="once")
    assert again.headers["idempotent-replayed"] == "true"
    assert world.count("tasks") == world.count("events WHERE type = 'task_added'") == 1


def test_command_whose_answer_was_lost_is_answered_by_another_process(world: World) -> None:
    first = world.admin.post("/customers", {"name": "Acme"}, Idempotency_Key="one")
    with web_process(world.database.url) as (address, _), httpx.Client(base_url=address, timeout=60) as client:
        answer = client.post(
            f"{API}/customers",
            json={"name": "Acme"},
            headers={"Authorization": f"Bearer {world.admin.token}", "Idempotency-Key": "one"},
        )
        assert answer.headers["idempotent-replayed"] == "true"
        assert answer.content == first.content
    assert world.count("customers") == 1
