"""The worker's side of a running command: start it, read its output, freeze it, end it."""

import base64
import codecs
import contextlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

from devteam.adapters.processes.sweep import MARKER_VARIABLE, kill_marked

Isolation = Literal["pid_namespace", "subreaper"]

COMMAND_VARIABLE = "DEVTEAM_COMMAND"  # unlike the marker it is unique to one command
RUNNER = Path(__file__).with_name("runner.py")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START_SECONDS = 60.0
FREEZE_SECONDS = 5.0
FLUSH_SECONDS = 0.1
# One invalid byte becomes three bytes of UTF-8: 20 KiB read are at most 60 KiB handed on.
CHUNK_BYTES = 20 * 1024


class NotFrozen(RuntimeError):
    """The processes could not be proven frozen, or awake again, in time; the command may still be running."""


@dataclass(frozen=True)
class CommandSpec:
    """What to run: an argument vector, or a script for /bin/sh -e; exactly one of the two.

    `env` is the exact environment, to which only DEVTEAM_RUN=marker and a unique DEVTEAM_COMMAND are added, for the
    sweep. `time_limit` and `grace` are seconds; frozen time does not count. `isolation` "subreaper" forgoes the PID
    namespace even where the kernel permits one.

    An `interactive` command has its standard input and output to itself, for a protocol; only its standard error is
    output then. `cgroups` are folders of control groups to enter, `limits` are resource limits by the kernel's names
    (FSIZE, AS, NPROC), `inputs` are what can be read from further descriptors, 64 to 127. What does not `freeze` is the
    client of something that runs elsewhere: to pause it raises NotFrozen.
    """

    cwd: Path
    env: Mapping[str, str]
    time_limit: float
    marker: str
    argv: tuple[str, ...] | None = None
    script: str | None = None
    grace: float = 2.0
    isolation: Literal["auto", "subreaper"] = "auto"
    interactive: bool = False
    cgroups: tuple[Path, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    inputs: Mapping[int, bytes] = field(default_factory=dict)
    freezes: bool = True

    def __post_init__(self) -> None:
        if (self.argv is None) == (self.script is None):
            raise ValueError("a command is either an argument vector or a script")
        if self.argv is not None and not self.argv:
            raise ValueError("the argument vector is empty")
        if not self.time_limit > 0 or not self.grace >= 0:
            raise ValueError("the time limit must be positive and the grace not negative")
        if any(number not in range(64, 128) for number in self.inputs):
            raise ValueError("inputs have descriptors from 64 to 127")


@dataclass(frozen=True)
class CommandResult:
    """How a command ended. When this exists, no process of the command is left.

    `exit_code` or `signal` tells the end of the command itself, unless `error` says in one sentence why it could not
    start. `killed`: it was ended by us (order, time limit, lost supervisor). `leftovers`: processes that it had started
    and that had to be killed after it. `seconds`: running time without the frozen time.
    """

    exit_code: int | None
    signal: int | None
    timed_out: bool
    killed: bool
    leftovers: int
    seconds: float
    isolation: Isolation
    error: str | None = None


class RunningCommand:
    """One command under its runner. `pause`, `resume` and `terminate` may be called from any thread at any time.

    An interactive command is spoken to by the unbuffered `stdin` and `stdout`, from any thread, also while another one
    waits; being unbuffered, `stdin.write` may take less than it is given and tells how much. When the command ends,
    reading meets the end of the file and writing a broken pipe; whoever speaks closes them then by `close_streams`.
    """

    def __init__(
        self,
        runner: subprocess.Popen[bytes],
        identity: str,
        output: int,
        reports: BinaryIO,
        streams: tuple[io.FileIO, io.FileIO] | None = None,
    ) -> None:
        self.pid: int | None = None
        self._streams = streams
        self.isolation: Isolation = "subreaper"
        self._freezes = True
        self._runner = runner
        self._identity = identity
        self._output = output
        self._changed = threading.Condition()
        self._orders = threading.Lock()
        self._waiting = threading.Lock()
        self._order_number = 0
        self._answers: dict[int, bool] = {}
        self._known = False
        self._ended = False
        self._awake = _Stopwatch()
        self._result: CommandResult | None = None
        self._end_seen = os.eventfd(0, os.EFD_CLOEXEC)
        self._reader = threading.Thread(target=self._read_reports, args=(reports,), daemon=True)

    @classmethod
    def start(cls, spec: CommandSpec) -> Self:
        """Start the command; a command that cannot start is told by the result of `wait`, not by an exception."""
        identity = uuid.uuid4().hex
        marks = {MARKER_VARIABLE: spec.marker, COMMAND_VARIABLE: identity}
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            output, their_output = _pipe(ours, theirs)
            reports, their_reports = _pipe(ours, theirs)
            streams: list[int] = []
            if spec.interactive:
                stdout, their_stdout = _pipe(ours, theirs)
                their_stdin, stdin = _pipe(theirs, ours)
                streams = [their_stdin, their_stdout]
            runner = subprocess.Popen(
                [sys.executable, "-I", "-S", "-X", "utf8", str(RUNNER), str(their_reports)],
                stdin=subprocess.PIPE,
                stdout=their_output,
                stderr=their_output,
                pass_fds=(their_reports, *streams),
                start_new_session=True,
                cwd="/",
                env=marks,
                bufsize=0,
            )
            ours.pop_all()
        pipes = (io.FileIO(stdin, "wb"), io.FileIO(stdout, "rb")) if spec.interactive else None
        running = cls(runner, identity, output, os.fdopen(reports, "rb"), pipes)
        running._freezes = spec.freezes
        running._reader.start()
        running._send(_wire_form(spec, marks, streams))
        running._await_start()
        return running

    @property
    def stdin(self) -> io.FileIO:
        """What an interactive command reads."""
        return self._own_streams()[0]

    @property
    def stdout(self) -> io.FileIO:
        """What an interactive command writes."""
        return self._own_streams()[1]

    def close_streams(self) -> None:
        """Let go of the pipes to an interactive command; no thread may be using them."""
        for stream in self._streams or ():
            stream.close()

    def _own_streams(self) -> tuple[io.FileIO, io.FileIO]:
        if self._streams is None:
            raise ValueError("only an interactive command has streams of its own")
        return self._streams

    def wait(self, on_output: Callable[[str], None]) -> CommandResult:
        """Hand on the output until the command has ended and nothing of it is left.

        Blocks the calling thread. Each call of `on_output` gets at most 64 KiB of UTF-8 without NUL, at most 0.2 s
        after it was written. If `on_output` raises, the command is killed. Should its runner be lost (killed by
        somebody else), the tree is swept from here; raises ProcessesSurvived if that cannot be proven to have worked.
        """
        with self._waiting:
            if self._output >= 0:
                try:
                    self._pump(_TextSink(on_output))
                finally:
                    self._close()
            if self._result is None:
                raise RuntimeError("an earlier wait for this command failed; it was killed")
            return self._result

    def pause(self) -> None:
        """Freeze the whole tree; returns when it is frozen, or has ended. Raises NotFrozen after 5 s."""
        if not self._freezes:
            raise NotFrozen("the processes run in another engine's hands, which cannot freeze them")
        self._order("pause", "the processes could not be frozen in time")

    def resume(self) -> None:
        """Let a frozen tree go on. Raises NotFrozen after 5 s without an answer."""
        self._order("resume", "the processes could not be woken in time")

    def hold_clock(self) -> None:
        """Let no time count towards the limit from now on, while the command goes on running; returns at once."""
        self._send({"do": "hold_clock"})

    def release_clock(self) -> None:
        """Let time count again."""
        self._send({"do": "release_clock"})

    def terminate(self) -> None:
        """SIGTERM to the whole tree, after the grace SIGKILL to what is left; returns at once, `wait` tells the end."""
        self._send({"do": "terminate"})

    def _order(self, what: str, failure: str) -> None:
        with self._orders:
            self._order_number += 1
            number = self._order_number
        self._send({"do": what, "id": number})
        with self._changed:
            self._changed.wait_for(lambda: self._ended or number in self._answers, FREEZE_SECONDS)
            if not self._ended and not self._answers.pop(number, False):
                raise NotFrozen(failure)

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._runner.stdin is not None
        data = memoryview(json.dumps(message).encode() + b"\n")
        # Told to a runner that is gone already, an order means nothing: `wait` tells how the command ended.
        with self._orders, contextlib.suppress(BrokenPipeError, ValueError):
            while data:
                data = data[self._runner.stdin.write(data) :]

    def _await_start(self) -> None:
        with self._changed:
            started = self._changed.wait_for(lambda: self._known or self._ended, START_SECONDS)
        if not started:
            self._runner.kill()

    # --- reports from the runner, on a thread of their own ---

    def _read_reports(self, reports: BinaryIO) -> None:
        try:
            with reports:
                for line in reports:
                    with self._changed:
                        self._hear(json.loads(line))
                        self._changed.notify_all()
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            os.eventfd_write(self._end_seen, 1)

    def _hear(self, report: dict[str, Any]) -> None:
        event = report.pop("event")
        self.isolation = report.pop("isolation", self.isolation)
        match event:
            case "started":
                self.pid = report["pid"]
                self._awake.start()
                self._known = True
            case "paused":
                self._awake.stop()
                self._answers[report["id"]] = report["frozen"]
            case "resumed":
                self._awake.start()
                self._answers[report["id"]] = True
            case "exited":
                self._result = CommandResult(isolation=self.isolation, **report)
            case "failed_to_start":
                self._result = self._failure(report["message"])
            case _:
                raise ValueError(f"unknown report of the runner: {event}")

    def _failure(self, message: str) -> CommandResult:
        return CommandResult(None, None, False, False, 0, 0.0, self.isolation, error=message)

    def _after_lost_runner(self) -> CommandResult:
        """Its death kills the tree; this makes sure, and counts what was still there."""
        self._awake.stop()
        survivors = kill_marked(self._identity, variable=COMMAND_VARIABLE)
        if not self._known:
            return self._failure("the supervisor of the command ended before the command started")
        return CommandResult(None, signal.SIGKILL, False, True, survivors, self._awake.seconds, self.isolation)

    # --- output ---

    def _pump(self, sink: "_TextSink") -> None:
        os.set_blocking(self._output, False)
        poller = select.poll()
        poller.register(self._output, select.POLLIN)
        poller.register(self._end_seen, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poller.poll(sink.milliseconds_to_flush())]
            if self._end_seen in ready:
                break
            if self._output in ready and self._read_into(sink) == 0:
                poller.unregister(self._output)
            sink.flush_if_due()
        if self._result is None:
            self._result = self._after_lost_runner()
        while self._read_into(sink):  # no writer is left: what the pipe holds is all
            sink.flush_if_due()
        sink.finish()

    def _read_into(self, sink: "_TextSink") -> int | None:
        """The number of bytes read: 0 at the end of the output, None when nothing is there just now."""
        try:
            data = os.read(self._output, sink.room())
        except BlockingIOError:
            return None
        sink.add(data)
        return len(data)

    def _close(self) -> None:
        """Let go of everything; closing the orders kills what may still run."""
        assert self._runner.stdin is not None
        with self._orders:
            self._runner.stdin.close()
        os.close(self._output)
        self._output = -1
        self._runner.wait()
        self._reader.join()
        os.close(self._end_seen)


class _TextSink:
    """Turns bytes into text that the database can hold, in pieces of bounded size and age."""

    def __init__(self, on_output: Callable[[str], None]) -> None:
        self._on_output = on_output
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = bytearray()
        self._flush_at = 0.0

    def room(self) -> int:
        return CHUNK_BYTES - len(self._pending)

    def add(self, data: bytes) -> None:
        if not self._pending:
            self._flush_at = time.monotonic() + FLUSH_SECONDS
        self._pending += data

    def milliseconds_to_flush(self) -> float | None:
        return max(0.0, self._flush_at - time.monotonic()) * 1000 if self._pending else None

    def flush_if_due(self) -> None:
        if self._pending and (self.room() == 0 or time.monotonic() >= self._flush_at):
            self._flush(final=False)

    def finish(self) -> None:
        self._flush(final=True)

    def _flush(self, *, final: bool) -> None:
        text = self._decoder.decode(bytes(self._pending), final)
        self._pending.clear()
        if text:
            self._on_output(text.replace("\0", "\ufffd"))


class _Stopwatch:
    """Seconds between starts and stops; starting or stopping twice changes nothing."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since: float | None = None

    def start(self) -> None:
        self._since = time.monotonic() if self._since is None else self._since

    def stop(self) -> None:
        if self._since is not None:
            self.seconds += time.monotonic() - self._since
        self._since = None


def scrubbed_environment(*, home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """A command's environment, of which nothing is inherited; `extra` is added last and wins.

    Creates the folder `tmp` in `home`, which becomes the command's TMPDIR.
    """
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": f"{Path(sys.executable).parent}:{SYSTEM_PATH}",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "CI": "true",
        "GIT_TERMINAL_PROMPT": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        **extra,
    }


def _pipe(reads: contextlib.ExitStack, writes: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe whose two ends are closed by different stacks."""
    read, write = os.pipe()
    reads.callback(os.close, read)
    writes.callback(os.close, write)
    return read, write


def _wire_form(spec: CommandSpec, marks: Mapping[str, str], streams: list[int]) -> dict[str, Any]:
    return {
        "argv": spec.argv,
        "script": spec.script,
        "cwd": str(spec.cwd),
        "env": {**spec.env, **marks},
        "time_limit_seconds": spec.time_limit,
        "grace_seconds": spec.grace,
        "isolation": spec.isolation,
        "streams": streams,
        "cgroups": [str(folder) for folder in spec.cgroups],
        "limits": dict(spec.limits),
        "inputs": {str(number): base64.b64encode(content).decode() for number, content in spec.inputs.items()},
    }
