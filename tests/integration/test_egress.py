"""Commands behind the real fence, with the egress proxy as their only way out."""

import http.server
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from devteam.adapters.egress import Bandwidth, EgressProxy, Reach
from devteam.adapters.executors.enclosure import Enclosed, Enclosure
from devteam.adapters.fences import ResourceLimits
from devteam.adapters.processes import CommandSpec, RunningCommand, scrubbed_environment
from devteam.executions.ports import Job
from tests.integration.agent_world import AgentWorld, Alarms

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")

FETCH = """
import sys, urllib.request, urllib.error
for url in sys.argv[1:]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            print(answer.status, answer.read().decode().strip())
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode().strip())
    except OSError as error:
        print("no way:", error)
"""


class Peer(http.server.BaseHTTPRequestHandler):
    """A registry on this machine; it tells what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(f"GET {self.path} for {self.headers['Host']}".encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(b"POST " + body)

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that treats each connection as it is told; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=treat, args=(peer,), daemon=True).start()

        def treat(peer: socket.socket) -> None:
            with closing(peer):
                serve(peer)

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]


@dataclass
class World:
    """A project whose attempts have the proxy, and a registry that it may allow."""

    agents: AgentWorld
    port: int
    alarms: Alarms = field(default_factory=Alarms)
    proxies: list[EgressProxy] = field(default_factory=list)

    def job(self, *allow: str) -> Job:
        job = replace(self.agents.job("agent"), egress=allow)
        prepared = self.agents.workspaces.prepare(job)
        return replace(job, base_commit=prepared.base_commit)

    def proxy(self, **options: Any) -> EgressProxy:
        wanted: dict[str, Any] = {"reach": Reach.PRIVATE, "bandwidth": Bandwidth(100_000_000), **options}
        self.agents.data.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self.agents.data))
        self.proxies.append(EgressProxy(folder, alarm=self.alarms, **wanted))
        return self.proxies[-1]

    def enclosure(self, proxy: EgressProxy | None = None) -> Enclosure:
        return Enclosure(
            self.agents.data,
            lambda job: self.agents.workspaces.mirror(job).path,
            limits=ResourceLimits(),
            alarm=self.alarms,
            egress=proxy or self.proxy(),
        )

    def run(self, job: Job, *argv: str, proxy: EgressProxy | None = None) -> str:
        """What a command inside printed."""
        return self.inside(job, argv, proxy)[0]

    def inside(self, job: Job, argv: tuple[str, ...], proxy: EgressProxy | None = None) -> tuple[str, Enclosed]:
        workspace = self.agents.workspaces.path(job.ref.attempt_id)
        home = workspace.parent / "home"
        spec = CommandSpec(
            cwd=workspace,
            env=scrubbed_environment(home=home, extra={}),
            time_limit=60.0,
            marker=job.marker,
            argv=argv,
        )
        home.mkdir(parents=True, exist_ok=True)
        output: list[str] = []
        with self.enclosure(proxy).closed(job, spec, workspace=workspace) as enclosed:
            result = RunningCommand.start(enclosed.spec).wait(output.append)
        assert result.exit_code == 0, "".join(output)
        return "".join(output), enclosed

    def fetch(self, job: Job, *urls: str, proxy: EgressProxy | None = None) -> list[str]:
        return self.run(job, sys.executable, "-c", FETCH, *urls, proxy=proxy).splitlines()

    @property
    def here(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def agents() -> Iterator[AgentWorld]:
    folder = Path(tempfile.mkdtemp(prefix="devteam-egress-"))
    yield AgentWorld(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def world(agents: AgentWorld) -> Iterator[World]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Peer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = World(agents, server.server_address[1])
        yield made
        for proxy in made.proxies:
            proxy.stop()
        server.shutdown()


# The loopback of this machine stands for a registry on the premises. Programs inside reach their own loopback without
# the proxy, so they are told not to.
THROUGH = "import os; os.environ.pop('no_proxy'); os.environ.pop('NO_PROXY')\n"


def fetch(world: World, job: Job, *urls: str, proxy: EgressProxy | None = None) -> list[str]:
    return world.run(job, sys.executable, "-c", THROUGH + FETCH, *urls, proxy=proxy).splitlines()


def test_allowed_host_is_reached_and_others_are_refused_and_recorded(world: World) -> None:
    told = fetch(world, world.job(world.here), f"http://{world.here}/simple/?q=1", "http://other.test/x")
    assert told == [
        f"200 GET /simple/?q=1 for {world.here}",
        "403 DevTeam: other.test:80 is not among the hosts that this project allows.",
    ]
    [(code, evidence)] = world.alarms.raised
    assert (code, evidence["hosts"], evidence["allowed"]) == ("host_refused", ["other.test:80"], [world.here])


def test_body_is_passed_on_and_the_answer_back(world: World) -> None:
    code = THROUGH + (
        "import sys, urllib.request\n"
        "print(urllib.request.urlopen(sys.argv[1], data=b'x' * 3_000_000, timeout=30).read()[-3:])"
    )
    assert world.run(world.job(world.here), sys.executable, "-c", code, f"http://{world.here}/") == "b'xxx'\n"


def test_curl_goes_through_by_plain_http_and_by_tunnel(world: World) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    job = world.job(world.here)
    script = (
        "unset no_proxy NO_PROXY; "
        f"curl -sS http://{world.here}/a; echo; curl -sSp http://{world.here}/b; echo; "
        "curl -sSp http://other.test/c 2>&1 || true"
    )
    plain, tunnel, refused = world.run(job, "/bin/sh", "-c", script).splitlines()
    assert (plain, tunnel) == (f"GET /a for {world.here}", f"GET /b for {world.here}")
    assert "403" in refused and world.alarms.codes == ["host_refused"]


def test_metadata_and_addresses_inside_are_refused_as_attacks(world: World) -> None:
    told = fetch(
        world, world.job("pypi.test"), "http://169.254.169.254/latest/", f"http://{world.here}/", "http://10.0.0.1/"
    )
    assert [line[:12] for line in told] == ["403 DevTeam:"] * 3
    assert world.alarms.codes == ["private_address_refused"] * 3


def test_without_a_list_there_is_no_host_and_no_way_around_the_proxy(world: World) -> None:
    job = world.job()
    direct = f"import socket; socket.create_connection(('127.0.0.1', {world.port}), timeout=2)"
    code = f"try:\n    {direct}\nexcept OSError as error:\n    print('no way')"
    assert world.run(job, sys.executable, "-c", code) == "no way\n"
    assert fetch(world, job, "http://pypi.test/") == [
        "403 DevTeam: pypi.test:80 is not among the hosts that this project allows."
    ]
    resolve = (
        "import socket\ntry:\n    print(socket.getaddrinfo('pypi.test', 80))\nexcept OSError:\n    print('no DNS')"
    )
    assert world.run(job, sys.executable, "-c", resolve) == "no DNS\n"


def test_operator_can_close_all_ways_and_private_ones_are_closed_unless_opened(world: World) -> None:
    job = world.job(world.here)
    assert "not among" not in fetch(world, job, f"http://{world.here}/", proxy=world.proxy(reach=Reach.PUBLIC))[0]
    assert world.alarms.codes == ["private_address_refused"]
    assert fetch(world, job, f"http://{world.here}/", proxy=world.proxy(reach=Reach.OFF))[0].startswith("403 DevTeam:")


def test_allowed_name_is_resolved_once_and_connected_by_that_address(world: World) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) > 1 else ["192.0.2.1"]

    told = fetch(
        world, world.job(f"a.test:{world.port}"), f"http://a.test:{world.port}/", proxy=world.proxy(resolve=resolve)
    )
    assert asked == ["a.test"], "a second look-up could have been turned over"
    assert told[0][:3] in ("403", "502")


def test_same_refusal_is_told_once_and_many_hosts_no_longer_than_is_kept(world: World) -> None:
    urls = [f"http://h{number}.test/" for number in range(60)]
    told = fetch(world, world.job(), *urls, *urls[:5])
    assert len(told) == 65 and all(line.startswith("403") for line in told)
    assert len(world.alarms.raised) == 50


def test_head_that_is_too_large_and_requests_that_are_none_are_answered(world: World) -> None:
    job = world.job(world.here)
    code = """
