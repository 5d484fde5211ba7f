"""Behind the fence: what an agent tries in order to get out is refused, and ordinary work goes on as usual."""

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devteam.adapters.fences import (
    FenceRefused,
    FenceReport,
    Part,
    Unfenced,
    choose_fence,
    find_bubblewrap,
    forwarded_port,
    probe_fence,
)
from devteam.adapters.processes import RunningCommand, kill_marked, marked_processes
from tests.integration.fence_world import SECRET, FenceWorld, run
from tests.integration.git_projects import WHEN, git

pytestmark = pytest.mark.skipif(find_bubblewrap() is None, reason="bubblewrap 0.8 or newer is not installed")


@pytest.fixture
def world() -> Iterator[FenceWorld]:
    # Not below /tmp, which is a folder of the fence's own.
    folder = Path(tempfile.mkdtemp(prefix="devteam-fence-", dir="/var/tmp"))
    made = FenceWorld(folder)
    try:
        yield made
        assert marked_processes(made.marker) == []
    finally:
        kill_marked(made.marker)
        shutil.rmtree(folder)


# --- reading and writing what is not its own --------------------------------------------------------------------------


def test_files_of_others_cannot_be_read(world: FenceWorld) -> None:
    forbidden = [
        world.neighbour / "secret.txt", world.data / "secret.txt", "/etc/shadow", "/root/.profile", "/root/.bashrc",
        f"/proc/{os.getpid()}/environ", "/proc/1/root/etc/shadow", "/proc/kcore", "/etc/ssl/private",
        f"/proc/1/root/{world.data}/secret.txt", "/sys/class/net", "/var/lib", "/dev/sda", "/dev/vda", "/dev/mem",
        world.mirror.path / "config", world.mirror.path / "HEAD",
    ]  # fmt: skip
    (world.data / "secret.txt").chmod(0o644)
    reads = "\n".join(f"cat '{path}' || ls -A '{path}'/* || echo refused" for path in forbidden)
    result, output = world.run(reads)
    assert result.exit_code == 0
    assert output.splitlines().count("refused") == len(forbidden)
    assert SECRET not in output


def test_only_the_named_folders_exist(world: FenceWorld) -> None:
    _, output = world.run(
        "ls -A / ; echo -- ; ls -A " + str(world.data) + " ; echo -- ; ls " + str(world.attempt.parent)
    )
    top, data, attempts = (part.split() for part in output.split("--"))
    assert set(top) <= {
        "bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "tmp", "usr", "var", "root",
        *(Path(place).parts[1] for place in (sys.prefix, sys.base_prefix, os.getcwd())),
    }  # fmt: skip
    assert set(data) == {"workspaces", "mirrors"}
    assert attempts == ["one"]


def test_nothing_can_be_written_outside(world: FenceWorld) -> None:
    places = [
        "/", "/usr", "/etc", "/etc/passwd", "/var", "/dev", "/run", world.data, world.attempt, world.neighbour,
        world.mirror.path, world.mirror.path / "objects", world.mirror.path / "hooks", sys.prefix,
        world.attempt / ".fence",
    ]  # fmt: skip
    tries = "\n".join(f"(mkdir -p '{p}/x' || echo x >> '{p}') 2>/dev/null && echo 'wrote {p}'" for p in places)
    _, output = world.run(f"set +e\n{tries}\ntrue")
    assert output == ""
    assert not (world.data / "x").exists()


def test_no_setting_of_the_kernel_can_be_opened_for_writing(world: FenceWorld) -> None:
    """Opened only: where it works, what would be written here would change the machine under test."""
    _, output = world.python(
        """
import os
own = {str(os.getpid()), "self", "thread-self"}
for folder, names, files in os.walk("/proc"):
    if folder == "/proc":
        names[:] = [name for name in names if not name.isdigit() and name not in own]
    for name in files:
        path = os.path.join(folder, name)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK))
            print("open to change:", path)
        except OSError:
            pass
print("looked at", os.path.exists("/proc/sys/kernel/core_pattern"))
"""
    )
    assert output == "looked at True\n"


def test_links_lead_nowhere(world: FenceWorld) -> None:
    result, output = world.run(
        f"""
        set +e
        ln -s {world.neighbour}/secret.txt soft && cat soft
        ln -s /etc/shadow shadow && cat shadow
        ln -s {world.data} up && cat up/secret.txt && echo x > up/planted
        ln {world.neighbour}/secret.txt hard && cat hard
        ln /usr/bin/env tool && echo 'linked out of /usr'
        ln README.md {world.home}/README.md && echo 'linked between folders'
        cd ../../two/tree && cat secret.txt
        cat ../../two/tree/secret.txt
        true
        """
    )
    assert result.exit_code == 0
    assert SECRET not in output
    assert "linked" not in output
    assert not (world.data / "planted").exists()


