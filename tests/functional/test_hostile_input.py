"""Whatever is sent, the answer is a problem that a person understands, and never an internal error."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from devteam.entrypoints.web import create_app
from devteam.kit.settings import WebSettings
from tests.functional.world import API, Caller, World


@pytest.fixture
def world(shared_world: World) -> World:
    """Nothing of what is sent here is done, so one application serves all."""
    return shared_world


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer's problem, checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code
    assert body["status"] == status
    assert body["type"] == f"urn:devteam:problem:{code}"
    assert body["detail"] and body["title"]
    return body


def raw(
    caller: Caller, body: bytes, path: str = "/customers", content_type: str = "application/json"
) -> httpx.Response:
    """Send bytes as they are."""
    headers = {"Authorization": f"Bearer {caller.token}", "Content-Type": content_type}
    return caller.client.post(API + path, content=body, headers=headers)


@pytest.mark.parametrize("size", [2 * 1024 * 1024, 10 * 1024 * 1024])
def test_huge_title_gets_a_clear_answer(world: World, size: int) -> None:
    customer = world.customer()
    title = {"projectId": str(uuid4()), "title": "x" * size}
    body = problem(world.admin.post(f"/customers/{customer}/tasks", title), 413, "body_too_large")
    assert "1024 KiB" in body["detail"]
    assert "xxx" not in json.dumps(body)


def test_huge_body_in_chunks_is_refused_too(world: World) -> None:
    def chunks() -> Any:
        for _ in range(64):
            yield b"x" * 65_536

    headers = {"Authorization": f"Bearer {world.admin.token}", "Content-Type": "application/json"}
    answer = world.client.post(f"{API}/customers", content=chunks(), headers=headers)
    problem(answer, 413, "body_too_large")
    assert world.admin.get("/session").status_code == 200


def test_long_title_names_field_and_limit_and_does_not_repeat_the_value(world: World) -> None:
    customer = world.customer()
    answer = world.admin.post(f"/customers/{customer}/tasks", {"projectId": str(uuid4()), "title": "secret" * 10_000})
    body = problem(answer, 422, "invalid")
    assert body["errors"] == [{"field": "title", "message": "At most 300 characters are allowed."}]
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"name": "Acme"',
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": "\xff\xfe"}',
        b'{"name": "a\x00b"}',
        b"[" * 100_000,
        b"[" * 50_000 + b"]" * 50_000,
        b'{"a":' * 100_000,
        b"1" * 10_000,
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_broken_json_is_a_bad_request(world: World, body: bytes) -> None:
    problem(raw(world.admin, body), 400, "invalid_json")
    problem(raw(world.admin, body, content_type="application/merge-patch+json; charset=x"), 400, "invalid_json")


@pytest.mark.parametrize(
    "body",
    [
        rb'{"name": "a\u0000b"}',
        rb'{"name": "a\ud800b"}',
        rb'{"name": "a\udfff"}',
        rb'{"na\u0000me": "a"}',
        rb'{"name": ["\ud83d"]}',
        rb'{"token": "\u0000"}',
    ],
)
@pytest.mark.parametrize("path", ["/customers", "/session", "/emergency-stop"])
def test_text_that_cannot_be_kept_is_refused(world: World, body: bytes, path: str) -> None:
    assert problem(raw(world.admin, body, path), 422, "invalid")["errors"]


def test_emoji_written_as_a_surrogate_pair_is_fine(world: World) -> None:
    answer = raw(world.admin, rb'{"name": "Acme \ud83d\ude80"}')
    assert answer.status_code == 201
    assert answer.json()["name"] == "Acme 🚀"


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"7", b"true", b""])
def test_body_that_is_no_object_is_refused(world: World, body: bytes) -> None:
    problem(raw(world.admin, body), 422, "invalid")


def test_body_of_another_type_is_refused(world: World) -> None:
    before = world.count("customers")
    problem(raw(world.admin, b'{"name": "Acme"}', content_type="text/plain"), 422, "invalid")
    problem(raw(world.admin, b"name=Acme", content_type="application/x-www-form-urlencoded"), 422, "invalid")
    assert world.count("customers") == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": 7}, "title"),
        ({"title": ""}, "title"),
        ({"title": "  "}, "title"),
        ({"title": None}, "title"),
        ({"projectId": "x"}, "projectId"),
        ({"projectId": []}, "projectId"),
        ({"priority": 6}, "priority"),
        ({"priority": 10**400}, "priority"),
        ({"priority": "high"}, "priority"),
        ({"estimateSeconds": -1}, "estimateSeconds"),
        ({"estimateSeconds": 1e300}, "estimateSeconds"),
        ({"mode": "magic"}, "mode"),
        ({"dependsOn": ["x"]}, "dependsOn.0"),
        ({"dependsOn": "x"}, "dependsOn"),
        ({"command": {}}, "command"),
        ({"command": {"argv": []}}, "command.argv"),
        ({"command": {"argv": ["a"], "script": "b"}}, "command"),
        ({"command": {"argv": ["a"], "timeLimitSeconds": 0}}, "command.timeLimitSeconds"),
        ({"acceptanceCriteria": [{}]}, "acceptanceCriteria.0"),
        ({"acceptanceCriteria": [{"type": "guess"}]}, "acceptanceCriteria.0"),
        ({"acceptanceCriteria": [{"type": "file"}]}, "acceptanceCriteria.0.path"),
        ({"acceptanceCriteria": [{"type": "file", "path": "../x"}]}, "acceptanceCriteria.0.path"),
        ({"acceptanceCriteria": [{"type": "regex", "path": "a", "pattern": "("}]}, "acceptanceCriteria.0"),
        ({"acceptanceCriteria": [{"type": "command", "argv": []}]}, "acceptanceCriteria.0.argv"),
        ({"colour": "red"}, "colour"),
        ({"x" * 1000: 1}, "x" * 200),
    ],
    ids=lambda value: str(value)[:60],
)
def test_wrong_field_is_named_with_its_path(world: World, change: dict[str, Any], field: str) -> None:
    customer = world.customer()
    body = {"projectId": str(world.project(customer)), "title": "Tidy up", **change}
    found = problem(world.admin.post(f"/customers/{customer}/tasks", body), 422, "invalid")
    assert [error["field"] for error in found["errors"]] == [field]
    assert found["errors"][0]["message"].endswith(".")
    assert world.count("tasks") == 0


def test_every_wrong_field_is_named_up_to_fifty(world: World) -> None:
    customer = world.customer()
    body = {"dependsOn": ["x"] * 100, "projectId": 1}
    found = problem(world.admin.post(f"/customers/{customer}/tasks", body), 422, "invalid")
    assert len(found["errors"]) == 50


@pytest.mark.parametrize(
    "identifier", ["x", "0", "%00", "null", "..%2f..%2fetc", "💥", "'; DROP TABLE tasks; --", "1" * 500]
)
@pytest.mark.parametrize("path", ["/customers/{}", "/tasks/{}", "/attempts/{}/output", "/executions/{}"])
def test_identifier_that_is_none_is_refused(world: World, identifier: str, path: str) -> None:
    answer = world.admin.get(path.format(identifier))
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "query",
    ["offset=-1", "offset=x", "offset=" + "9" * 30, "limit=0", "limit=" + "9" * 12, "limit=%00"],
)
def test_wrong_query_is_refused(world: World, query: str) -> None:
    answer = world.admin.get(f"/attempts/{uuid4()}/output?{query}")
    assert problem(answer, 422, "invalid")["errors"][0]["field"] == query.partition("=")[0]


def test_unknown_address_and_wrong_method_are_problems(world: World) -> None:
    problem(world.admin.get("/nothing"), 404, "not_found")
    problem(world.admin.get("/emergency-stop"), 405, "method_not_allowed")
    answer = world.admin.call("DELETE", "/customers")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer a\tb"},
        {"Authorization": "Bearer " + "x" * 8000},
        {"Authorization": "Basic eDp5"},
        {"Cookie": "devteam_session="},
        {"Cookie": 'devteam_session="\\000"'},
        {"Cookie": "devteam_session=" + "x" * 8000},
    ],
    ids=str,
)
def test_credentials_that_are_none_are_refused(world: World, headers: dict[str, str]) -> None:
    answer = world.client.get(f"{API}/session", headers=headers)
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_error_that_nobody_foresaw_tells_an_id_and_nothing_else(
    serve: Callable[[FastAPI], str], migrated_url: str
) -> None:
    app = create_app(WebSettings(database_url=migrated_url))

    def broken() -> None:
        raise RuntimeError("password=hunter2")

    app.add_api_route(f"{API}/broken", broken)
    app.router.routes.insert(0, app.router.routes.pop())
    answer = httpx.get(serve(app) + f"{API}/broken")
    body = problem(answer, 500, "internal_error")
    assert len(body["correlationId"]) == 32
    assert "hunter2" not in answer.text and "RuntimeError" not in answer.text


def test_server_without_a_database_says_so(serve: Callable[[FastAPI], str]) -> None:
    address = serve(create_app(WebSettings(database_url="postgresql://nobody@127.0.0.1:9/nothing")))
    with httpx.Client(base_url=address, headers={"Authorization": "Bearer x"}, timeout=30) as client:
        for method, path in (("GET", "/executions"), ("POST", "/customers"), ("GET", "/session")):
            answer = client.request(method, API + path, json={"name": "Acme"} if method == "POST" else None)
            body = problem(answer, 503, "database_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert "127.0.0.1" not in str(body) and "psycopg" not in str(body)
        assert client.get("/healthz").json() == {"status": "alive"}
        problem(client.get("/readyz"), 503, "database_unavailable")


def test_server_before_the_migrations_is_alive_but_not_ready(
    serve: Callable[[FastAPI], str], database_url: str
) -> None:
    address = serve(create_app(WebSettings(database_url=database_url)))
    assert httpx.get(f"{address}/healthz").status_code == 200
    problem(httpx.get(f"{address}/readyz"), 503, "migrations_pending")


def test_migrated_server_is_ready(world: World) -> None:
    assert world.client.get("/readyz").json() == {"status": "ready"}


def test_broken_repository_is_refused_on_its_field(
    serve: Callable[[FastAPI], str], world: World, tmp_path: Any
) -> None:
    customer = world.customer()
    address = serve(create_app(WebSettings(database_url=world.database.url)))
    for repository, code in (
        (str(tmp_path / "missing"), "git_repository_not_found"),
        (str(tmp_path), "git_repository_not_found"),
        ("ext::sh -c 'touch /tmp/owned'", "git_other"),
        ("https://user:secret@example.test/x.git", "git_other"),
    ):
        answer = httpx.post(
            f"{address}{API}/customers/{customer}/projects",
            json={"name": "x", "repository": repository},
            headers={"Authorization": f"Bearer {world.admin.token}"},
        )
        body = problem(answer, 422, code)
        assert body["errors"][0]["field"] == "repository"
        assert "secret" not in answer.text