import os, socket
port = int(os.environ["http_proxy"].rsplit(":", 1)[1])
large = b"GET http://a.test/ HTTP/1.1\\r\\nX: " + b"x" * 200_000
for head in (large, b"hello\\r\\n\\r\\n", b"CONNECT a.test HTTP/1.1\\r\\n\\r\\n"):
    with socket.create_connection(("127.0.0.1", port)) as proxy:
        try:
            proxy.sendall(head)
        except OSError:
            pass
        print(proxy.recv(1000).split(b"\\r\\n")[0].decode())
"""
    told = world.run(job, sys.executable, "-c", code).splitlines()
    assert told == ["HTTP/1.1 431 Request Header Fields Too Large", *["HTTP/1.1 400 Bad Request"] * 2]


def test_connections_beyond_the_limit_are_refused_and_silent_ones_end(world: World) -> None:
    def serve(peer: socket.socket) -> None:
        peer.recv(1)  # for as long as the tunnel lives

    with listening(serve) as port:
        code = f"""
import os, socket
proxy = int(os.environ["http_proxy"].rsplit(":", 1)[1])
held = []
for number in range(4):
    one = socket.create_connection(("127.0.0.1", proxy))
    one.sendall(b"CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\n\\r\\n")
    print(one.recv(1000).split()[1].decode())
    held.append(one)
