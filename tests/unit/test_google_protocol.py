"""Google's protocol where it differs, and the settings of the agent that speaks it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devteam.adapters.executors.profiles import PROFILES
from devteam.adapters.model_gateway.google import target_of, without_key
from devteam.adapters.model_gateway.limits import free_again
from devteam.adapters.model_gateway.prices import PriceTable
from devteam.adapters.model_gateway.usage import Usage, UsageReader, from_google
from devteam.executions.session import ModelAccess

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def delay(value: Any) -> bytes:
    return json.dumps({"error": {"details": ["no detail", {"retryDelay": value}]}}).encode()


@pytest.mark.parametrize(
    ("query", "left"),
    [("", ""), ("alt=sse", "alt=sse"), ("key=k&alt=sse", "alt=sse"), ("%6Bey=k", ""), ("keys=1", "keys=1")],
)
def test_the_key_is_taken_out_of_a_query(query: str, left: str) -> None:
    assert without_key(query) == left


def test_a_path_names_model_and_action() -> None:
    target = target_of("a b:streamGenerateContent")
    assert target is not None
    assert target.address("http://h") == "http://h/v1beta/models/a%20b:streamGenerateContent"
    assert target.call({}) == {"model": "a b", "stream": True}
    assert target.call({"generationConfig": {"maxOutputTokens": 5}, "generation_config": {"max_output_tokens": 9}}) == {
        "model": "a b",
        "stream": True,
        "max_output_tokens": 9,
    }
    assert target_of("x:batchEmbedContents") is None


@pytest.mark.parametrize(("value", "seconds"), [("34s", 34.0), ("34.074824224s", 34.074824), ("0s", 0.0)])
def test_a_provider_is_free_again_when_its_error_says(value: str, seconds: float) -> None:
    until, told = free_again({}, NOW, delay(value))
    assert told
    assert until - NOW == pytest.approx(timedelta(seconds=seconds), abs=timedelta(milliseconds=1))
    assert free_again({"retry-after": "7"}, NOW, delay(value))[0] == NOW + timedelta(seconds=7)


@pytest.mark.parametrize("content", [b"", b"retryDelay", b'["retryDelay"]', delay(3), delay("soon"), b"[" * 99_999])
def test_an_error_that_tells_no_time_is_waited_for_as_others(content: bytes) -> None:
    assert free_again({}, NOW, content) == (NOW + timedelta(seconds=20), False)


def test_usage_counts_thoughts_as_output_and_keeps_what_a_later_piece_leaves_out() -> None:
    reported = {"promptTokenCount": 10, "toolUsePromptTokenCount": 2, "cachedContentTokenCount": 99}
    assert from_google(reported) == Usage(input_tokens=12, cached_tokens=12, output_tokens=0, known=True)
    reader = UsageReader(streamed=True)
    reader.feed(b'data: {"usageMetadata": {"promptTokenCount": 9, "thoughtsTokenCount": 4}}\r\n\r\n')
    reader.feed(b'data: {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"candidatesTokenCount": 3}}\n')
    assert reader.complete
    assert reader.finish() == Usage(input_tokens=9, output_tokens=7, known=True)


def test_a_refused_prompt_is_a_whole_answer() -> None:
    reader = UsageReader(streamed=True)
    reader.feed(b'data: {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}\n')
    assert reader.complete
    assert reader.finish().input_tokens == 9


def test_the_public_table_knows_googles_models() -> None:
    cost = PriceTable(dict).cost("gemini-2.5-flash", Usage(1_000_000, 0, 0, known=True), base_url="http://127.0.0.1")
    assert cost is not None
    assert cost > 0


def test_gemini_is_told_its_way_its_model_and_to_report_nothing(tmp_path: Path) -> None:
    model = ModelAccess(base_url="http://127.0.0.1:7", key="k", socket="/s", model="gemini-x", protocol="google")
    profile = PROFILES["gemini"]
    environment = profile.configure(model, tmp_path)
    assert environment["GOOGLE_GEMINI_BASE_URL"] == "http://127.0.0.1:7/google"
    assert (environment["GEMINI_API_KEY"], environment["GEMINI_MODEL"]) == ("k", "gemini-x")
    settings = json.loads((tmp_path / ".gemini" / "settings.json").read_text())
    assert settings["security"]["auth"]["selectedType"] == "gemini-api-key"
    assert settings["privacy"]["usageStatisticsEnabled"] is False
    assert settings["telemetry"]["enabled"] is False
    assert settings["general"]["enableAutoUpdate"] is False
    assert settings["modelConfigs"]["customOverrides"][0]["modelConfig"]["model"] == "gemini-x"
    assert profile.package == f"@google/gemini-cli@{profile.version}"
