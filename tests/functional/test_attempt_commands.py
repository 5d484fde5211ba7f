"""Run again, send back, take over and hand back over HTTP: done once, told to everybody, refused with a reason."""

from uuid import UUID

import pytest

from devteam.access.model import Role
from devteam.executions.bundles import BUNDLE_LIMIT
from devteam.kit.db import sql
from tests.functional.test_sessions import attempt
from tests.functional.world import API, World


def failed(world: World) -> UUID:
    """A failed attempt that is its task's newest, with work on a base."""
    attempt_id = attempt(world)
    with world.database.transaction() as connection:
        connection.execute(
            sql("UPDATE attempts SET base_commit = :base, work_commit = :work WHERE id = :id"),
            {"id": attempt_id, "base": "a" * 40, "work": "b" * 40},
        )
        connection.execute(
            sql(
                """UPDATE tasks SET status = 'failed', finished_at = now(), attempts = 1, last_attempt_id = :id
                   WHERE id = (SELECT task_id FROM attempts WHERE id = :id)"""
            ),
            {"id": attempt_id},
        )
    return attempt_id


def upload(world: World, attempt_id: UUID, content: bytes) -> tuple[int, str]:
    answer = world.client.post(
        f"{API}/attempts/{attempt_id}/hand-back",
        content=content,
        headers={"Authorization": f"Bearer {world.admin.token}", "Content-Type": "application/octet-stream"},
    )
    return answer.status_code, answer.json()["code"]


def test_command_sent_twice_asks_for_one_attempt_that_all_see(shared_world: World) -> None:
    attempt_id = failed(shared_world)
    wanted = {"executor": "native", "model": "big", "instructions": "Keep it small."}
    one, two = (
        shared_world.admin.post(f"/attempts/{attempt_id}/run-again", wanted, Idempotency_Key=f"key-{attempt_id}")
        for _ in range(2)
    )
    assert one.status_code == two.status_code == 201, one.text
    assert one.json() == two.json()
    asked = one.json()
    assert (asked["task"]["status"], asked["task"]["statusReason"]["code"]) == ("pending", "run_again")
    assert (asked["request"]["executor"], asked["request"]["model"]) == ("native", "big")
    listed = shared_world.admin.get(f"/tasks/{asked['task']['id']}/attempts").json()
    assert listed["request"] == asked["request"]
    page = shared_world.admin.get(f"/customers/{asked['task']['customerId']}").json()
    assert [task["status"] for task in page["tasks"]] == ["pending"]
    events = shared_world.admin.get(f"/customers/{asked['task']['customerId']}/activity").json()["items"]
    assert [event["type"] for event in events].count("attempt_run_again") == 1


def test_later_request_takes_the_place_of_one_that_waits_and_a_cancelled_task_has_none(shared_world: World) -> None:
    attempt_id = failed(shared_world)
    shared_world.admin.post(f"/attempts/{attempt_id}/run-again", {"model": "first"})
    asked = shared_world.admin.post(f"/attempts/{attempt_id}/send-back", {"remarks": "Look again."}).json()
    task = asked["task"]["id"]
    assert shared_world.admin.get(f"/tasks/{task}/attempts").json()["request"] == asked["request"]
    shared_world.admin.post(f"/tasks/{task}/cancel", {})
    assert shared_world.admin.get(f"/tasks/{task}/attempts").json()["request"] is None


def test_developer_takes_over_and_releases_and_the_task_shows_who_holds_it(shared_world: World) -> None:
    attempt_id = failed(shared_world)
    developer = shared_world.caller(Role.DEVELOPER)
    view = developer.post(f"/attempts/{attempt_id}/take-over").json()
    assert view["takenOverBy"] is not None
    assert developer.post(f"/attempts/{attempt_id}/take-over").json() == view, "once more changes nothing"
    task = shared_world.admin.get(f"/tasks/{view['taskId']}").json()
    assert (task["status"], task["assignee"]) == ("pending", view["takenOverBy"])
    other = shared_world.caller(Role.DEVELOPER)
    refused = other.post(f"/attempts/{attempt_id}/take-over")
    assert (refused.status_code, refused.json()["code"]) == (409, "taken_over")
    assert other.post(f"/attempts/{attempt_id}/release").status_code == 403
    released = shared_world.admin.post(f"/attempts/{attempt_id}/release").json()
    assert released["takenOverBy"] is None
    assert shared_world.admin.get(f"/tasks/{view['taskId']}").json()["assignee"] is None


def test_machine_without_the_mirror_says_so(shared_world: World) -> None:
    attempt_id = failed(shared_world)
    answer = shared_world.admin.get(f"/attempts/{attempt_id}/bundle")
    assert (answer.status_code, answer.json()["code"]) == (409, "mirror_elsewhere")


def test_hand_back_is_refused_where_nothing_is_held_and_beyond_its_size(shared_world: World) -> None:
    attempt_id = failed(shared_world)
    assert upload(shared_world, attempt_id, b"x") == (409, "not_taken_over")
    shared_world.admin.post(f"/attempts/{attempt_id}/take-over")
    assert upload(shared_world, attempt_id, b"x" * (2 * 1024 * 1024)) == (422, "bad_bundle"), "more than other bodies"
    assert upload(shared_world, attempt_id, b"x" * (BUNDLE_LIMIT + 1)) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("act", "body", "status"),
    [
        ("run-again", {"fromRound": 0}, 422),
        ("run-again", {"executor": "person"}, 422),
        ("run-again", {"budgetUsd": -1}, 422),
        ("send-back", {"remarks": "   "}, 422),
        ("send-back", {}, 422),
    ],
)
def test_bad_input_is_refused(shared_world: World, act: str, body: dict[str, object], status: int) -> None:
    assert shared_world.admin.post(f"/attempts/{failed(shared_world)}/{act}", body).status_code == status


def test_running_attempt_is_neither_run_again_nor_sent_back(shared_world: World) -> None:
    attempt_id = attempt(shared_world, outcome=None)
    for act, body in (("run-again", {}), ("send-back", {"remarks": "No."})):
        answer = shared_world.admin.post(f"/attempts/{attempt_id}/{act}", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "attempt_running")
    answer = shared_world.admin.post(f"/attempts/{attempt_id}/take-over")
    assert answer.status_code == 409