def test_a_folder_that_became_a_link_is_not_shown_to_the_next_command(world: FenceWorld) -> None:
    shutil.rmtree(world.workspace)
    world.workspace.symlink_to(world.neighbour)
    with pytest.raises(FenceRefused, match="engine's own"):
        world.wrap(world.spec("true"))


def test_folders_that_hold_too_much_are_refused(world: FenceWorld) -> None:
    link = world.folder / "agent"
    link.symlink_to("/root")
    for folder in (Path("/"), Path("/etc"), Path("/root"), link):
        with pytest.raises(FenceRefused, match="too much"):
            world.wrap(world.spec("true"), read_only=[folder])
    with pytest.raises(FenceRefused, match="can change it"):
        world.wrap(world.spec("true"), read_only=[world.workspace / "src"])


def test_an_agents_folder_around_the_data_folder_does_not_show_it(world: FenceWorld) -> None:
    (world.folder / "tool").write_text("a tool")
    result, output = world.run(
        f"cat {world.folder}/tool; ls -A {world.data}; cat {world.data}/secret.txt || cat README.md",
        read_only=[world.folder],
    )
    assert result.exit_code == 0
    assert "a tool" in output
    assert "Hello" in output
    assert SECRET not in output


def test_links_left_in_the_private_tmp_do_not_lead_the_next_mount_astray(world: FenceWorld) -> None:
    world.run(f"ln -s / /tmp/root; ln -s {world.data} /tmp/data")
    _, output = world.run("cat /tmp/data/secret.txt; cat /tmp/root/etc/shadow; true")
    assert SECRET not in output
    assert "root:" not in output


def test_variables_for_the_loader_reach_the_command_but_not_the_fence_itself(world: FenceWorld) -> None:
    library = world.workspace / "planted.so"
    library.write_bytes(b"not a library")
    result, output = world.run(
        'echo "$LD_PRELOAD|$EMPTY|$ODD"', extra={"LD_PRELOAD": str(library), "EMPTY": "", "ODD": "a\nb 'c'"}
    )
    assert result.exit_code == 0
    assert f"{library}||a\nb 'c'" in output
    # The loader complains once for each program that met the variable: the shell, and not bubblewrap before it.
    assert output.count("planted.so") == 2


# --- privileges and other processes -----------------------------------------------------------------------------------


def test_it_has_no_privileges_and_gets_none(world: FenceWorld) -> None:
    shutil.copy("/usr/bin/id", world.workspace / "id")
    (world.workspace / "id").chmod(0o4755)
    result, output = world.run(
        """
        set +e
        grep -E '^(Cap|NoNewPrivs)' /proc/self/status
        id -u; ./id -u
        unshare --user true && echo 'user namespace'
        unshare --mount true && echo 'mount namespace'
        mount -t tmpfs none /tmp && echo mounted
        mknod device b 8 0 && echo device
        chroot / true && echo chroot
        su -c true && echo su
        "$PY" -c 'import os; os.setuid(0)' 2>/dev/null && echo setuid
        true
        """
    )
    assert result.exit_code == 0
    values = dict(line.split(":\t") for line in output.splitlines() if ":\t" in line)
    assert {values.pop("NoNewPrivs")} == {"1"}
    assert set(values.values()) == {"0" * 16}
    assert output.count("1000\n") == 2
    for word in ("namespace\n", "mounted", "device\n", "chroot\n", "su\n", "setuid"):
        assert f"\n{word}" not in output, word


def test_it_sees_and_reaches_no_process_but_its_own(world: FenceWorld) -> None:
    outside = subprocess.Popen(["sleep", "60"])
    try:
        result, output = world.python(
            f"""
import ctypes, os
pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
print(len(pids) <= 4, max(pids) < 100)
for pid in ({outside.pid}, {os.getpid()}):
    try:
        os.kill(pid, 9); print("killed")
    except ProcessLookupError:
        print("nobody")
    print(ctypes.CDLL(None).ptrace(16, pid, 0, 0))
os.system("sleep 30 &")
try:
    os.kill(-1, 9)
except ProcessLookupError:
    pass
"""
        )
        assert output.split() == ["True", "True", "nobody", "-1", "nobody", "-1"]
        assert result.leftovers == 0
        assert outside.poll() is None
    finally:
        outside.kill()
        outside.wait()


