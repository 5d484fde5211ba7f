"""The tools that DevTeam gives an agent: over the protocol, behind a token, answered at a desk."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import devteam.adapters.executors
from devteam.adapters.agent_tools import AgentToolServer, server
from devteam.executions.session import PlanStep, ToolAccess
from devteam.kit.errors import Conflict

BRIDGE = Path(devteam.adapters.executors.__file__).parent / "tools_bridge.py"


class RecordingDesk:
    """Keeps what it was told; a question that waits is answered when the test says so."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.answered = threading.Event()

    def read_task(self) -> Mapping[str, Any]:
        return {"title": "Größe ändern", "round": 1}

    def report_progress(self, text: str, plan: Sequence[PlanStep]) -> None:
        self.told.append(("progress", text, *plan))

    def ask(self, question: str, *, wait: bool) -> str:
        self.told.append(("ask", question, wait))
        if wait:
            assert self.answered.wait(30)
        return "Blue."

    def report_blocked(self, reason: str) -> None:
        self.told.append(("blocked", reason))

    def propose(self, title: str, description: str, reason: str) -> None:
        if title == "broken":
            raise RuntimeError("a fault inside")
        raise Conflict("Ten proposals wait already.")


class Caller:
    """An agent's side: the bridge as a process, one JSON object per line."""

    def __init__(self, access: ToolAccess, token: str | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(BRIDGE), str(access.socket)],
            env={"DEVTEAM_TOOLS_TOKEN": access.token if token is None else token},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._number = 0

    def line(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def send(self, method: str, **params: Any) -> None:
        self._number += 1
        self.line(json.dumps({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}))

    def begin(self) -> dict[str, Any]:
        self.send(
            "initialize",
            protocolVersion="2025-06-18",
            capabilities={},
            clientInfo={"name": "test", "version": "1"},
        )
        answer = self.read()
        self.line('{"jsonrpc": "2.0", "method": "notifications/initialized"}')
        return answer

    def call(self, tool: str, **arguments: Any) -> tuple[bool, str]:
        """Whether it failed, and what was said."""
        self.send("tools/call", name=tool, arguments=arguments)
        result = self.read()["result"]
        return result["isError"], result["content"][0]["text"]

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def desk() -> RecordingDesk:
    return RecordingDesk()


@pytest.fixture
def access(tmp_path: Path, desk: RecordingDesk) -> Iterator[ToolAccess]:
    with AgentToolServer(tmp_path / "sockets").open(desk) as opened:
        yield opened


@pytest.fixture
def caller(access: ToolAccess) -> Iterator[Caller]:
    calling = Caller(access)
    calling.begin()
    yield calling
    assert calling.end() == 0


def test_offers_five_tools_and_no_power(caller: Caller) -> None:
    caller.send("tools/list")
    tools = caller.read()["result"]["tools"]
    assert [tool["name"] for tool in tools] == [
        "read_task",
        "report_progress",
        "ask_project_manager",
        "report_blocked",
        "propose_task",
    ]
    assert all(tool["description"] and tool["inputSchema"]["type"] == "object" for tool in tools)


def test_reads_and_reports(caller: Caller, desk: RecordingDesk) -> None:
    failed, text = caller.call("read_task")
    assert (failed, json.loads(text)["title"]) == (False, "Größe ändern")
    plan = [{"content": "look", "status": "completed"}, {"content": "mend"}]
    assert caller.call("report_progress", message="half way", plan=plan) == (False, "Noted.")
    assert not caller.call("report_blocked", reason="No such table.")[0]
    steps = PlanStep("look", "completed"), PlanStep("mend", "pending")
    assert desk.told == [("progress", "half way", *steps), ("blocked", "No such table.")]


def test_question_that_waits_says_that_it_lives(
    caller: Caller, desk: RecordingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "ALIVE_SECONDS", 0.05)
    arguments = {"question": "Which colour?"}
    caller.send("tools/call", name="ask_project_manager", arguments=arguments, _meta={"progressToken": "p"})
    first = caller.read()
    assert (first["method"], first["params"]["progressToken"]) == ("notifications/progress", "p")
    desk.answered.set()
    while "method" in (answer := caller.read()):
        pass
    assert answer["result"]["content"][0]["text"] == "Blue."
    assert desk.told == [("ask", "Which colour?", True)]


def test_refusals_and_faults_are_told_and_do_not_end_the_talk(caller: Caller) -> None:
    assert caller.call("propose_task", title="More", description="text") == (True, "Ten proposals wait already.")
    failed, text = caller.call("propose_task", title="broken", description="text")
    assert failed and "a fault inside" not in text
    assert caller.call("propose_task", titel="x")[1] == "title: Field required"
    assert caller.call("report_progress", message=" ")[0]
    assert caller.call("report_progress", message="x" * 4_001)[0]
    assert caller.call("approve", id="x") == (True, "There is no tool approve.")
    caller.line("no JSON at all")
    caller.send("ping")
    assert caller.read()["result"] == {}


def test_wrong_token_hears_nothing_and_a_round_ends_with_its_socket(tmp_path: Path, desk: RecordingDesk) -> None:
    tools = AgentToolServer(tmp_path / "sockets")
    with tools.open(desk) as access, tools.open(desk) as other:
        stranger = Caller(access, token=other.token)
        assert stranger.process.stdout is not None and stranger.process.stdout.read() == ""
        assert stranger.end() == 0
        ours = Caller(access)
        ours.begin()
    assert not access.socket.exists()
    assert ours.process.wait(10) == ours.end() == 0
    assert desk.told == []
