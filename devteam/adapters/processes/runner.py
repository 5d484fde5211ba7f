"""Supervises one command; started by file path as `python -I -S runner.py REPORT_FD`, standard library only.

Orders arrive as JSON lines on standard input: first the specification, then {"do": ORDER, "id": n}, where ORDER is
pause, resume, hold_clock, release_clock or terminate; the end of standard input means that the worker died, and
everything is killed. Reports leave as JSON lines on REPORT_FD: started, paused, resumed, exited, failed_to_start.
Standard output is the command's output.

Two processes of ours stand above the command. The *runner* obeys, and the *keeper* adopts: it is process 1 of a PID
namespace (its death kills all inside, by the kernel), or else a child subreaper beside a runner that is one too, so
that each kills the tree when the other dies.
"""

import base64
import ctypes
import errno
import fcntl
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_SLAVE = 0x2, 0x4, 0x8, 0x4000, 0x80000

SETTLE_SECONDS = 0.1  # what ends by itself this soon after the command (a closing `tee`) is not a leftover
FREEZE_SECONDS = 4.5
REFREEZE_SECONDS = 1.0
TREE_POLL_SECONDS = 0.02
MESSAGE_BYTES = 65536
OUR_ERRORS = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
)  # a system call refused, or a specification was malformed

_libc = ctypes.CDLL(None, use_errno=True)


class Process(NamedTuple):
    """One row of the process table."""

    pid: int
    parent: int
    state: str
    threads: int

    @property
    def alive(self) -> bool:
        """Whether it still runs code; a process whose first thread ended may live on in the others."""
        return self.state not in "ZX" or self.threads > 1


# --- the process table -----------------------------------------------------------------------------------------------


def read_processes() -> dict[int, Process]:
    """Every process visible in /proc."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (process := _read_process(int(name))):
            found[process.pid] = process
    return found


def _read_process(pid: int) -> Process | None:
    fields = _stat_fields(f"/proc/{pid}/stat")
    return Process(pid, int(fields[1]), fields[0], int(fields[17])) if fields else None


def _stat_fields(path: str) -> list[str]:
    """The fields after the command name, which may itself hold blanks and brackets; empty when it is gone."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(4096).rpartition(b")")[2].decode("ascii").split()
    except OSError:
        return []


def descendants(roots: Iterable[int], table: dict[int, Process] | None = None) -> list[Process]:
    """All processes below the roots, parents before children, the roots not included."""
    children: dict[int, list[Process]] = {}
    for process in (read_processes() if table is None else table).values():
        children.setdefault(process.parent, []).append(process)
    below: list[Process] = []
    seen = set(roots)
    queue = list(seen)
    for parent in queue:
        for child in children.get(parent, []):
            if child.pid not in seen:
                seen.add(child.pid)
                queue.append(child.pid)
                below.append(child)
    return below


def send_signal(pid: int, number: int) -> None:
    """Signal a process that may be gone already."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # gone, or a set-uid program that only the namespace's end can kill


def is_still(process: Process, *, signalled: bool) -> bool:
    """Whether no thread of it can run code.

    A thread in an uninterruptible wait counts once it has a stop signal pending: it cannot return to its code before
    it stops, and the parent of a stopped vfork child waits like that for as long as the freeze lasts.
    """
    states = [process.state]
    if process.threads > 1:
        try:
            names = os.listdir(f"/proc/{process.pid}/task")
        except OSError:
            return False
        rows = [_stat_fields(f"/proc/{process.pid}/task/{name}/stat") for name in names]
        states = [row[0] for row in rows if row]
    return all(state in ("TtZXD" if signalled else "TtZX") for state in states)


def kill_children(keeper: int | None = None) -> None:
    """Kill and reap all below this process, which is a subreaper: no child left proves that no descendant is left.

    The keeper goes last, so that somebody still watches the tree if this process is killed meanwhile.
    """
    delay = 0.001
    while _reap_finished():
        tree = [process for process in descendants([os.getpid()]) if process.alive]
        others = [process for process in tree if process.pid != keeper]
        for process in others:
            send_signal(process.pid, signal.SIGSTOP)  # a stopped process cannot fork faster than we kill
        for process in [p for p in descendants([os.getpid()]) if p.pid != keeper] if others else tree:
            send_signal(process.pid, signal.SIGKILL)
        time.sleep(delay)
        delay = min(delay * 2, 0.05)


def _reap_finished() -> bool:
    """Reap what ended; False when there is no child at all."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


