"""Containers as the fence: with a stand-in for the engine that takes nothing but the right options, and with podman."""

import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from devteam.adapters.fences import (
    ContainerFence,
    FenceChoice,
    FenceRefused,
    ResourceLimits,
    choose_fence,
    find_bubblewrap,
    forwarded_port,
    probe_fence,
)
from devteam.adapters.fences.cgroup import owner_part
from devteam.adapters.processes import NotFrozen, RunningCommand, kill_marked, marked_processes
from tests.integration.fence_world import SECRET, FenceWorld
from tests.peers import container_engine

LIMITS = ResourceLimits(cpu=1, memory=512 * 2**20, processes=64)


@pytest.fixture(params=["stand-in", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[FenceChoice]:
    """An engine with an image that has what a shell, git and this Python need."""
    folder = Path(tempfile.mkdtemp(prefix="devteam-engine-", dir="/var/tmp"))
    try:
        if request.param == "stand-in":
            if find_bubblewrap() is None:
                pytest.skip("bubblewrap 0.8 or newer is not installed")
            program = folder / "docker"
            program.write_text(
                f'#!/bin/sh\nexec {sys.executable} {container_engine.__file__} {folder}/state "$@"\n', encoding="utf-8"
            )
            program.chmod(0o755)
            yield FenceChoice(kinds=("container",), image=container_engine.IMAGE, program=program)
        else:
            yield _podman(folder, request.getfixturevalue("monkeypatch"))
    finally:
        if request.param == "podman" and shutil.which("podman"):
            environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}
            subprocess.run(["podman", "rmi", "--all", "--force"], env=environment, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _podman(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FenceChoice:
    """Its storage is the test's own. Skips where podman is not installed or runs no container at all."""
    program = shutil.which("podman")
    if program is None:
        pytest.skip("podman is not installed")
    storage = folder / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n')
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
    _write_image(folder / "image.tar")
    image = f"localhost/devteam-test:{uuid.uuid4().hex[:8]}"
    try_out = ["run", "--rm", "--network=none", "--pull=never", *ULIMITS, image, "/bin/sh", "-c", "exit 0"]
    for command in (["import", str(folder / "image.tar"), image], try_out):
        done = subprocess.run([program, *command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"podman runs no container here: {done.stderr.strip()[-200:]}")
    return FenceChoice(kinds=("container",), image=image, program=Path(program))


ULIMITS = ("--ulimit", "nofile=512:512", "--ulimit", "nproc=512:512")


def _write_image(target: Path) -> None:
    programs = [f"/usr/bin/{name}" for name in ("sh", "cat", "ls", "git", "grep", "sleep", "env", "id")]
    extensions = glob.glob(f"{Path(os.__file__).parent}/lib-dynload/*.so")
    found: set[str] = set(programs)
    for program in (*programs, os.path.realpath(sys.executable), *extensions):
        told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        found |= set(re.findall(r"(/\S+) \(0x", told))
    with tarfile.open(target, "w") as archive:
        for name in ("bin", "sbin", "lib", "lib64"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            archive.addfile(link)
        for name in ("proc", "sys", "dev", "tmp", "run", "etc", "var/tmp"):
            place = tarfile.TarInfo(name)
            place.type, place.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(place)
        for file in sorted(file for file in found if file.startswith(("/usr/", "/lib"))):
            where = os.path.join(os.path.realpath(os.path.dirname(file)), os.path.basename(file))
            archive.add(os.path.realpath(file), arcname=where)


@pytest.fixture
def world(engine: FenceChoice) -> Iterator[FenceWorld]:
    folder = Path(tempfile.mkdtemp(prefix="devteam-fence-", dir="/var/tmp"))
    program = engine.program
    assert program is not None
    made = FenceWorld(folder, lambda data: ContainerFence(program, data, engine.image, LIMITS))
    try:
        yield made
        assert marked_processes(made.marker) == []
        assert (
            _fence(made)._ask("ps", "--all", "--filter", "label=devteam=fence", "--format", "{{.Names}}").split() == []
        )
    finally:
        kill_marked(made.marker)
        shutil.rmtree(folder)


def _fence(world: FenceWorld) -> ContainerFence:
    assert isinstance(world.fence, ContainerFence)
    return world.fence


def test_canaries_prove_the_container(world: FenceWorld, engine: FenceChoice) -> None:
    report = probe_fence(world.data, engine)
    assert report.kind == "container"
    assert report.in_force, report.as_json()
    assert isinstance(choose_fence(world.data, engine, limits=LIMITS), ContainerFence)


def test_only_named_folders_are_there_and_git_works(world: FenceWorld) -> None:
    result, output = world.run(
        f"""
        set +e
        cat {world.neighbour}/secret.txt {world.data}/secret.txt /etc/shadow
        echo x > /usr/x && echo wrote; echo x > {world.data}/x
        cd {world.workspace}
        git log --oneline | grep Begin; echo more >> README.md; git commit -q -a -m Own; git log --oneline | wc -l
        echo "$ODD" > inside
        """.replace("| wc -l", "| grep -c ."),
        extra={"ODD": "a 'b' \"c\" #d $e"},
    )
    assert result.exit_code == 0, output
    assert SECRET not in output
    assert "wrote" not in output
    assert not (world.data / "x").exists()
    assert output.splitlines()[-1] == "2"
    assert (world.workspace / "inside").read_text() == "a 'b' \"c\" #d $e\n"
    assert (world.workspace / "README.md").read_text() == "Hello\nmore\n"


def test_what_the_environment_says_is_in_no_command_line(world: FenceWorld) -> None:
    spec = world.wrap(world.spec("true", extra={"TOKEN": "sk-secret"}))
    plan = json.loads(spec.inputs[64])
    assert "sk-secret" not in json.dumps([plan["run"], plan["end"], plan["remove"], spec.argv, dict(spec.env)])
    with pytest.raises(FenceRefused, match="several lines"):
        world.wrap(world.spec("true", extra={"TOKEN": "a\nLD_PRELOAD=x"}))
    with pytest.raises(FenceRefused, match="comma"):
        world.wrap(world.spec("true"), read_only=[Path("/var/tmp/a,destination=/")])


def test_a_socket_is_offered_on_a_port_and_a_protocol_spoken(world: FenceWorld) -> None:
    path = world.data / "gateway.sock"
    code = f"""
import socket, sys
for line in sys.stdin:
    connection = socket.create_connection(("127.0.0.1", {forwarded_port(0)}))
    connection.sendall(line.strip().encode())
    print(connection.recv(100).decode(), flush=True)
"""
    with socket.socket(socket.AF_UNIX) as gateway:
        gateway.bind(str(path))
        gateway.listen()
        threading.Thread(target=_answer, args=(gateway,), daemon=True).start()
        spec = world.spec(script=None, argv=(sys.executable, "-c", code), interactive=True)
        command = RunningCommand.start(world.wrap(spec, sockets=[path]))
        errors: list[str] = []
        waiting = threading.Thread(target=lambda: command.wait(errors.append), daemon=True)
        waiting.start()
        command.stdin.write(b"hello\n")
        assert command.stdout.readline() == b"olleh\n", errors
        command.stdin.close()
        waiting.join(20)
        command.close_streams()


def _answer(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(connection.recv(100)[::-1])


def test_an_abort_leaves_no_container(world: FenceWorld) -> None:
    command = RunningCommand.start(world.wrap(world.spec("trap '' TERM; sleep 600 & echo started; wait; sleep 600")))
    began = 0.0

    def end(text: str) -> None:
        nonlocal began
        if "started" in text:
            began = time.monotonic()
            command.terminate()

    result = command.wait(end)
    assert result.killed
    assert time.monotonic() - began < 15


def test_a_daemons_container_cannot_be_paused(world: FenceWorld) -> None:
    spec = world.wrap(world.spec("echo started; sleep 600"))
    if spec.freezes:
        pytest.skip("podman's containers are its children and freeze with it")
    command = RunningCommand.start(spec)
    with pytest.raises(NotFrozen, match="cannot freeze"):
        command.pause()
    command.terminate()
    command.wait(lambda _: None)


def test_containers_of_dead_workers_are_removed(world: FenceWorld, engine: FenceChoice) -> None:
    fence = _fence(world)
    if fence.program.name != "docker":
        pytest.skip("the stand-in shows it")
    state = fence.program.parent / "state"
    state.mkdir(exist_ok=True)
    left = state / f"devteam-999999999-1-{owner_part().split('-')[2]}-abc.json"
    left.write_text(json.dumps({"label": "devteam=fence", "pid": 0}))
    assert fence.sweep() == 1
    assert not left.exists()


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    report = probe_fence(tmp_path, FenceChoice(kinds=("container",)))
    assert "DEVTEAM_FENCE_IMAGE" in report.part("filesystem").mechanism
    broken = FenceChoice(kinds=("container",), image="x", program=Path("/nonexistent/docker"))
    assert not probe_fence(tmp_path, broken).in_force
    with pytest.raises(FenceRefused, match="none of"):
        FenceChoice.from_environment({"DEVTEAM_FENCE": "chroot"})
