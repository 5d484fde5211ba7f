"""The model gateway over real HTTP, between agents and scripted providers."""

import asyncio
import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from devteam.access.model import ENGINE
from devteam.adapters.egress import Bandwidth
from devteam.adapters.model_gateway import GatewayModels, NoModel
from devteam.executions.ports import Job
from devteam.executions.session import ModelAccess, Trouble
from devteam.kit.db import sql
from devteam.providers.schemas import ProviderPatch
from tests.functional.gateway_world import REAL_KEY, Desk, chat, client, eventually, new_gateway, open_desk
from tests.functional.world import World
from tests.peers.http_peer import STREAM, Handler, HttpPeer, Request, chunk, whole
from tests.peers.model_server import Answer, Fault, ModelServer, Seen, Step, say

USAGE = {"prompt_tokens": 100, "completion_tokens": 10}


@pytest.fixture
def desk(shared_world: World, open_folder: Path) -> Iterator[Desk]:
    with open_desk(shared_world, open_folder, longest_hold=5.0) as desk:
        yield desk


def answering(answer: bytes) -> Handler:
    async def handle(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return handle


def events(*payloads: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(payload).encode() + b"\n\n" for payload in payloads)


# --- who may call ---


def test_only_the_key_of_a_living_lease_opens_the_gateway(desk: Desk) -> None:
    with ModelServer([]) as server:
        desk.add("one", server.openai_url)
        lease, ended = desk.lease(), desk.lease()
        desk.gateway.end(ended)
        for headers in (
            {},
            {"authorization": f"Bearer {ended.key}"},
            {"authorization": "Bearer guess"},
            {"authorization": f"Basic {lease.key}"},
            {"x-api-key": ""},
            {"x-goog-api-key": ended.key},
            {"x-goog-api-key": "guess"},
        ):
            for method, path in (
                ("POST", "/v1/chat/completions"),
                ("POST", "/v1/messages"),
                ("POST", "/v1beta/models/scripted:generateContent"),
                ("POST", f"/v1beta/models/scripted:generateContent?key={ended.key}"),
                ("GET", "/v1/models"),
            ):
                answer = httpx.request(method, lease.base_url + path, json=chat(), headers=headers, trust_env=False)
                assert answer.status_code == 401, headers
        assert not server.seen
        with client(lease) as agent:
            assert agent.get("/models").json()["data"] == [{"id": "scripted", "object": "model"}]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"\xff\xfe{}", 400),
        (b"[" * 200_000, 400),
        (b'["model"]', 400),
        (b'{"model": 3}', 400),
        (b'{"messages": []}', 400),
        (b'{"model": "nobodys"}', 404),
        (b'{"model": "scripted", "x": "' + b"x" * 50_000_000 + b'"}', 413),
    ],
)
def test_what_is_no_call_is_refused(desk: Desk, body: bytes, status: int) -> None:
    with ModelServer([]) as server:
        desk.add("one", server.openai_url)
        with client(desk.lease()) as agent:
            answer = agent.post("/chat/completions", content=body)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]
        assert not server.seen


def test_a_body_of_unknown_length_is_measured_as_it_comes(desk: Desk) -> None:
    with ModelServer([]) as server, client(desk.lease()) as agent:
        desk.add("one", server.openai_url)
        answer = agent.post("/chat/completions", content=(b"x" * 1_000_000 for _ in range(60)))
        assert answer.status_code == 413


# --- pass-through ---


