"""The built-in agent as a process of its own, driven by the protocol's reference client, with a scripted model."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from acp import RequestError, spawn_agent_process, text_block
from acp.client.connection import ClientSideConnection
from acp.schema import EnvVariable, McpServerStdio, PromptResponse

from tests.peers.model_server import Answer, Call, Fault, ModelServer, Step, call, say

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 20.0


class Screen:
    """A client that notes what it is told and answers permission requests as it was told to."""

    def __init__(self, decide: str = "allow_once") -> None:
        self.decide = decide
        self.updates: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.updates.append(update.model_dump(by_alias=True, exclude_none=True))

    async def request_permission(self, session_id: str, tool_call: Any, options: Any, **_: Any) -> dict[str, Any]:
        self.asked.append(tool_call.model_dump(by_alias=True, exclude_none=True))
        if self.decide == "cancelled":
            return {"outcome": {"outcome": "cancelled"}}
        chosen = next(option for option in options if option.kind == self.decide)
        return {"outcome": {"outcome": "selected", "optionId": chosen.option_id}}

    def on_connect(self, conn: Any) -> None:
        return

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [update for update in self.updates if update["sessionUpdate"] == kind]

    def text(self, kind: str = "agent_message_chunk") -> str:
        return "".join(update["content"]["text"] for update in self.of(kind))

    def calls(self) -> list[dict[str, Any]]:
        """Each tool call as it ended, in order."""
        ended = {u["toolCallId"]: u for u in self.of("tool_call_update") if u["status"] in ("completed", "failed")}
        return [started | ended.get(started["toolCallId"], {}) for started in self.of("tool_call")]


@dataclass
class Desk:
    """An agent process with one session."""

    agent: ClientSideConnection
    process: asyncio.subprocess.Process
    screen: Screen
    session: str = ""

    async def prompt(self, text: str = "Make the test pass.") -> PromptResponse:
        return await asyncio.wait_for(self.agent.prompt(session_id=self.session, prompt=[text_block(text)]), 60)

    async def steer(self, text: str) -> dict[str, Any]:
        return await self.agent.ext_method("devteam/steer", {"sessionId": self.session, "text": text})


@dataclass(frozen=True)
class Failure:
    """How a prompt failed."""

    code: int
    message: str
    data: dict[str, Any]


@dataclass
class World:
    """Where an agent works; `env` adds to its environment."""

    folder: Path
    state: Path
    script: list[Step] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    anthropic: bool = False

    def environment(self, server: ModelServer) -> dict[str, str]:
        if self.anthropic:
            model = {"ANTHROPIC_BASE_URL": server.anthropic_url, "ANTHROPIC_MODEL": "m", "ANTHROPIC_API_KEY": "key-1"}
        else:
            model = {"OPENAI_BASE_URL": server.openai_url, "OPENAI_MODEL": "m", "OPENAI_API_KEY": "key-1"}
        own = {"PATH": os.environ["PATH"], "HOME": str(self.state), "PYTHONPATH": str(ROOT)}
        return own | {"DEVTEAM_AGENT_STATE": str(self.state / "sessions")} | model | self.env

    @contextlib.asynccontextmanager
    async def process(self, server: ModelServer, screen: Screen) -> AsyncIterator[Desk]:
        with (self.state / "stderr.txt").open("ab") as errors:
            async with spawn_agent_process(
                screen,  # type: ignore[arg-type]
                sys.executable,
                "-m",
                "devteam.agent",
                env=self.environment(server),
                cwd=self.state,
                transport_kwargs={"limit": 50_000_000, "stderr": errors},
            ) as (agent, process):
                await agent.initialize(protocol_version=1)
                yield Desk(agent, process, screen)

    def work(
        self,
        act: Callable[[Desk], Coroutine[Any, Any, None]],
        *,
        mode: str | None = "edit",
        decide: str = "allow_once",
        servers: list[McpServerStdio] | None = None,
    ) -> tuple[Screen, ModelServer]:
        """Run one session."""
        screen = Screen(decide)

        async def run(server: ModelServer) -> None:
            async with self.process(server, screen) as desk:
                opened = await desk.agent.new_session(cwd=str(self.folder), mcp_servers=[*(servers or [])])
                desk.session = opened.session_id
                if mode:
                    await desk.agent.set_session_mode(session_id=desk.session, mode_id=mode)
                await act(desk)

        with ModelServer(self.script) as server:
            asyncio.run(run(server))
        return screen, server

    def one_turn(self, *script: Step, stop: str = "end_turn", **how: Any) -> tuple[Screen, ModelServer]:
        """One prompt that must end with `stop`."""
        self.script = list(script)

        async def act(desk: Desk) -> None:
            assert (await desk.prompt()).stop_reason == stop

        return self.work(act, **how)

    def failing_turn(self, *script: Step) -> tuple["Failure", Screen, ModelServer]:
        """One prompt that must be answered with an error."""
        self.script = list(script)
        errors: list[RequestError] = []

        async def act(desk: Desk) -> None:
            with pytest.raises(RequestError) as caught:
                await desk.prompt()
            errors.append(caught.value)

        screen, server = self.work(act)
        error = errors[0]
        return Failure(error.code, str(error), error.data or {}), screen, server


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder, state = tmp_path / "repo", tmp_path / "state"
    state.mkdir()
    folder.mkdir()
    (folder / "adder.py").write_text("def add(a, b):\n    return a - b\n")
    (folder / "check.py").write_text("from adder import add\nassert add(2, 3) == 5, add(2, 3)\nprint('green')\n")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return World(folder, state)


FIX = call("edit_file", path="adder.py", old_text="a - b", new_text="a + b")
CHECK = call("shell", command="python3 check.py")
FULL_JOB = (
    Answer("Let me look.", [Call("update_plan", {"steps": [{"step": "Fix add", "status": "in_progress"}]})]),
    CHECK,
    call("read_file", path="adder.py"),
    Answer(thought="The sign is wrong.", calls=FIX.calls),
    CHECK,
    say("Fixed: add subtracted. check.py is green."),
)


def git(world: World, *command: str) -> str:
    return subprocess.run(["git", *command], cwd=world.folder, check=True, capture_output=True, text=True).stdout


def running(text: str) -> list[int]:
    """Processes whose command line holds a text."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and text.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


