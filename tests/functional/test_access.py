"""Signing in, sessions, users, and who may do what."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from devteam.access.actor_cache import LIFE_SECONDS, ActorCache
from devteam.access.model import ENGINE, SESSION_COOKIE, CredentialKind, Role
from devteam.access.service import AccessService
from devteam.kit.db import Database, sql
from devteam.kit.errors import Unauthenticated
from tests.functional.world import API, World
from tests.integration.git_projects import make_customer


class MovedClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def access(migrated_url: str, clock: MovedClock) -> Iterator[AccessService]:
    database = Database(migrated_url)
    yield AccessService(database, clock)
    database.dispose()


def sign_in(world: World, name: str = "root") -> None:
    """Put an administrator's session cookie into the client."""
    token = world.access.ensure_admin(name)
    answer = world.client.post(f"{API}/session", json={"token": token}, headers={"Origin": world.origin})
    assert answer.status_code == 200, answer.text


def test_link_signs_in_once_and_the_cookie_is_kept_from_scripts(world: World) -> None:
    token = world.access.ensure_admin("root")
    first = world.client.post(f"{API}/session", json={"token": token})
    assert first.status_code == 200
    assert first.json()["user"]["role"] == "admin"
    assert first.json()["customers"] == "all"
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie
    assert world.client.get(f"{API}/session").json() == first.json()
    again = world.client.post(f"{API}/session", json={"token": token})
    assert (again.status_code, again.json()["code"]) == (401, "link_used")


def test_cookie_is_secure_behind_tls(world: World) -> None:
    answer = world.client.post(
        f"{API}/session",
        json={"token": world.access.ensure_admin("root")},
        headers={"X-Forwarded-Proto": "https"},
    )
    assert "secure" in answer.headers["set-cookie"].lower()


def test_link_expires_after_a_quarter_of_an_hour(access: AccessService, clock: MovedClock) -> None:
    token = access.ensure_admin("root")
    clock.now += timedelta(minutes=15)
    with pytest.raises(Unauthenticated) as refusal:
        access.sign_in(token)
    assert refusal.value.code == "link_expired"


def test_session_that_is_used_lives_on_and_an_idle_one_ends(access: AccessService, clock: MovedClock) -> None:
    session, _ = access.sign_in(access.ensure_admin("root"))
    for _ in range(3):
        clock.now += timedelta(days=20)
        access._actors.clear()
        assert access.actor_for_session(session).name == "root"
    clock.now += timedelta(days=31)
    access._actors.clear()
    with pytest.raises(Unauthenticated):
        access.actor_for_session(session)


def test_kinds_of_token_cannot_stand_in_for_each_other(access: AccessService) -> None:
    link, local = access.ensure_admin("root"), access.ensure_local_token()
    session, _ = access.sign_in(access.ensure_admin("root"))
    for wrong in (link, local):
        with pytest.raises(Unauthenticated):
            access.actor_for_session(wrong)
    for wrong in (link, session):
        with pytest.raises(Unauthenticated):
            access.actor_for_api_token(wrong)
    for wrong in (session, local):
        with pytest.raises(Unauthenticated):
            access.sign_in(wrong)


def test_local_token_of_the_last_start_is_worthless(access: AccessService) -> None:
    old = access.ensure_local_token()
    assert access.actor_for_api_token(old).role is Role.ADMIN
    new = access.ensure_local_token()
    assert access.actor_for_api_token(new).role is Role.ADMIN
    with pytest.raises(Unauthenticated):
        access.actor_for_api_token(old)


def test_tokens_are_stored_as_hashes_only(world: World) -> None:
    token = world.access.ensure_admin("root")
    session, _ = world.access.sign_in(token)
    local = world.access.ensure_local_token()
    with world.database.transaction() as connection:
        dump = "".join(
            str(connection.execute(sql(f"SELECT string_agg(t::text, '') FROM {table} t")).scalar())
            for table in ("credentials", "users", "events", "idempotency_keys")
        )
    for secret in (token, session, local):
        assert secret not in dump and secret.encode().hex() not in dump


def test_actor_is_forgotten_within_two_seconds() -> None:
    now = 0.0
    cache = ActorCache(lambda: now)
    cache.put(b"hash", CredentialKind.SESSION, ENGINE, generation=cache.generation)
    assert LIFE_SECONDS <= 2
    now = LIFE_SECONDS - 0.01
    assert cache.get(b"hash", CredentialKind.SESSION) is ENGINE
    assert cache.get(b"hash", CredentialKind.API_TOKEN) is None
    now = LIFE_SECONDS
    assert cache.get(b"hash", CredentialKind.SESSION) is None


