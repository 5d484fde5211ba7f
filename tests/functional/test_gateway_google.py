"""Google's protocol through the model gateway: the model in the path, the key in a header or in the query."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from devteam.adapters.model_gateway import GatewayLease
from tests.functional.gateway_world import REAL_KEY, Desk, open_desk
from tests.functional.world import World
from tests.peers.http_peer import STREAM, HttpPeer, Request, chunk, whole
from tests.peers.model_server import Answer, Fault, ModelServer, say

CALL = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
GENERATE, STREAMED = "models/scripted:generateContent", "models/scripted:streamGenerateContent"


@pytest.fixture
def desk(shared_world: World, open_folder: Path) -> Iterator[Desk]:
    with open_desk(shared_world, open_folder, longest_hold=5.0) as desk:
        yield desk


def agent(lease: GatewayLease, prefix: str = "/google") -> httpx.Client:
    return httpx.Client(
        base_url=f"{lease.base_url}{prefix}/v1beta/",
        headers={"x-goog-api-key": lease.key},
        timeout=30,
        trust_env=False,
    )


def limited_to(tokens: int, name: str = "maxOutputTokens", config: str = "generationConfig") -> dict[str, Any]:
    return {**CALL, config: {name: tokens}}


@pytest.mark.parametrize("prefix", ["", "/google"])
@pytest.mark.parametrize("in_query", [False, True])
@pytest.mark.parametrize("path", [GENERATE, f"{STREAMED}?alt=sse"])
def test_a_call_goes_out_with_the_real_key_and_its_usage_is_recorded(
    desk: Desk, prefix: str, in_query: bool, path: str
) -> None:
    with ModelServer([say("Hello there", cached_tokens=40, output_tokens=10, thought_tokens=4)]) as server:
        desk.add("wrong protocol", "http://127.0.0.1:9/v1")
        desk.add("right", server.google_url, kind="google")
        desk.price()
        lease = desk.lease(budget=100.0)
        key = f"{'&' if '?' in path else '?'}key={lease.key}" if in_query else ""
        answer = httpx.post(
            f"{lease.base_url}{prefix}/v1beta/{path}{key}",
            json=CALL,
            headers={} if in_query else {"x-goog-api-key": lease.key},
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        assert "STOP" in answer.text
        seen = server.seen[0]
        assert seen.path == f"/v1beta/{path}"
        assert seen.headers["x-goog-api-key"] == REAL_KEY
        assert not {"authorization", "x-api-key"} & set(seen.headers)
        assert seen.body == CALL
        row = desk.calls(lease)[0]
        assert (row.model, row.input_tokens, row.cached_tokens, row.output_tokens) == ("scripted", 100, 40, 10)
        assert lease.budget.spent == pytest.approx(110e-6)
        assert not lease.budget.reserved


@pytest.mark.parametrize("ending", ["", "/v1beta", "/v1"])
def test_a_providers_address_may_name_the_version(desk: Desk, ending: str) -> None:
    with ModelServer([say("Hi")]) as server:
        desk.add("one", server.google_url + ending, kind="google")
        with agent(desk.lease()) as caller:
            assert caller.post(GENERATE, json=CALL).status_code == 200
        assert server.seen[0].path == f"{ending or '/v1beta'}/{GENERATE}"


def test_a_stream_without_events_is_read_as_the_list_that_it_is(desk: Desk) -> None:
    pieces = [
        {"candidates": [{"content": {}}], "usageMetadata": {"promptTokenCount": 70, "candidatesTokenCount": 1}},
        {
            "candidates": [{"finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 70, "candidatesTokenCount": 9},
        },
    ]

    async def handle(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(json.dumps(pieces).encode(), content_type="application/json"))

    with HttpPeer(handle) as peer:
        desk.add("one", peer.url, kind="google")
        lease = desk.lease()
        with agent(lease) as caller:
            assert caller.post(STREAMED, json=CALL).json() == pieces
        row = desk.calls(lease)[0]
        assert (row.input_tokens, row.output_tokens) == (70, 9)


def test_an_answer_comes_as_it_is_written_and_its_last_usage_counts(desk: Desk) -> None:
    first_seen = threading.Event()
    in_time: list[bool] = []

    def event(text: str, **more: Any) -> bytes:
        return chunk(b"data: " + json.dumps({"candidates": [{"n": text, **more}]}).encode() + b"\r\n\r\n")

    usage = {"promptTokenCount": 50, "candidatesTokenCount": 3, "thoughtsTokenCount": 2}

    async def handle(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM + event("first"))
        await writer.drain()
        in_time.append(await asyncio.to_thread(first_seen.wait, 10))
        writer.write(event("last", finishReason="STOP"))
        for told in ({**usage, "candidatesTokenCount": 1}, usage):
            writer.write(chunk(b"data: " + json.dumps({"usageMetadata": told}).encode() + b"\r\n\r\n"))
        writer.write(chunk(b""))

    with HttpPeer(handle) as peer:
        desk.add("one", peer.url, kind="google")
        lease = desk.lease()
        with agent(lease) as caller, caller.stream("POST", f"{STREAMED}?alt=sse", json=CALL) as answer:
            pieces = answer.iter_raw()
            assert b"first" in next(pieces)
            first_seen.set()
            assert b"last" in b"".join(pieces)
        row = desk.calls(lease)[0]
        assert in_time == [True]
        assert (row.input_tokens, row.output_tokens) == (50, 5)


def test_a_stream_that_is_cut_is_counted(desk: Desk) -> None:
    with ModelServer([Fault(cut=True)]) as server:
        desk.add("one", server.google_url, kind="google")
        desk.price()
        lease = desk.lease(budget=100.0)
        with agent(lease) as caller, pytest.raises(httpx.RemoteProtocolError):
            caller.post(f"{STREAMED}?alt=sse", json=CALL)
        row = desk.calls(lease)[0]
        assert row.input_tokens == 100
        assert row.output_tokens > 0
        assert lease.budget.spent == pytest.approx((100 + row.output_tokens) / 1e6)
        assert not lease.budget.reserved


@pytest.mark.parametrize("status", [500, 503])
def test_the_next_provider_is_tried_when_one_cannot(desk: Desk, status: int) -> None:
    with ModelServer([Fault(status=status)]) as broken, ModelServer([say("Hi")]) as sound:
        desk.add("broken", broken.google_url, kind="google")
        desk.add("sound", sound.google_url, kind="google")
        lease = desk.lease()
        with agent(lease) as caller:
            assert caller.post(GENERATE, json=CALL).status_code == 200
        assert [call.status for call in desk.calls(lease, 2)] == [status, 200]
        assert lease.trouble is None


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"retry-after": "3600"}),
        Fault(
            status=429,
            details=[
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure"},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3600.5s"},
            ],
        ),
    ],
)
def test_a_provider_at_its_limit_is_parked_until_the_time_that_it_told(desk: Desk, fault: Fault) -> None:
    with ModelServer([fault]) as server:
        provider = desk.add("one", server.google_url, kind="google")
        lease = desk.lease()
        with agent(lease) as caller:
            answer = caller.post(GENERATE, json=CALL)
        assert answer.status_code == answer.json()["error"]["code"] == 429
        assert 3500 < int(answer.headers["retry-after"]) <= 3601
        assert desk.parked_until(provider) is not None
        assert lease.trouble is not None
        assert lease.trouble.code == "model_rate_limited"


def test_a_wrong_key_is_told_as_one_and_not_quoted(desk: Desk) -> None:
    fault = Fault(status=400, message=f"no such key {REAL_KEY}", details=[{"reason": "API_KEY_INVALID"}])
    with ModelServer([fault]) as server:
        desk.add("one", server.google_url, kind="google")
        lease = desk.lease()
        with agent(lease) as caller:
            answer = caller.post(GENERATE, json=CALL)
        assert answer.status_code == 400
        assert "no such key [secret]" in answer.text
        assert lease.trouble is not None
        assert lease.trouble.code == "model_unauthorized"


def test_a_call_that_could_overshoot_the_budget_is_not_made(desk: Desk) -> None:
    with ModelServer(lambda _: Answer("Hi")) as server:
        desk.add("one", server.google_url, kind="google")
        desk.price(each=1000.0)  # a thousand tokens a dollar
        lease = desk.lease(budget=0.5)
        with agent(lease) as caller:
            assert caller.post(GENERATE, json=limited_to(200)).status_code == 200
            for config in ("generationConfig", "generation_config"):
                for name in ("maxOutputTokens", "max_output_tokens"):
                    assert caller.post(GENERATE, json=limited_to(400, name, config)).status_code == 402
            two = {**CALL, "generationConfig": {"maxOutputTokens": 200, "candidateCount": 2}}
            assert caller.post(GENERATE, json=two).status_code == 402
            assert caller.post(GENERATE, json=CALL).status_code == 402
        assert len(server.seen) == 1
        assert lease.trouble is not None
        assert lease.trouble.code == "budget_spent"


def test_counting_tokens_is_free(desk: Desk) -> None:
    async def handle(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(b'{"totalTokens": 7}', content_type="application/json"))

    with HttpPeer(handle) as peer:
        desk.add("one", peer.url, kind="google")
        lease = desk.lease(budget=0.0)
        with agent(lease) as caller:
            assert caller.post("models/scripted:countTokens", json=CALL).json() == {"totalTokens": 7}
        assert lease.budget.spent == 0


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("models/scripted:embedContent", b"{}", 404),
        ("models/scripted", b"{}", 404),
        ("models/:generateContent", b"{}", 404),
        ("models/..%2F..%2Ffiles%2Fx:generateContent", b"{}", 404),
        ("models/nobodys:generateContent", b"{}", 404),
        (GENERATE, b"[]", 400),
        (GENERATE, b"not json", 400),
    ],
)
def test_what_is_no_call_is_refused(desk: Desk, path: str, body: bytes, status: int) -> None:
    with ModelServer([]) as server:
        desk.add("one", server.google_url, kind="google")
        with agent(desk.lease()) as caller:
            answer = caller.post(path, content=body)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]
        assert not server.seen


def test_secrets_of_this_installation_do_not_leave_it(desk: Desk) -> None:
    with ModelServer([say("Hi")]) as server:
        desk.add("one", server.google_url, kind="google")
        lease = desk.lease()
        text = f"{REAL_KEY} {lease.key} innocent"
        with agent(lease) as caller:
            caller.post(GENERATE, json={"contents": [{"role": "user", "parts": [{"text": text}]}]})
        assert server.seen[0].body["contents"][0]["parts"][0]["text"] == "[secret] [secret] innocent"
        assert lease.masked == 2