def test_a_call_and_its_answer_pass_byte_by_byte_with_the_real_key(desk: Desk) -> None:
    answer = b'{ "id":"x",\n "usage" : {"prompt_tokens":100, "completion_tokens":10}, "text":"\xc3\xa9\\u00e9" }'
    with HttpPeer(
        answering(whole(answer, content_type="application/json", x_request_id="7", set_cookie="a=b"))
    ) as peer:
        desk.add("one", peer.url)
        desk.price()
        lease = desk.lease()
        body = b'{ "model" : "scripted",\t"messages":[{"role":"user","content":"\xc3\xa9 \\ud83d\\ude00"}], "n":1}'
        with client(lease) as agent:
            got = agent.post(
                "/chat/completions?beta=true",
                content=body,
                headers={"content-type": "application/json", "openai-beta": "x", "cookie": "c", "x-own": "1"},
            )
        assert got.content == answer
        assert got.headers["x-request-id"] == "7"
        assert "set-cookie" not in got.headers
        seen = peer.seen[0]
        assert seen.body == body
        assert seen.path == "/v1/chat/completions?beta=true"
        assert seen.headers["authorization"] == f"Bearer {REAL_KEY}"
        assert seen.headers["openai-beta"] == "x"
        assert not {"cookie", "x-own", "x-api-key"} & set(seen.headers)
        call = desk.calls(lease)[0]
        assert (call.status, call.input_tokens, call.output_tokens) == (200, 100, 10)
        assert call.cost_usd == pytest.approx(110e-6)
        assert lease.budget.spent == pytest.approx(110e-6)


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b' {"model": "scripted", "stream": true}', b'{"stream_options":{"include_usage":true},"model": "scripted", '),
        (
            b'{"model":"scripted","stream":true,"stream_options":{"include_usage":true}}',
            b'{"model":"scripted","stream"',
        ),
        (
            b'{"model":"scripted","stream":true,"stream_options":{"include_usage":false,"x":1}}',
            b'{"model": "scripted", "stream": true, "stream_options": {"include_usage": true, "x": 1}}',
        ),
    ],
)
def test_a_streamed_chat_is_asked_to_tell_its_usage(desk: Desk, sent: bytes, seen: bytes) -> None:
    with HttpPeer(answering(STREAM + chunk(events({"usage": USAGE})) + chunk(b""))) as peer:
        desk.add("one", peer.url)
        lease = desk.lease()
        with client(lease) as agent:
            agent.post("/chat/completions", content=sent)
        assert peer.seen[0].body.startswith(seen)
        assert json.loads(peer.seen[0].body)["stream_options"]["include_usage"] is True
        assert desk.calls(lease)[0].input_tokens == 100