# --- namespaces ------------------------------------------------------------------------------------------------------


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def set_process_option(option: int, value: int) -> None:
    """The system call prctl with one argument."""
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), "prctl")


def enter_pid_namespace() -> None:
    """From here on the first child of this process is process 1 of a new PID namespace.

    Root needs no user namespace; everybody else gets one in which they keep their own ids.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _check(_libc.unshare(CLONE_NEWPID), "unshare")
        return
    _check(_libc.unshare(CLONE_NEWUSER | CLONE_NEWPID), "unshare")
    maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    for name, text in maps.items():
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def pid_namespace_works() -> bool:
    """Tried in a child, because a half-made namespace cannot be left again."""
    child = os.fork()
    if child == 0:
        try:
            enter_pid_namespace()
            grandchild = os.fork()
            if grandchild == 0:
                os._exit(0)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
        finally:
            os._exit(1)  # whatever the kernel refused: no namespace
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def mount_own_proc() -> None:
    """Let the command see its own processes only; where this is refused the namespace still holds."""
    try:
        _check(_libc.unshare(CLONE_NEWNS), "unshare")
        _check(_libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_SLAVE), None), "mount")
        flags = ctypes.c_ulong(MS_NOSUID | MS_NODEV | MS_NOEXEC)
        _check(_libc.mount(b"proc", b"/proc", b"proc", flags, None), "mount")
    except OSError:
        pass


# --- the command, and the keeper above it ----------------------------------------------------------------------------


def arguments_of(spec: dict[str, Any]) -> list[str]:
    """The argument vector; a script runs under a shell that stops at the first error."""
    script = spec.get("script")
    return ["/bin/sh", "-e", "-c", script] if script is not None else list(spec["argv"])


def become_command(spec: dict[str, Any], channel: socket.socket, errors: int) -> NoReturn:
    """Turn this fresh child into the command; what goes wrong is written to `errors` as one sentence."""
    try:
        set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        os.umask(0o022)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        _change_directory(spec["cwd"])
        _join_groups(spec.get("cgroups", []))
        _take_descriptors(spec)
        _limit_resources(spec.get("limits", {}))
        channel.send(b'{"ready": true}')  # the kernel adds our process id as the runner's namespace knows it
        _execute(arguments_of(spec), spec["env"])
    except StartError as error:
        os.write(errors, str(error).encode("utf-8", "replace")[:4000])
    except OUR_ERRORS as error:
        os.write(errors, f"cannot start the command: {error}".encode("utf-8", "replace")[:4000])
    finally:
        os._exit(127)  # nothing may return into the keeper's code


class StartError(Exception):
    """The command cannot be started, with a sentence for the person who wrote it."""


def _change_directory(path: str) -> None:
    try:
        os.chdir(path)
    except FileNotFoundError:
        raise StartError(f"the working directory does not exist: {path}") from None
    except NotADirectoryError:
        raise StartError(f"the working directory is not a directory: {path}") from None
    except PermissionError:
        raise StartError(f"no permission to enter the working directory: {path}") from None


def _join_groups(folders: list[str]) -> None:
    """Enter control groups, which are made; all that the command starts is born into them."""
    for folder in folders:
        try:
            with open(os.path.join(folder, "cgroup.procs"), "w", encoding="ascii") as file:
                file.write("0")  # the writer itself, whatever its number is in whichever namespace
        except OSError as error:
            raise StartError(f"cannot enter the control group {folder}: {error.strerror}") from None


def _take_descriptors(spec: dict[str, Any]) -> None:
    """The command's own standard streams, and files with given content that exist in memory only."""
    for number, descriptor in enumerate(spec.get("streams") or []):
        os.dup2(descriptor, number)
        os.close(descriptor)
    inputs = {int(number): base64.b64decode(content) for number, content in spec.get("inputs", {}).items()}
    for number, content in inputs.items():
        descriptor = fcntl.fcntl(os.memfd_create("input"), fcntl.F_DUPFD_CLOEXEC, 128)  # clear of the wanted ones
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.dup2(descriptor, number)


