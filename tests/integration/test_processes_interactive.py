"""Commands that are spoken to over their standard streams, under the same control as any other."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devteam.adapters.processes import (
    CommandResult,
    CommandSpec,
    RunningCommand,
    kill_marked,
    marked_processes,
    scrubbed_environment,
)

ECHO = "import sys\nfor line in sys.stdin:\n    print(line.strip()[::-1], flush=True)\nprint('end', file=sys.stderr)"


class Conversation:
    """An interactive command whose `wait` runs on a thread of its own."""

    def __init__(self, spec: CommandSpec) -> None:
        self.command = RunningCommand.start(spec)
        self.errors: list[str] = []
        self._results: list[CommandResult] = []
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        self._results.append(self.command.wait(self.errors.append))

    def ask(self, question: str) -> str:
        self.command.stdin.write(question.encode() + b"\n")
        return self.command.stdout.readline().decode().strip()

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def end(self) -> CommandResult:
        self._thread.join(20)
        return self._results[0]

    def result(self) -> CommandResult:
        try:
            return self.end()
        finally:
            self.command.close_streams()


@pytest.fixture(params=["auto", "subreaper"])
def spec(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    marker = f"test:{tmp_path}"

    def make(code: str, **changes: Any) -> CommandSpec:
        fields: dict[str, Any] = {
            "argv": (sys.executable, "-I", "-S", "-c", code),
            "cwd": tmp_path,
            "env": scrubbed_environment(home=tmp_path, extra={}),
            "time_limit": 30.0,
            "marker": marker,
            "interactive": True,
            "isolation": request.param,
        }
        return CommandSpec(**{**fields, **changes})

    yield make
    survivors = marked_processes(marker)
    kill_marked(marker)
    assert survivors == []


def test_questions_are_answered_and_errors_are_output(spec: Any) -> None:
    talk = Conversation(spec(ECHO))
    assert [talk.ask(word) for word in ("one", "two")] == ["eno", "owt"]
    talk.command.stdin.close()
    assert talk.command.stdout.read() == b""
    result = talk.result()
    assert (result.exit_code, result.killed, result.leftovers) == (0, False, 0)
    assert "".join(talk.errors) == "end\n"


def test_death_of_the_command_ends_both_streams(spec: Any) -> None:
    talk = Conversation(spec("import os; os.kill(os.getpid(), 9)"))
    assert talk.command.stdout.read() == b""
    assert talk.end().signal == 9
    with pytest.raises(BrokenPipeError):
        talk.command.stdin.write(b"x")
    talk.result()


def test_another_child_holds_none_of_the_streams(spec: Any) -> None:
    talk = Conversation(spec(ECHO))
    other = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        second = Conversation(spec(ECHO))
        talk.command.stdin.close()
        assert talk.command.stdout.read() == b""
        assert talk.result().exit_code == 0
        assert second.ask("still here") == "ereh llits"
        second.command.terminate()
        assert second.command.stdout.read() == b""
        assert second.result().killed
    finally:
        other.kill()
        other.wait()


def test_the_command_inherits_nothing_but_its_three_streams(spec: Any) -> None:
    talk = Conversation(spec("import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1], flush=True)"))
    assert talk.command.stdout.read() == b"[0, 1, 2]\n"
    talk.result()


def test_a_paused_conversation_waits(spec: Any) -> None:
    talk = Conversation(spec(ECHO))
    assert talk.ask("one") == "eno"
    talk.command.pause()
    talk.command.stdin.write(b"two\n")
    os.set_blocking(talk.command.stdout.fileno(), False)
    time.sleep(0.1)
    assert talk.command.stdout.read() is None
    os.set_blocking(talk.command.stdout.fileno(), True)
    talk.command.resume()
    assert talk.command.stdout.readline() == b"owt\n"
    talk.command.terminate()
    talk.result()


def test_the_time_limit_ends_a_conversation(spec: Any) -> None:
    talk = Conversation(spec(ECHO, time_limit=0.3))
    assert talk.command.stdout.read() == b""
    assert talk.result().timed_out


def test_a_command_that_cannot_start_ends_the_streams_with_a_reason(spec: Any) -> None:
    talk = Conversation(spec("", argv=("no-such-agent",)))
    assert talk.command.stdout.read() == b""
    assert talk.result().error == "command not found: no-such-agent"


def test_no_descriptor_is_left_open(spec: Any) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        talk = Conversation(spec(ECHO))
        talk.command.stdin.close()
        talk.result()
    assert len(os.listdir("/proc/self/fd")) == before


def test_other_commands_have_no_streams(spec: Any) -> None:
    command = RunningCommand.start(spec("print('plain')", interactive=False))
    with pytest.raises(ValueError, match="interactive"):
        _ = command.stdin
    output: list[str] = []
    assert command.wait(output.append).exit_code == 0
    assert output == ["plain\n"]


def test_inputs_can_be_read_and_limits_hold(spec: Any) -> None:
    code = "import os, resource\nprint(os.read(64, 9), resource.getrlimit(resource.RLIMIT_FSIZE)[0], flush=True)"
    talk = Conversation(spec(code, inputs={64: b"from us"}, limits={"FSIZE": 4096}))
    assert talk.command.stdout.read() == b"b'from us' 4096\n"
    talk.result()


def test_a_held_clock_does_not_count_while_the_command_runs(spec: Any) -> None:
    talk = Conversation(spec(ECHO, time_limit=1.0))
    talk.command.hold_clock()
    time.sleep(1.5)
    assert talk.ask("on") == "no"
    talk.command.stdin.close()
    result = talk.result()
    assert (result.exit_code, result.timed_out) == (0, False)
    assert result.seconds < 1.0


def test_time_counts_again_when_neither_pause_nor_hold_is_left(spec: Any) -> None:
    talk = Conversation(spec("import time; time.sleep(60)", time_limit=0.5))
    talk.command.hold_clock()
    talk.command.pause()
    talk.command.release_clock()
    time.sleep(1.0)
    assert not talk.over
    talk.command.resume()
    assert talk.result().timed_out
