"""`devteam demo`: five customers whose projects are real open-source packages, worked through by a real engine.

The demo is a client like any other: it sends customers, projects and tasks over HTTP and watches. What the
engine does with them is what it does with anybody's.
"""

import json
import tempfile
import threading
import time
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from devteam.demo.importer import import_package
from devteam.demo.model import DemoCustomer
from devteam.demo.own import clone_bare, own_customer
from devteam.demo.packages import fetch_packages
from devteam.demo.tasks import CUSTOMERS
from devteam.entrypoints.up import Engine, Interrupts, UpSettings
from devteam.kit.errors import DevTeamError
from devteam.kit.ids import new_id

POLL_SECONDS = 0.5
_FINAL = ("completed", "failed", "skipped", "cancelled", "blocked")

Say = Callable[[str], None]


@dataclass(frozen=True)
class DemoSettings:
    """How the demo runs; without a data folder a temporary one that is kept, and named."""

    data: Path | None = None
    port: int | None = None
    slots: int = 4
    exit_when_done: bool = False
    open_browser: bool = True
    summary: Path | None = None
    repositories: Sequence[Path] = ()


@dataclass(frozen=True)
class _Planned:
    customer: DemoCustomer
    origin: Path


class DemoDriver:
    """Sends the demo's data to the engine and collects what became of it."""

    def __init__(self, url: str, token: str, say: Say) -> None:
        self._client = httpx.Client(
            base_url=f"{url}/api/devteam", headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        self._say = say

    def send(self, planned: Sequence[_Planned]) -> dict[str, str]:
        """Create what is not there yet and start every customer; the customers' ids by name."""
        known = {card["name"]: card["id"] for card in self._get("/executions")["customers"]}
        ids = dict(known)
        for plan in planned:
            if plan.customer.name not in known:
                ids[plan.customer.name] = self._create(plan)
        for plan in planned:
            self._post("/executions", {"customerId": ids[plan.customer.name]})
            self._say(f"Started: {plan.customer.name} ({plan.customer.project.package})")
        return {plan.customer.name: ids[plan.customer.name] for plan in planned}

    def _create(self, plan: _Planned) -> str:
        customer_id = str(self._post("/customers", plan.customer.body())["id"])
        project = self._post(f"/customers/{customer_id}/projects", plan.customer.project.body(str(plan.origin)))
        tasks: dict[str, str] = {}
        for task in plan.customer.project.tasks:
            created = self._post(f"/customers/{customer_id}/tasks", task.body(project["id"], tasks))
            tasks[task.key] = created["id"]
        return customer_id

    def snapshot(self, customer_id: str) -> dict[str, Any]:
        """A customer's page as data."""
        return self._get(f"/customers/{customer_id}")

    def is_done(self, customer_ids: Mapping[str, str]) -> bool:
        """Whether every queue is worked through and every delivery was looked at."""
        return all(_is_done(self.snapshot(customer_id)) for customer_id in customer_ids.values())

    def _get(self, path: str) -> dict[str, Any]:
        return self._answer(self._client.get(path))

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._answer(self._client.post(path, json=body, headers={"Idempotency-Key": str(new_id())}))

    def _answer(self, response: httpx.Response) -> dict[str, Any]:
        if response.is_error:
            detail = response.json().get("detail") if "json" in response.headers.get("content-type", "") else None
            raise DevTeamError(detail or f"The engine answered {response.status_code}.", code="demo_failed")
        answer: dict[str, Any] = response.json()
        return answer


def _is_done(snapshot: Mapping[str, Any]) -> bool:
    execution = snapshot["execution"]
    return (
        execution is not None
        and execution["status"] in ("completed", "aborted")
        and all(attempt["outcome"] and attempt["monitoring"] != "watching" for attempt in snapshot["attempts"])
    )


def run_demo(settings: DemoSettings, *, say: Say = print) -> int:
    """Run the demo until it is done, or until Ctrl-C. Returns the exit code."""
    began = time.monotonic()
    interrupts = Interrupts()
    data = settings.data.absolute() if settings.data else Path(tempfile.mkdtemp(prefix="devteam-demo-"))
    if settings.data is None:
        data.chmod(0o755)
    engine = Engine(UpSettings(data=data, port=settings.port, slots=settings.slots))
    planned = plan(settings, data, say)
    run = _Run(engine, planned, settings, say, began)
    try:
        engine.start()
        say(f"The page is on {engine.url}")
        link = engine.login_link()
        say(f"Sign in once with this link: {link}")
        if settings.open_browser:
            webbrowser.open(link)
        thread = threading.Thread(target=run.drive, name="demo", daemon=True)
        thread.start()
        engine.supervise(lambda: interrupts.seen or run.failure is not None or (run.done and settings.exit_when_done))
        if run.failure is not None:
            raise run.failure
        say("Stopping ...")
    finally:
        run.ended = True
        engine.stop()
    say(f"The repositories are in {data / 'repositories'}")
    return 0


class _Run:
    """The demo's own thread beside the supervision."""

    def __init__(
        self, engine: Engine, planned: Sequence[_Planned], settings: DemoSettings, say: Say, began: float
    ) -> None:
        self.done = False
        self.ended = False
        self.failure: DevTeamError | None = None
        self._engine = engine
        self._planned = planned
        self._settings = settings
        self._say = say
        self._began = began

    def drive(self) -> None:
        try:
            self._drive()
        except httpx.HTTPError as exc:
            self.failure = DevTeamError(f"The engine stopped answering: {exc}", code="demo_failed")
        except DevTeamError as exc:
            self.failure = exc

    def _drive(self) -> None:
        driver = DemoDriver(self._engine.url, self._engine.token(), self._say)
        ids = driver.send(self._planned)
        told: dict[str, str] = {}
        while not self.ended:
            snapshots = {name: driver.snapshot(customer_id) for name, customer_id in ids.items()}
            for snapshot in snapshots.values():
                self._tell(snapshot, told)
            if all(_is_done(snapshot) for snapshot in snapshots.values()):
                self._finish(snapshots)
                return
            time.sleep(POLL_SECONDS)

    def _tell(self, snapshot: Mapping[str, Any], told: dict[str, str]) -> None:
        """One line for every task that came to an end since the last look."""
        for task in snapshot["tasks"]:
            if task["status"] in _FINAL and told.get(task["id"]) != task["status"]:
                told[task["id"]] = task["status"]
                reason = task["statusReason"]
                text = f": {reason['text']}" if reason else ""
                self._say(f"  {snapshot['customer']['name']}: {task['title']} - {task['status']}{text}")

    def _finish(self, snapshots: Mapping[str, Mapping[str, Any]]) -> None:
        origins = {plan.customer.name: plan.origin for plan in self._planned}
        seconds = round(time.monotonic() - self._began, 1)
        summary = {
            "customers": [_customer_summary(snapshot, origins[name]) for name, snapshot in snapshots.items()],
            "seconds": seconds,
        }
        if self._settings.summary is not None:
            self._settings.summary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        tasks = [task for customer in summary["customers"] for task in customer["tasks"]]  # type: ignore[attr-defined]  # the list of a mixed dict
        completed = sum(task["status"] == "completed" for task in tasks)
        self._say(f"All queues are worked through: {completed} of {len(tasks)} tasks completed in {seconds} s.")
        if not self._settings.exit_when_done:
            self._say("The page stays up; Ctrl-C stops everything.")
        self.done = True


def _customer_summary(snapshot: Mapping[str, Any], origin: Path) -> dict[str, Any]:
    attempts: dict[str, list[Mapping[str, Any]]] = {}
    for attempt in snapshot["attempts"]:
        attempts.setdefault(attempt["taskId"], []).append(attempt)
    gates = {project["id"]: [gate["name"] for gate in project["gates"]] for project in snapshot["projects"]}
    return {
        "name": snapshot["customer"]["name"],
        "origin": str(origin),
        "tasks": [
            _task_summary(task, attempts.get(task["id"], []), gates.get(task["projectId"], []))
            for task in snapshot["tasks"]
        ],
    }


def _task_summary(
    task: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]], gates: Sequence[str]
) -> dict[str, Any]:
    last = max(attempts, key=lambda attempt: attempt["number"], default=None)
    delivered = last is not None and last["commit"] is not None
    reason = task["statusReason"] or (last["reason"] if last is not None else None)
    return {
        "title": task["title"],
        "status": task["status"],
        "phase_times": _phase_times(attempts),
        "attempts": task["attempts"],
        "branch": last["branch"] if last is not None and delivered else None,
        "commit": last["commit"] if last is not None and delivered else None,
        "gates": _gates(last, gates),
        "reason": reason["text"] if reason else None,
    }


