"""What a look does while the engine's database is away."""

import httpx
import pytest

from devteam.cli.client import Address, Api
from devteam.cli.failure import CliError


def api_that_answers(*statuses: int) -> tuple[Api, list[str]]:
    left, seen = list(statuses), []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        status = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(status, json={"detail": "The database cannot be reached right now.", "customers": []})

    http = httpx.Client(base_url="http://127.0.0.1:1", transport=httpx.MockTransport(answer))
    return Api(Address("http://127.0.0.1:1", "token", "here"), http), seen


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("devteam.cli.client.time.monotonic", lambda: now[0])
    monkeypatch.setattr("devteam.cli.client.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))


def test_a_look_waits_until_the_database_is_back() -> None:
    api, seen = api_that_answers(503, 503, 200)
    assert api.customers() == []
    assert seen == ["GET", "GET", "GET"]


def test_a_look_does_not_wait_for_ever() -> None:
    api, seen = api_that_answers(503)
    with pytest.raises(CliError, match="cannot be reached"):
        api.customers()
    assert 20 < len(seen) < 40


def test_a_command_is_refused_at_once() -> None:
    api, seen = api_that_answers(503)
    with pytest.raises(CliError, match="cannot be reached"):
        api.post("/executions", {})
    assert seen == ["POST"]
