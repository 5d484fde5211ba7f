"""Agents' sessions over HTTP: entries by ordinal, guidance, what calls came to, and what was measured of executors."""

import json
from typing import Any
from uuid import UUID

import pytest

from devteam.access.model import Role
from devteam.kit.db import sql
from devteam.kit.ids import new_id
from tests.functional.world import World


def attempt(world: World, **fields: Any) -> UUID:
    customer = world.customer()
    project = world.project(customer)
    return world.attempt(customer, project, world.task(customer, project), world.execution(customer), **fields)


def running(world: World, **fields: Any) -> UUID:
    return attempt(world, **{"executor": "native", "outcome": None, **fields})


def entry(world: World, attempt_id: UUID, ordinal: int, kind: str, **data: Any) -> None:
    with world.database.transaction() as connection:
        connection.execute(
            sql("INSERT INTO attempt_entries VALUES (:id, :ordinal, :kind, CAST(:data AS jsonb), now())"),
            {"id": attempt_id, "ordinal": ordinal, "kind": kind, "data": json.dumps(data)},
        )


def call(world: World, attempt_id: UUID, provider: UUID, cost: float | None, status: int = 200) -> None:
    with world.database.transaction() as connection:
        connection.execute(
            sql(
                """INSERT INTO attempt_calls (id, attempt_id, provider_id, model, status, input_tokens, cached_tokens,
                       output_tokens, cost_usd, seconds, at)
                   VALUES (:id, :attempt, :provider, 'm', :status, :input, :cached, :output, :cost, 1, now())"""
            ),
            {
                "id": new_id(),
                "attempt": attempt_id,
                "provider": provider,
                "status": status,
                "cost": cost,
                **dict(zip(("input", "cached", "output"), (100, 60, 10) if status == 200 else (0, 0, 0), strict=True)),
            },
        )


def test_session_is_read_in_stretches_until_it_is_complete(world: World) -> None:
    attempt_id = running(world)
    for ordinal in range(1, 6):
        entry(world, attempt_id, ordinal, "message", text=f"step {ordinal}")
    first = world.admin.get(f"/attempts/{attempt_id}/session?limit=2").json()
    assert [each["data"]["text"] for each in first["entries"]] == ["step 1", "step 2"]
    assert (first["nextOrdinal"], first["complete"]) == (2, False)
    rest = world.admin.get(f"/attempts/{attempt_id}/session?after=2").json()
    assert [each["ordinal"] for each in rest["entries"]] == [3, 4, 5]
    assert (rest["nextOrdinal"], rest["complete"]) == (5, False)
    with world.database.transaction() as connection:
        connection.execute(
            sql("UPDATE attempts SET outcome = 'cancelled', finished_at = now() WHERE id = :id"), {"id": attempt_id}
        )
    end = world.admin.get(f"/attempts/{attempt_id}/session?after=5").json()
    assert (end["entries"], end["nextOrdinal"], end["complete"]) == ([], 5, True)
    assert world.admin.get(f"/attempts/{attempt_id}/session?limit=5").json()["complete"] is False


def test_guidance_waits_until_the_agent_takes_it(world: World) -> None:
    attempt_id = running(world)
    developer = world.caller(Role.DEVELOPER)
    made = developer.post(f"/attempts/{attempt_id}/guidance", {"text": "Mind the tests."}, Idempotency_Key="once")
    assert (made.status_code, made.json()["takenAt"]) == (201, None)
    assert made.json()["author"].startswith("developer")
    developer.post(f"/attempts/{attempt_id}/guidance", {"text": "Mind the tests."}, Idempotency_Key="once")
    waiting = world.admin.get(f"/attempts/{attempt_id}/session").json()["waiting"]
    assert waiting == [made.json()]
    customer = world.admin.get(f"/attempts/{attempt_id}").json()["customerId"]
    newest = world.admin.get(f"/customers/{customer}/activity").json()["items"][0]
    assert (newest["type"], newest["text"]) == ("guidance_added", "Guidance for the agent: Tidy up")


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"outcome": "failed", "executor": "native"}, "attempt_ended"),
        ({"outcome": None, "executor": "command"}, "takes_no_guidance"),
        ({"outcome": None, "executor": "native", "phase": "quality_assurance"}, "agent_not_working"),
    ],
    ids=str,
)
def test_guidance_that_nobody_would_take_is_refused(world: World, state: dict[str, Any], code: str) -> None:
    answer = world.admin.post(f"/attempts/{attempt(world, **state)}/guidance", {"text": "Hello?"})
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert world.count("attempt_guidance") == 0


