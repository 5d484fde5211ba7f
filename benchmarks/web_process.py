"""The real web process beside a benchmark, and a client of it."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devteam.access.service import AccessService
from devteam.kit.clock import utc_now
from devteam.kit.db import Database

PATIENCE = 60.0


@dataclass(frozen=True)
class WebProcess:
    """Where it answers, and an administrator's token for it."""

    port: int
    token: str
    pid: int

    def connect(self) -> http.client.HTTPConnection:
        """A connection that stays open."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def get(self, connection: http.client.HTTPConnection, path: str) -> bytes:
        """The body of an answer that must be a 200."""
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {body[:200]!r}")
        return body


@contextmanager
def web_process(database: Database, folder: Path) -> Iterator[WebProcess]:
    """Start it as `devteam up` does, wait until it is ready, end it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    environment = {
        **os.environ,
        "DATABASE_URL": database.url,
        "DEVTEAM_DATA": str(folder),
        "DEVTEAM_SOCKET": str(listener.fileno()),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "devteam.entrypoints.serve", "web"],
        stdin=subprocess.PIPE,
        env=environment,
        pass_fds=(listener.fileno(),),
    )
    try:
        web = WebProcess(listener.getsockname()[1], AccessService(database, utc_now).ensure_local_token(), process.pid)
        _await_ready(web, process)
        yield web
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        listener.close()


def _await_ready(web: WebProcess, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        connection = web.connect()
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise RuntimeError("the web process did not come up")