def test_anthropics_protocol_reaches_its_own_provider(desk: Desk) -> None:
    with ModelServer([say("Hi", cached_tokens=40), say("Hi")]) as server:
        desk.add("wrong protocol", "http://127.0.0.1:9/v1")
        desk.add("right", server.anthropic_url, kind="anthropic")
        lease = desk.lease()
        call = {"model": "scripted", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        answer = httpx.post(
            f"{lease.base_url}/anthropic/v1/messages?beta=true",
            json=call,
            headers={"x-api-key": lease.key, "anthropic-version": "2023-06-01"},
            trust_env=False,
        )
        assert answer.status_code == 200
        assert "message_stop" in answer.text
        seen = server.seen[0]
        assert seen.path == "/v1/messages?beta=true"
        assert seen.headers["x-api-key"] == REAL_KEY
        assert seen.headers["anthropic-version"] == "2023-06-01"
        assert seen.body == call
        row = desk.calls(lease)[0]
        assert (row.input_tokens, row.cached_tokens, row.output_tokens) == (100, 40, 10)


def test_an_answer_comes_as_it_is_written_not_when_it_is_whole(desk: Desk) -> None:
    first_seen = threading.Event()
    loop_has_seen: list[bool] = []

    async def handle(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM + chunk(events({"n": 1})))
        await writer.drain()
        loop_has_seen.append(await asyncio.to_thread(first_seen.wait, 10))
        writer.write(chunk(events({"n": 2, "usage": USAGE})) + chunk(b""))

    with HttpPeer(handle) as peer:
        desk.add("one", peer.url)
        lease = desk.lease()
        for transport in (None, httpx.HTTPTransport(uds=str(lease.socket_path))):
            first_seen.clear()
            with client(lease, transport=transport) as agent:
                with agent.stream("POST", "/chat/completions", json=chat(stream=True)) as answer:
                    pieces = answer.iter_raw()
                    assert b'"n": 1' in next(pieces)
                    first_seen.set()
                    assert b'"n": 2' in b"".join(pieces)
        assert loop_has_seen == [True, True]


def test_a_provider_that_compresses_all_the_same_is_understood(desk: Desk) -> None:
    packed = gzip.compress(json.dumps({"usage": USAGE}).encode())
    with HttpPeer(answering(whole(packed, content_encoding="gzip", content_type="application/json"))) as peer:
        desk.add("one", peer.url)
        lease = desk.lease()
        with client(lease) as agent:
            assert agent.post("/chat/completions", json=chat()).json() == {"usage": USAGE}
        assert desk.calls(lease)[0].input_tokens == 100


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    shared_world: World, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with open_desk(shared_world, open_folder) as desk, ModelServer([say("Hi")]) as server:
        desk.add("one", server.openai_url)
        with client(desk.lease()) as agent:
            assert agent.post("/chat/completions", json=chat()).status_code == 200


# --- providers that fail ---


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_the_next_provider_is_tried_when_one_cannot(desk: Desk, status: int) -> None:
    with ModelServer([Fault(status=status)]) as broken, ModelServer([say("Hi")]) as sound:
        desk.add("broken", broken.openai_url)
        desk.add("sound", sound.openai_url)
        lease = desk.lease(budget=100.0)
        desk.price()
        with client(lease) as agent:
            assert agent.post("/chat/completions", json=chat()).status_code == 200
        assert [call.status for call in desk.calls(lease, 2)] == [status, 200]
        assert not lease.budget.reserved
        assert lease.trouble is None


def test_the_next_provider_is_tried_when_one_is_not_there(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed, ModelServer([say("Hi")]) as sound:
        port = closed.getsockname()[1]
        closed.close()
        desk.add("gone", f"http://127.0.0.1:{port}/v1")
        desk.add("sound", sound.openai_url)
        lease = desk.lease()
        with client(lease) as agent:
            assert agent.post("/chat/completions", json=chat()).status_code == 200
        assert [call.status for call in desk.calls(lease, 2)] == [0, 200]


def test_the_last_providers_failure_is_passed_on(desk: Desk) -> None:
    with ModelServer([Fault(status=500, message="broken inside")]) as broken:
        desk.add("broken", broken.openai_url)
        lease = desk.lease()
        with client(lease) as agent:
            answer = agent.post("/chat/completions", json=chat())
        assert answer.status_code == 500
        assert "broken inside" in answer.text
        assert lease.trouble is None


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_providers_no_is_passed_on_without_the_key_and_told_until_it_says_yes(desk: Desk, status: int) -> None:
    with ModelServer([Fault(status=status, message=f"bad key {REAL_KEY}"), say("Hi")]) as server:
        desk.add("one", server.openai_url)
        lease = desk.lease()
        with client(lease) as agent:
            answer = agent.post("/chat/completions", json=chat())
            assert answer.status_code == status
            assert REAL_KEY not in answer.text
            assert "bad key [secret]" in answer.text
            assert lease.trouble is not None
            assert lease.trouble.text.startswith(f"The provider one answered {status}: ")
            assert agent.post("/chat/completions", json=chat()).status_code == 200
        assert lease.trouble is None


def test_a_stream_that_the_provider_cuts_is_cut_and_counted(desk: Desk) -> None:
    async def handle(_: Request, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM + chunk(events(*({"n": n} for n in range(12)))))
        await writer.drain()
        writer.close()

    with HttpPeer(handle) as peer:
        desk.add("one", peer.url)
        desk.price()
        lease = desk.lease(budget=100.0)
        with client(lease) as agent, pytest.raises(httpx.RemoteProtocolError):
            agent.post("/chat/completions", json=chat(stream=True))
        call = desk.calls(lease)[0]
        assert call.output_tokens == 12
        assert call.input_tokens > 10
        assert lease.budget.spent == pytest.approx((12 + call.input_tokens) / 1e6)
        assert not lease.budget.reserved


# --- rate limits ---


def test_a_provider_at_its_limit_is_parked_for_all_and_woken_at_its_reset(desk: Desk) -> None:
    limited: list[Step] = [Fault(status=429, headers={"retry-after": "2"}), say("One"), say("Two")]
    with ModelServer(limited) as server:
        provider = desk.add("one", server.openai_url)
        other_worker = new_gateway(desk.world, desk.folder, "other.sock")
        try:
            mine, other = desk.lease(), other_worker.lease(desk.attempt(), model="scripted", budget_usd=None)
            answers: list[httpx.Response] = []

            def ask(lease: Any) -> None:
                with client(lease) as agent:
                    answers.append(agent.post("/chat/completions", json=chat()))

            first = threading.Thread(target=ask, args=(mine,))
            began = time.monotonic()
            first.start()
            eventually(lambda: desk.parked_until(provider) is not None)
            other_worker.forget()
            second = threading.Thread(target=ask, args=(other,))
            second.start()
            eventually(lambda: mine.parked_until is not None)
            assert len(server.seen) == 1
            first.join(20)
            second.join(20)
            assert [answer.status_code for answer in answers] == [200, 200]
            assert min(seen.at for seen in server.seen[1:]) - began >= 1.9
            assert [call.status for call in desk.calls(mine, 2)] == [429, 200]
            assert [call.status for call in desk.calls(other)] == [200]
            assert mine.trouble is None
            assert mine.parked_until is None
        finally:
            other_worker.stop()


def test_while_one_provider_is_parked_the_next_takes_the_calls(desk: Desk) -> None:
    with (
        ModelServer([Fault(status=429, headers={"retry-after": "3600"})]) as busy,
        ModelServer([say("Hi")] * 2) as free,
    ):
        desk.add("busy", busy.openai_url)
        desk.add("free", free.openai_url)
        with client(desk.lease()) as agent:
            for _ in range(2):
                assert agent.post("/chat/completions", json=chat()).status_code == 200
        assert (len(busy.seen), len(free.seen)) == (1, 2)


def test_the_agent_gets_the_429_when_the_wait_is_too_long(desk: Desk) -> None:
    with ModelServer([Fault(status=429, headers={"retry-after": "3600"})]) as server:
        desk.add("one", server.openai_url)
        lease = desk.lease()
        with client(lease) as agent:
            answer = agent.post("/chat/completions", json=chat())
        assert answer.status_code == 429
        assert 3500 < int(answer.headers["retry-after"]) <= 3600
        assert lease.trouble is not None
        assert lease.trouble.code == "model_rate_limited"
        assert "limit until" in lease.trouble.text


def test_a_new_key_ends_the_wait(desk: Desk) -> None:
    with ModelServer([Fault(status=429, headers={"retry-after": "4"}), say("Hi")]) as server:
        provider = desk.add("one", server.openai_url)
        lease = desk.lease()
        got: list[int] = []

        def ask() -> None:
            with client(lease) as agent:
                got.append(agent.post("/chat/completions", json=chat()).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        eventually(lambda: lease.parked_until is not None)
        desk.providers.edit(ENGINE, provider, ProviderPatch.model_validate({"secret": "sk-another-key"}))
        asking.join(20)
        assert got == [200]
        assert server.seen[1].headers["authorization"] == "Bearer sk-another-key"
        assert server.seen[1].at - server.seen[0].at < 3.9


def test_a_provider_that_says_wait_for_nothing_again_and_again_is_not_hammered(desk: Desk) -> None:
    with ModelServer(lambda _: Fault(status=429, headers={"retry-after": "0"})) as server:
        desk.add("one", server.openai_url)
        with client(desk.lease()) as agent:
            assert agent.post("/chat/completions", json=chat()).status_code == 429
        assert len(server.seen) < 8


def test_an_empty_account_told_as_a_rate_limit_is_not_waited_for(desk: Desk) -> None:
    with ModelServer([Fault(status=429, message="insufficient_quota: you exceeded your quota")]) as server:
        provider = desk.add("one", server.openai_url)
        lease = desk.lease()
        with client(lease) as agent:
            assert agent.post("/chat/completions", json=chat()).status_code == 429
        credit = Trouble("model_payment_required", "The provider one answered that there is no credit left.")
        assert lease.trouble == credit
        assert desk.parked_until(provider) is None


# --- money ---


def test_a_call_that_could_overshoot_the_budget_is_not_made(desk: Desk) -> None:
    with ModelServer([say("Hi"), say("Hi")]) as server:
        desk.add("one", server.openai_url)
        desk.price(each=1000.0)  # a thousand tokens a dollar
        lease = desk.lease(budget=0.5)
        with client(lease) as agent:
            assert agent.post("/chat/completions", json=chat(max_tokens=200)).status_code == 200
            refused = agent.post("/chat/completions", json=chat(max_tokens=400))
            assert refused.status_code == 402
            assert "does not cover" in refused.json()["error"]["message"]
            assert agent.post("/chat/completions", json=chat(max_tokens=200, n=2)).status_code == 402
            assert agent.post("/chat/completions", json=chat()).status_code == 402
            assert agent.post("/chat/completions", json=chat(max_tokens=200)).status_code == 200
        assert len(server.seen) == 2
        assert lease.budget.spent == pytest.approx(0.22)
        assert lease.budget.overshoot == 0
        assert lease.trouble is not None
        assert lease.trouble.code == "budget_spent"
        assert "budget" in lease.trouble.text


def test_the_overshoot_is_one_call_at_most_when_the_provider_counts_more(desk: Desk) -> None:
    with ModelServer(lambda _: Answer("Hi", input_tokens=400, output_tokens=100)) as server:
        desk.add("one", server.openai_url)
        desk.price(each=1000.0)
        lease = desk.lease(budget=0.9)
        with client(lease) as agent:
            got = [agent.post("/chat/completions", json=chat(max_tokens=100)).status_code for _ in range(4)]
        assert got == [200, 200, 402, 402]
        assert lease.budget.overshoot == pytest.approx(0.1)


def test_calls_side_by_side_cannot_spend_the_same_money(desk: Desk) -> None:
    def slow(_: Seen) -> Step:
        return Answer("Hi", pause=0.5)

    with ModelServer(slow) as server:
        desk.add("one", server.openai_url)
        desk.price(each=1000.0)
        lease = desk.lease(budget=0.5)
        got: list[int] = []

        def ask() -> None:
            with client(lease) as agent:
                got.append(agent.post("/chat/completions", json=chat(max_tokens=200, stream=True)).status_code)

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(got) == [200, 200, 402, 402, 402]
        assert not lease.budget.reserved


def test_a_run_after_a_crash_counts_what_was_spent_before(desk: Desk) -> None:
    with ModelServer([say("Hi", input_tokens=400)] * 2) as server:
        desk.add("one", server.openai_url)
        desk.price(each=1000.0)
        before = desk.lease(budget=0.6)
        with client(before) as agent:
            assert agent.post("/chat/completions", json=chat(max_tokens=100)).status_code == 200
        desk.gateway.end(before)
        after = desk.lease(budget=0.6, attempt=before.attempt_id)
        assert after.budget.spent == pytest.approx(0.41)
        with client(after) as agent:
            assert agent.post("/chat/completions", json=chat(max_tokens=200)).status_code == 402


def test_a_price_that_nobody_knows_cannot_be_kept_within_a_budget(desk: Desk) -> None:
    with ModelServer([say("Hi")]) as server:
        desk.add("one", server.openai_url, "nobodys-model")
        with client(desk.lease(budget=1.0)) as agent:
            refused = agent.post("/chat/completions", json=chat("nobodys-model"))
        assert refused.status_code == 402
        assert "price of nobodys-model is unknown" in refused.json()["error"]["message"]
        unlimited = desk.lease()
        with client(unlimited) as agent:
            assert agent.post("/chat/completions", json=chat("nobodys-model")).status_code == 200
        assert desk.calls(unlimited)[0].cost_usd is None


def test_counting_tokens_is_free(desk: Desk) -> None:
    with HttpPeer(answering(whole(b'{"input_tokens": 7}', content_type="application/json"))) as peer:
        desk.add("one", peer.url, kind="anthropic")
        lease = desk.lease(budget=0.0)
        headers = {"x-api-key": lease.key}
        answer = httpx.post(f"{lease.base_url}/v1/messages/count_tokens", json=chat(), headers=headers, trust_env=False)
        assert answer.json() == {"input_tokens": 7}
        assert peer.seen[0].path == "/v1/messages/count_tokens"
        assert lease.budget.spent == 0


# --- callers that go away ---


@pytest.mark.parametrize("started", [True, False])
def test_a_caller_that_goes_away_takes_its_call_along_and_pays_for_it(desk: Desk, started: bool) -> None:
    provider_saw_the_end = threading.Event()
    asked = threading.Event()

    async def handle(_: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if started:
            writer.write(STREAM + chunk(events(*({"n": n} for n in range(5)))))
            await writer.drain()
        asked.set()
        await reader.read(1)
        provider_saw_the_end.set()

    with HttpPeer(handle) as peer:
        desk.add("one", peer.url)
        desk.price()
        lease = desk.lease(budget=100.0)
        with client(lease) as agent:
            if started:
                with agent.stream("POST", "/chat/completions", json=chat(stream=True)) as answer:
                    next(answer.iter_raw())
            else:
                with pytest.raises(httpx.ReadTimeout):
                    agent.post("/chat/completions", json=chat(), timeout=0.5)
        assert asked.wait(10)
        assert provider_saw_the_end.wait(10)
        call = desk.calls(lease)[0]
        assert call.status == 499
        assert call.output_tokens == (5 if started else 0)
        assert call.input_tokens > 10
        assert call.cost_usd == pytest.approx(lease.budget.spent)
        assert not lease.budget.reserved


def test_a_held_call_whose_caller_went_away_is_never_made(desk: Desk) -> None:
    with ModelServer([Fault(status=429, headers={"retry-after": "2"}), say("Hi")]) as server:
        desk.add("one", server.openai_url)
        lease = desk.lease()
        with client(lease) as agent, pytest.raises(httpx.ReadTimeout):
            agent.post("/chat/completions", json=chat(), timeout=0.5)
        with client(desk.lease()) as agent:
            assert agent.post("/chat/completions", json=chat()).status_code == 200
        assert len(server.seen) == 2


# --- secrets ---


def test_secrets_of_this_installation_do_not_leave_it(desk: Desk) -> None:
    with ModelServer([say("Hi")]) as server:
        desk.add("one", server.openai_url)
        desk.add("two", server.openai_url, secret="sk-the-key-of-another-provider")
        lease, neighbour = desk.lease(), desk.lease()
        token = desk.world.admin.token
        text = f"{REAL_KEY} sk-the-key-of-another-provider {token} {neighbour.key} {lease.key} innocent"
        with client(lease) as agent:
            agent.post("/chat/completions", json=chat(text=text))
        assert server.seen[0].messages[0]["content"] == "[secret] [secret] [secret] [secret] [secret] innocent"
        assert lease.masked == 5


# --- many, and the end ---


def test_two_hundred_streams_at_once(desk: Desk) -> None:
    everybody = asyncio.Event()
    here = 0

    async def handle(request: Request, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal here
        here += 1
        if here == 200:
            everybody.set()
        await asyncio.wait_for(everybody.wait(), 30)
        number = json.loads(request.body)["messages"][0]["content"]
        writer.write(STREAM)
        for piece in range(20):
            writer.write(chunk(events({"number": number, "piece": piece})))
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(chunk(events({"usage": USAGE})) + chunk(b""))

    async def ask(agent: httpx.AsyncClient, number: int) -> bool:
        answer = await agent.post("/chat/completions", json=chat(text=str(number), stream=True))
        return answer.status_code == 200 and answer.text.count(f'"number": "{number}"') == 20

    async def ask_all() -> list[bool]:
        limits = httpx.Limits(max_connections=200)
        headers = {"authorization": f"Bearer {lease.key}"}
        async with httpx.AsyncClient(
            base_url=f"{lease.base_url}/v1", headers=headers, limits=limits, timeout=60, trust_env=False
        ) as agent:
            return await asyncio.gather(*(ask(agent, number) for number in range(200)))

    with HttpPeer(handle) as peer:
        desk.add("one", peer.url)
        desk.price()
        lease = desk.lease(budget=1000.0)
        assert all(asyncio.run(ask_all()))
        assert len(desk.calls(lease, 200)) == 200
        assert lease.budget.spent == pytest.approx(200 * 110e-6)
        assert not lease.budget.reserved


def test_stopping_cuts_what_runs_records_it_and_takes_the_socket_away(desk: Desk) -> None:
    async def handle(_: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM + chunk(events({"n": 1})))
        await writer.drain()
        await reader.read(1)

    with HttpPeer(handle) as peer:
        desk.add("one", peer.url)
        lease = desk.lease()
        with client(lease) as agent, agent.stream("POST", "/chat/completions", json=chat(stream=True)) as answer:
            pieces = answer.iter_raw()
            next(pieces)
            began = time.monotonic()
            desk.gateway.stop()
            assert time.monotonic() - began < 3
            with pytest.raises(httpx.HTTPError):
                list(pieces)
        assert not lease.socket_path.exists()
        assert desk.calls(lease)[0].output_tokens == 1
        desk.gateway.ensure_started()
        with ModelServer([say("Hi")]) as server, client(desk.lease()) as agent:
            desk.add("two", server.openai_url, "other")
            assert agent.post("/chat/completions", json=chat("other")).status_code == 200


def test_sockets_of_killed_workers_are_cleared_away_and_those_of_living_ones_stay(
    shared_world: World, open_folder: Path
) -> None:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as killed:
        killed.bind(str(open_folder / "gateway-1.sock"))
    living = new_gateway(shared_world, open_folder, "gateway-2.sock")
    try:
        other = new_gateway(shared_world, open_folder, "gateway-3.sock")
        other.stop()
        assert [path.name for path in open_folder.glob("*.sock")] == ["gateway-2.sock"]
    finally:
        living.stop()


def test_a_gateway_that_cannot_listen_says_why_at_once(shared_world: World, open_folder: Path) -> None:
    with pytest.raises(RuntimeError, match="did not start") as error:
        new_gateway(shared_world, open_folder / "nowhere" / "at" / "all")
    assert isinstance(error.value.__cause__, OSError)


# --- which way an agent takes ---


def job(executor: str, model: str | None = None) -> Job:
    """As much of a job as the choice of a model looks at."""
    return cast("Job", SimpleNamespace(executor=executor, model=model, budget_usd=1.0, ref=SimpleNamespace()))


def way_of(desk: Desk, executor: str, model: str | None = None) -> ModelAccess | None:
    wanted = job(executor, model)
    wanted.ref.attempt_id = desk.attempt()  # type: ignore[misc]
    with GatewayModels(desk.gateway, desk.gateway.store, lambda *_: None).access(wanted) as way:
        return way.model


def test_agents_get_the_first_model_in_a_protocol_that_they_speak(desk: Desk) -> None:
    desk.add("a", "http://127.0.0.1:9", "claude-model", kind="anthropic")
    desk.add("o", "http://127.0.0.1:9/v1", "gpt-model", "gpt-small")
    native, claude, codex = (way_of(desk, name) for name in ("native", "claude", "codex"))
    assert native is not None
    assert claude is not None
    assert codex is not None
    assert (native.model, native.protocol) == ("claude-model", "anthropic")
    assert (claude.model, codex.model) == ("claude-model", "gpt-model")
    desk.add("g", "http://127.0.0.1:9", "gemini-model", kind="google")
    gemini = way_of(desk, "gemini")
    assert gemini is not None
    assert (gemini.model, gemini.protocol) == ("gemini-model", "google")
    small = way_of(desk, "native", "gpt-small")
    assert small is not None
    assert (small.model, small.protocol) == ("gpt-small", "openai")


def test_an_agent_without_a_provider_is_refused_unless_it_is_one_of_ones_own(desk: Desk) -> None:
    assert way_of(desk, "acp") is None
    for name in ("native", "claude", "gemini"):
        with pytest.raises(NoModel, match="devteam provider add"):
            way_of(desk, name)
    desk.add("a", "http://127.0.0.1:9", "claude-model", kind="anthropic")
    with pytest.raises(NoModel, match="offers the model other"):
        way_of(desk, "claude", "other")


def test_the_key_of_a_way_is_worthless_when_the_round_is_over(desk: Desk) -> None:
    desk.add("o", "http://127.0.0.1:9/v1")
    way = way_of(desk, "native")
    assert way is not None
    answer = httpx.get(f"{way.base_url}/v1/models", headers={"authorization": f"Bearer {way.key}"}, trust_env=False)
    assert answer.status_code == 401


# --- bandwidth and incidents ---


def test_large_calls_are_held_to_the_attempts_bandwidth_and_small_ones_never_wait(
    shared_world: World, open_folder: Path
) -> None:
    bandwidth = Bandwidth(8_000_000)
    with (
        open_desk(shared_world, open_folder, bandwidth=bandwidth) as desk,
        ModelServer(lambda _: say("Yes.")) as server,
    ):
        desk.add("one", server.openai_url)
        held, free = desk.lease(), desk.lease()
        with client(held) as agent, client(free) as other:
            agent.post("/chat/completions", json=chat()).raise_for_status()
            began = time.monotonic()
            agent.post("/chat/completions", json=chat(text="x" * 1_000_000)).raise_for_status()
            # 250 kB pass at once, the rest at a megabyte a second.
            assert time.monotonic() - began >= 0.7
            assert held.bucket is bandwidth.of(held.attempt_id)
            began = time.monotonic()
            other.post("/chat/completions", json=chat()).raise_for_status()
            assert time.monotonic() - began < 5


def test_keys_on_their_way_out_are_incidents_the_attempts_own_less_than_others(desk: Desk) -> None:
    told: list[tuple[str, Mapping[str, Any]]] = []

    def sound(code: str, _: str, evidence: Mapping[str, Any]) -> None:
        told.append((code, evidence))

    with ModelServer(lambda _: say("Yes.")) as server:
        desk.add("one", server.openai_url)
        lease = desk.gateway.lease(desk.attempt(), model="scripted", budget_usd=None, sound=sound)
        with client(lease) as agent:
            for text in ("harmless", f"mine is {lease.key}", f"theirs is {REAL_KEY} and {REAL_KEY}"):
                agent.post("/chat/completions", json=chat(text=text)).raise_for_status()
        desk.gateway.end(lease)
    assert sorted(told, key=lambda each: each[0]) == [
        ("attempt_key_leaving", {"masked": 1}),
        ("secret_leaving", {"masked": 2}),
    ]


def test_only_a_budget_that_stopped_something_has_an_overshoot(desk: Desk) -> None:
    raised: list[tuple[str, Mapping[str, Any]]] = []

    def alarm(job: Job, code: str, title: str, evidence: Mapping[str, Any]) -> None:
        del job, title
        raised.append((code, evidence))

    def overshoot(attempt: Any) -> Any:
        with desk.world.database.transaction() as connection:
            found = sql("SELECT overshoot_usd FROM attempts WHERE id = :id")
            return connection.execute(found, {"id": attempt}).scalar_one()

    desk.price()
    with ModelServer(lambda _: Answer("Yes.", input_tokens=900_000)) as server:
        desk.add("one", server.openai_url)
        models = GatewayModels(desk.gateway, desk.gateway.store, alarm)
        for calls, measured in ((1, None), (3, pytest.approx(0.8, abs=0.01))):
            wanted = job("native")
            attempt = wanted.ref.attempt_id = desk.attempt()  # type: ignore[misc]
            with models.access(wanted) as way:
                assert way.model is not None
                headers = {"authorization": f"Bearer {way.model.key}"}
                for _ in range(calls):
                    url = f"{way.model.base_url}/v1/chat/completions"
                    httpx.post(url, json=chat(max_tokens=10), headers=headers, trust_env=False)
            assert overshoot(attempt) == measured
    [(code, evidence)] = raised
    assert (code, evidence["limitUsd"], evidence["overshootUsd"]) == ("budget_spent", 1.0, pytest.approx(0.8, abs=0.01))
