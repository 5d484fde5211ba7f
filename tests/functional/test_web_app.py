"""What is served beside the API: the page, its files, headers that protect them, the contract, the overview."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from devteam.entrypoints import contracts
from devteam.entrypoints.web import create_app
from devteam.kit.db import sql
from devteam.kit.settings import WebSettings
from tests.functional.world import API, World

CONTRACTS = Path(__file__).parents[2] / "contracts"
NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A built web app."""
    folder = tmp_path / "web_app"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>DevTeam</title>")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets" / "main-1a2b.js").write_text("export {}")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def test_page_answers_every_address_of_its_own(built: Path, serve: Callable[[FastAPI], str]) -> None:
    address = serve(create_app(WebSettings(database_url=NOWHERE, web_app=built)))
    for path in (
        "/",
        "/index.html",
        "/login?token=x",
        "/customers/7",
        "/a/b/c",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
    ):
        answer = httpx.get(address + path)
        assert answer.status_code == 200, path
        assert "<title>DevTeam" in answer.text
        assert answer.headers["cache-control"] == "no-cache"
    assert httpx.head(address + "/customers/7").status_code == 200
    assert httpx.post(address + "/customers/7").status_code == 405


def test_assets_are_cached_for_good_and_missing_ones_are_missing(built: Path, serve: Callable[[FastAPI], str]) -> None:
    address = serve(create_app(WebSettings(database_url=NOWHERE, web_app=built)))
    script = httpx.get(f"{address}/assets/main-1a2b.js")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"].startswith("text/javascript")
    assert httpx.get(f"{address}/assets/main-old.js").status_code == 404
    assert httpx.get(f"{address}/favicon.svg").headers["cache-control"] == "no-cache"


def test_installation_without_a_built_page_says_so(tmp_path: Path, serve: Callable[[FastAPI], str]) -> None:
    address = serve(create_app(WebSettings(database_url=NOWHERE, web_app=tmp_path / "missing")))
    answer = httpx.get(address)
    assert answer.status_code == 503
    assert "no built web app" in answer.text


def test_headers_protect_page_api_and_problems(built: Path, serve: Callable[[FastAPI], str]) -> None:
    address = serve(create_app(WebSettings(database_url=NOWHERE, web_app=built)))
    for path in ("/", "/assets/main-1a2b.js", "/healthz", f"{API}/session", f"{API}/nothing"):
        headers = httpx.get(address + path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy, path
        assert "unsafe-inline" not in policy.replace("style-src 'self' 'unsafe-inline'", "")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("name", ["openapi.json", "live-events.schema.json"])
def test_contract_in_the_tree_is_current(tmp_path: Path, name: str) -> None:
    contracts.main([str(tmp_path)])
    current, committed = (tmp_path / name).read_text(), (CONTRACTS / name).read_text()
    assert current == committed, "run `python -m devteam.entrypoints.contracts`"
    assert committed.endswith("}\n")


def test_contract_names_operations_tags_and_problems() -> None:
    document = json.loads(contracts.openapi_text())
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["operationId"].isalnum() and operation["operationId"][0].islower(), path
            assert len(operation["tags"]) == 1, path
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], (method, path, status)
    card = document["components"]["schemas"]["CustomerCard"]
    assert set(card["required"]) == set(card["properties"])


def test_overview_is_not_sent_again_when_nothing_changed(world: World) -> None:
    world.customer("Acme")
    first = world.admin.get("/executions")
    assert first.json()["customers"][0]["name"] == "Acme"
    assert first.json()["system"]["customers"] == 1
    same = world.admin.get("/executions", If_None_Match=first.headers["etag"])
    assert (same.status_code, same.content) == (304, b"")
    world.customer("Umbrella")
    assert world.admin.get("/executions", If_None_Match=first.headers["etag"]).status_code == 200


def test_overview_has_no_archived_customers(world: World) -> None:
    customer = world.customer("Acme")
    assert world.admin.patch(f"/customers/{customer}", {"archived": True}).status_code == 200
    assert world.admin.get("/executions").json()["customers"] == []
    assert world.admin.get(f"/customers/{customer}").json()["customer"]["archived"] is True


def test_customers_page_says_where_the_live_topic_stands(world: World) -> None:
    customer = world.customer()
    world.task(customer, world.project(customer))
    deadline = time.monotonic() + 20
    while not (snapshot := world.admin.get(f"/customers/{customer}").json())["epoch"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with world.database.transaction() as connection:
        head = connection.execute(
            sql("SELECT version FROM stream_heads WHERE stream = :id"), {"id": customer}
        ).scalar_one()
    assert snapshot["seq"] == head == 3
    assert len(snapshot["tasks"]) == len(snapshot["projects"]) == 1
