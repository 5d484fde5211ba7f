"""Pods as the fence, with a stand-in for the cluster that checks every object and speaks the streams' protocol."""

import json
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devteam.adapters.fences import FenceChoice, FenceRefused, ResourceLimits, find_bubblewrap, forwarded_port
from devteam.adapters.fences.kubernetes import KubernetesFence, cluster
from devteam.adapters.processes import NotFrozen, RunningCommand, kill_marked, marked_processes
from tests.integration.fence_world import SECRET, FenceWorld, run
from tests.peers.kubernetes_api import Cluster

pytestmark = pytest.mark.skipif(find_bubblewrap() is None, reason="bubblewrap 0.8 or newer is not installed")

LIMITS = ResourceLimits(cpu=0.5, memory=512 * 2**20)


@pytest.fixture(params=[True, False], ids=["v5", "v4"])
def newest(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def world(newest: bool) -> Iterator[tuple[FenceWorld, Cluster]]:
    folder = Path(tempfile.mkdtemp(prefix="devteam-pods-", dir="/var/tmp"))
    with Cluster(folder, folder / "data", newest=newest) as peer:
        choice = _choice(peer, folder)
        made = FenceWorld(folder, lambda data: KubernetesFence(cluster(choice), data, choice, LIMITS, user=1000))
        try:
            yield made, peer
            assert marked_processes(made.marker) == []
            assert (peer.jobs, peer.pods, peer.policies, peer.secrets, peer.refused) == ({}, {}, {}, {}, [])
        finally:
            kill_marked(made.marker)
    shutil.rmtree(folder)


def _choice(peer: Cluster, folder: Path, **user: str) -> FenceChoice:
    return FenceChoice(
        kinds=("kubernetes",), image="agents:1", volume="data", address="127.0.0.1",
        kubeconfig=peer.kubeconfig(folder / "kubeconfig", **user),
    )  # fmt: skip


def test_a_command_runs_as_a_job_with_its_folders_and_variables_only(world: tuple[FenceWorld, Cluster]) -> None:
    made, peer = world
    result, output = made.run(
        f"""
        cat {made.neighbour}/secret.txt || cat {made.data}/secret.txt || echo refused
        git log --oneline | grep Begin; echo more >> README.md; git commit -q -a -m Own; git log --oneline | grep -c .
        echo "$ODD"; exit 7
        """,
        extra={"ODD": "a\nb 'c'"},
    )
    assert result.exit_code == 7, output
    assert SECRET not in output
    assert output.endswith("2\na\nb 'c'\n")
    assert (made.workspace / "README.md").read_text() == "Hello\nmore\n"
    assert peer.made == ["Job", "NetworkPolicy", "Secret"]


def test_a_protocol_is_spoken_over_the_pods_streams(world: tuple[FenceWorld, Cluster], newest: bool) -> None:
    made, _ = world
    code = "import sys\nfor line in sys.stdin: print(line.strip()[::-1], flush=True)\nprint('end', file=sys.stderr)"
    spec = made.spec(script=None, argv=(sys.executable, "-c", code), interactive=True)
    command = RunningCommand.start(made.wrap(spec))
    errors: list[str] = []
    waiting = threading.Thread(target=lambda: command.wait(errors.append), daemon=True)
    waiting.start()
    for _ in range(3):
        command.stdin.write(b"hello\n")
        assert command.stdout.readline() == b"olleh\n", errors
    with pytest.raises(NotFrozen):
        command.pause()
    if newest:
        command.stdin.close()
        assert command.stdout.read() == b""
    else:  # which cannot say that the input has ended
        command.terminate()
    waiting.join(30)
    command.close_streams()
    assert errors == (["end\n"] if newest else ["Kubernetes: it was ended\n"])


def test_the_worker_relays_its_sockets_and_the_policy_opens_nothing_else(world: tuple[FenceWorld, Cluster]) -> None:
    made, peer = world
    path = made.data / "gateway.sock"
    code = f"""
import socket
connection = socket.create_connection(("127.0.0.1", {forwarded_port(0)}))
connection.sendall(b"hello")
print(connection.recv(100).decode())
"""
    with socket.socket(socket.AF_UNIX) as gateway:
        gateway.bind(str(path))
        gateway.listen()
        seen: list[object] = []
        server = threading.Thread(
            target=_answer, args=(gateway, lambda: seen.extend(peer.policies.values())), daemon=True
        )
        server.start()
        result, output = run(made.wrap(made.spec(script=None, argv=(sys.executable, "-c", code)), sockets=[path]))
        server.join(10)
    assert (result.exit_code, output) == (0, "olleh\n")
    (policy,) = json.loads(json.dumps(seen))
    (rule,) = policy["spec"]["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "127.0.0.1/32"}}]
    assert len(rule["ports"]) == 1


def _answer(server: socket.socket, look: Callable[[], None]) -> None:
    connection, _ = server.accept()
    look()
    with connection:
        connection.sendall(connection.recv(100)[::-1])


def test_an_abort_deletes_the_job_and_its_pod(world: tuple[FenceWorld, Cluster]) -> None:
    made, _ = world
    command = RunningCommand.start(made.wrap(made.spec("trap '' TERM; echo started; sleep 600")))
    began: list[float] = []

    def end(text: str) -> None:
        if "started" in text:
            began.append(time.monotonic())
            command.terminate()

    assert command.wait(end).killed
    assert time.monotonic() - began[0] < 15


@pytest.mark.parametrize("newest", [True], ids=["v5"], indirect=True)
def test_sign_in_and_certificate_are_checked(world: tuple[FenceWorld, Cluster], tmp_path: Path) -> None:
    made, peer = world
    wrong = _choice(peer, tmp_path, token="somebody-elses")
    fence = KubernetesFence(cluster(wrong), made.data, wrong, LIMITS, user=1000)
    result, output = run(fence.wrap(made.spec("true"), workspace=made.workspace, home=made.home))
    assert result.exit_code == 125
    assert "401 Unauthorized" in output
    other = Cluster(tmp_path, tmp_path)
    other._listener.close()
    peer.certificate = other.certificate
    choice = _choice(peer, tmp_path)
    fence = KubernetesFence(cluster(choice), made.data, choice, LIMITS, user=1000)
    result, output = run(fence.wrap(made.spec("true"), workspace=made.workspace, home=made.home))
    assert result.exit_code == 125
    assert "certificate" in output.lower()


def test_what_would_not_be_a_fence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FenceRefused, match="DEVTEAM_FENCE_VOLUME"):
        cluster(FenceChoice(kinds=("kubernetes",), image="x"))
    config = tmp_path / "kubeconfig"
    choice = FenceChoice(kinds=("kubernetes",), image="x", volume="v", address="10.0.0.1", kubeconfig=config)
    config.write_text("contexts: []\n")
    with pytest.raises(FenceRefused, match="cannot be read"):
        cluster(choice)
    config.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                "clusters": [{"name": "k", "cluster": {"server": "https://x", "insecure-skip-tls-verify": True}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
            }
        )
    )
    with pytest.raises(FenceRefused, match="would not be checked"):
        cluster(choice)
