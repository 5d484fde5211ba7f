"""The built-in agent's ear and memory: waits, retries, and what is kept of a long conversation."""

import asyncio
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from devteam.agent.context import Meter, compact, tokens
from devteam.agent.failures import (
    ModelError,
    Patience,
    Reason,
    TransientError,
    failure_of,
    wait_asked_for,
    with_patience,
)
from devteam.agent.messages import (
    AssistantMessage,
    Message,
    PlanStep,
    ToolCall,
    ToolMessage,
    Transcript,
    UserMessage,
    from_json,
    to_json,
)
from devteam.agent.models import whole
from devteam.agent.sessions import SessionStore

ROOT = Path(__file__).resolve().parents[2]
NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW + 30, UTC), usegmt=True)}, 30),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW - 30, UTC), usegmt=True)}, 0),
        ({"retry-after": "soon"}, None),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-reset": str(NOW + 12)}, 12),
        ({"x-ratelimit-reset": str((NOW + 12) * 1000)}, 12),
        ({"anthropic-ratelimit-requests-reset": "2027-01-15T08:00:09Z"}, 9),
        (
            {
                "x-ratelimit-remaining-requests": "59",
                "x-ratelimit-reset-requests": "1h",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "3s",
            },
            3,
        ),
        ({"x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-requests": "1h"}, None),
    ],
)
def test_the_wait_is_read_from_the_headers_in_use(headers: dict[str, str], seconds: float | None) -> None:
    wait = wait_asked_for(headers, now=NOW)
    assert wait == (None if seconds is None else pytest.approx(seconds, abs=0.01))


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (401, "", ModelError, Reason.UNAUTHORIZED),
        (402, "", ModelError, Reason.PAYMENT_REQUIRED),
        (403, "", ModelError, Reason.FORBIDDEN),
        (404, "", ModelError, Reason.BAD_REQUEST),
        (400, "This model's maximum context length is 8192 tokens", ModelError, Reason.CONTEXT_TOO_LONG),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", ModelError, Reason.CONTEXT_TOO_LONG),
        (413, "", ModelError, Reason.CONTEXT_TOO_LONG),
        (429, "", TransientError, Reason.RATE_LIMITED),
        (429, '{"error": {"code": "insufficient_quota"}}', ModelError, Reason.PAYMENT_REQUIRED),
        (500, "", TransientError, Reason.UNAVAILABLE),
        (529, "", TransientError, Reason.UNAVAILABLE),
    ],
)
def test_answers_are_understood(
    status: int, body: str, kind: type[ModelError | TransientError], reason: Reason
) -> None:
    failure = failure_of(status, {}, body)
    assert type(failure) is kind
    assert failure.reason is reason


def test_characters_split_by_a_stream_are_put_together() -> None:
    assert whole("a\ud83d" + "\ude00b") == "a😀b"
    assert whole("a\ud83d") == "a\ufffd"


def patiently(patience: Patience, *waits: float | None) -> tuple[list[float], ModelError | None]:
    """The waits made when calls fail with these, and the error at the end, if any."""
    failures = [TransientError(Reason.RATE_LIMITED, "busy", status=429, wait=wait) for wait in waits]
    waited: list[float] = []

    async def call() -> str:
        if failures:
            raise failures.pop(0)
        return "done"

    async def on_wait(error: TransientError, wait: float) -> None:
        waited.append(wait)

    try:
        assert asyncio.run(with_patience(call, patience, on_wait)) == "done"
    except ModelError as error:
        return waited, error
    return waited, None


def test_waits_grow_until_the_tries_are_spent() -> None:
    waited, error = patiently(Patience(first_seconds=0.01), None, None, None, None, None)
    assert len(waited) == 4
    assert waited[3] > waited[0] * 3
    assert error is not None
    assert error.reason is Reason.RATE_LIMITED


def test_the_total_wait_is_bounded() -> None:
    waited, error = patiently(Patience(total_seconds=0.05), 0.04, 0.04)
    assert waited == [0.04]
    assert error is not None
    assert error.reset_at is not None


def exchange(number: int, size: int) -> list[Message]:
    call = ToolCall(f"c{number}", "shell", {"command": f"step {number}"})
    return [AssistantMessage("", (call,)), ToolMessage(call.id, "shell", "x" * size)]


def cut(transcript: Transcript, window: int) -> tuple[list[Message], str]:
    shown: list[str] = []

    async def summarise(rendered: str) -> str:
        shown.append(rendered)
        return "NOTES"

    return asyncio.run(compact(transcript, window, summarise)), shown[0]


