"""The fence that a kernel alone can build: what it closes, and what it is known not to close."""

import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devteam.adapters.fences import (
    FenceChoice,
    FenceRefused,
    LandlockFence,
    choose_fence,
    landlock_version,
    probe_fence,
)
from devteam.adapters.fences.landlock_enter import ruleset_bytes
from devteam.adapters.fences.seccomp import lonely_filter, socket_filter
from devteam.adapters.processes import kill_marked, marked_processes
from tests.integration.fence_world import SECRET, FenceWorld, run
from tests.integration.git_projects import WHEN

needs_landlock = pytest.mark.skipif(
    landlock_version() < 6, reason=f"this kernel's Landlock is version {landlock_version()}, a fence needs 6"
)


@pytest.fixture
def world() -> Iterator[FenceWorld]:
    folder = Path(tempfile.mkdtemp(prefix="devteam-fence-", dir="/var/tmp"))
    made = FenceWorld(folder, LandlockFence)
    try:
        yield made
        assert marked_processes(made.marker) == []
    finally:
        kill_marked(made.marker)
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("version", "network", "attributes"),
    [
        (1, True, (0x1FFF,)),
        (3, True, (0x7FFF,)),
        (4, True, (0x7FFF, 3)),
        (6, True, (0xFFFF, 3, 3)),
        (7, False, (0xFFFF, 0, 3)),
    ],
)
def test_rules_have_the_size_and_rights_that_the_kernels_version_knows(
    version: int, network: bool, attributes: tuple[int, ...]
) -> None:
    assert ruleset_bytes(version, network=network) == struct.pack(f"={len(attributes)}Q", *attributes)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filters_are_whole_programs_whose_jumps_stay_inside(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    for made in (socket_filter(), lonely_filter()):
        assert made is not None
        steps = list(struct.iter_unpack("=HBBI", made))
        assert steps[-1][0] == 0x06
        for at, (code, if_true, if_false, _) in enumerate(steps):
            if code & 0x07 == 0x05:
                assert at + 1 + max(if_true, if_false) < len(steps)
    monkeypatch.setattr(platform, "machine", lambda: "unheard-of")
    assert lonely_filter() is None


@needs_landlock
def test_canaries_prove_it_and_say_what_it_cannot_do(world: FenceWorld) -> None:
    choice = FenceChoice(kinds=("landlock",))
    report = probe_fence(world.data, choice)
    assert report.kind == "landlock"
    assert report.in_force, report.as_json()
    for part in ("processNamespace", "networkNamespace", "fileAttributes"):
        assert report.part(part).state == "absent"
    fence = choose_fence(world.data, choice)
    assert isinstance(fence, LandlockFence)
    assert fence.report == report


@needs_landlock
def test_only_named_files_are_read_and_written(world: FenceWorld) -> None:
    forbidden = [
        world.neighbour / "secret.txt", world.data / "secret.txt", "/etc/shadow", "/root/.profile",
        world.mirror.path / "config", world.mirror.path / "HEAD", "/etc/ssl/private", "/sys/class/net", "/run", "/tmp",
    ]  # fmt: skip
    (world.data / "secret.txt").chmod(0o644)
    reads = "\n".join(f"cat '{path}' || ls -A '{path}/' || echo refused" for path in forbidden)
    _, output = world.run(reads)
    assert output.splitlines().count("refused") == len(forbidden)
    assert SECRET not in output
    places = [
        "/", "/usr", "/etc", "/tmp", "/var/tmp", "/dev/shm", "/run", world.data, world.attempt, world.neighbour,
        world.mirror.path / "objects", world.mirror.path / "hooks", sys.prefix, world.attempt / ".fence",
        "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger",
    ]  # fmt: skip
    tries = "\n".join(f"(mkdir -p '{p}/x' || echo x >> '{p}') 2>/dev/null && echo 'wrote {p}'" for p in places)
    _, output = world.run(f"set +e\n{tries}\nln {world.data}/secret.txt hard && echo linked\nln -s / up; ls up\ntrue")
    assert "wrote" not in output
    assert "linked" not in output
    assert not (world.data / "x").exists()


@needs_landlock
def test_it_reaches_no_process_of_others_even_without_a_namespace(world: FenceWorld) -> None:
    with subprocess.Popen(["sleep", "60"], env={"SECRET": SECRET}) as outside:
        result, output = world.python(
            f"""
import ctypes, os, resource
libc = ctypes.CDLL(None, use_errno=True)
pid = {outside.pid}
tries = dict(
    killed=lambda: os.kill(pid, 9), environ=lambda: open(f"/proc/{{pid}}/environ").read(1),
    memory=lambda: open(f"/proc/{{pid}}/mem", "r+b"), root=lambda: os.listdir(f"/proc/{{pid}}/root/"),
    limits=lambda: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1)), nice=lambda: os.setpriority(0, pid, 19),
    affinity=lambda: os.sched_setaffinity(pid, [0]), handle=lambda: os.pidfd_open(pid) and 1 / 0,
)
for name, attempt in tries.items():
    try:
        attempt(); print("did", name)
    except (OSError, ZeroDivisionError): pass
print("trace", libc.ptrace(16, pid, 0, 0), "shared", libc.shmget(1, 4096, 0o1600), "queue", libc.msgget(1, 0o1600))
print("spaces", libc.unshare(0x10000000), libc.unshare(0x20000), os.getpid() > 0)
""",
            isolation="subreaper",
        )
        assert outside.poll() is None
        outside.kill()
    assert result.exit_code == 0, output
    assert output.splitlines() == ["trace -1 shared -1 queue -1", "spaces -1 -1 True"]


@needs_landlock
def test_it_has_no_privileges_and_gets_none(world: FenceWorld) -> None:
    _, output = world.run(
        """
        set +e
        grep -E '^(Cap|NoNewPrivs)' /proc/self/status
        mount -t tmpfs none "$HOME" && echo mounted
        mknod device b 8 0 && echo device
        chown 1 README.md && echo owned
        unshare --user --map-root-user true && echo namespace
        true
        """
    )
    values = dict(line.split(":\t") for line in output.splitlines() if ":\t" in line)
    assert values.pop("NoNewPrivs") == "1"
    assert set(values.values()) == {"0" * 16}
    assert not {"mounted", "device", "owned", "namespace"} & set(output.splitlines())


@needs_landlock
def test_the_only_way_out_is_the_port_of_its_socket(world: FenceWorld) -> None:
    path = world.data / "gateway.sock"
    port = world.fence.port(world.workspace, 0)
    with (
        socket.socket(socket.AF_UNIX) as gateway,
        socket.create_server(("127.0.0.1", 0)) as other,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        gateway.bind(str(path))
        gateway.listen()
        abstract.bind(f"\0devteam-test-{os.getpid()}")
        abstract.listen()
        server = threading.Thread(target=_answer, args=(gateway,), daemon=True)
        server.start()
        result, output = world.python(
            f"""
import socket
others = ("127.0.0.1", {other.getsockname()[1]})
def fails(what, attempt):
    try:
        attempt(); print("went out by", what)
    except OSError:
        pass
fails("TCP", lambda: socket.create_connection(others, 1))
fails("metadata", lambda: socket.create_connection(("169.254.169.254", 80), 1))
fails("fast open", lambda: socket.socket().sendto(b"x", socket.MSG_FASTOPEN, others))
fails("fast open, by message", lambda: socket.socket().sendmsg([b"x"], [], socket.MSG_FASTOPEN, others))
fails("other TCP", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).connect(others))
fails("datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", others))
fails("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
fails("Unix path", lambda: socket.socket(socket.AF_UNIX).connect({str(path)!r}))
fails("abstract", lambda: socket.socket(socket.AF_UNIX).connect("\\0devteam-test-{os.getpid()}"))
fails("vsock", lambda: socket.socket(socket.AF_VSOCK))
fails("bind", lambda: socket.socket().bind(("127.0.0.1", 0)))
fails("listen", lambda: socket.socket().listen())
a, b = socket.socketpair()
connection = socket.create_connection(("127.0.0.1", {port}), 5)
connection.sendall(b"hello")
print(connection.recv(100).decode())
""",
            sockets=[path],
        )
        server.join(10)
    assert result.exit_code == 0, output
    assert output == "olleh\n"


def _answer(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(connection.recv(100)[::-1])


@needs_landlock
def test_each_workspace_has_ports_of_its_own(world: FenceWorld) -> None:
    first = world.fence.port(world.workspace, 0)
    assert world.fence.port(world.workspace, 1) == first + 1
    assert abs(world.fence.port(world.neighbour, 0) - first) >= 8
    with socket.create_server(("127.0.0.1", first)):
        assert world.fence.port(world.workspace, 0) == first


@needs_landlock
def test_ordinary_work_goes_on_as_usual(world: FenceWorld) -> None:
    (world.workspace / "test_one.py").write_text("def test_one(tmp_path):\n    (tmp_path / 'x').write_text('x')\n")
    result, output = world.run(
        """
        python -m pytest -q -p no:cacheprovider test_one.py
        git log --oneline | grep Begin
        echo more >> README.md
        git commit -q -a -m 'Its own commit'
        git config core.hooksPath hooks
        git status --porcelain
        mkdir -p new/deep; echo x > new/deep/file; chmod +x new/deep/file; mv new/deep "$HOME/deep"
        mktemp >/dev/null; echo "$MINE"; whoami
        python -c 'import subprocess; print(subprocess.run(["id", "-u"], capture_output=True).returncode)'
        """,
        extra={"MINE": "yes"},
    )
    assert result.exit_code == 0, output
    assert "1 passed" in output
    assert "yes" in output.splitlines()
    saved = world.mirror.snapshot(
        world.workspace, base=world.base, message="Work", ref="refs/devteam/attempts/one/work", author_date=WHEN
    )
    assert saved is not None
    assert "+more" in world.mirror.diff(world.base, saved).text
    assert "hooksPath" not in (world.mirror.path / "config").read_text()


@needs_landlock
def test_its_environment_and_end_are_the_commands_own(world: FenceWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_KEY", "sk-real")
    _, output = world.run("env")
    assert "sk-real" not in output
    killed, _ = world.run("kill -9 $$")
    assert killed.signal == signal.SIGKILL
    missing, output = run(world.wrap(world.spec(script=None, argv=("no-such-agent",))))
    assert missing.exit_code == 127
    assert "cannot start no-such-agent" in output


@needs_landlock
def test_folders_around_the_data_folder_are_refused(world: FenceWorld) -> None:
    for folder in (world.folder, Path("/root"), Path("/")):
        with pytest.raises(FenceRefused, match="too much"):
            world.wrap(world.spec("true"), read_only=[folder])