async def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("anthropic", [False, True], ids=["openai", "anthropic"])
def test_a_whole_job_is_done_and_told(world: World, anthropic: bool) -> None:
    world.anthropic = anthropic
    screen, server = world.one_turn(*FULL_JOB)

    assert (world.folder / "adder.py").read_text() == "def add(a, b):\n    return a + b\n"
    assert git(world, "status", "--porcelain").split() == ["M", "adder.py"] or "adder.py" in git(world, "status", "-s")
    plan, red, read, edit, green = screen.calls()
    assert [c["status"] for c in (plan, red, read, edit, green)] == [
        "completed", "failed", "completed", "completed", "completed",
    ]  # fmt: skip
    assert "AssertionError" in red["content"][0]["content"]["text"]
    assert "green" in green["content"][0]["content"]["text"]
    assert edit["kind"] == "edit"
    assert edit["content"] == [
        {
            "type": "diff",
            "path": str(world.folder / "adder.py"),
            "oldText": "def add(a, b):\n    return a - b\n",
            "newText": "def add(a, b):\n    return a + b\n",
        }
    ]
    assert screen.of("plan")[0]["entries"] == [{"content": "Fix add", "priority": "medium", "status": "in_progress"}]
    assert screen.text() == "Let me look.Fixed: add subtracted. check.py is green."
    assert screen.text("agent_thought_chunk") == "The sign is wrong."
    assert screen.of("usage_update")[-1]["used"] > 0
    assert not screen.asked
    assert len(server.seen) == len(FULL_JOB)
    if anthropic:  # what was signed goes back as it was
        thinking = {"type": "thinking", "thinking": "The sign is wrong.", "signature": "signed"}
        assert thinking in server.seen[-1].messages[-4]["content"]
    assert server.seen[0].headers["x-api-key" if anthropic else "authorization"].endswith("key-1")


