"""What the model gateway reads from providers' answers, what calls cost, and what may leave."""

import hashlib
import json
import secrets
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devteam.adapters.model_gateway.budget import Budget
from devteam.adapters.model_gateway.limits import free_again
from devteam.adapters.model_gateway.prices import Price, PriceTable
from devteam.adapters.model_gateway.redact import redacted
from devteam.adapters.model_gateway.usage import Usage, UsageReader, merge

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def stream(*events: Any, end: str = "\n\n") -> bytes:
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return "".join(f"event: some\ndata: {text}{end}" for text in texts).encode()


OPENAI_USAGE = {"prompt_tokens": 120, "completion_tokens": 30, "prompt_tokens_details": {"cached_tokens": 100}}
CHAT = stream(
    {"choices": [{"delta": {"content": "half"}}], "usage": None},
    {"choices": [], "usage": OPENAI_USAGE},
    "[DONE]",
)
RESPONSES_USAGE = {"input_tokens": 120, "output_tokens": 30, "input_tokens_details": {"cached_tokens": 100}}
RESPONSES = stream(
    {"type": "response.created", "response": {"usage": None}},
    {"type": "response.output_text.delta", "delta": "half"},
    {"type": "response.completed", "response": {"usage": RESPONSES_USAGE}},
)
ANTHROPIC = stream(
    {
        "type": "message_start",
        "message": {
            "usage": {
                "input_tokens": 15,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 5,
                "output_tokens": 1,
            }
        },
    },
    {"type": "content_block_delta", "delta": {"text": 'says "usage": {"output_tokens": 9999}'}},
    {"type": "message_delta", "usage": {"output_tokens": 30}},
    {"type": "message_stop"},
)


def read(data: bytes, *, streamed: bool = True, cuts: tuple[int, ...] = ()) -> tuple[Usage, UsageReader]:
    reader = UsageReader(streamed=streamed)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        reader.feed(data[start:end])
    return reader.finish(), reader


@pytest.mark.parametrize("written", [0, 5])
@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
@given(cuts=st.lists(st.integers(0, 10_000), max_size=6))
def test_usage_is_read_from_any_stream_split_anywhere(written: int, end: str, cuts: list[int]) -> None:
    answer = ANTHROPIC if written else CHAT
    usage, reader = read(answer.replace(b"\n\n", end.encode()), cuts=tuple(cuts))
    assert usage == Usage(120, 100, 30, known=True, written_tokens=written)
    assert reader.complete


def test_usage_is_read_from_a_stream_of_responses() -> None:
    usage, reader = read(RESPONSES, cuts=(7, 99, 130))
    assert usage == Usage(120, 100, 30, known=True)
    assert reader.complete


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (OPENAI_USAGE, Usage(120, 100, 30, known=True)),
        (RESPONSES_USAGE, Usage(120, 100, 30, known=True)),
        ({"prompt_tokens": 7}, Usage(7, 0, 0, known=True)),
        ({"prompt_tokens": 7, "prompt_tokens_details": None}, Usage(7, 0, 0, known=True)),
        ({"input_tokens": 7, "output_tokens": 2}, Usage(7, 0, 2, known=True)),
        ({"prompt_tokens": "many", "completion_tokens": -3}, Usage(known=True)),
        ({"prompt_tokens": True, "completion_tokens": 1.5}, Usage(known=True)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}, Usage(5, 5, 0, known=True)),
        ({"input_tokens": 5, "input_tokens_details": {"cached_tokens": "all"}}, Usage(5, 0, 0, known=True)),
        ({"input_tokens": 10**30, "output_tokens": 1}, Usage(2**31 - 1, 0, 1, known=True)),
    ],
)
def test_usage_is_read_from_a_whole_answer(usage: dict[str, Any], expected: Usage) -> None:
    found, reader = read(json.dumps({"id": "x", "usage": usage}).encode(), streamed=False, cuts=(3, 20))
    assert found == expected
    assert reader.complete


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'"usage"', b'{"usage": 3}', b"[" * 100_000, b"\xff\xfe\x00"])
@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_that_is_no_answer_tells_no_usage(data: bytes, streamed: bool) -> None:
    usage, reader = read(b'data: {"usage"' + data + b"\n\n" if streamed else data, streamed=streamed)
    assert usage == Usage()
    assert not reader.complete


def test_a_stream_cut_half_way_keeps_what_was_told_and_counts_its_pieces() -> None:
    usage, reader = read(ANTHROPIC[: ANTHROPIC.index(b"message_delta")])
    assert (usage.input_tokens, usage.output_tokens) == (120, 1)
    assert not reader.complete
    assert reader.pieces == 2


def test_the_last_count_of_a_stream_wins_and_an_empty_one_takes_nothing_back() -> None:
    started = merge(Usage(), {"input_tokens": 15, "cache_read_input_tokens": 100, "output_tokens": 1})
    assert merge(started, {"input_tokens": 0, "output_tokens": 30}) == Usage(115, 100, 30, known=True)


def test_an_endless_line_is_not_kept() -> None:
    reader = UsageReader(streamed=True)
    for _ in range(80):
        reader.feed(b"x" * 100_000)
    reader.feed(b"\n" + CHAT)
    assert reader.finish().input_tokens == 120