def test_actor_that_was_read_before_a_revocation_is_not_remembered_after_it() -> None:
    cache = ActorCache(lambda: 0.0)
    generation = cache.generation
    cache.clear()
    cache.put(b"hash", CredentialKind.SESSION, ENGINE, generation=generation)
    assert cache.get(b"hash", CredentialKind.SESSION) is None


def test_signing_out_ends_the_session_at_once(world: World) -> None:
    sign_in(world)
    session = world.client.cookies[SESSION_COOKIE]
    assert world.client.get(f"{API}/session").status_code == 200
    assert world.client.delete(f"{API}/session", headers={"Origin": world.origin}).status_code == 204
    answer = world.client.get(f"{API}/session", headers={"Cookie": f"{SESSION_COOKIE}={session}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_disabled_user_is_out_at_once(world: World) -> None:
    victim = world.caller(Role.VIEWER)
    assert victim.get("/executions").status_code == 200
    assert world.admin.post(f"/users/{victim.user_id}/disable").json()["disabled"] is True
    assert victim.get("/executions").status_code == 401
    refused = world.admin.post(f"/users/{victim.user_id}/login-link")
    assert (refused.status_code, refused.json()["code"]) == (409, "user_disabled")


def test_administrators_cannot_lock_themselves_out(world: World) -> None:
    answer = world.admin.post(f"/users/{world.admin.user_id}/disable")
    assert (answer.status_code, answer.json()["code"]) == (409, "own_user")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://{host}", 201),
        ("https://{host}", 201),  # a proxy speaks TLS for us
        ("http://evil.example", 403),
        ("http://{host}.evil.example", 403),
        ("http://{host}1", 403),
        ("null", 403),
        ("http://[", 403),
        (None, 403),
    ],
)
def test_command_with_the_cookie_must_come_from_our_own_page(world: World, origin: str | None, status: int) -> None:
    sign_in(world)
    headers = {} if origin is None else {"Origin": origin.format(host=world.origin.removeprefix("http://"))}
    answer = world.client.post(f"{API}/customers", json={"name": "Acme"}, headers=headers)
    assert answer.status_code == status, answer.text
    assert world.count("customers") == (1 if status == 201 else 0)


def test_reading_with_the_cookie_and_commands_with_a_token_need_no_origin(world: World) -> None:
    sign_in(world)
    assert world.client.get(f"{API}/executions").status_code == 200
    world.client.cookies.clear()
    assert world.admin.post("/customers", {"name": "Acme"}).status_code == 201