print(held[0].recv(1))
"""
        proxy = world.proxy(most_connections=3, idle_seconds=1.0)
        told = world.run(world.job(f"127.0.0.1:{port}"), sys.executable, "-c", code, proxy=proxy).split()
    assert told == ["200", "200", "200", "503", "b''"]


def test_tunnel_streams_each_piece_as_it_comes(world: World) -> None:
    answered = threading.Event()

    def serve(peer: socket.socket) -> None:
        peer.sendall(b"first")
        answered.wait(20)  # until the first piece was seen inside
        peer.sendall(b"second")

    def read(peer: socket.socket) -> None:
        peer.recv(1)
        answered.set()

    with listening(serve) as port, listening(read) as back:
        code = f"""
import os, socket
proxy = int(os.environ["http_proxy"].rsplit(":", 1)[1])
def tunnel(port):
    one = socket.create_connection(("127.0.0.1", proxy))
    one.sendall(f"CONNECT 127.0.0.1:{{port}} HTTP/1.1\\r\\n\\r\\n".encode())
    assert b"200" in one.recv(39)
    return one
stream = tunnel({port})
print(stream.recv(5).decode())
tunnel({back}).sendall(b"!")
print(stream.recv(100).decode(), stream.recv(100))
"""
        job = world.job(f"127.0.0.1:{port}", f"127.0.0.1:{back}")
        assert world.run(job, sys.executable, "-c", code) == "first\nsecond b''\n"


def test_bandwidth_holds_a_download_to_its_rate(world: World) -> None:
    size = 1_000_000

    def serve(peer: socket.socket) -> None:
        peer.sendall(b"x" * size)

    with listening(serve) as port:
        code = f"""
import os, socket, time
proxy = int(os.environ["http_proxy"].rsplit(":", 1)[1])
one = socket.create_connection(("127.0.0.1", proxy))
one.sendall(b"CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\n\\r\\n")
one.recv(39)
began, got = time.monotonic(), 0
while data := one.recv(65536):
    got += len(data)
