"""Model providers and prices over HTTP: keys go in and never come out."""

import logging
from typing import Any

import pytest

from devteam.adapters.secret_box import SecretBox
from devteam.kit.db import sql
from devteam.kit.settings import WebSettings
from devteam.providers.model import secret_place
from tests.functional.world import World

KEY = "sk-very-real-key-0123456789abcdef"
WANTED = {"name": "Main", "kind": "openai", "baseUrl": "https://models.test/v1/", "secret": KEY, "models": ["large"]}


def everything_stored(world: World) -> str:
    """Every row of every table, as text, binary values in hexadecimal."""
    with world.database.transaction() as connection:
        tables = connection.execute(sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
        return "".join(
            str(connection.execute(sql(f'SELECT string_agg(t::text, chr(10)) FROM "{table}" t')).scalar())
            for table in tables
        )


def test_key_goes_in_and_never_comes_out(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    other = KEY.replace("real", "other")
    made = world.admin.post("/providers", WANTED, Idempotency_Key="main")
    assert made.status_code == 201
    assert made.json()["hasSecret"] is True
    assert made.json()["baseUrl"] == "https://models.test/v1"
    provider = made.json()["id"]
    customer = world.customer()
    answers = [
        made,
        world.admin.post("/providers", WANTED, Idempotency_Key="main"),
        world.admin.post("/providers", WANTED),
        world.admin.post("/providers", {**WANTED, "name": "", "secret": f"{other} "}),
        world.admin.patch(f"/providers/{provider}", {"secret": other}),
        world.admin.patch(f"/providers/{provider}", {"secret": [other]}),
        world.admin.get("/providers"),
        world.admin.get("/executions"),
        world.admin.get(f"/customers/{customer}/activity"),
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 409, 422, 200, 422, 200, 200, 200]
    assert answers[1].headers["idempotent-replayed"] == "true"
    seen = "".join(f"{answer.text}{answer.headers}" for answer in answers) + everything_stored(world) + caplog.text
    for key in (KEY, other):
        assert key not in seen and key.encode().hex() not in seen


def test_key_opens_for_the_worker_on_the_same_data_folder_and_only_in_its_own_row(world: World) -> None:
    first, second = world.provider(secret=KEY), world.provider(secret=KEY)
    box = SecretBox(world.app.state.provided[WebSettings].data_folder / "run" / "secret.key")
    with world.database.transaction() as connection:
        rows = connection.execute(sql("SELECT id, sealed_secret FROM model_providers")).all()
    sealed = {row.id: bytes(row.sealed_secret) for row in rows}
    assert box.open(sealed[first], belongs_to=secret_place(first)) == KEY
    assert sealed[first] != sealed[second]
    with pytest.raises(Exception, match="cannot be opened"):
        box.open(sealed[first], belongs_to=secret_place(second))


def test_providers_are_listed_in_the_order_in_which_they_are_tried(world: World) -> None:
    first, second = world.provider("First"), world.provider("Second")
    assert [each["name"] for each in world.admin.get("/providers").json()["providers"]] == ["First", "Second"]
    moved = world.admin.patch(f"/providers/{second}", {"position": 0}, If_Match='"1"')
    assert (moved.status_code, moved.headers["etag"]) == (200, '"2"')
    assert [each["name"] for each in world.admin.get("/providers").json()["providers"]] == ["Second", "First"]
    stale = world.admin.patch(f"/providers/{second}", {"position": 5}, If_Match='"1"')
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert world.admin.patch(f"/providers/{first}", {"archived": True}).status_code == 200
    assert [each["name"] for each in world.admin.get("/providers").json()["providers"]] == ["Second"]
    world.provider("first")
    back = world.admin.patch(f"/providers/{first}", {"archived": False})
    assert (back.status_code, back.json()["code"]) == (409, "name_taken")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"baseUrl": "ftp://models.test"}, "baseUrl"),
        ({"baseUrl": "https://user:word@models.test"}, "baseUrl"),
        ({"baseUrl": "https://models.test:99999"}, "baseUrl"),
        ({"baseUrl": "https://["}, "baseUrl"),
        ({"baseUrl": "https://models.test/?key=1"}, "baseUrl"),
        ({"kind": "magic"}, "kind"),
        ({"secret": ""}, "secret"),
        ({"secret": "two words"}, "secret"),
        ({"secret": "line\nbreak"}, "secret"),
        ({"secret": "x" * 1001}, "secret"),
        ({"models": [" "]}, "models"),
    ],
    ids=str,
)
def test_provider_that_makes_no_sense_is_refused(world: World, change: dict[str, Any], field: str) -> None:
    answer = world.admin.post("/providers", {**WANTED, **change})
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert world.count("model_providers") == 0


def test_price_is_set_and_set_anew(world: World) -> None:
    price = {"model": "vendor/large", "inputUsd": 3, "cachedUsd": 0.3, "outputUsd": 15}
    assert world.admin.call("PUT", "/model-prices", price).status_code == 200
    assert world.admin.call("PUT", "/model-prices", {**price, "outputUsd": 20}).status_code == 200
    prices = world.admin.get("/model-prices").json()["prices"]
    assert [(each["model"], each["outputUsd"]) for each in prices] == [("vendor/large", 20)]
    assert world.admin.call("PUT", "/model-prices", {**price, "inputUsd": -1}).status_code == 422
