"""Runs one Job in a cluster and sees to it that none is left; the standard streams are its container's.

`python -m devteam.adapters.fences.kubernetes_run PLAN`, a descriptor with the JSON that `kubernetes.py` writes. The Job
is made suspended, then what belongs to it, then it is let go. Its streams come by the protocol `v5.channel.k8s.io`:
each message begins with the number of its stream, and 255 closes one; the older `v4` cannot say that the input ended.
SIGTERM deletes the Job; the exit status is the command's own.
"""

import contextlib
import http.client
import ipaddress
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from devteam.adapters.fences.forward import BACKLOG, serve

STDIN, STDOUT, STDERR, CLOSE = 0, 1, 2, 255
NEWEST, OLDER = Subprotocol("v5.channel.k8s.io"), Subprotocol("v4.channel.k8s.io")
ANSWER_SECONDS: Final = 30.0
START_SECONDS: Final = 300.0
GONE_SECONDS: Final = 8.0
LOOK_SECONDS: Final = 0.3
_CANNOT_START: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"})


class ClusterRefused(RuntimeError):
    """The cluster did not do what it was asked, with its reason."""


class Api:
    """The cluster's API, over connections whose certificate is checked against the cluster's own authority."""

    def __init__(self, cluster: Mapping[str, str]) -> None:
        self._cluster = cluster
        self.address = urlsplit(cluster["server"])
        self.tls = ssl.create_default_context(cadata=cluster["authority"])
        self.pods = f"/api/v1/namespaces/{cluster['namespace']}/pods"
        self.secrets = f"/api/v1/namespaces/{cluster['namespace']}/secrets"
        self.jobs = f"/apis/batch/v1/namespaces/{cluster['namespace']}/jobs"
        self.policies = f"/apis/networking.k8s.io/v1/namespaces/{cluster['namespace']}/networkpolicies"

    def headers(self) -> dict[str, str]:
        """The sign-in; a token in a file is read each time, because it is renewed there."""
        token = self._cluster["token"] or Path(self._cluster["token_file"]).read_text(encoding="ascii").strip()
        return {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: Any = None, *, kind: str = "application/json") -> dict[str, Any]:
        """The answer. Raises ClusterRefused, or OSError."""
        place = self.address
        connection = http.client.HTTPSConnection(
            place.hostname or "", place.port or 443, context=self.tls, timeout=ANSWER_SECONDS
        )
        try:
            data = None if body is None else json.dumps(body)
            headers = {**self.headers(), "Content-Type": kind, "Accept": "application/json"}
            connection.request(method, f"{place.path}{path}", data, headers)
            answer = connection.getresponse()
            told = json.loads(answer.read() or b"{}")
        except (http.client.HTTPException, ValueError) as error:
            raise ClusterRefused(f"{method} {path}: {error!r}") from None
        finally:
            connection.close()
        if answer.status >= 300:
            raise ClusterRefused(f"{method} {path}: {answer.status} {told.get('message', answer.reason)}")
        return dict(told)