print(got, time.monotonic() - began)
"""
        proxy = world.proxy(bandwidth=Bandwidth(4_000_000))
        got, seconds = world.run(world.job(f"127.0.0.1:{port}"), sys.executable, "-c", code, proxy=proxy).split()
    # 262 kB pass at once, the rest at 500 kB a second.
    assert int(got) == size
    assert float(seconds) >= 0.9 * (size - 262_144) / 500_000


def test_attempt_tells_what_was_in_force(world: World) -> None:
    _, with_hosts = world.inside(world.job("pypi.test"), ("true",))
    _, without = world.inside(world.job(), ("true",))
    parts = with_hosts.in_force["parts"]
    assert parts["network"]["state"] == parts["bandwidth"]["state"] == "enforced"
    assert "allow-list: pypi.test" in parts["network"]["mechanism"] and "100 Mbit/s" in parts["bandwidth"]["mechanism"]
    assert without.in_force["parts"]["network"]["mechanism"].startswith("none;")
    assert with_hosts.in_force["inForce"] is True


def test_sockets_of_ended_attempts_and_dead_workers_are_gone(world: World) -> None:
    proxy = world.proxy()
    folder = proxy._folder
    dead = folder / "egress-1-1.sock"
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(dead))
    world.run(world.job(), "true", proxy=proxy)
    assert list(folder.iterdir()) == []


# --- what git's own files tell ---


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo 'touch /tmp/x' > $(git rev-parse --git-path hooks)/pre-commit", "git hook pre-commit"),
        ("git config core.hooksPath tools/hooks", "git setting core.hookspath = tools/hooks"),
        ("git config core.fsmonitor ./watch", "git setting core.fsmonitor = ./watch"),
        ("git config filter.x.clean 'sh -c id'", "git setting filter.x.clean = sh -c id"),
        ("git config submodule.x.url ext::sh", "git setting submodule.x.url = ext::sh"),
        ("git config include.path ../evil", "git setting include.path = ../evil"),
        ("rm .git", "the workspace's .git file was deleted"),
        ("rm .git && git init -q .", "the workspace's .git file was replaced by a folder"),
        ("rm .git && ln -s /etc .git", "the workspace's .git file was replaced by a link"),
        ("echo 'gitdir: /tmp/own' > .git", "the workspace's .git file leads to /tmp/own"),
        (
            "echo /tmp/objects > $(git rev-parse --git-path objects/info/alternates)",
            "the alternates of the workspace's repository were changed",
        ),
        ("rm $(git rev-parse --git-path config)", "the settings of the workspace's repository were replaced"),
        (
            "printf '[submodule \"x\"]\\n url = -u./x\\n' > .gitmodules",
            "a submodule in .gitmodules names a program instead of an address",
        ),
    ],
)  # fmt: skip
def test_planted_git_files_are_found(world: World, script: str, found: str) -> None:
    world.run(world.job(), "/bin/sh", "-ec", script)
    [(code, evidence)] = world.alarms.raised
    assert code == "git_tampered" and found in evidence["found"]


@pytest.mark.parametrize(
    "script",
    [
        "git status; git add -A; echo x > new; git add new; git commit -qm x; git checkout -qb other; git stash list",
        "git config user.name Agent; git config core.hooksPath .husky/_",
        "printf '#!/bin/sh\\n# File generated by pre-commit: x\\n' > $(git rev-parse --git-path hooks)/pre-commit",
        "git config filter.lfs.clean 'git-lfs clean -- %f'; git config filter.lfs.required true",
        "echo '[submodule \"x\"] url = https://a.test/x' > .gitmodules; git config submodule.x.url https://a.test/x",
        "git remote add fork https://a.test/x.git; git gc -q; git reflog > /dev/null",
        "mkdir inner && cd inner && git init -q . && git config core.hooksPath x",
    ],
)  # fmt: skip
def test_usual_work_with_git_is_no_incident(world: World, script: str) -> None:
    world.run(world.job(), "/bin/sh", "-ec", script)
    assert world.alarms.raised == []


def test_limit_of_the_fence_is_an_incident(world: World) -> None:
    job = world.job()
    workspace = world.agents.workspaces.path(job.ref.attempt_id)
    enclosure = Enclosure(
        world.agents.data,
        lambda each: world.agents.workspaces.mirror(each).path,
        limits=ResourceLimits(storage=2_000_000),
        alarm=world.alarms,
    )
    home = workspace.parent / "home"
    home.mkdir(parents=True, exist_ok=True)
    spec = CommandSpec(
        cwd=workspace, env=scrubbed_environment(home=home, extra={}), time_limit=60.0, marker=job.marker,
        script="for n in 1 2 3 4 5; do head -c 1000000 /dev/zero > file$n; done; sleep 50",
    )  # fmt: skip
    began = time.monotonic()
    with enclosure.closed(job, spec, workspace=workspace) as enclosed:
        running = RunningCommand.start(enclosed.spec)
        with enclosed.watch(running):
            running.wait(lambda _: None)
    assert time.monotonic() - began < 40
    [(code, evidence)] = world.alarms.raised
    assert code == "resource_limit" and "disk" in evidence["limits"][0]
    assert os.listdir(workspace)