def test_usage_is_the_sum_of_the_turn_with_cached_tokens_counted_in(world: World) -> None:
    world.script = [
        Answer(calls=CHECK.calls, input_tokens=1000, output_tokens=20, cached_tokens=0),
        Answer("Done.", input_tokens=1100, output_tokens=30, cached_tokens=1000),
    ]

    async def act(desk: Desk) -> None:
        usage = (await desk.prompt()).usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.cached_read_tokens) == (2100, 50, 1000)

    world.work(act)
    world.anthropic = True
    world.work(act)


def test_the_model_is_told_the_tools_and_every_result(world: World) -> None:
    _, server = world.one_turn(*FULL_JOB)

    first, last = server.seen[0], server.seen[-1]
    assert {tool["function"]["name"] for tool in first.body["tools"]} == {
        "read_file", "write_file", "edit_file", "list_files", "search", "shell", "update_plan",
    }  # fmt: skip
    assert str(world.folder) in first.messages[0]["content"]
    assert len(last.results()) == 5
    assert "     2\t    return a - b" in last.results()[2]


def test_refused_permission_changes_nothing(world: World) -> None:
    screen, server = world.one_turn(*FULL_JOB, mode=None, decide="reject_once")

    assert git(world, "status", "--porcelain") == ""
    assert [asked["kind"] for asked in screen.asked] == ["execute", "edit", "execute"]
    assert screen.asked[1]["content"][0]["newText"] == "def add(a, b):\n    return a + b\n"
    assert "did not allow" in server.seen[-1].results()[1]


def test_allowing_for_the_session_is_asked_once_per_command(world: World) -> None:
    screen, _ = world.one_turn(*FULL_JOB, mode="ask", decide="allow_always")

    assert [asked["kind"] for asked in screen.asked] == ["execute", "edit"]
    assert screen.calls()[-1]["status"] == "completed"


def test_a_permission_request_that_is_cancelled_ends_the_turn(world: World) -> None:
    screen, server = world.one_turn(CHECK, say("never"), mode="ask", decide="cancelled", stop="cancelled")

    assert screen.calls()[0]["status"] == "failed"
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "command", ["sleep 1234567", "setsid sleep 1234567 & trap '' TERM; sleep 1234567; sleep 1234567"]
)
def test_cancel_ends_a_running_command_and_all_below_it(world: World, command: str) -> None:
    marker = f"{os.getpid()}{time.time_ns() % 10**6}"
    command = command.replace("1234567", marker)
    world.script = [call("shell", command=command), say("Heard you.")]

    async def act(desk: Desk) -> None:
        turn = asyncio.create_task(desk.prompt())
        await until(lambda: running(f"sleep\0{marker}"))
        started = time.monotonic()
        await desk.agent.cancel(session_id=desk.session)
        assert (await turn).stop_reason == "cancelled"
        assert not running(f"sleep\0{marker}")
        assert time.monotonic() - started < 5  # well below a second on an idle machine
        assert (await desk.prompt("And now?")).stop_reason == "end_turn"  # the conversation is still a valid one

    screen, server = world.work(act)
    assert screen.calls()[0]["status"] == "failed"
    assert "cancelled" in server.seen[-1].results()[0]


def test_cancel_while_the_model_speaks(world: World) -> None:
    world.script = [say("A long answer that stops in the middle.", pause=60)]

    async def act(desk: Desk) -> None:
        turn = asyncio.create_task(desk.prompt())
        await until(lambda: desk.screen.of("agent_message_chunk"))
        await desk.agent.cancel(session_id=desk.session)
        assert (await turn).stop_reason == "cancelled"

    world.work(act)


def test_cancel_while_waiting_for_the_rate_limit(world: World) -> None:
    world.script = [Fault(429, {"retry-after": "60"})]

    async def act(desk: Desk) -> None:
        turn = asyncio.create_task(desk.prompt())
        await until(lambda: desk.screen.of("agent_thought_chunk"))
        await desk.agent.cancel(session_id=desk.session)
        assert (await turn).stop_reason == "cancelled"

    world.work(act)


