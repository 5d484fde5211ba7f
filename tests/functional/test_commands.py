"""Commands that are sent twice are done once; edits that are based on an old version are refused."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from devteam.access.model import Actor, Role
from devteam.customers.service import CustomerService
from devteam.executions.service import ExecutionService
from devteam.kit.clock import utc_now
from devteam.kit.db import sql
from devteam.kit.errors import Conflict
from devteam.kit.idempotency import Command, Commands
from tests.functional.world import World


def test_replayed_command_answers_the_same_and_does_nothing(world: World) -> None:
    first = world.admin.post("/customers", {"name": "Acme"}, Idempotency_Key="one")
    again = world.admin.post("/customers", {"name": "Acme"}, Idempotency_Key="one")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert first.headers["etag"] == again.headers["etag"]
    assert world.count("customers") == 1


def test_key_is_good_for_one_request_only(world: World) -> None:
    world.admin.post("/customers", {"name": "Acme"}, Idempotency_Key="one")
    other_body = world.admin.post("/customers", {"name": "Umbrella"}, Idempotency_Key="one")
    assert (other_body.status_code, other_body.json()["code"]) == (422, "idempotency_key_reused")
    other_path = world.admin.post("/users", {"name": "Acme"}, Idempotency_Key="one")
    assert other_path.status_code == 422
    assert world.count("customers") == 1


def test_keys_of_two_people_have_nothing_to_do_with_each_other(world: World) -> None:
    world.admin.post("/customers", {"name": "Acme"}, Idempotency_Key="one")
    other = world.caller(Role.PROJECT_MANAGER).post("/customers", {"name": "Umbrella"}, Idempotency_Key="one")
    assert other.status_code == 201
    assert world.count("customers") == 2


def test_command_that_failed_frees_its_key(world: World) -> None:
    taken = world.admin.post("/customers", {"name": "Acme"})
    refused = world.admin.post("/customers", {"name": "Acme"}, Idempotency_Key="one")
    assert (refused.status_code, refused.json()["code"]) == (409, "name_taken")
    renamed = world.admin.patch(f"/customers/{taken.json()['id']}", {"name": "Older"})
    assert renamed.status_code == 200
    assert world.admin.post("/customers", {"name": "Acme"}, Idempotency_Key="one").status_code == 201


def test_command_is_done_once_when_it_arrives_many_times_at_once(world: World) -> None:
    customer = world.customer()
    project = world.project(customer)
    body = {"projectId": str(project), "title": "Only once"}
    gate = threading.Barrier(8)

    def send(_: int) -> httpx.Response:
        gate.wait()
        return world.admin.post(f"/customers/{customer}/tasks", body, Idempotency_Key="once")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert world.count("tasks") == 1


def test_without_a_key_a_command_is_done_each_time(world: World) -> None:
    customer = world.customer()
    project = world.project(customer)
    world.task(customer, project, "Twice")
    world.task(customer, project, "Twice")
    assert world.count("tasks") == 2


class Crash(Exception):
    """Stands for the process's death between the command's work and its commit."""


def test_crash_before_the_answer_is_recorded_leaves_nothing_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    customers: CustomerService = world.app.state.provided[CustomerService]
    create = customers.create

    def create_and_die(*args: Any) -> Any:
        create(*args)
        raise Crash

    monkeypatch.setattr(customers, "create", create_and_die)
    failed = world.admin.post("/customers", {"name": "Acme"}, Idempotency_Key="one")
    assert (failed.status_code, failed.json()["code"]) == (500, "internal_error")
    assert world.count("customers") == world.count("events WHERE type = 'customer_created'") == 0
    monkeypatch.undo()
    assert world.admin.post("/customers", {"name": "Acme"}, Idempotency_Key="one").status_code == 201
    assert world.count("customers") == 1


def test_lost_connection_before_the_commit_leaves_nothing_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    customers: CustomerService = world.app.state.provided[CustomerService]
    create = customers.create

    def create_and_lose(*args: Any) -> Any:
        card = create(*args)
        with world.database.transaction() as connection:  # joins the command's own transaction
            own = connection.execute(sql("SELECT pg_backend_pid()")).scalar_one()
            connection.execute(sql("SELECT pg_terminate_backend(:pid)"), {"pid": own})
        return card

    monkeypatch.setattr(customers, "create", create_and_lose)
    failed = world.admin.post("/customers", {"name": "Acme"}, Idempotency_Key="one")
    assert (failed.status_code, failed.json()["code"]) == (503, "database_unavailable")
    assert failed.headers["retry-after"]
    monkeypatch.undo()
    assert world.count("customers") == world.count("idempotency_keys") == 0
    assert world.admin.post("/customers", {"name": "Acme"}, Idempotency_Key="one").status_code == 201


def test_emergency_stop_is_replayed_too(world: World) -> None:
    customer = world.customer()
    world.task(customer, world.project(customer))
    execution = world.execution(customer)
    first = world.admin.post("/emergency-stop", {"reason": "fire"}, Idempotency_Key="stop")
    assert first.json() == {"executionIds": [str(execution)]}
    again = world.admin.post("/emergency-stop", {"reason": "fire"}, Idempotency_Key="stop")
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    other = world.admin.post("/emergency-stop", {"reason": "flood"}, Idempotency_Key="stop")
    assert other.json()["code"] == "idempotency_key_reused"
    resumed = world.admin.post("/emergency-stop/resume", Idempotency_Key="go")
    assert resumed.json() == {"executionIds": [str(execution)]}


def test_keys_are_forgotten_after_a_day_and_not_before(world: World) -> None:
    world.admin.post("/customers", {"name": "Acme"}, Idempotency_Key="one")
    early = Commands(world.database, lambda: utc_now() + timedelta(hours=23))
    late = Commands(world.database, lambda: utc_now() + timedelta(hours=25))
    assert (early.purge(), late.purge()) == (0, 1)


def test_second_copy_gives_up_after_a_while_when_the_first_takes_too_long(world: World) -> None:
    """The wait for the first is bounded by the lock timeout; the key stays the first one's."""
    command = Command(world.admin.user_id, "slow", b"fingerprint")
    commands = Commands(world.database, utc_now)
    with world.database.engine.begin() as connection:
        assert commands._claim(connection, command)
        with world.database.engine.begin() as other:
            other.execute(sql("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(Conflict) as refusal:
                commands._claim(other, command)
            other.rollback()
        assert refusal.value.code == "idempotency_key_in_use"


@pytest.mark.parametrize("key", ["", "x" * 201, "with space"])
def test_key_must_be_short_and_printable(world: World, key: str) -> None:
    answer = world.admin.post("/customers", {"name": "Acme"}, Idempotency_Key=key)
    assert answer.status_code == 422
    assert world.count("customers") == 0


def entity(world: World, kind: str) -> tuple[str, dict[str, Any]]:
    """The path of a fresh thing and an edit of it."""
    customer = world.customer()
    project = world.project(customer)
    return {
        "customer": (f"/customers/{customer}", {"name": f"Renamed {uuid4().hex[:6]}"}),
        "project": (f"/projects/{project}", {"name": "renamed"}),
        "task": (f"/tasks/{world.task(customer, project)}", {"title": "Renamed"}),
    }[kind]


@pytest.mark.parametrize("kind", ["customer", "project", "task"])
def test_edit_based_on_an_old_version_is_refused(world: World, kind: str) -> None:
    path, edit = entity(world, kind)
    seen = world.admin.get(path).headers["etag"]
    done = world.admin.patch(path, edit, If_Match=seen)
    assert done.status_code == 200, done.text
    assert done.headers["etag"] != seen
    assert done.headers["etag"] == f'"{done.json()["version"]}"' == world.admin.get(path).headers["etag"]
    stale = world.admin.patch(path, edit, If_Match=seen)
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert f'"{stale.json()["version"]}"' == done.headers["etag"]
    assert world.admin.patch(path, edit, If_Match=f"W/{done.headers['etag']}").status_code == 200
    assert world.admin.patch(path, edit, If_Match="*").status_code == 200
    assert world.admin.patch(path, edit, If_Match="nonsense").status_code == 412


def test_starting_twice_gives_the_same_execution(world: World) -> None:
    customer = world.customer()
    world.task(customer, world.project(customer))
    first = world.admin.post("/executions", {"customerId": str(customer)})
    again = world.admin.post("/executions", {"customerId": str(customer)})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


def test_execution_is_steered(world: World) -> None:
    customer = world.customer()
    world.task(customer, world.project(customer))
    execution = world.execution(customer)

    def command(verb: str, body: Any = None) -> dict[str, Any]:
        answer = world.admin.post(f"/executions/{execution}/{verb}", body)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()["execution"]
        assert answer.headers["etag"] == f'"{shown["version"]}"'
        return shown

    assert command("pause", {"mode": "now"})["status"] == "paused"
    assert command("pause", {"mode": "now"})["status"] == "paused"
    assert command("resume")["status"] == "active"
    assert command("abort", {"reason": "enough"})["status"] == "aborted"
    assert command("abort", {"reason": "enough"})["status"] == "aborted"
    late = world.admin.post(f"/executions/{execution}/resume")
    assert (late.status_code, late.json()["code"]) == (409, "not_resumable")
    activity = world.admin.get(f"/customers/{customer}/activity").json()["items"]
    assert [event["type"] for event in activity[:4]] == [
        "execution_aborted",
        "execution_resumed",
        "execution_paused",
        "execution_started",
    ]


def test_activity_is_read_page_by_page(world: World) -> None:
    customer = world.customer()
    project = world.project(customer)
    for number in range(5):
        world.task(customer, project, f"Task {number}")
    seen: list[int] = []
    cursor = ""
    while True:
        page = world.admin.get(f"/customers/{customer}/activity?limit=3{cursor}").json()
        seen += [event["seq"] for event in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == list(range(7, 0, -1))


def test_queue_is_read_page_by_page_in_order(world: World) -> None:
    customer = world.customer()
    project, other = world.project(customer), world.project(customer, "other")
    tasks = [world.task(customer, project, f"Task {number}") for number in range(5)]
    world.task(customer, other, "Elsewhere")
    moved = world.admin.post(f"/tasks/{tasks[4]}/move", {"before": str(tasks[0])})
    assert moved.status_code == 200
    seen: list[UUID] = []
    cursor = ""
    while True:
        page = world.admin.get(
            f"/customers/{customer}/tasks?status=pending&status=blocked&projectId={project}&limit=2{cursor}"
        ).json()
        seen += [UUID(task["id"]) for task in page["tasks"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == [tasks[4], *tasks[:4]]
    for wrong in ("x", "W10", "WyJhIiwgImIiXQ", "é"):
        answer = world.admin.get(f"/customers/{customer}/tasks?cursor={wrong}")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")


def test_several_customers_locked_by_one_command_cannot_deadlock(world: World) -> None:
    customers = [world.customer() for _ in range(6)]
    for customer in customers:
        world.task(customer, world.project(customer))
        world.execution(customer)
    executions: ExecutionService = world.app.state.provided[ExecutionService]
    actor = Actor(world.admin.user_id, "admin", Role.ADMIN, None)

    def stop_and_go(number: int) -> None:
        for _ in range(5):
            executions.emergency_stop(actor, "fire")
            assert world.admin.post("/emergency-stop/resume", Idempotency_Key=uuid4().hex).status_code == 200

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(stop_and_go, range(4)))