def test_the_environment_is_its_own(world: FenceWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_KEY", "sk-real")
    _, output = world.run("env; cat /proc/*/environ | tr '\\0' '\\n'; cat /proc/*/cmdline", extra={"MINE": "yes"})
    assert "MINE=yes" in output
    assert "sk-real" not in output
    marks = {line.split("=")[0] for line in output.splitlines() if line.startswith("DEVTEAM_")}
    assert marks <= {"DEVTEAM_RUN", "DEVTEAM_COMMAND"}  # bubblewrap's own, by which a sweep would find it


def test_nothing_but_the_standard_streams_is_inherited(world: FenceWorld) -> None:
    _, output = world.python("import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])")
    assert output.strip() == "[0, 1, 2]"


# --- the network ------------------------------------------------------------------------------------------------------


def test_no_address_outside_can_be_reached(world: FenceWorld) -> None:
    name = f"devteam-test-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{name}")
        abstract.listen()
        path = world.data / "engine.sock"
        with socket.socket(socket.AF_UNIX) as plain:
            plain.bind(str(path))
            plain.listen()
            _, output = world.python(
                f"""
import socket
targets = [
    (socket.AF_INET, ("127.0.0.1", {tcp.getsockname()[1]})), (socket.AF_INET, ("169.254.169.254", 80)),
    (socket.AF_INET, ("10.0.0.1", 443)), (socket.AF_INET6, ("fd00:ec2::254", 80)),
    (socket.AF_UNIX, "\\0{name}"), (socket.AF_UNIX, "{path}"), (socket.AF_VSOCK, (2, 1)), (socket.AF_PACKET, None),
]
for family, address in targets:
    try:
        made = socket.socket(family)
        made.settimeout(1)
        made.connect(address)
        print("connected", address)
    except (OSError, TypeError) as error:
        print(type(error).__name__)
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("169.254.169.254", 53)); print("sent")
except OSError:
    print("unsent")
try:
    socket.getaddrinfo("example.test", 80); print("resolved")
except OSError:
    print("unresolved")
"""
            )
    assert "connected" not in output
    assert output.split()[-2:] == ["unsent", "unresolved"]
    assert output.count("Error") == 8


def test_a_socket_let_in_is_offered_on_a_port(world: FenceWorld) -> None:
    path = world.data / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as gateway:
        gateway.bind(str(path))
        gateway.listen()
        server = threading.Thread(target=_echo, args=(gateway, 2), daemon=True)
        server.start()
        result, output = world.python(
            f"""
import socket, sys
for number in range(2):
    connection = socket.create_connection(("127.0.0.1", {forwarded_port(0)}))
    connection.sendall(b"x" * 300_000)
    connection.shutdown(socket.SHUT_WR)
    print(sum(len(data) for data in iter(lambda: connection.recv(65536), b"")))
sys.exit(7)
""",
            sockets=[path],
        )
        server.join(10)
    assert output.split() == ["300000", "300000"]
    assert result.exit_code == 7


def test_a_protocol_is_spoken_through_the_fence_and_the_forwarder(world: FenceWorld) -> None:
    path = world.data / "gateway.sock"
    code = "import sys\nfor line in sys.stdin: print(line.strip()[::-1], flush=True)\nprint('end', file=sys.stderr)"
    with socket.socket(socket.AF_UNIX) as gateway:
        gateway.bind(str(path))
        gateway.listen()
        spec = world.spec(script=None, argv=(sys.executable, "-c", code), interactive=True)
        command = RunningCommand.start(world.wrap(spec, sockets=[path]))
        errors: list[str] = []
        waiting = threading.Thread(target=lambda: command.wait(errors.append), daemon=True)
        waiting.start()
        command.stdin.write(b"hello\n")
        assert command.stdout.readline() == b"olleh\n"
        command.stdin.close()
        assert command.stdout.read() == b""
        waiting.join(10)
        command.close_streams()
    assert errors == ["end\n"]