@pytest.mark.parametrize("end", [lambda p: p.stdin.close(), lambda p: p.terminate()], ids=["end of input", "SIGTERM"])
def test_the_agent_ends_with_its_commands(world: World, end: Callable[[asyncio.subprocess.Process], None]) -> None:
    marker = f"{os.getpid()}{time.time_ns() % 10**6}"
    world.script = [call("shell", command=f"setsid sleep {marker} & sleep {marker}")]

    async def act(desk: Desk) -> None:
        turn = asyncio.create_task(desk.prompt())
        await until(lambda: len(running(f"sleep\0{marker}")) == 2)
        end(desk.process)
        await asyncio.wait_for(desk.process.wait(), PATIENCE_SECONDS)
        assert not running(f"sleep\0{marker}")
        with pytest.raises(ConnectionError):
            await turn

    world.work(act)


def test_a_rate_limit_is_waited_for_as_long_as_asked(world: World) -> None:
    _, server = world.one_turn(Fault(429, {"retry-after": "1"}), say("Done."))

    assert server.seen[1].at - server.seen[0].at >= 1


def test_a_rate_limit_that_lasts_too_long_ends_the_turn_with_its_reset(world: World) -> None:
    error, _, server = world.failing_turn(Fault(429, {"x-ratelimit-reset-requests": "1h0m0s"}))

    assert error.data["reason"] == "rate_limited"
    assert error.data["status"] == 429
    assert error.data["resetAt"]
    assert len(server.seen) == 1


def test_server_errors_are_tried_again(world: World) -> None:
    screen, server = world.one_turn(Fault(500), Fault(503), say("Done."))

    assert len(server.seen) == 3
    assert "asking again" in screen.text("agent_thought_chunk")


@pytest.mark.parametrize("anthropic", [False, True], ids=["openai", "anthropic"])
def test_a_cut_stream_is_asked_for_again(world: World, anthropic: bool) -> None:
    world.anthropic = anthropic
    _, server = world.one_turn(Fault(cut=True), FIX, say("Done."))

    assert len(server.seen) == 3
    assert "a + b" in (world.folder / "adder.py").read_text()


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (400, -32603, "bad_request"),
        (401, -32000, "unauthorized"),
        (402, -32603, "payment_required"),
        (403, -32603, "forbidden"),
    ],
)
def test_what_waiting_cannot_help_ends_the_turn_with_an_error(
    world: World, status: int, code: int, reason: str
) -> None:
    error, _, server = world.failing_turn(Fault(status, message="because"))

    assert (error.code, error.data["reason"], error.data["status"]) == (code, reason, status)
    assert "because" in error.message
    assert len(server.seen) == 1


def test_a_model_that_is_not_set_is_said(world: World) -> None:
    world.env = {"OPENAI_MODEL": ""}
    error, _, _ = world.failing_turn()

    assert error.code == -32000
    assert "OPENAI_MODEL" in error.message


def test_a_refusal_and_a_cut_answer_have_their_own_stop_reasons(world: World) -> None:
    world.one_turn(say("No.", stop="content_filter"), stop="refusal")
    world.one_turn(say("And so", stop="length"), stop="max_tokens")


@pytest.mark.parametrize("anthropic", [False, True], ids=["openai", "anthropic"])
def test_malformed_tool_calls_are_answered_to_the_model(world: World, anthropic: bool) -> None:
    world.anthropic = anthropic
    broken = Answer(
        calls=[Call("shell", raw='{"command": "echo'), Call("no_such_tool"), Call("shell", {"comand": "x"})]
    )
    screen, server = world.one_turn(broken, FIX, say("Done."))

    not_json, unknown, wrong = server.seen[1].results()
    assert "not valid JSON" in not_json
    assert "no tool 'no_such_tool'" in unknown
    assert "command is missing" in wrong
    assert [c["status"] for c in screen.calls()] == ["failed"] * 3 + ["completed"]


