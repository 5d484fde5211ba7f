"""Incidents over the API and the command line: opened by the engine, taken on and settled by people."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest

from devteam.access.model import ENGINE, Role
from devteam.executions.lifecycle import RunRef
from devteam.executions.model import Phase
from devteam.executions.ports import Job
from devteam.incidents.repository import incidents_of
from devteam.incidents.service import IncidentService
from devteam.kit.clock import utc_now
from devteam.kit.db import Database
from devteam.projects.schemas import DeliveryMode
from devteam.workflows.alarm import IncidentAlarm
from tests.functional.live_world import LiveWorld, settled
from tests.functional.test_cli import Running, running
from tests.functional.test_live import database
from tests.functional.test_live import world as live_world
from tests.functional.world import World

__all__ = ["database", "live_world", "running"]


@dataclass
class Case:
    """An attempt that runs, and an alarm for it."""

    world: World
    customer: UUID
    job: Job

    def alarm(self, code: str = "host_refused", title: str = "A host was refused", **evidence: Any) -> None:
        IncidentAlarm(self.world.database, utc_now)(self.job, code, title, evidence)

    def incidents(self, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.world.admin.get(f"/incidents?customerId={self.customer}{query}").json()[
            "incidents"
        ]
        return found

    def card(self) -> dict[str, Any]:
        card: dict[str, Any] = self.world.admin.get(f"/customers/{self.customer}").json()["customer"]
        return card


def job_of(customer_id: UUID, project_id: UUID, task_id: UUID, attempt_id: UUID) -> Job:
    return Job(
        ref=RunRef(attempt_id, 1, customer_id), phase=Phase.EXECUTION, round=1, frozen=False, number=1,
        task_id=task_id, title="Tidy up", description="", command=None, criteria=[], project_id=project_id,
        repository="/srv/repository.git", base_branch="main", delivery_mode=DeliveryMode.BRANCH, gates=[],
        monitoring_window=0.0, executor="native", started_at=utc_now(), branch=None, base_commit=None,
        work_commit=None, commit=None, merged_commit=None, monitor_until=None,
    )  # fmt: skip


def make_case(world: World, customer: UUID | None = None, project: UUID | None = None) -> Case:
    customer = customer or world.customer()
    project = project or world.project(customer)
    task = world.task(customer, project)
    execution = world.execution(customer)
    attempt = world.attempt(customer, project, task, execution, executor="native", outcome=None)
    return Case(world, customer, job_of(customer, project, task, attempt))


@pytest.fixture
def case(world: World) -> Case:
    return make_case(world)


def test_an_incident_is_shown_with_attempt_task_and_evidence(case: Case) -> None:
    case.alarm("private_address_refused", "The agent asked for a private address", hosts=["169.254.169.254:80"])
    [incident] = case.incidents()
    assert incident["class"] == "CRITICAL" and incident["status"] == "open" and incident["count"] == 1
    assert incident["attemptId"] == str(case.job.ref.attempt_id) and incident["taskTitle"] == "Tidy up"
    assert incident["evidence"] == {"hosts": ["169.254.169.254:80"]}
    assert case.world.admin.get(f"/incidents/{incident['id']}").json() == incident
    page = case.world.admin.get(f"/customers/{case.customer}").json()
    assert page["incidents"] == [incident]
    assert (page["customer"]["incidentsOpen"], page["customer"]["needsYou"]) == (1, 1)
    activity = case.world.admin.get(f"/customers/{case.customer}/activity").json()["items"]
    assert activity[0]["text"] == "Incident: The agent asked for a private address"


def test_the_same_again_counts_up_and_another_kind_is_another_incident(case: Case) -> None:
    case.alarm(hosts=["a.test:443"])
    case.alarm(hosts=["b.test:443"])
    case.alarm("resource_limit", "Too many processes")
    limit, host = case.incidents()
    assert (host["count"], host["evidence"]) == (2, {"hosts": ["a.test:443", "b.test:443"]})
    assert (limit["code"], limit["count"]) == ("resource_limit", 1)
    assert case.card()["incidentsOpen"] == 2


def test_people_take_on_and_settle_an_incident_and_the_next_one_is_new(case: Case) -> None:
    case.alarm()
    admin = case.world.admin
    [incident] = case.incidents()
    taken = admin.post(f"/incidents/{incident['id']}/acknowledge")
    assert taken.status_code == 200 and taken.json()["status"] == "acknowledged"
    assert (case.card()["incidentsOpen"], case.card()["needsYou"]) == (1, 0)
    assert admin.post(f"/incidents/{incident['id']}/acknowledge").status_code == 409
    assert admin.post(f"/incidents/{incident['id']}/resolve", {"resolution": " "}).status_code == 422
    settled_ = admin.post(f"/incidents/{incident['id']}/resolve", {"resolution": "The host is allowed now."}).json()
    assert (settled_["status"], settled_["resolution"]) == ("resolved", "The host is allowed now.")
    assert settled_["resolvedBy"] and settled_["resolvedAt"]
    assert admin.post(f"/incidents/{incident['id']}/resolve", {"resolution": "Again."}).status_code == 409
    assert case.card()["incidentsOpen"] == 0
    case.alarm()
    assert [each["id"] == incident["id"] for each in case.incidents()] == [False, True]
    assert [each["id"] for each in case.incidents("&status=resolved")] == [incident["id"]]
    texts = [item["text"] for item in admin.get(f"/customers/{case.customer}/activity").json()["items"]]
    assert "Incident taken on: A host was refused" in texts and "Incident settled: A host was refused" in texts


def test_incidents_stay_inside_the_callers_scope_and_role(case: Case) -> None:
    case.alarm()
    [incident] = case.incidents()
    stranger = case.world.caller(Role.PROJECT_MANAGER, customers={case.world.customer()})
    assert stranger.get("/incidents").json()["incidents"] == []
    assert stranger.get(f"/incidents?customerId={case.customer}").status_code == 404
    assert stranger.get(f"/incidents/{incident['id']}").status_code == 404
    assert stranger.post(f"/incidents/{incident['id']}/acknowledge").status_code == 404
    viewer = case.world.caller(Role.VIEWER, customers={case.customer})
    assert [each["id"] for each in viewer.get("/incidents").json()["incidents"]] == [incident["id"]]
    assert viewer.post(f"/incidents/{incident['id']}/resolve", {"resolution": "No."}).status_code == 403
    assert case.world.admin.get(f"/incidents/{uuid4()}").status_code == 404


def test_incidents_are_read_page_by_page(case: Case) -> None:
    codes = [f"kind_{n}" for n in range(5)]
    for code in codes:
        case.alarm(code, code)
    seen: list[str] = []
    cursor = ""
    while True:
        page = case.world.admin.get(f"/incidents?customerId={case.customer}&limit=2{cursor}").json()
        seen += [each["code"] for each in page["incidents"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == codes[::-1]


def test_an_alarm_that_cannot_be_recorded_stops_nobody(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = threading.Event()

    def once(act: Callable[[], None]) -> None:
        try:
            act()
        finally:
            tried.set()

    monkeypatch.setattr("devteam.workflows.alarm.patiently", once)
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
    IncidentAlarm(nowhere, utc_now)(case.job, "host_refused", "A host was refused", {})
    assert tried.wait(30), "it is tried again beside the caller"

    def breaks(_: str) -> str:
        raise RuntimeError("the store of secrets cannot be read")

    IncidentAlarm(case.world.database, utc_now, breaks)(case.job, "host_refused", "said sk-1", {"text": "sk-1"})
    [incident] = case.incidents()
    assert (incident["title"], incident["evidence"]) == ("host_refused", {})
    nowhere.dispose()


def test_incidents_reach_the_live_page(live_world: LiveWorld) -> None:
    customer = live_world.customer()
    project = live_world.project(customer)
    task = live_world.task(customer, project)
    live_world.executions.start(ENGINE, customer)
    ref = live_world.assigned(customer, task, live_world.worker())
    alarm = IncidentAlarm(live_world.database, utc_now)
    job = job_of(customer, project, task, ref.attempt_id)
    service = IncidentService(live_world.database, utc_now)
    name = f"customer:{customer}"

    def settle() -> None:
        with live_world.database.transaction() as connection:
            [incident] = incidents_of(connection, customer)
        service.resolve(ENGINE, incident.id, "Looked at.")

    acts: list[Callable[[], None]] = [
        lambda: alarm(job, "host_refused", "A host was refused", {"hosts": ["a.test:443"]}),
        lambda: alarm(job, "host_refused", "A host was refused", {"hosts": ["b.test:443"]}),
        settle,
    ]
    with live_world.client() as page, live_world.client() as late:
        page.follow(name)
        for act in acts:
            act()
            settled(page, name, lambda: live_world.fresh_customer(customer))
        assert [event["type"] for event in page.topic(name).events()] == ["incident_opened"]
        late.follow(name)
        assert late.topic(name).entities == page.topic(name).entities
        assert [entity["status"] for key, entity in late.topic(name).entities.items() if key[0] == "incident"] == [
            "resolved"
        ]


def test_the_command_line_lists_shows_takes_on_and_settles(running: Running) -> None:
    name = running.customer()
    [card] = [each for each in running.cli.json("status")["customers"] if each["name"] == name]
    page = running.world.admin.get(f"/customers/{card['id']}").json()
    case = make_case(running.world, UUID(card["id"]), UUID(page["projects"][0]["id"]))
    case.alarm("git_tampered", "git hooks were planted", hooks=["pre-commit"])
    cli = running.cli
    [incident] = cli.json("incidents", "list", "--customer", name)
    assert "git hooks were planted" in cli.ok("incidents", "list")
    shown = cli.ok("incidents", "show", incident["id"][-8:])
    assert "[CRITICAL, git_tampered]" in shown and "hooks: pre-commit" in shown
    assert cli.ok("incidents", "acknowledge", incident["id"]) == "You have taken it on: git hooks were planted\n"
    assert "acknowledged" in cli.refused("incidents", "acknowledge", incident["id"])
    cli.ok("incidents", "resolve", incident["id"], "--resolution", "The agent was told.")
    assert cli.json("incidents", "list", "--customer", name) == []
    assert cli.json("incidents", "list", "--customer", name, "--status", "resolved")[0]["id"] == incident["id"]
    assert "no state" in cli.refused("incidents", "list", "--status", "shut")
