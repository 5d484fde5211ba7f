"""Commands as real processes: they can always be stopped, frozen, and never outlive the worker."""

import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devteam.adapters.processes import (
    MARKER_VARIABLE,
    CommandResult,
    CommandSpec,
    RunningCommand,
    kill_marked,
    marked_processes,
    scrubbed_environment,
)
from devteam.adapters.processes.runner import descendants, pid_namespace_works, read_processes

DEADLINE = 20.0
GONE_WITHIN = 2.0

# Started by `python -c`: leaves its parent and session behind, twice, ignores every polite request, tells its birth.
STUBBORN_CHILD = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(600)
"""

COUNTER = """
import time
for number in range(10**9):
    with open("count", "a") as file:
        file.write(".")
    time.sleep(0.005)
"""


def eventually(holds: Callable[[], Any], seconds: float = DEADLINE) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"did not become true within {seconds} s"
        time.sleep(0.01)


class Watched:
    """A running command whose output is collected by a thread."""

    def __init__(self, spec: CommandSpec) -> None:
        self.command = RunningCommand.start(spec)
        self.pieces: list[str] = []
        self._results: list[CommandResult] = []
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        self._results.append(self.command.wait(self.pieces.append))

    @property
    def output(self) -> str:
        return "".join(self.pieces)

    def result(self, seconds: float = DEADLINE) -> CommandResult:
        self._thread.join(seconds)
        assert self._results, f"the command did not end within {seconds} s"
        return self._results[0]


class Commands:
    """Makes specifications that share a folder, a marker and an isolation."""

    def __init__(self, folder: Path, isolation: Any) -> None:
        self.folder = folder
        self.isolation = isolation
        self.marker = f"test:{uuid.uuid4()}"

    def spec(self, script: str | None = None, **changes: Any) -> CommandSpec:
        fields: dict[str, Any] = {
            "script": script,
            "cwd": self.folder,
            "env": scrubbed_environment(home=self.folder, extra={"PY": sys.executable}),
            "time_limit": 60.0,
            "marker": self.marker,
            "isolation": self.isolation,
        }
        return CommandSpec(**{**fields, **changes})

    def start(self, script: str | None = None, **changes: Any) -> Watched:
        return Watched(self.spec(script, **changes))

    def run(self, script: str | None = None, **changes: Any) -> tuple[CommandResult, str]:
        watched = self.start(script, **changes)
        return watched.result(), watched.output

    def alive(self) -> list[tuple[int, str]]:
        return marked_processes(self.marker)


@pytest.fixture(params=["auto", "subreaper"])
def commands(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Commands]:
    made = Commands(tmp_path, request.param)
    yield made
    survivors = made.alive()
    kill_marked(made.marker)
    assert survivors == []


def test_exit_code_and_merged_output_are_told(commands: Commands) -> None:
    result, output = commands.run("echo out; echo err >&2; exit 3")
    assert (result.exit_code, result.signal, result.error) == (3, None, None)
    assert (result.timed_out, result.killed, result.leftovers) == (False, False, 0)
    assert output == "out\nerr\n"


def test_argument_vector_runs_without_a_shell(commands: Commands) -> None:
    result, output = commands.run(argv=(sys.executable, "-c", "import sys; print(sys.argv[1:])", "a b", "$HOME;é"))
    assert (result.exit_code, output) == (0, "['a b', '$HOME;é']\n")


def test_script_stops_at_its_first_error(commands: Commands) -> None:
    result, output = commands.run("echo one; false; echo two")
    assert (result.exit_code, output) == (1, "one\n")


def test_death_by_a_signal_of_its_own_is_told_as_such(commands: Commands) -> None:
    result, _ = commands.run("kill -SEGV $$")
    assert (result.exit_code, result.signal, result.killed) == (None, signal.SIGSEGV, False)


def test_pid_namespace_is_used_where_the_kernel_permits_it(tmp_path: Path) -> None:
    expected = "pid_namespace" if _in_child(pid_namespace_works) else "subreaper"
    result, _ = Commands(tmp_path, "auto").run("true")
    assert result.isolation == expected


def test_command_in_a_namespace_sees_its_own_processes_only(tmp_path: Path) -> None:
    result, output = Commands(tmp_path, "auto").run("ls /proc | grep -c '^[0-9]'")
    if result.isolation != "pid_namespace":
        pytest.skip("the kernel refuses PID namespaces here")
    assert int(output) <= 4


def test_unprivileged_worker_gets_a_namespace_or_the_fallback(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    assert _in_child(_namespace_as_nobody) in (0, 1)


def _namespace_as_nobody() -> bool:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    return pid_namespace_works()


def _in_child(ask: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if ask() else 1)
        finally:
            os._exit(2)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 1)
    return code == 0


def test_output_is_text_that_the_database_can_hold(commands: Commands) -> None:
    _, output = commands.run(r"printf 'a\000b\377c\303'; sleep 0.3; printf '\251d\342\202'")
    assert output == "a\ufffdb\ufffdcéd\ufffd"


def test_ten_megabytes_of_output_pass_in_bounded_pieces(commands: Commands) -> None:
    watched = commands.start("head -c 10000000 /dev/zero | tr '\\0' '\\377'; echo; echo end")
    assert watched.result().exit_code == 0
    assert watched.output == "\ufffd" * 10_000_000 + "\nend\n"
    assert max(len(piece.encode()) for piece in watched.pieces) <= 65536


def test_output_arrives_while_the_command_runs(commands: Commands) -> None:
    watched = commands.start("echo first; while [ ! -e go ]; do sleep 0.02; done; echo second")
    eventually(lambda: watched.output == "first\n")
    (commands.folder / "go").touch()
    watched.result()
    assert watched.output == "first\nsecond\n"


def test_command_that_closes_its_output_is_waited_for(commands: Commands) -> None:
    result, _ = commands.run("exec >&- 2>&-; sleep 0.3; exit 4")
    assert result.exit_code == 4
    assert result.seconds >= 0.3


def test_failing_output_handler_kills_the_command(commands: Commands) -> None:
    def fail(text: str) -> None:
        raise OSError("disk full")

    command = RunningCommand.start(commands.spec("echo x; sleep 600"))
    with pytest.raises(OSError, match="disk full"):
        command.wait(fail)
    assert commands.alive() == []


def test_time_limit_ends_the_whole_tree(commands: Commands) -> None:
    result, output = commands.run("sleep 600 & echo begun; sleep 600", time_limit=0.5)
    assert (result.timed_out, result.killed, result.signal) == (True, True, signal.SIGTERM)
    assert result.seconds >= 0.5
    assert output.startswith("begun")
    assert commands.alive() == []


def test_polite_command_may_tidy_up_within_the_grace(commands: Commands) -> None:
    watched = commands.start("trap 'echo tidied; exit 7' TERM; echo ready; while :; do sleep 0.02; done", grace=10.0)
    eventually(lambda: "ready" in watched.output)
    watched.command.terminate()
    watched.command.terminate()
    result = watched.result()
    assert (result.exit_code, result.killed, result.timed_out) == (7, True, False)
    assert "tidied" in watched.output


def test_terminate_kills_a_daemon_that_ignores_sigterm(commands: Commands) -> None:
    born = commands.folder / "born"
    watched = commands.start(
        '"$PY" -c "$CODE" born; trap "" TERM; echo ready; while :; do sleep 0.02; done',
        env=scrubbed_environment(home=commands.folder, extra={"PY": sys.executable, "CODE": STUBBORN_CHILD}),
        grace=0.3,
    )
    eventually(lambda: born.exists() and born.read_text() and "ready" in watched.output)
    watched.command.terminate()
    result = watched.result()
    assert (result.signal, result.killed) == (signal.SIGKILL, True)
    assert result.leftovers >= 1
    assert commands.alive() == []


def test_terminate_wins_against_a_command_that_keeps_forking(commands: Commands) -> None:
    code = """
    import os, signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:  # each generation replaces itself and is gone at once
        if os.fork():
            os._exit(0)
        os.setsid()
    """
    watched = commands.start(argv=(sys.executable, "-S", "-c", textwrap.dedent(code)), grace=0.0)
    eventually(lambda: "ready" in watched.output)
    watched.command.terminate()
    watched.result()
    assert commands.alive() == []


def test_background_child_is_a_leftover_and_does_not_hold_up_the_end(commands: Commands) -> None:
    watched = commands.start("sleep 600 & sleep 600 & echo done")
    result = watched.result(10.0)
    assert (result.exit_code, result.leftovers, result.killed) == (0, 2, False)
    assert watched.output == "done\n"
    assert commands.alive() == []


def test_child_that_ends_right_after_the_command_is_no_leftover(commands: Commands) -> None:
    result, output = commands.run("(sleep 0.03; echo late) & echo early")
    assert (result.exit_code, result.leftovers, output) == (0, 0, "early\nlate\n")


def test_death_of_the_runner_kills_the_tree(commands: Commands) -> None:
    watched = commands.start("setsid sleep 600 & sleep 600 & echo ready; sleep 600")
    eventually(lambda: "ready" in watched.output and len(commands.alive()) >= 6)
    children = [process.pid for process in descendants([os.getpid()]) if process.parent == os.getpid()]
    (runner,) = (pid for pid in children if b"runner.py" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(runner, signal.SIGKILL)
    eventually(lambda: not commands.alive(), GONE_WITHIN)
    result = watched.result()
    assert (result.exit_code, result.signal, result.killed, result.error) == (
        None,
        signal.SIGKILL,
        True,
        None,
    )
    assert result.seconds > 0


def test_death_of_the_keeper_kills_the_tree(commands: Commands) -> None:
    watched = commands.start("setsid sleep 600 & echo ready; sleep 600")
    eventually(lambda: "ready" in watched.output)
    assert watched.command.pid is not None
    os.kill(read_processes()[watched.command.pid].parent, signal.SIGKILL)
    result = watched.result()
    assert (result.signal, result.killed) == (signal.SIGKILL, True)
    assert commands.alive() == []


def test_death_of_runner_and_keeper_together_is_swept_by_the_worker(commands: Commands) -> None:
    watched = commands.start("setsid sleep 600 & echo ready; sleep 600")
    eventually(lambda: "ready" in watched.output)
    assert watched.command.pid is not None
    table = read_processes()
    keeper = table[watched.command.pid].parent
    for number in (signal.SIGSTOP, signal.SIGKILL):  # frozen first, so that neither sees the other die
        for pid in (table[keeper].parent, keeper):
            os.kill(pid, number)
    assert watched.result().killed
    assert commands.alive() == []


def test_death_of_the_worker_kills_the_tree(commands: Commands) -> None:
    code = f"""
    from pathlib import Path
    from devteam.adapters.processes import CommandSpec, RunningCommand
    spec = CommandSpec(script="setsid sleep 600 & echo ready; sleep 600", cwd=Path("/"),
                       env={{"PATH": "/usr/bin:/bin"}}, time_limit=600, marker={commands.marker!r},
                       isolation={commands.isolation!r})
    RunningCommand.start(spec).wait(lambda text: print(text, flush=True))
    """
    root = Path(__file__).parents[2]
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert worker.stdout is not None
    with worker.stdout:
        assert select.select([worker.stdout], [], [], DEADLINE)[0]
        assert worker.stdout.readline() == b"ready\n"
        assert len(commands.alive()) >= 5
        worker.kill()
        worker.wait()
    eventually(lambda: not commands.alive(), GONE_WITHIN)


def test_pause_freezes_and_resume_goes_on(commands: Commands) -> None:
    watched = commands.start(argv=(sys.executable, "-c", COUNTER))
    count = commands.folder / "count"
    eventually(lambda: count.exists() and count.stat().st_size > 3)
    watched.command.pause()
    watched.command.pause()
    frozen_at = count.stat().st_size
    time.sleep(0.3)
    assert count.stat().st_size == frozen_at
    watched.command.resume()
    watched.command.resume()
    eventually(lambda: count.stat().st_size > frozen_at + 3)
    watched.command.terminate()
    assert watched.result().signal == signal.SIGTERM


def test_pause_holds_for_processes_that_keep_forking(commands: Commands) -> None:
    watched = commands.start("echo ready; while :; do (echo . >> count; (true); true) ; done")
    eventually(lambda: "ready" in watched.output)
    count = commands.folder / "count"
    for _ in range(5):
        eventually(count.exists)
        watched.command.pause()
        frozen_at = count.stat().st_size
        time.sleep(0.1)
        assert count.stat().st_size == frozen_at
        watched.command.resume()
        eventually(lambda before=frozen_at: count.stat().st_size > before)  # type: ignore[misc]
    watched.command.terminate()
    assert watched.result().killed


def test_time_limit_stands_still_while_paused(commands: Commands) -> None:
    watched = commands.start("echo ready; sleep 0.2; exit 5", time_limit=2.5)
    eventually(lambda: "ready" in watched.output)
    watched.command.pause()
    time.sleep(3.0)
    watched.command.resume()
    result = watched.result()
    assert (result.exit_code, result.timed_out) == (5, False)
    assert result.seconds < 2.5


def test_paused_command_can_be_terminated(commands: Commands) -> None:
    watched = commands.start("echo ready; sleep 600")
    eventually(lambda: "ready" in watched.output)
    watched.command.pause()
    watched.command.terminate()
    result = watched.result()
    assert (result.signal, result.killed) == (signal.SIGTERM, True)


def test_orders_after_the_end_are_harmless(commands: Commands) -> None:
    watched = commands.start("true")
    first = watched.result()
    watched.command.pause()
    watched.command.resume()
    watched.command.terminate()
    assert watched.command.wait(watched.pieces.append) == first


def test_command_that_cannot_start_tells_why_in_one_sentence(commands: Commands) -> None:
    (commands.folder / "plain").write_text("text")
    bad = commands.folder / "bad"
    bad.write_text("#!/no/such/interpreter\n")
    bad.chmod(0o755)
    expected: list[tuple[dict[str, Any], str]] = [
        ({"argv": ("no-such-tool", "x")}, "command not found: no-such-tool"),
        ({"argv": ("./plain",)}, "not executable: ./plain"),
        ({"argv": ("./bad",)}, "the interpreter named in its first line was not found: ./bad"),
        ({"argv": ("true",), "cwd": commands.folder / "no"}, "the working directory does not exist: "),
        ({"argv": ("true",), "cwd": commands.folder / "plain"}, "the working directory is not a directory: "),
        ({"argv": ("echo", "a\0b")}, "cannot start the command: embedded null byte"),
        ({"argv": ("echo", "x" * 3_000_000)}, "the arguments and environment are too long: echo"),
    ]
    for changes, sentence in expected:
        watched = commands.start(**changes)
        result = watched.result()
        assert result.error is not None
        assert result.error.startswith(sentence)
        assert (result.exit_code, result.signal, watched.command.pid) == (None, None, None)


def test_malformed_specifications_are_refused(tmp_path: Path) -> None:
    commands = Commands(tmp_path, "auto")
    with pytest.raises(ValueError, match="either"):
        commands.spec("true", argv=("true",))
    with pytest.raises(ValueError, match="empty"):
        commands.spec(argv=())
    with pytest.raises(ValueError, match="time limit"):
        commands.spec("true", time_limit=0.0)


def test_nothing_of_the_workers_environment_is_inherited(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("DEVTEAM_SECRET_KEY", "secret")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    env = scrubbed_environment(home=commands.folder, extra={"EXTRA": "1"})
    result, output = commands.run(argv=("/usr/bin/env", "-0"), env=env)
    assert result.exit_code == 0
    seen = dict(entry.split("=", 1) for entry in output.split("\ufffd") if entry)
    assert seen.pop("DEVTEAM_COMMAND")
    assert seen == {**env, MARKER_VARIABLE: commands.marker}
    assert seen["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert Path(seen["TMPDIR"]).is_dir()
    assert "secret" not in output


def test_command_gets_clean_descriptors_signals_session_and_umask(commands: Commands) -> None:
    code = """
    import os, signal, sys
    print(sorted(os.listdir("/proc/self/fd"))[:-1], os.readlink("/proc/self/fd/0"))
    print(os.getsid(0) == os.getpid() == os.getpgrp(), oct(os.umask(0)))
    print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.pthread_sigmask(signal.SIG_BLOCK, []))
    """
    keep_open = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(keep_open, True)
    try:
        _, output = commands.run(argv=(sys.executable, "-c", textwrap.dedent(code)))
    finally:
        os.close(keep_open)
    assert output.splitlines() == ["['0', '1', '2'] /dev/null", "True 0o22", "True set()"]


def test_concurrent_commands_die_independently(commands: Commands) -> None:
    made: list[Watched] = []
    lock = threading.Lock()

    def start() -> None:
        watched = commands.start("sleep 600 & echo ready; sleep 600")
        with lock:
            made.append(watched)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()  # the starting threads are gone, and their commands must live on
    eventually(lambda: all("ready" in watched.output for watched in made))
    for number, watched in enumerate(made):
        watched.command.terminate()
        assert watched.result().killed
        for other in made[number + 1 :]:
            assert other.command.pid in read_processes()


def test_nothing_of_the_worker_is_used_up_by_a_command(tmp_path: Path) -> None:
    commands = Commands(tmp_path, "auto")
    commands.run("true")
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(5):
        commands.run("true")
        commands.run(argv=("no-such-tool",))
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


def test_sweep_kills_marked_processes_and_what_they_started(tmp_path: Path) -> None:
    marker = f"test:{uuid.uuid4()}"
    script = "trap '' TERM; env -i /bin/sleep 600 & sleep 600 & echo $!; wait"
    lost = subprocess.Popen(
        ["/bin/sh", "-c", script],
        env={MARKER_VARIABLE: marker, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
    )
    assert lost.stdout is not None
    with lost.stdout:
        sleeper = int(lost.stdout.readline())
        eventually(lambda: {pid for pid, _ in marked_processes(marker)} == {lost.pid, sleeper})
        eventually(lambda: len(descendants([lost.pid])) == 2)
        below = {process.pid for process in descendants([lost.pid])}
        assert marked_processes("test:no-such-run") == []
        assert kill_marked(lambda found: found == marker) == 3
        assert kill_marked(marker) == 0
        assert lost.wait() == -signal.SIGKILL
    table = read_processes()
    assert not any(pid in table and table[pid].alive for pid in below)