class Run:
    """One Job from its making to its end."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._api = Api(plan["cluster"])
        self._name: str = plan["job"]["metadata"]["name"]
        self._ended = threading.Event()
        self._streams: ClientConnection | None = None

    def end(self) -> None:
        """From any thread: let go of the streams, after which the Job is deleted."""
        self._ended.set()
        streams = self._streams
        if streams is not None:
            threading.Thread(target=streams.close, daemon=True).start()

    def run(self) -> int:
        """The command's exit status. Raises ClusterRefused, or OSError."""
        ports = [self._listen(path) for path in self._plan["sockets"]]
        try:
            self._make(ports)
            pod = self._await_pod()
            with self._attach(pod) as streams:
                self._streams = streams
                self._pump(streams)
            return self._status(pod)
        finally:
            self._delete()

    def _listen(self, path: str) -> int:
        family = socket.AF_INET6 if ":" in self._plan["address"] else socket.AF_INET
        listener = socket.create_server(("", 0), family=family, backlog=BACKLOG)
        threading.Thread(target=serve, args=(listener, path), daemon=True).start()
        return int(listener.getsockname()[1])

    def _make(self, ports: list[int]) -> None:
        job, policy, secret = self._plan["job"], self._plan["policy"], self._plan["secret"]
        container = job["spec"]["template"]["spec"]["containers"][0]
        container["command"] = [_filled(word, ports) for word in container["command"]]
        if ports:
            address = ipaddress.ip_address(self._plan["address"])
            policy["spec"]["egress"] = [
                {
                    "to": [{"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}}],
                    "ports": [{"protocol": "TCP", "port": port} for port in ports],
                }
            ]
        made = self._api.ask("POST", self._api.jobs, job)
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": self._name, "uid": made["metadata"]["uid"]}
        for place, thing in ((self._api.policies, policy), (self._api.secrets, secret)):
            thing["metadata"]["ownerReferences"] = [owner]
            self._api.ask("POST", place, thing)
        let_go = {"spec": {"suspend": False}}
        self._api.ask("PATCH", f"{self._api.jobs}/{self._name}", let_go, kind="application/merge-patch+json")

    def _await_pod(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        chosen = urlencode({"labelSelector": f"job-name={self._name}"})
        while time.monotonic() < deadline and not self._ended.is_set():
            for pod in self._api.ask("GET", f"{self._api.pods}?{chosen}").get("items", []):
                if pod.get("status", {}).get("phase") in ("Running", "Succeeded", "Failed"):
                    return str(pod["metadata"]["name"])
                self._check_start(pod)
            self._ended.wait(LOOK_SECONDS)
        raise ClusterRefused("it was ended" if self._ended.is_set() else "no pod started in time")

    @staticmethod
    def _check_start(pod: dict[str, Any]) -> None:
        for status in pod.get("status", {}).get("containerStatuses", []):
            waiting = status.get("state", {}).get("waiting", {})
            if waiting.get("reason") in _CANNOT_START:
                raise ClusterRefused(f"the pod cannot start: {waiting['reason']} {waiting.get('message', '')}")

    def _attach(self, pod: str) -> ClientConnection:
        wanted = urlencode({"container": "agent", "stdin": "true", "stdout": "true", "stderr": "true"})
        place = self._api.address
        try:
            return connect(
                f"wss://{place.netloc}{place.path}{self._api.pods}/{pod}/attach?{wanted}",
                ssl=self._api.tls,
                additional_headers=self._api.headers(),
                subprotocols=[NEWEST, OLDER],
                open_timeout=ANSWER_SECONDS,
                close_timeout=2,
                max_size=None,
                compression=None,
                proxy=None,
            )
        except WebSocketException as error:
            raise ClusterRefused(f"the pod's streams cannot be had: {error}") from None

    def _pump(self, streams: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            streams.send(bytes([STDIN]) + b"\n")  # for which the launcher waits, so that no output comes too early
            threading.Thread(target=_send_input, args=(streams,), daemon=True).start()
            for message in streams:
                data = message.encode() if isinstance(message, str) else message
                if data[:1] in (bytes([STDOUT]), bytes([STDERR])):
                    _write(data[0], data[1:])

    def _status(self, pod: str) -> int:
        """As the cluster tells it once the container has ended; when only the streams broke off it is a failure."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline and not self._ended.is_set():
            told = self._api.ask("GET", f"{self._api.pods}/{pod}").get("status", {})
            for status in told.get("containerStatuses", []):
                ended = status.get("state", {}).get("terminated")
                if ended is not None:
                    return int(ended["exitCode"])
            self._ended.wait(LOOK_SECONDS)
        raise ClusterRefused("it was ended" if self._ended.is_set() else "the connection to the pod broke off")

    def _delete(self) -> None:
        """With its pod, and with what belongs to it; returns when it is gone, or after a while."""
        how = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground", "gracePeriodSeconds": 0}
        deadline = time.monotonic() + GONE_SECONDS
        with contextlib.suppress(ClusterRefused, OSError):  # refused with 404 when it is gone
            self._api.ask("DELETE", f"{self._api.jobs}/{self._name}", how)
            while time.monotonic() < deadline:
                self._api.ask("GET", f"{self._api.jobs}/{self._name}")
                time.sleep(LOOK_SECONDS)


def _filled(word: str, ports: list[int]) -> str:
    """A pair of a port and an address whose own port was not known yet."""
    for index, port in enumerate(ports):
        if word.endswith(f":{{{index}}}"):
            return word.removesuffix(f"{{{index}}}") + str(port)
    return word


def _send_input(streams: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed, OSError):
        while data := os.read(0, 32 * 1024):
            streams.send(bytes([STDIN]) + data)
        if streams.subprotocol == NEWEST:
            streams.send(bytes([CLOSE, STDIN]))


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def main(plan_input: int) -> int:
    """Run it; what goes wrong is one sentence on standard error."""
    with open(plan_input, "rb") as file:
        run = Run(json.load(file))
    signal.signal(signal.SIGTERM, lambda number, frame: run.end())
    try:
        return run.run()
    except (ClusterRefused, OSError) as error:
        print(f"Kubernetes: {error}", file=sys.stderr)
        return 125


if __name__ == "__main__":
    sys.stdout.flush()
    os._exit(main(int(sys.argv[1])))  # threads that relay have no end of their own