def _gates(last: Mapping[str, Any] | None, names: Sequence[str]) -> list[dict[str, Any]]:
    """The project's gates with what the last attempt's last round found; null where one did not run."""
    ran = {
        gate["name"]: gate
        for gate in (last["gates"] if last is not None else [])
        if gate["stage"] in ("pre_execution", "post_task")
    }
    nothing = {"passed": None, "seconds": None}
    return [
        {"name": name, "passed": ran.get(name, nothing)["passed"], "seconds": ran.get(name, nothing)["seconds"]}
        for name in names
    ]


def _phase_times(attempts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for attempt in attempts:
        for span in attempt["phases"]:
            if span["endedAt"] is None:
                continue
            length = datetime.fromisoformat(span["endedAt"]) - datetime.fromisoformat(span["startedAt"])
            seconds[span["phase"]] = seconds.get(span["phase"], 0.0) + length.total_seconds()
    return {phase: round(value, 3) for phase, value in seconds.items()}


def plan(settings: DemoSettings, data: Path, say: Say) -> list[_Planned]:
    """The customers with their repositories: the packages, or the repositories that the caller named."""
    target = data / "repositories"
    if settings.repositories:
        origins = [clone_bare(path, target / str(number)) for number, path in enumerate(settings.repositories, start=1)]
        return [_Planned(own_customer(origin, number), origin) for number, origin in enumerate(origins, start=1)]
    say("Fetching five packages by name ...")
    archives = fetch_packages(data / "packages")
    say("Importing them into fresh repositories ...")
    return [_Planned(customer, import_package(archives[customer.project.package], target)) for customer in CUSTOMERS]