def _limit_resources(limits: dict[str, int]) -> None:
    """Per process limits by the kernel's names, FSIZE say; what the command starts inherits them."""
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (allowed, allowed))


def release_streams(spec: dict[str, Any]) -> None:
    """Let go of the command's own pipes, so that they end with it."""
    for descriptor in spec.get("streams") or []:
        os.close(descriptor)


def _execute(argv: list[str], env: dict[str, str]) -> NoReturn:
    name = argv[0]
    try:
        os.execvpe(name, argv, env)
    except (FileNotFoundError, NotADirectoryError):
        if "/" in name and os.path.exists(name):
            raise StartError(f"the interpreter named in its first line was not found: {name}") from None
        raise StartError(f"command not found: {name}") from None
    except PermissionError:
        raise StartError(f"not executable: {name}") from None
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            raise StartError(f"not a program or a script with an interpreter line: {name}") from None
        if error.errno == errno.E2BIG:
            raise StartError(f"the arguments and environment are too long: {name}") from None
        raise


def keep(spec: dict[str, Any], channel: socket.socket, isolated: bool) -> None:
    """The keeper: start the command, reap everything, tell its exit status; the runner's end ends all."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    if isolated:
        set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
        mount_own_proc()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    command = _fork_command(spec, channel)
    if command is None:
        return
    poller = select.poll()
    poller.register(channel, select.POLLIN)
    poller.register(wake_read, select.POLLIN)
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == channel.fileno():
                return  # the runner never writes here: it is gone
            os.read(wake_read, 4096)
        _reap_and_tell(command, channel)


def _fork_command(spec: dict[str, Any], channel: socket.socket) -> int | None:
    """Start the command and tell the runner how that went; the process id is the keeper's view."""
    read_errors, write_errors = os.pipe()
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        become_command(spec, channel, write_errors)
    os.close(write_errors)
    release_streams(spec)
    replace_standard_streams(1, 2)
    with open(read_errors, "rb") as errors:
        message = errors.read().decode("utf-8", "replace")  # ends empty when the command replaced our code
    if message:
        _tell(channel, {"failed": message})
        return None
    _tell(channel, {"running": True})
    return child


def _reap_and_tell(command: int, channel: socket.socket) -> None:
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == command:
                _tell(channel, {"status": ended[1]})
    except ChildProcessError:
        pass


def _tell(channel: socket.socket, message: dict[str, Any]) -> None:
    try:
        channel.send(json.dumps(message).encode())
    except OSError:
        pass  # the runner is gone; the poll that follows notices


def replace_standard_streams(*numbers: int) -> None:
    """Let go of the orders (0) and of the command's output (1, 2), so that each ends with its owner."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in numbers:
        os.dup2(null, number)
    os.close(null)


# --- the runner ------------------------------------------------------------------------------------------------------


class Lines:
    """JSON lines from a descriptor that is read as they come."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.ended = False
        self._rest = b""

    def read(self) -> list[dict[str, Any]]:
        """The lines that one read completes."""
        data = os.read(self.descriptor, MESSAGE_BYTES)
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]


