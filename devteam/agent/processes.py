"""The processes a session starts, and the proof that none is left.

The agent adopts orphans (Linux), so whatever a command leaves behind, even in a session of its own, is found below the
agent and can be ended. Elsewhere only the command's process group can.
"""

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

OUTPUT_LIMIT_BYTES = 30_000
_HEAD_BYTES = 10_000
_LIVE_TAIL_BYTES = 4_000
_LIVE_SECONDS = 1.0
_GRACE_SECONDS = 0.5
_DRAIN_SECONDS = 0.2
_KILL_SECONDS = 5.0
_EXIT_POLL_SECONDS = 0.05
_SET_CHILD_SUBREAPER = 36
_SET_DUMPABLE = 4
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_SECRET_PREFIXES = ("OPENAI_", "ANTHROPIC_", "DEVTEAM_AGENT_")

_keepers: set[int] = set()
"""Processes of ours that live longer than a command: MCP servers, leaders of their sessions."""


def adopt_orphans() -> None:
    """Make this process the parent of orphaned descendants, and keep its environment (a key) from them."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without the model's address and key; programs must not ask questions or page."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_SECRET_PREFIXES)}
    quiet = {"PAGER": "cat", "GIT_PAGER": "cat", "GIT_TERMINAL_PROMPT": "0", "TERM": "dumb", "NO_COLOR": "1"}
    return kept | quiet | dict(extra or {})


class _Row(NamedTuple):
    pid: int
    parent: int
    session: int
    state: str


def _descendants() -> list[_Row]:
    """All below this process but long-lived servers and what belongs to them."""
    table: dict[int, list[_Row]] = {}
    for entry in _process_ids():
        if entry.isdigit() and (row := _row(entry)):
            table.setdefault(row.parent, []).append(row)
    found: list[_Row] = []
    queue = [os.getpid()]
    for parent in queue:
        for row in table.get(parent, []):
            if row.pid not in _keepers and row.session not in _keepers:
                found.append(row)
                queue.append(row.pid)
    return found


def _process_ids() -> list[str]:
    try:
        return os.listdir("/proc") if sys.platform == "linux" else []  # noqa: PTH208 - read many times a second
    except OSError:
        return []  # a sandbox without it


def _row(pid: str) -> _Row | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode().split()
    except OSError:
        return None
    return _Row(int(pid), int(fields[1]), int(fields[3]), fields[0]) if len(fields) > 3 else None


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


@dataclass(eq=False)
class Leader:
    """A running command: its first process leads a session of its own."""

    process: asyncio.subprocess.Process

    def signal(self, number: signal.Signals) -> None:
        """To the whole process group."""
        _signal_group(self.process.pid, number)

    async def end(self, *, grace: float = _GRACE_SECONDS) -> None:
        """End it and everything below; returns when it is gone. Being cancelled makes it quicker, not incomplete."""
        try:
            if self.process.returncode is None:
                self.signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.exited(), grace)
        finally:
            self.signal(signal.SIGKILL)
            kill_descendants(of=self.process.pid)
        await self.exited()

    async def exited(self) -> int:
        """The exit code. `Process.wait` would in some versions of Python also wait for all who hold the pipes."""
        delay = 0.002
        while self.process.returncode is None:
            await asyncio.sleep(delay)
            delay = min(delay * 2, _EXIT_POLL_SECONDS)
        return self.process.returncode


_running: set[Leader] = set()


def kill_descendants(*, of: int | None = None) -> None:
    """Kill what a command left, in whatever session, and reap what this process adopted.

    Commands that other sessions run at this moment are left alone: with `of`, only the tree of that command and
    orphans are ended.
    """
    deadline = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < deadline:
        others = {leader.process.pid for leader in _running if of is not None and leader.process.pid != of}
        rows = _without(others, _descendants())
        for row in rows:
            if row.state != "Z":
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(row.pid, signal.SIGKILL)
            elif row.parent == os.getpid() and row.pid not in {leader.process.pid for leader in _running}:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(row.pid, os.WNOHANG)
        if all(row.state == "Z" for row in rows):
            return
        time.sleep(0.005)


def _without(leaders: set[int], rows: list[_Row]) -> list[_Row]:
    spared = set(leaders)
    for row in rows:  # parents come before their children
        if row.parent in spared or row.session in leaders:
            spared.add(row.pid)
    return [row for row in rows if row.pid not in spared]


class Capture:
    """The beginning and the end of an output of any length."""

    def __init__(self, limit: int = OUTPUT_LIMIT_BYTES) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._head_limit = min(_HEAD_BYTES, limit // 3)
        self._tail_limit = limit - self._head_limit
        self.total = 0

    def add(self, data: bytes) -> None:
        """More of the output."""
        self.total += len(data)
        room = self._head_limit - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._tail_limit:
            del self._tail[: -self._tail_limit]

    def kept(self) -> bytes:
        """What was kept, with a note on how much was not."""
        tail = self._tail[-self._tail_limit :]
        left_out = self.total - len(self._head) - len(tail)
        note = f"\n[... {left_out} bytes left out ...]\n".encode() if left_out else b""
        return bytes(self._head + note + tail)

    def end(self) -> str:
        """The last lines, to be shown while it runs."""
        return clean(bytes(self._head + self._tail)[-_LIVE_TAIL_BYTES:])


def clean(data: bytes) -> str:
    """As a person would read it: no colours, no overwritten progress lines."""
    text = _ESCAPES.sub("", data.decode(errors="replace")).replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")).replace("\0", "")


@dataclass(frozen=True)
class CommandResult:
    """How a command ended; `code` is negative for a signal, None when the time limit ended it."""

    raw: bytes
    code: int | None
    seconds: float

    @property
    def output(self) -> str:
        """As text, for reading."""
        return clean(self.raw)


async def run_command(
    arguments: list[str],
    *,
    cwd: Path,
    time_limit: float,
    stdin: bytes = b"",
    limit: int = OUTPUT_LIMIT_BYTES,
    errors_shown: bool = True,
    on_output: Callable[[str], Awaitable[None]] | None = None,
) -> CommandResult:
    """Run to the end. Nothing it started outlives this call, however that ends. Raises OSError if it cannot start."""
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *arguments,
        cwd=cwd,
        env=child_environment(),
        stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT if errors_shown else asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    leader = Leader(process)
    _running.add(leader)
    capture = Capture(limit)
    tasks = [asyncio.create_task(_collect(process, capture))]
    if on_output:
        tasks.append(asyncio.create_task(_show(capture, on_output)))
    code: int | None = None
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(time_limit):
                await _feed(process, stdin)
                code = await leader.exited()
        if code is not None:
            await asyncio.wait(tasks[:1], timeout=_DRAIN_SECONDS)
    finally:
        try:
            await leader.end()
        finally:
            _running.discard(leader)
            await asyncio.wait(tasks[:1], timeout=_DRAIN_SECONDS)
            for task in tasks:
                task.cancel()
    return CommandResult(capture.kept(), code, time.monotonic() - started)


async def _collect(process: asyncio.subprocess.Process, capture: Capture) -> None:
    assert process.stdout is not None
    while data := await process.stdout.read(65536):
        capture.add(data)


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(ConnectionError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _show(capture: Capture, on_output: Callable[[str], Awaitable[None]]) -> None:
    shown = 0
    while True:
        await asyncio.sleep(_LIVE_SECONDS)
        if capture.total != shown:
            shown = capture.total
            await on_output(capture.end())


async def start_server(command: list[str], *, cwd: Path, environment: Mapping[str, str], limit: int) -> Leader:
    """A process that lives as long as its session, spoken to by pipes. Raises OSError if it cannot start."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=child_environment(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=limit,
    )
    _keepers.add(process.pid)
    return Leader(process)


async def end_server(server: Leader) -> None:
    """End it and what it started."""
    _keepers.discard(server.process.pid)
    _running.add(server)
    try:
        await server.end()
    finally:
        _running.discard(server)


def kill_everything() -> None:
    """The last act: nothing this process started may outlive it."""
    for leader in _running:
        leader.signal(signal.SIGKILL)
    for pid in _keepers:
        _signal_group(pid, signal.SIGKILL)
    _keepers.clear()
    kill_descendants()