def valid(messages: list[Message]) -> bool:
    """Each result directly follows its call, and each call has its result."""
    open_calls: list[str] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            if message.call_id not in open_calls:
                return False
            open_calls.remove(message.call_id)
        elif open_calls:
            return False
        elif isinstance(message, AssistantMessage):
            open_calls = [call.id for call in message.calls]
    return not open_calls


@pytest.mark.parametrize("size", [10, 1_000, 40_000])
def test_a_cut_conversation_is_valid_and_smaller(size: int) -> None:
    messages: list[Message] = [UserMessage("the task")]
    for number in range(30):
        messages += exchange(number, size)
    before = tokens(messages)
    window = max(400, before // 2)
    found, shown = cut(Transcript(messages, [PlanStep("first", "completed")]), window)

    assert valid(found)
    assert tokens(found) < before * 0.6
    assert found[0] == UserMessage("the task")
    assert found[-1].text[:1000] == messages[-1].text[:1000]
    assert "NOTES" in found[1].text
    assert "[completed] first" in found[1].text
    assert len(shown) <= window * 4 * 0.5 + 100


def test_the_latest_request_survives_word_for_word() -> None:
    messages: list[Message] = [UserMessage("the task"), *exchange(0, 10), UserMessage("now in blue")]
    for number in range(1, 20):
        messages += exchange(number, 2_000)
    found, _ = cut(Transcript(messages), 4_000)
    assert "now in blue" in found[1].text


def test_without_notes_the_conversation_itself_is_kept_in_short() -> None:
    messages: list[Message] = [UserMessage("the task")]
    for number in range(20):
        messages += exchange(number, 2_000)

    async def silent(_: str) -> str:
        return " "

    found = asyncio.run(compact(Transcript(messages), 4_000, silent))
    assert "CALL shell" in found[1].text


def test_the_meter_takes_the_larger_of_count_and_guess() -> None:
    meter = Meter(1_000, fixed=100)
    messages: list[Message] = [UserMessage("x" * 400)]
    assert meter.used(messages) == 100 + 110
    meter.report(700, 1)
    assert meter.used(messages) == 700
    assert not meter.is_full(messages)
    messages.append(UserMessage("x" * 800))
    assert meter.is_full(messages)
    meter.report(5, 2)
    assert meter.used(messages) > 300


def test_sessions_survive_a_half_written_line_and_unanswered_calls(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "state")
    log = store.new()
    for message in (UserMessage("hello"), exchange(1, 5)[0]):
        log.message(message)
    log.plan([PlanStep("look", "in_progress")])
    log.mode("edit")
    log.update({"sessionUpdate": "plan", "entries": []})
    path = tmp_path / "state" / f"{log.id}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("ab") as file:
        file.write(b'{"message": {"role": "us')

    found = store.open(log.id)
    assert found is not None
    _, saved = found
    assert saved.mode == "edit"
    assert saved.transcript.plan == [PlanStep("look", "in_progress")]
    assert saved.updates == [{"sessionUpdate": "plan", "entries": []}]
    assert valid(saved.transcript.messages)
    assert isinstance(saved.transcript.messages[-1], ToolMessage)


@pytest.mark.parametrize("number", ["", "../x", "a" * 31, "A" * 32, "0" * 32])
def test_what_is_no_session_is_not_opened(tmp_path: Path, number: str) -> None:
    assert SessionStore(tmp_path).open(number) is None


def test_a_state_folder_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = SessionStore(tmp_path / "file" / "below")
    assert not store.works
    store.new().message(UserMessage("kept nowhere"))


@pytest.mark.parametrize("message", [UserMessage("a"), *exchange(1, 3), AssistantMessage("b", (), ({"type": "t"},))])
def test_messages_survive_the_disk(message: Message) -> None:
    restored = from_json(to_json(message))
    assert to_json(restored) == to_json(message)
    assert type(restored) is type(message)


def test_the_agent_starts_without_heavy_imports_and_knows_nothing_of_the_engine() -> None:
    code = (
        "import sys, devteam.agent.acp;"
        "heavy = {'acp', 'pydantic', 'httpx', 'sqlalchemy', 'rich'};"
        "ours = {m for m in sys.modules if m.startswith('devteam.') and not m.startswith('devteam.agent')};"
        "print(sorted(ours | heavy & set(sys.modules)))"
    )

    async def run() -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        return (await process.communicate())[0].decode().strip()

    assert asyncio.run(run()) == "[]"