class Runner:
    """One command from its start to the proof that nothing of it is left."""

    def __init__(self, spec: dict[str, Any], orders: Lines, reports: int) -> None:
        self._spec = spec
        self._orders = orders
        self._reports = reports
        self._isolated = spec.get("isolation") != "subreaper" and pid_namespace_works()
        self._keeper = 0
        self._command = 0
        self._status: int | None = None
        self._failure: str | None = None
        self._stopped: set[int] = set()  # what we stopped; what stopped itself is not ours to wake
        self._paused = False
        self._clock_held = False
        self._idle_since: float | None = None  # paused, or its clock held, or both
        self._idle_seconds = 0.0
        self._ended_at: float | None = None
        self._kill_at: float | None = None
        self._timed_out = False
        self._killed = False
        self._keeper_lost = False

    def run(self, first_orders: list[dict[str, Any]]) -> None:
        """Start the command, serve until it ended, kill what is left, report."""
        self._started_at = time.monotonic()
        self._channel = self._fork_keeper()
        poller = select.poll()
        poller.register(self._orders.descriptor, select.POLLIN)
        poller.register(self._channel, select.POLLIN)
        for order in first_orders:
            self._obey(order)
        while not self._is_over():
            for descriptor, _ in poller.poll(self._wait_seconds() * 1000):
                if descriptor == self._channel.fileno():
                    self._hear_keeper()
                else:
                    for order in self._orders.read():
                        self._obey(order)
            self._watch_clock()
        self._finish()

    def _fork_keeper(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        if self._isolated:
            enter_pid_namespace()
        self._keeper = os.fork()
        if self._keeper == 0:
            ours.close()
            os.close(self._reports)
            replace_standard_streams(0)  # the orders are not the command's to read
            run_keeper(self._spec, theirs, self._isolated)
        theirs.close()
        release_streams(self._spec)
        self._orders.descriptor = os.dup(self._orders.descriptor)
        replace_standard_streams(0, 1, 2)
        return ours

    def _hear_keeper(self) -> None:
        data, ancillary, _, _ = self._channel.recvmsg(MESSAGE_BYTES, socket.CMSG_SPACE(struct.calcsize("3i")))
        if not data:
            self._keeper_lost = True
            return
        message = json.loads(data)
        if "ready" in message:
            self._command = struct.unpack("3i", ancillary[0][2])[0]
        elif "running" in message:
            self._started_at = time.monotonic()
            self._report("started", pid=self._command)
        elif "failed" in message:
            self._failure = message["failed"]
        else:
            self._status = message["status"]
            self._ended_at = time.monotonic()
            if self._kill_at is None:
                self._kill_at = self._ended_at + SETTLE_SECONDS

    def _obey(self, order: dict[str, Any]) -> None:
        match order["do"]:
            case "terminate":
                self._terminate()
            case "pause" if self._kill_at is None:
                self._report("paused", id=order["id"], frozen=self._pause())
            case "resume" if self._kill_at is None:
                self._resume()
                self._report("resumed", id=order["id"])
            case "hold_clock" | "release_clock" as what:
                self._clock_held = what == "hold_clock"
                self._mark_time()
            case _:
                pass  # the command is ending, and its end answers the worker

    def _tree(self) -> list[Process]:
        return [process for process in descendants([self._keeper]) if process.alive]

    def _pause(self) -> bool:
        self._paused = True
        self._mark_time()
        return self._freeze(FREEZE_SECONDS)

    def _freeze(self, seconds: float) -> bool:
        """Stop all, until two looks in a row find all still: the second sees what was born during the first."""
        deadline = time.monotonic() + seconds
        calm = 0
        while calm < 2:
            moving = [p for p in self._tree() if not is_still(p, signalled=p.pid in self._stopped)]
            for process in moving:
                self._stopped.add(process.pid)
                send_signal(process.pid, signal.SIGSTOP)
            calm = 0 if moving else calm + 1
            if moving and time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True

    def _resume(self) -> None:
        if not self._paused:
            return
        for process in reversed(self._tree()):
            if process.pid in self._stopped:
                send_signal(process.pid, signal.SIGCONT)
        self._stopped.clear()
        self._paused = False
        self._mark_time()

    def _mark_time(self) -> None:
        """Time counts unless the tree is paused or the clock is held."""
        if self._paused or self._clock_held:
            self._idle_since = time.monotonic() if self._idle_since is None else self._idle_since
        elif self._idle_since is not None:
            self._idle_seconds += time.monotonic() - self._idle_since
            self._idle_since = None

    def _terminate(self) -> None:
        """Ask politely; the time of grace runs also for a frozen tree, which is woken to hear it."""
        if self._kill_at is not None:
            return
        self._killed = True
        for process in self._tree():
            send_signal(process.pid, signal.SIGTERM)
        self._resume()
        self._kill_at = time.monotonic() + self._spec["grace_seconds"]

    def _running_seconds(self) -> float:
        now = time.monotonic() if self._ended_at is None else self._ended_at
        idle = self._idle_seconds + (now - self._idle_since if self._idle_since is not None else 0.0)
        return max(0.0, now - self._started_at - idle)

    def _wait_seconds(self) -> float:
        if self._kill_at is not None:
            return TREE_POLL_SECONDS
        if self._paused:
            return REFREEZE_SECONDS
        left: float = self._spec["time_limit_seconds"] - self._running_seconds()
        return min(max(left, 0.0) + 0.001, 3600.0)

    def _watch_clock(self) -> None:
        if self._kill_at is not None:
            return
        if self._paused:
            self._freeze(0.0)  # somebody outside may have woken a part of the tree
        elif self._running_seconds() >= self._spec["time_limit_seconds"]:
            self._timed_out = True
            self._terminate()

    def _is_over(self) -> bool:
        if self._orders.ended or self._keeper_lost or self._failure is not None:
            return True
        if self._kill_at is None:
            return False
        return time.monotonic() >= self._kill_at or (self._status is not None and not self._tree())

    def _finish(self) -> None:
        leftovers = sum(process.pid != self._command for process in self._tree())
        if self._isolated:
            send_signal(self._keeper, signal.SIGKILL)  # the kernel kills all inside, and lets nothing be born
        kill_children(self._keeper)
        if self._failure is not None:
            self._report("failed_to_start", message=self._failure)
            return
        code = -signal.SIGKILL if self._status is None else os.waitstatus_to_exitcode(self._status)
        self._report(
            "exited",
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            timed_out=self._timed_out,
            killed=self._killed or self._status is None,
            leftovers=leftovers,
            seconds=round(self._running_seconds(), 3),
        )

    def _report(self, event: str, **fields: Any) -> None:
        isolation = "pid_namespace" if self._isolated else "subreaper"
        write_report(self._reports, {"event": event, "isolation": isolation, **fields})


def run_keeper(spec: dict[str, Any], channel: socket.socket, isolated: bool) -> NoReturn:
    """The keeper's whole life, never returning into the runner's code."""
    try:
        keep(spec, channel, isolated)
    except OUR_ERRORS as error:  # told to the runner, which ends the tree
        _tell(channel, {"failed": f"the supervisor of the command failed: {error!r}"})
    finally:
        if not isolated:
            kill_children()
        os._exit(0)


def write_report(descriptor: int, report: dict[str, Any]) -> None:
    """One line to the worker, who may be gone."""
    try:
        os.write(descriptor, json.dumps(report).encode() + b"\n")
    except OSError:
        pass  # the end of standard input is what we act upon


def read_first(orders: Lines) -> list[dict[str, Any]]:
    """The specification, with the orders that came along."""
    lines: list[dict[str, Any]] = []
    while not lines and not orders.ended:
        lines = orders.read()
    return lines


def main(reports: int) -> None:
    """Supervise the one command that standard input describes."""
    os.set_inheritable(reports, False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the worker alone decides
    orders = Lines(0)
    lines = read_first(orders)
    if not lines:
        return
    try:
        set_process_option(PR_SET_CHILD_SUBREAPER, 1)
        Runner(lines[0], orders, reports).run(lines[1:])
    except OUR_ERRORS as error:
        kill_children()
        write_report(reports, {"event": "failed_to_start", "message": f"the supervisor failed: {error!r}"})
    finally:
        kill_children()  # an error of ours must not leave a tree behind


if __name__ == "__main__":
    main(int(sys.argv[1]))
