"""The stage of the browser journeys: a real engine, customers with repositories, and work that waits for its cue."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from devteam.access.model import Role
from devteam.kit.db import Database
from tests.integration.git_projects import Customer as Repository
from tests.integration.git_projects import make_customer

API = "/api/devteam"
SECONDS = 60.0
WEB_APP = Path(__file__).parents[2] / "devteam" / "web_app" / "index.html"
_LINK = re.compile(r"http://\S+/login\?token=\S+")
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


@dataclass(frozen=True)
class Work:
    """A script that says it has begun, waits for its cue, says that it ends and writes a line into README.md."""

    name: str = field(default_factory=lambda: uuid4().hex)

    @property
    def script(self) -> str:
        return (
            f"echo begun {self.name}; while [ ! -e {self._cue} ]; do sleep 0.05; done; rm {self._cue}; "
            f"echo ended {self.name}; echo {self.name} >> README.md"
        )

    @property
    def _cue(self) -> str:
        return f"{self.name}.cue"

    def go(self) -> None:
        """Give the cue, if the script waits for it: as a file in its workspace, wherever that is."""
        for process in self._shells():
            with contextlib.suppress(OSError):
                (process / "cwd" / self._cue).touch()

    def states(self) -> set[str]:
        """The states of its shells as in `ps`, for example T: stopped. Empty: there is none."""
        return {state for process in self._shells() if (state := _state(process)) not in (None, "Z")}

    def running(self) -> bool:
        return bool(self.states()) and "T" not in self.states()

    def stopped(self) -> bool:
        return self.states() == {"T"}

    def gone(self) -> bool:
        return not self.states()

    def _shells(self) -> list[Path]:
        return [process for process in Path("/proc").glob("[0-9]*") if self._is_shell(process)]

    def _is_shell(self, process: Path) -> bool:
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return words[0].endswith(b"sh") and any(self.name.encode() in word for word in words)


def _state(process: Path) -> str | None:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


@dataclass(frozen=True)
class Client:
    """A customer that was made over HTTP, with one project."""

    stage: "Stage"
    id: str
    name: str
    project: str
    repository: Repository

    @property
    def page(self) -> str:
        return f"/customers/{self.id}"

    def task(self, title: str, script: str, **fields: Any) -> str:
        body = {"projectId": self.project, "title": title, "command": {"script": script}, **fields}
        return str(self.stage.post(f"/customers/{self.id}/tasks", body)["id"])

    def start(self) -> str:
        return str(self.stage.post("/executions", {"customerId": self.id})["execution"]["id"])

    def tasks(self) -> dict[str, str]:
        """Status by title, in queue order."""
        return {task["title"]: task["status"] for task in self.snapshot()["tasks"]}

    def attempts(self) -> list[dict[str, Any]]:
        """Newest first."""
        return list(self.snapshot()["attempts"])

    def activity(self) -> list[str]:
        return [event["text"] for event in self.stage.get(f"/customers/{self.id}/activity")["items"]]

    def snapshot(self) -> dict[str, Any]:
        return self.stage.get(f"/customers/{self.id}")


@dataclass
class Stage:
    """A running engine as a test sees it; `api` is the administrator's."""

    folder: Path
    process: subprocess.Popen[bytes]
    address: str
    first_link: str
    api: httpx.Client
    _sessions: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def get(self, path: str) -> dict[str, Any]:
        return self._body(self.api.get(API + path))

    def post(self, path: str, body: Any = None) -> dict[str, Any]:
        return self._body(self.api.post(API + path, json=body))

    @staticmethod
    def _body(answer: httpx.Response) -> dict[str, Any]:
        assert answer.is_success, answer.text
        return dict(answer.json())

    def client(self, name: str, *, gate: str | None = None, gates: list[dict[str, Any]] | None = None) -> Client:
        """A new customer with a repository and a project; `gate` is a script, `gates` are as they are sent."""
        customer = self.post("/customers", {"name": name})
        folder = self.folder / "repositories" / str(customer["id"])
        folder.mkdir(parents=True)
        repository = make_customer(folder)
        scripts = [] if gate is None else [{"name": "tests", "stage": "post_task", "script": gate}]
        project = self.post(
            f"/customers/{customer['id']}/projects",
            {"name": "main", "repository": str(repository.bare), "gates": [*scripts, *(gates or [])]},
        )
        return Client(self, str(customer["id"]), name, str(project["id"]), repository)

    def login_link(self, role: Role, *, customers: list[str] | None = None) -> str:
        """A one-time link of a new user."""
        name = f"{role.value} {uuid4().hex[:6]}"
        return str(self.post("/users", {"name": name, "role": role.value, "customerIds": customers})["loginUrl"])

    def session(self, role: Role) -> str:
        """The cookie of a signed-in user of that role; one user per role is enough."""
        if role.value not in self._sessions:
            token = self.login_link(role).partition("token=")[2]
            answer = httpx.post(f"{self.address}{API}/session", json={"token": token})
            assert answer.is_success, answer.text
            self._sessions[role.value] = answer.cookies["devteam_session"]
        return self._sessions[role.value]

    def web_process(self) -> int | None:
        """The process that serves HTTP."""
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"devteam.entrypoints.serve" in words and b"web" in words:
                return int(child)
        return None

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The engine's own database, for what no person can bring about on a page."""
        process = self.web_process()
        assert process is not None
        words = Path(f"/proc/{process}/environ").read_text().split("\0")
        database = Database(next(word for word in words if word.startswith("DATABASE_URL=")).partition("=")[2])
        try:
            yield database
        finally:
            database.engine.dispose()

    def logs(self) -> dict[str, str]:
        files = [self.folder / "up.log", *sorted((self.data / "run").glob("*.log"))]
        return {file.name: file.read_text(errors="replace") for file in files if file.exists()}


@contextmanager
def engine(folder: Path) -> Iterator[Stage]:
    """`devteam up` on a folder, ended in order by its own process id."""
    log = folder / "up.log"
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "devteam", "up", "--no-browser", "--port", "0", "--slots", "6"],
            cwd=folder,
            env={**inherited, "PYTHONPATH": str(Path.cwd()), "DEVTEAM_DATA": str(folder / "data")},
            stdout=out,
            stderr=out,
        )
    try:
        eventually(lambda: _LINK.search(log.read_text()) is not None or process.poll() is not None, "the engine")
        link = _LINK.search(log.read_text())
        assert link is not None, log.read_text()
        address = link[0].partition("/login")[0]
        token = (folder / "data" / "run" / "token").read_text().strip()
        with httpx.Client(
            base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False
        ) as api:
            yield Stage(folder, process, address, link[0], api)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