# --- when a provider is free again ---


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "2026-03-01T12:00:40Z"}, 40),
        ({"retry-after": str(int(NOW.timestamp()) + 50)}, 50),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "9" * 17}, 86_400),
        ({"retry-after": "90h"}, 86_400),
        ({"x-ratelimit-reset-requests": "1m30s"}, 90),
        ({"x-ratelimit-reset-tokens": "500ms"}, 0.5),
        ({"x-ratelimit-reset-tokens": "6m0s"}, 360),
        ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-reset": str(int(NOW.timestamp() * 1000) + 9000)}, 9),
        ({"anthropic-ratelimit-tokens-reset": "2026-03-01T12:01:00Z"}, 60),
        (
            {
                "x-ratelimit-remaining-requests": "99",
                "x-ratelimit-reset-requests": "1h",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "12s",
            },
            12,
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-03-01T12:00:05Z",
                "anthropic-ratelimit-input-tokens-remaining": "4000",
                "anthropic-ratelimit-input-tokens-reset": "2026-03-01T13:00:00Z",
                "anthropic-ratelimit-unified-reset": "2026-03-01T18:00:00Z",
            },
            5,
        ),
    ],
)
def test_a_provider_is_free_again_when_its_headers_say(headers: dict[str, str], seconds: float) -> None:
    until, told = free_again(headers, NOW)
    assert told
    assert until - NOW == pytest.approx(timedelta(seconds=seconds), abs=timedelta(milliseconds=1))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"retry-after": "soon"},
        {"retry-after": ""},
        {"retry-after": "-5"},
        {"retry-after": "9" * 400},
        {"retry-after-ms": "inf"},
        {"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "1h"},
        {"anthropic-ratelimit-tokens-reset": "9999-99-99T00:00:00Z"},
    ],
)
def test_without_a_time_that_can_be_read_a_default_holds(headers: dict[str, str]) -> None:
    until, told = free_again(headers, NOW)
    assert not told
    assert until == NOW + timedelta(seconds=20)


@given(st.text(max_size=30))
def test_no_header_breaks_the_reading(value: str) -> None:
    until, _ = free_again({"retry-after": value, "x-ratelimit-reset-tokens": value, "retry-after-ms": value}, NOW)
    assert NOW <= until <= NOW + timedelta(hours=24)


# --- money ---


def test_calls_side_by_side_reserve_beside_each_other() -> None:
    budget = Budget(1.0, spent=0.2)
    first, second, third = uuid4(), uuid4(), uuid4()
    assert budget.reserve(first, 0.5)
    assert not budget.reserve(second, 0.4)
    assert budget.reserve(second, 0.3)
    budget.settle(first, 0.1)
    assert budget.reserve(third, 0.4)
    assert budget.spent == pytest.approx(0.3)


def test_reserving_again_for_the_same_call_replaces_what_was_set_aside() -> None:
    budget, call = Budget(1.0), uuid4()
    assert budget.reserve(call, 0.8)
    assert budget.reserve(call, 0.9)
    budget.release(call)
    budget.release(call)
    assert not budget.reserved


def test_overshoot_is_what_estimates_were_too_low() -> None:
    budget, call = Budget(1.0), uuid4()
    assert budget.reserve(call, 0.9)
    budget.settle(call, 1.25)
    assert budget.overshoot == pytest.approx(0.25)
    assert Budget(None, spent=5.0).overshoot == 0.0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=20))
def test_spending_never_passes_the_limit_while_estimates_hold(calls: list[tuple[float, float]]) -> None:
    budget = Budget(2.0)
    for worst, part in calls:
        call = uuid4()
        if budget.reserve(call, worst):
            budget.settle(call, worst * part)
    assert budget.spent <= 2.0 + 1e-9


def test_the_operators_price_wins_and_holds_after_a_refresh() -> None:
    own: dict[str, Price] = {}
    table = PriceTable(lambda: dict(own))
    usage = Usage(1_000_000, 400_000, 1_000_000, known=True)
    public = table.cost("gpt-4o", usage, base_url="http://models.test/v1")
    assert public is not None
    assert public > 0
    own["gpt-4o"] = Price(1.0, 0.5, 10.0)
    assert table.cost("gpt-4o", usage, base_url="") == public
    table.refresh()
    assert table.cost("gpt-4o", usage, base_url="") == pytest.approx(0.6 + 0.2 + 10.0)


def test_a_model_that_nobody_knows_has_no_price() -> None:
    assert PriceTable(dict).cost("nobodys-model-1", Usage(1, 0, 1, known=True), base_url="http://models.test") is None


def test_writing_into_a_cache_costs_more_than_reading_anew() -> None:
    table = PriceTable(dict)
    fresh = table.cost("claude-sonnet-4-5", Usage(1_000_000), base_url="")
    written = table.cost("claude-sonnet-4-5", Usage(1_000_000, written_tokens=1_000_000), base_url="")
    read_again = table.cost("claude-sonnet-4-5", Usage(1_000_000, cached_tokens=1_000_000), base_url="")
    assert fresh is not None
    assert written is not None
    assert read_again is not None
    assert read_again < fresh < written


# --- secrets ---


def test_known_secrets_and_tokens_are_masked_and_the_rest_stays() -> None:
    key, token, other = 'sk-"quoted"\\key', secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    body = json.dumps({"text": f"KEY={key} TOKEN={token} OTHER={other} {key}"}).encode()
    masked, found = redacted(body, [key], {hashlib.sha256(token.encode()).digest()})
    assert json.loads(masked) == {"text": f"KEY=[secret] TOKEN=[secret] OTHER={other} [secret]"}
    assert found == 3


def test_a_key_too_short_to_be_told_from_words_is_left() -> None:
    assert redacted(b'{"a": "local"}', ["local"]) == (b'{"a": "local"}', 0)