def test_foreign_page_cannot_sign_a_browser_in(world: World) -> None:
    token = world.access.ensure_admin("root")
    headers = {"Origin": "http://evil.example"}
    answer = world.client.post(f"{API}/session", json={"token": token}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")


def test_every_operation_but_signing_in_needs_a_user(world: World) -> None:
    operations = 0
    for path, methods in world.app.openapi()["paths"].items():
        for method in methods:
            if (method, path) == ("post", f"{API}/session"):
                continue
            answer = world.client.request(method, path.replace("{", "").replace("}", ""), json={})
            assert answer.status_code == 401, (method, path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            operations += 1
    assert operations > 25


ROLES = list(Role)
MANAGERS = {Role.ADMIN, Role.PROJECT_MANAGER}
DOERS = MANAGERS | {Role.DEVELOPER}
EVERYBODY = set(Role)

PERMISSIONS = [
    ("GET", "/executions", None, EVERYBODY),
    ("GET", "/customers", None, EVERYBODY),
    ("GET", "/customers/{customer}", None, EVERYBODY),
    ("GET", "/customers/{customer}/tasks", None, EVERYBODY),
    ("GET", "/customers/{customer}/activity", None, EVERYBODY),
    ("GET", "/projects/{project}", None, EVERYBODY),
    ("GET", "/tasks/{task}", None, EVERYBODY),
    ("GET", "/tasks/{task}/attempts", None, EVERYBODY),
    ("GET", "/attempts/{attempt}", None, EVERYBODY),
    ("GET", "/attempts/{attempt}/output", None, EVERYBODY),
    ("GET", "/attempts/{attempt}/diff", None, EVERYBODY),
    ("GET", "/attempts/{attempt}/session", None, EVERYBODY),
    ("POST", "/attempts/{attempt}/guidance", {"text": "Mind the tests."}, DOERS),
    ("GET", "/attempts/{attempt}/artifacts", None, EVERYBODY),
    ("GET", "/attempts/{attempt}/artifacts.zip", None, EVERYBODY),
    ("GET", "/attempts/{attempt}/artifacts/{name}", None, EVERYBODY),
    ("GET", "/attempts/{attempt}/compare/{other}", None, EVERYBODY),
    ("GET", "/attempts/{attempt}/bundle", None, DOERS),
    ("POST", "/attempts/{attempt}/run-again", {}, DOERS),
    ("POST", "/attempts/{attempt}/send-back", {"remarks": "Not yet."}, DOERS),
    ("POST", "/attempts/{attempt}/take-over", None, DOERS),
    ("POST", "/attempts/{attempt}/hand-back", None, DOERS),
    ("POST", "/attempts/{attempt}/release", None, DOERS),
    ("GET", "/approvals", None, EVERYBODY),
    ("GET", "/approvals/{approval}", None, EVERYBODY),
    ("POST", "/approvals/{approval}/answer", {"approved": True}, MANAGERS),
    ("GET", "/incidents", None, EVERYBODY),
    ("GET", "/incidents/{incident}", None, EVERYBODY),
    ("POST", "/incidents/{incident}/acknowledge", None, MANAGERS),
    ("POST", "/incidents/{incident}/resolve", {"resolution": "It was a test."}, MANAGERS),
    ("GET", "/attempts/{attempt}/calls", None, EVERYBODY),
    ("POST", "/gate-proposals", {"repository": "{repository}"}, MANAGERS),
    ("GET", "/executions/{execution}", None, EVERYBODY),
    ("GET", "/workers", None, EVERYBODY),
    ("GET", "/system", None, EVERYBODY),
    ("GET", "/executors", None, EVERYBODY),
    ("GET", "/providers", None, EVERYBODY),
    ("GET", "/model-prices", None, EVERYBODY),
    ("POST", "/providers", {"name": "New", "kind": "openai", "baseUrl": "http://models.test/v1"}, {Role.ADMIN}),
    ("PATCH", "/providers/{provider}", {"models": ["m"]}, {Role.ADMIN}),
    ("PUT", "/model-prices", {"model": "m", "inputUsd": 1, "cachedUsd": 1, "outputUsd": 1}, {Role.ADMIN}),
    ("POST", "/tasks/{task}/retry", None, DOERS),
    ("POST", "/customers", {"name": "New"}, MANAGERS),
    ("PATCH", "/customers/{customer}", {"priorityClass": "priority_customer"}, MANAGERS),
    ("POST", "/customers/{customer}/projects", {"name": "new", "repository": "/srv/x"}, MANAGERS),
    ("PATCH", "/projects/{project}", {"name": "renamed"}, MANAGERS),
    ("POST", "/customers/{customer}/tasks", {"projectId": "{project}", "title": "More"}, MANAGERS),
    ("PATCH", "/tasks/{task}", {"priority": 1}, MANAGERS),
    ("POST", "/tasks/{task}/move", {"before": None}, MANAGERS),
    ("POST", "/tasks/{task}/complete", None, MANAGERS),
    ("POST", "/tasks/{task}/cancel", {"reason": "no longer wanted"}, MANAGERS),
    ("POST", "/executions", {"customerId": "{customer}"}, MANAGERS),
    ("POST", "/executions/{execution}/pause", {"mode": "now"}, MANAGERS),
    ("POST", "/executions/{execution}/resume", None, MANAGERS),
    ("POST", "/executions/{execution}/abort", {"reason": "enough"}, MANAGERS),
    ("POST", "/emergency-stop", {"reason": "fire"}, MANAGERS),
    ("POST", "/emergency-stop/resume", None, MANAGERS),
    ("GET", "/users", None, {Role.ADMIN}),
    ("POST", "/users", {"name": "Ann", "role": "viewer"}, {Role.ADMIN}),
    ("POST", "/users/{user}/login-link", None, {Role.ADMIN}),
    ("POST", "/users/{user}/api-tokens", None, {Role.ADMIN}),
    ("POST", "/users/{user}/revoke-api-tokens", None, {Role.ADMIN}),
    ("POST", "/users/{user}/disable", None, {Role.ADMIN}),
]


def filled(value: object, ids: Mapping[str, UUID | str]) -> object:
    """Put ids into a path or a body."""
    if isinstance(value, dict):
        return {key: filled(item, ids) for key, item in value.items()}
    if isinstance(value, str):
        return value.format(**ids)
    return value


def world_ids(world: World) -> dict[str, UUID | str]:
    """One of everything, for one customer."""
    customer = world.customer()
    project = world.project(customer)
    task = world.task(customer, project, mode="manual")
    other = world.task(customer, project, "Work")
    execution = world.execution(customer)
    attempt = world.attempt(customer, project, other, execution)
    return {
        "customer": customer,
        "project": project,
        "task": task,
        "execution": execution,
        "attempt": attempt,
        "other": attempt,
        "name": "manifest.json",
        "approval": world.approval(attempt),
        "incident": world.incident(attempt),
        "repository": "/srv/x",
        "user": world.caller(Role.VIEWER).user_id,
        "provider": world.provider(),
    }


@pytest.mark.parametrize("role", ROLES)
def test_roles_may_do_what_the_table_says(world: World, role: Role, tmp_path: Path) -> None:
    ids = {**world_ids(world), "repository": str(make_customer(tmp_path).bare)}
    caller = world.caller(role)
    for method, path, body, allowed in PERMISSIONS:
        answer = caller.call(method, str(filled(path, ids)), filled(body, ids))
        where = (role, method, path, answer.text)
        if role in allowed:
            assert answer.status_code < 400 or answer.status_code == 409, where
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), where


def test_permission_table_names_every_operation(world: World) -> None:
    listed = {(method.lower(), path) for method, path, _, _ in PERMISSIONS}
    own = {("get", "/session"), ("post", "/session"), ("delete", "/session")}
    described = {
        (method, path.removeprefix(API).replace("_id}", "}"))
        for path, methods in world.app.openapi()["paths"].items()
        for method in methods
    }
    assert listed | own == described


@pytest.mark.parametrize("role", [Role.PROJECT_MANAGER, Role.VIEWER])
def test_another_customers_things_look_like_none(world: World, role: Role) -> None:
    ids, own = world_ids(world), world.customer()
    caller = world.caller(role, {own})
    nobodys = dict.fromkeys(ids, uuid4())
    for method, path, body, _ in PERMISSIONS:
        if "{user}" in path or "{provider}" in path or ("{" not in path and "{customer}" not in str(body)):
            continue
        foreign = caller.call(method, str(filled(path, ids)), filled(body, ids))
        missing = caller.call(method, str(filled(path, nobodys)), filled(body, nobodys))
        assert foreign.status_code == 404, (method, path, foreign.text)
        assert foreign.json() == missing.json(), (method, path)


def test_lists_and_sums_hold_only_what_is_in_scope(world: World) -> None:
    ids, own = world_ids(world), world.customer("Mine")
    caller = world.caller(Role.VIEWER, {own})
    overview = caller.get("/executions").json()
    assert [card["name"] for card in overview["customers"]] == ["Mine"]
    assert overview["system"]["customers"] == 1
    assert overview["system"]["tasksPending"] == 0
    assert caller.get("/session").json()["customers"] == [str(own)]
    assert len(world.admin.get("/executions").json()["customers"]) == 2
    world.caller(Role.PROJECT_MANAGER, {own}).post("/emergency-stop", {"reason": "mine alone"})
    state = world.admin.get(f"/executions/{ids['execution']}").json()["execution"]["status"]
    assert state == "queued"


def test_dependency_on_another_customers_task_is_refused(world: World) -> None:
    ids, own = world_ids(world), world.customer()
    project = world.project(own)
    answer = world.admin.post(
        f"/customers/{own}/tasks",
        {"projectId": str(project), "title": "Sneaky", "dependsOn": [str(ids["task"])]},
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "dependsOn"


def test_new_user_gets_a_link_that_works_and_is_not_kept(world: World) -> None:
    customer = world.customer()
    wanted = {"name": " Ann  Lee ", "role": "developer", "customerIds": [str(customer)]}
    made = world.admin.post("/users", wanted, Idempotency_Key="ann")
    assert made.status_code == 201
    assert made.json()["user"]["name"] == "Ann Lee"
    url = made.json()["loginUrl"]
    assert url.startswith(f"{world.origin}/login?token=")
    replayed = world.admin.post("/users", wanted, Idempotency_Key="ann")
    assert replayed.json() == {**made.json(), "loginUrl": None}
    session = world.client.post(f"{API}/session", json={"token": url.partition("token=")[2]})
    assert session.json()["customers"] == [str(customer)]
    taken = world.admin.post("/users", {"name": "ANN lee", "role": "viewer"})
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "A", "role": "admin", "customerIds": []}, "customerIds"),
        ({"name": "A", "role": "viewer", "customerIds": ["00000000-0000-7000-8000-000000000000"]}, "customerIds"),
        ({"name": "\t", "role": "viewer"}, "name"),
        ({"name": "A", "role": "king"}, "role"),
    ],
)
def test_user_that_makes_no_sense_is_refused(world: World, body: dict[str, object], field: str) -> None:
    answer = world.admin.post("/users", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