@pytest.mark.parametrize("text", ["", " \n ", "x" * 20_001])
def test_guidance_that_says_nothing_or_too_much_is_refused(world: World, text: str) -> None:
    assert world.admin.post(f"/attempts/{running(world)}/guidance", {"text": text}).status_code == 422


def test_attempt_tells_what_its_calls_came_to(world: World) -> None:
    attempt_id, provider = running(world), world.provider()
    names = ("calls", "inputTokens", "cachedTokens", "outputTokens", "costUsd")

    def used() -> list[Any]:
        view = world.admin.get(f"/attempts/{attempt_id}").json()
        told = world.admin.get(f"/attempts/{attempt_id}/session").json()["used"]
        assert told == {"overshootUsd": None, **{name: view[name] for name in names}}
        return [view[name] for name in names]

    assert used() == [0, 0, 0, 0, 0]
    call(world, attempt_id, provider, 0.25)
    call(world, attempt_id, provider, 0.5)
    call(world, attempt_id, provider, None, status=429)
    assert used() == [3, 200, 120, 20, 0.75]
    call(world, attempt_id, provider, None)
    assert used() == [4, 300, 180, 30, None]


def test_executors_are_measured_by_finished_attempts_in_scope(world: World) -> None:
    provider = world.provider()
    good = attempt(world, executor="native", outcome="succeeded", phase="monitoring")
    bad = attempt(world, executor="native", outcome="failed")
    attempt(world, executor="native", outcome="cancelled")
    call(world, good, provider, 0.5)
    call(world, bad, provider, None)
    executors = {each["name"]: each for each in world.admin.get("/executors").json()["executors"]}
    assert set(executors) == {"command", "native", "opencode", "claude", "codex", "gemini", "qwen", "acp"}
    native = executors["native"]
    assert (native["attempts"], native["succeeded"], native["medianSeconds"]) == (2, 1, 0)
    assert native["meanCostUsd"] == 0.5, "an attempt whose price is unknown is left out"
    assert native["installed"] is True and executors["command"]["takesGuidance"] is False
    assert executors["opencode"]["package"].startswith("opencode-ai@")
    assert executors["codex"]["medianSeconds"] is None and executors["codex"]["byKind"] == []
    outsider = world.caller(Role.VIEWER, {world.customer()})
    seen = {each["name"]: each for each in outsider.get("/executors").json()["executors"]}
    assert (seen["native"]["attempts"], seen["native"]["meanCostUsd"]) == (0, None)


def test_model_calls_are_listed_one_by_one_as_they_were_metered(world: World) -> None:
    attempt_id, provider = running(world), world.provider()
    call(world, attempt_id, provider, 0.25)
    call(world, attempt_id, provider, None, status=429)
    calls = world.admin.get(f"/attempts/{attempt_id}/calls").json()["calls"]
    assert [(each["status"], each["inputTokens"], each["costUsd"]) for each in calls] == [
        (200, 100, 0.25),
        (429, 0, None),
    ]
    assert calls[0]["model"] == "m"
    assert world.admin.get(f"/attempts/{new_id()}/calls").status_code == 404


def test_executors_are_measured_by_kind_of_task_and_trials_do_not_count(world: World) -> None:
    customer = world.customer()
    project, execution = world.project(customer), world.execution(customer)
    provider = world.provider()
    for kind, outcome, cost in (
        ("bug", "succeeded", 0.5),
        ("bug", "failed", 1.5),
        ("docs", "succeeded", 0.25),
        ("executor-check", "succeeded", 9.0),
    ):
        task = world.task(customer, project)
        with world.database.transaction() as connection:
            connection.execute(sql("UPDATE tasks SET kind = :kind WHERE id = :id"), {"kind": kind, "id": task})
        phase = "monitoring" if outcome == "succeeded" else "execution"
        made = world.attempt(customer, project, task, execution, executor="native", outcome=outcome, phase=phase)
        call(world, made, provider, cost)
    executors = {each["name"]: each for each in world.admin.get("/executors").json()["executors"]}
    native = executors["native"]
    assert (native["attempts"], native["succeeded"], native["meanCostUsd"]) == (3, 2, 0.75)
    figures = [(each["kind"], each["attempts"], each["succeeded"], each["meanCostUsd"]) for each in native["byKind"]]
    assert figures == [("bug", 2, 1, 1.0), ("docs", 1, 1, 0.25)]