def test_empty_answers_are_no_success(world: World) -> None:
    error, _, server = world.failing_turn(say(""), say(""))

    assert error.data["reason"] == "bad_answer"
    assert len(server.seen) == 2


def test_a_model_without_end_is_stopped(world: World) -> None:
    world.env = {"DEVTEAM_AGENT_TURNS": "3"}
    _, server = world.one_turn(*[CHECK] * 5, stop="max_turn_requests")

    assert len(server.seen) == 3


def test_no_tool_reaches_outside_of_the_folder(world: World) -> None:
    outside = world.folder.parent / "secret.txt"
    outside.write_text("secret")
    (world.folder / "link").symlink_to(outside)
    (world.folder / "up").symlink_to(world.folder.parent)
    paths = ["../secret.txt", str(outside), "link", "up/secret.txt", "~/x", ".git/hooks/pre-commit"]
    writes = [Call("write_file", {"path": path, "content": "owned"}) for path in paths]
    reads = [Call("read_file", {"path": path}) for path in paths[:-1]]
    edits = [Call("edit_file", {"path": path, "old_text": "secret", "new_text": "x"}) for path in paths[:-1]]
    looks = [Call("list_files", {"path": "up"}), Call("search", {"pattern": "secret", "path": ".."})]
    screen, server = world.one_turn(Answer(calls=[*writes, *reads, *edits, *looks]), say("Done."))

    assert {c["status"] for c in screen.calls()} == {"failed"}
    assert not any("secret\n" in result for result in server.seen[1].results())
    assert outside.read_text() == "secret"
    assert not (world.folder / ".git" / "hooks" / "pre-commit").exists()


def test_large_files_and_outputs_are_cut(world: World) -> None:
    (world.folder / "long.txt").write_text("line\n" * 100_000)
    (world.folder / "wide.txt").write_text("x" * 1_000_000)
    with (world.folder / "huge.bin").open("wb") as file:
        file.truncate(10**9)
    calls = [Call("read_file", {"path": name}) for name in ("long.txt", "wide.txt", "huge.bin")]
    calls.append(Call("shell", {"command": "echo begin; head -c 20000000 /dev/zero | tr '\\0' 'y'; echo end"}))
    calls.append(Call("search", {"pattern": "line"}))
    _, server = world.one_turn(Answer(calls=calls), say("Done."))

    long, wide, huge, output, found = server.seen[1].results()
    assert "go on with offset 2001" in long
    assert len(wide) < 3000
    assert "1000000000 bytes" in huge
    assert output.startswith("begin")
    assert "end\n[exit code 0" in output
    assert "bytes left out" in output
    assert len(output) < 31_000
    assert "more than 200 lines match" in found


def test_a_command_that_runs_too_long_is_ended(world: World) -> None:
    screen, server = world.one_turn(call("shell", command="echo started; sleep 60", seconds=1), say("Done."))

    assert server.seen[1].results()[0] == "started\n\n[ended after the time limit of 1 s]"
    assert screen.calls()[0]["status"] == "failed"


def test_commands_do_not_see_the_key(world: World) -> None:
    _, server = world.one_turn(call("shell", command="env"), say("Done."))

    assert "PATH=" in server.seen[1].results()[0]
    assert "OPENAI" not in server.seen[1].results()[0]


def test_a_long_conversation_is_cut_and_goes_on(world: World) -> None:
    world.env = {"DEVTEAM_AGENT_CONTEXT": "6000"}
    noise = call("shell", command="seq 1 1500")
    answers: list[Step] = [FIX, *[noise] * 6]
    notes: list[str] = []

    def script(seen: Any) -> Step:
        if "notes of a coding agent" in seen.messages[0]["content"]:
            notes.append(seen.messages[1]["content"])
            return say("adder.py was fixed; seq was run.")
        return answers.pop(0) if answers else say("All done.")

    screen = Screen()

    async def run(server: ModelServer) -> None:
        async with world.process(server, screen) as desk:
            desk.session = (await desk.agent.new_session(cwd=str(world.folder), mcp_servers=[])).session_id
            await desk.agent.set_session_mode(session_id=desk.session, mode_id="edit")
            assert (await desk.prompt("Make the test pass.")).stop_reason == "end_turn"

    with ModelServer(script) as server:
        asyncio.run(run(server))

    assert notes
    assert "CALL edit_file" in notes[0]
    last = server.seen[-1].messages
    assert last[1]["content"] == "Make the test pass."
    assert "adder.py was fixed; seq was run." in last[2]["content"]
    assert len(str(last)) < 6000 * 4
    called = {c["id"] for m in last for c in m.get("tool_calls") or []}
    assert {m["tool_call_id"] for m in last if m["role"] == "tool"} == called
    assert screen.text() == "All done."


