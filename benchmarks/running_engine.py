"""`devteam up` as people run it, in processes of its own, on a fresh data folder."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from devteam.adapters.postgres import running_database_url

PATIENCE = 120.0


class RunningEngine:
    """An engine that answers. `seconds` is how long it took from the command to the page's first answer."""

    def __init__(self, data: Path, *, slots: int = 4) -> None:
        self._data = data
        begun = time.monotonic()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from devteam.entrypoints.cli import main; main()", "up", "--data", str(data)),
                *("--no-browser", "--port", "0", "--slots", str(slots)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self._await_ready()
        self.seconds = time.monotonic() - begun

    def _await_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.02)
        raise RuntimeError("the engine did not come up")

    def _answers(self) -> bool:
        try:
            address = json.loads((self._data / "run" / "engine.json").read_text())
            if address["pid"] != self._process.pid:
                return False
            self._url = urlsplit(address["url"])
            return self.request("GET", "/readyz")[0] == 200
        except (OSError, ValueError):
            return False

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer, as the local administrator."""
        connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=30)
        token = (self._data / "run" / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def command(self, path: str, body: Any = None) -> Any:
        """POST something that must be accepted."""
        status, answer = self.request("POST", f"/api/devteam{path}", body)
        if status not in (200, 201):
            raise RuntimeError(f"{path} answered {status}: {answer}")
        return answer

    @property
    def database_url(self) -> str:
        """Its database."""
        url = running_database_url(self._data)
        assert url is not None
        return url

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        own = psutil.Process(self._process.pid)
        return [own, *own.children(recursive=True)]

    def worker(self) -> psutil.Process:
        """Its worker process."""
        return next(each for each in self.processes() if each.cmdline()[-1:] == ["worker"])

    def stop(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running_engine(data: Path, *, slots: int = 4) -> Iterator[RunningEngine]:
    """Start it, stop it."""
    engine = RunningEngine(data, slots=slots)
    try:
        yield engine
    finally:
        engine.stop()