def _echo(server: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = server.accept()
        with connection:
            received = b""
            while data := connection.recv(65536):
                received += data
            connection.sendall(received)


def test_a_command_beside_the_forwarder_ends_as_usual(world: FenceWorld) -> None:
    path = world.data / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as gateway:
        gateway.bind(str(path))
        gateway.listen()
        killed, _ = world.run("kill -9 $$", sockets=[path])
        missing, output = run(world.wrap(world.spec(script=None, argv=("no-such-agent",)), sockets=[path]))
    assert killed.exit_code == 128 + 9
    assert missing.exit_code == 127
    assert "cannot start no-such-agent" in output


# --- ordinary work ----------------------------------------------------------------------------------------------------


def test_git_works_as_usual_and_nothing_of_it_reaches_the_mirror(world: FenceWorld) -> None:
    before = _refs(world)
    result, output = world.run(
        """
        test -z "$(git status --porcelain)"
        echo more >> README.md
        git diff | grep '^+more'
        git log --oneline | grep Begin
        git branch --show-current
        git log --oneline origin/main | wc -l
        git add -A
        git commit -q -m 'Its own commit'
        git stash list
        git checkout -q -b another
        git show --stat | grep README.md
        git config core.fsmonitor 'touch /tmp/ran'
        git config core.hooksPath hooks
        git fsck 2>&1
        """
    )
    assert result.exit_code == 0, output
    assert "attempt/one" in output
    assert _refs(world) == before
    assert "fsmonitor" not in (world.mirror.path / "config").read_text()
    saved = world.mirror.snapshot(
        world.workspace, base=world.base, message="Work", ref="refs/devteam/attempts/one/work", author_date=WHEN
    )
    assert saved is not None
    assert "+more" in world.mirror.diff(world.base, saved).text


def test_its_commits_are_there_for_its_next_command_and_gone_with_a_new_worktree(world: FenceWorld) -> None:
    world.run("echo more >> README.md; git commit -q -a -m 'Its own commit'")
    _, output = world.run("git log --oneline | wc -l")
    assert output.strip() == "2"
    world.mirror.make_worktree(world.workspace, "attempt/one", world.base)
    _, output = world.run("git log --oneline | wc -l; git status --porcelain")
    assert output.strip() == "1"


def test_what_the_workspace_says_of_its_repository_is_not_believed(world: FenceWorld) -> None:
    other = world.folder / "data" / "mirrors" / "other.git"
    git(world.folder, "clone", "--quiet", "--bare", str(world.customer.bare), str(other))
    (world.workspace / ".git").write_text(f"gitdir: {other}\n")
    result, output = world.run(f"ls {other} || git log")
    assert result.exit_code != 0
    assert "Begin" not in output


def _refs(world: FenceWorld) -> str:
    return git(world.mirror.path, "for-each-ref") + (world.mirror.path / "config").read_text()


def test_tools_work_and_files_belong_to_us(world: FenceWorld) -> None:
    (world.workspace / "test_one.py").write_text("def test_one():\n    assert True\n")
    result, output = world.run(
        """
        python -m pytest -q -p no:cacheprovider test_one.py
        python -m pip --version
        ruff --version
        python -c 'import devteam, multiprocessing; print(multiprocessing.Lock())'
        mkdir -p new/deep; echo x > new/deep/file; chmod +x new/deep/file
        echo cached > "$HOME/cache"; echo x > "$TMPDIR/x"; echo x > /tmp/x; echo x > /dev/shm/x
        whoami; pwd; test -r /etc/ssl/certs
        """,
    )
    assert result.exit_code == 0, output
    assert "1 passed" in output
    assert "agent" in output
    assert str(world.workspace) in output
    status = (world.workspace / "new" / "deep" / "file").stat()
    assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
    assert stat.S_IMODE(status.st_mode) == 0o755
    assert (world.home / "cache").read_text() == "cached\n"


# --- what is known of it ----------------------------------------------------------------------------------------------


def test_canaries_show_a_fence_in_force_and_the_report_is_remembered(world: FenceWorld) -> None:
    report = probe_fence(world.data)
    assert report.in_force, report.as_json()
    assert report.part("disk").state == "watched"
    assert report.part("bandwidth").state == "absent"
    noted = world.data / "run" / "fence" / "report.json"
    before = noted.stat().st_mtime_ns
    assert probe_fence(world.data) == report
    assert noted.stat().st_mtime_ns == before
    assert choose_fence(world.data).report == report
    assert list((world.data / "run" / "fence").glob("probe-*")) == []


def test_without_a_fence_agents_are_refused_unless_allowed(world: FenceWorld) -> None:
    report = FenceReport("none", {"filesystem": Part("absent", "bubblewrap is not installed")})
    spec = world.spec("true")
    with pytest.raises(FenceRefused, match="bubblewrap is not installed"):
        Unfenced(False, report).wrap(spec, workspace=world.workspace, home=world.home)
    assert Unfenced(True, report).wrap(spec, workspace=world.workspace, home=world.home) == spec
    assert not report.in_force