def test_a_conversation_the_model_finds_too_long_is_cut(world: World) -> None:
    too_long = Fault(400, message="This model's maximum context length is 100 tokens")
    _, server = world.one_turn(CHECK, CHECK, FIX, too_long, say("NOTES"), say("Done."))

    assert "NOTES" in server.seen[-1].messages[2]["content"]
    assert len(server.seen[-1].messages) < len(server.seen[3].messages)


def test_a_closed_session_is_resumed_without_being_told_again(world: World) -> None:
    world.script = [FIX, say("Fixed it."), say("As I said.")]

    async def act(desk: Desk) -> None:
        await desk.prompt()
        await desk.agent.close_session(session_id=desk.session)
        with pytest.raises(RequestError):
            await desk.prompt()
        told = len(desk.screen.updates)
        await desk.agent.resume_session(session_id=desk.session, cwd=str(world.folder), mcp_servers=[])
        assert len(desk.screen.updates) == told
        await desk.prompt("Sure?")

    _, server = world.work(act)
    assert [m["role"] for m in server.seen[-1].messages] == ["system", "user", "assistant", "tool", "assistant", "user"]


def test_names_and_words_that_are_no_unicode_do_no_harm(world: World) -> None:
    (world.folder / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    half = Answer("half \ud83d", [Call("list_files"), Call("shell", {"command": "echo '\ud83d'"})])
    screen, server = world.one_turn(half, say("Done."))

    assert [c["status"] for c in screen.calls()] == ["completed", "completed"]
    assert "caf?.txt" in server.seen[1].results()[0]


def test_a_session_goes_on_in_another_process(world: World) -> None:
    world.script = [FIX, say("Fixed it."), say("You asked to make the test pass.")]
    before, after = Screen(), Screen()

    async def run(server: ModelServer) -> None:
        async with world.process(server, before) as desk:
            desk.session = session = (await desk.agent.new_session(cwd=str(world.folder), mcp_servers=[])).session_id
            await desk.agent.set_session_mode(session_id=session, mode_id="edit")
            await desk.prompt()
        async with world.process(server, after) as desk:
            loaded = await desk.agent.load_session(cwd=str(world.folder), session_id=session, mcp_servers=[])
            assert loaded is not None
            assert loaded.modes is not None
            assert loaded.modes.current_mode_id == "edit"
            await until(lambda: after.text() == "Fixed it.")
            assert after.text("user_message_chunk") == "Make the test pass."
            assert [c["status"] for c in after.calls()] == ["completed"]
            assert after.calls()[0]["content"] == before.calls()[0]["content"]
            desk.session = session
            await desk.prompt("What did I ask?")

    with ModelServer(world.script) as server:
        asyncio.run(run(server))
    said = server.seen[-1].messages
    assert [m["role"] for m in said] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert said[1]["content"] == "Make the test pass."


def test_a_session_that_was_killed_during_a_call_can_be_loaded(world: World) -> None:
    marker = f"{os.getpid()}{time.time_ns() % 10**6}"
    world.script = [call("shell", command=f"sleep {marker}"), say("I do not know whether it ran.")]

    async def run(server: ModelServer) -> None:
        async with world.process(server, Screen()) as desk:
            desk.session = session = (await desk.agent.new_session(cwd=str(world.folder), mcp_servers=[])).session_id
            await desk.agent.set_session_mode(session_id=session, mode_id="edit")
            turn = asyncio.create_task(desk.prompt())
            await until(lambda: running(f"sleep\0{marker}"))
            desk.process.kill()
            with pytest.raises(ConnectionError):
                await turn
            for pid in running(f"sleep\0{marker}"):
                os.kill(pid, 9)  # who kills the agent ends what it ran, as the engine's runner does
        async with world.process(server, Screen()) as desk:
            await desk.agent.load_session(cwd=str(world.folder), session_id=session, mcp_servers=[])
            desk.session = session
            assert (await desk.prompt("Go on.")).stop_reason == "end_turn"

    with ModelServer(world.script) as server:
        asyncio.run(run(server))
    assert "not known" in server.seen[-1].results()[0]


def test_guidance_is_heard_before_the_next_call_of_the_model(world: World) -> None:
    world.script = [call("shell", command="until [ -e go ]; do sleep 0.05; done"), say("Understood.")]

    async def act(desk: Desk) -> None:
        assert await desk.steer("too early") == {"accepted": False}
        turn = asyncio.create_task(desk.prompt())
        await until(lambda: desk.screen.of("tool_call"))
        assert await desk.steer("Use subtraction nowhere.") == {"accepted": True}
        (world.folder / "go").touch()
        await turn

    _, server = world.work(act)
    assert server.seen[-1].messages[-1] == {"role": "user", "content": "Use subtraction nowhere."}


def mcp(name: str, *, command: str = sys.executable, script: str = "mcp_server.py") -> McpServerStdio:
    path = str(ROOT / "tests" / "peers" / script)
    return McpServerStdio(name=name, command=command, args=[path], env=[EnvVariable(name="GIVEN", value="1")])


def test_tools_of_a_server_are_called(world: World) -> None:
    world.env = {"DEVTEAM_AGENT_MCP_SECONDS": "1"}
    calls = [
        Call("devteam__ask_project_manager", {"question": "Which sign?"}),
        Call("devteam__slow"),  # takes two seconds and reports progress meanwhile
        Call("devteam__broken"),
    ]
    screen, server = world.one_turn(Answer(calls=calls), say("Done."), servers=[mcp("devteam")])

    assert server.seen[1].results() == ["The answer to 'Which sign?' is 42.", "slow but done", "it broke"]
    assert [c["status"] for c in screen.calls()] == ["completed", "completed", "failed"]


def test_a_server_that_does_not_start_is_told_and_does_not_stop_the_work(world: World) -> None:
    servers = [mcp("gone", command="/no/such/program"), mcp("dies", command="/bin/false")]
    screen, _ = world.one_turn(FIX, say("Done."), servers=servers)

    told = screen.text("agent_thought_chunk")
    assert "gone cannot be used" in told
    assert "dies cannot be used" in told
    assert "a + b" in (world.folder / "adder.py").read_text()


def test_wrong_requests_are_answered_with_errors(world: World) -> None:
    async def act(desk: Desk) -> None:
        for wrong in (
            desk.agent.new_session(cwd="relative", mcp_servers=[]),
            desk.agent.new_session(cwd=str(world.folder / "absent"), mcp_servers=[]),
            desk.agent.set_session_mode(session_id=desk.session, mode_id="yolo"),
            desk.agent.load_session(cwd=str(world.folder), session_id="../../etc/passwd", mcp_servers=[]),
            desk.agent.prompt(session_id="unknown", prompt=[text_block("x")]),
            desk.agent.prompt(session_id=desk.session, prompt=[text_block("  ")]),
        ):
            with pytest.raises(RequestError):
                await asyncio.wait_for(wrong, PATIENCE_SECONDS)

    world.work(act)


def test_garbage_on_the_input_is_survived(world: World) -> None:
    world.script = [say("Still here.")]

    async def act(desk: Desk) -> None:
        assert desk.process.stdin is not None
        desk.process.stdin.write(b'garbage\n[]\n{"jsonrpc":"2.0","id":77,"method":"nonsense"}\n\xff\xfe\n{"id":[]}\n')
        assert (await desk.prompt()).stop_reason == "end_turn"

    world.work(act)
