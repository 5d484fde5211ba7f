"""An agent and its reviewer on the page: who did what, which calls it took, why that executor, and how it does."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from devteam.access.model import Role
from tests.browser.conftest import NARROW, WIDE, Visits
from tests.browser.stage import API, Client, Stage, eventually
from tests.browser.test_accessibility import assert_accessible, settled
from tests.browser.test_journeys import button
from tests.peers.model_server import Fault, ModelServer, call, say

WORKER, REVIEWER = "worker-model", "reviewer-model"


@pytest.fixture(scope="module")
def reviewed(stage: Stage) -> Iterator[tuple[Client, str]]:
    """A customer, and the id of an attempt by an agent that was refused a call once and whose work was reviewed."""
    edit = call("edit_file", path="README.md", old_text="Hello", new_text="Hello, world")
    verdict = call("devteam__submit_review", verdict="accept", summary="It greets the world.", findings=[])
    worker = ModelServer([Fault(status=503), edit, say("The world is greeted.")])
    reviewer = ModelServer([verdict, say("Sent.")])
    with worker, reviewer:
        for server, model in ((worker, WORKER), (reviewer, REVIEWER)):
            provider = {"name": model, "kind": "openai", "baseUrl": server.openai_url, "models": [model], "secret": "k"}
            stage.post("/providers", provider)
        price = {"model": WORKER, "inputUsd": 5, "cachedUsd": 1, "outputUsd": 20}
        assert stage.api.put(f"{API}/model-prices", json=price).is_success
        client = stage.client("Reviewed")
        review = {"name": "second look", "type": "review", "executor": "native", "model": REVIEWER}
        project = {
            "name": "reviewed",
            "repository": str(client.repository.bare),
            "executor": "native",
            "model": WORKER,
            "gates": [review],
        }
        made = stage.post(f"/customers/{client.id}/projects", project)
        task = {"projectId": made["id"], "title": "Greet the world", "taskKind": "docs"}
        stage.post(f"/customers/{client.id}/tasks", task)
        client = replace(client, project=str(made["id"]))
        client.start()
        eventually(lambda: client.tasks()["Greet the world"] == "completed", "the task to complete")
        yield client, str(client.attempts()[0]["id"])


def fits(page: Page) -> bool:
    """Nothing makes the page wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_work_review_and_calls_of_an_attempt(
    visit: Visits, reviewed: tuple[Client, str], size: tuple[int, int]
) -> None:
    _, attempt = reviewed
    page = visit(f"/attempts/{attempt}", role=Role.VIEWER, size=size)
    settled(page)
    expect(page.get_by_text(f"Executor and model: native with {WORKER}, by the project's default.")).to_be_visible()
    page.get_by_role("tab", name="Session").click()
    session = page.get_by_role("log", name="Session")
    expect(session.get_by_text("The world is greeted.")).to_be_visible()
    expect(session.get_by_text("What the reviewer was asked")).to_be_visible()
    assert session.get_by_text("Reviewer", exact=True).count() >= 2
    assert_accessible(page)
    page.get_by_role("tab", name="Gates").click()
    expect(page.get_by_text("It greets the world.")).to_be_visible()
    page.get_by_role("tab", name="Model calls").click()
    calls = page.get_by_role("table", name="Model calls")
    expect(calls.get_by_role("row", name=re.compile("✕ 503"))).to_contain_text(WORKER)
    expect(calls.get_by_role("row", name=re.compile(REVIEWER))).to_have_count(2)
    expect(calls.get_by_role("row", name=re.compile("^4 answered, 1 not"))).to_contain_text("400")
    assert_accessible(page)
    assert fits(page)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_executor_is_measured_by_kind_of_work(
    visit: Visits, reviewed: tuple[Client, str], size: tuple[int, int]
) -> None:
    page = visit("/system", role=Role.VIEWER, size=size)
    settled(page)
    button(page, "Figures of Built-in agent by kind of work").click()
    expect(page.get_by_role("row", name=re.compile("^docs"))).to_contain_text("1 of 1")
    assert_accessible(page)
    assert fits(page)
