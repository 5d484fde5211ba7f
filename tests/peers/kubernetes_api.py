"""Stands for a cluster's API server: TLS, tokens, the objects that a fence makes, and a pod's streams by v5 and v4.

Objects are checked field by field: one that is missing, unknown or of another value is answered with 422. A Job that is
let go while its policy and its secret are there becomes a pod, which bubblewrap runs with the volume's folders.
"""

import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

TOKEN = "the-workers-token"
POD_FIELDS = {
    "restartPolicy", "automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds",
    "securityContext", "containers", "volumes",
}  # fmt: skip
CONTAINER_FIELDS = {
    "name", "image", "command", "workingDir", "stdin", "stdinOnce", "envFrom", "resources", "securityContext",
    "volumeMounts",
}  # fmt: skip


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1 that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test cluster")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "ca.crt", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return certificate, secret


class Cluster:
    """Serves on a free port while it is entered; `volume` is what its claim holds, `newest` whether it knows v5."""

    def __init__(self, folder: Path, volume: Path, *, newest: bool = True) -> None:
        self.certificate, self._key = make_certificate(folder)
        self.volume = volume
        self.newest = newest
        self.jobs: dict[str, dict[str, Any]] = {}
        self.made: list[str] = []
        self.policies: dict[str, dict[str, Any]] = {}
        self.secrets: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, asyncio.subprocess.Process | None] = {}
        self.codes: dict[str, int] = {}
        self.refused: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.server = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        space = "/{version}/namespaces/agents"
        app = Starlette(
            routes=[
                Route("/apis/batch/v1/namespaces/agents/jobs", self._make_job, methods=["POST"]),
                Route("/apis/batch/v1/namespaces/agents/jobs/{name}", self._job, methods=["GET", "PATCH", "DELETE"]),
                Route("/apis/networking.k8s.io/v1/namespaces/agents/networkpolicies", self._policy, methods=["POST"]),
                Route(f"/api{space}/secrets", self._secret, methods=["POST"]),
                Route(f"/api{space}/pods", self._list_pods),
                Route(f"/api{space}/pods/{{name}}", self._pod),
                WebSocketRoute(f"/api{space}/pods/{{name}}/attach", self._attach),
            ]
        )
        config = uvicorn.Config(app, log_level="error", lifespan="off", ssl_certfile=str(self.certificate),
                                ssl_keyfile=str(self._key), ssl_version=ssl.PROTOCOL_TLS_SERVER)  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: self._server.run(sockets=[self._listener]), daemon=True)

    def __enter__(self) -> "Cluster":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()

    def kubeconfig(self, file: Path, **user: str) -> Path:
        """What a person would have."""
        context = {"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "agents"}}
        cluster = {"name": "k", "cluster": {"server": self.server, "certificate-authority": str(self.certificate)}}
        users = [{"name": "u", "user": user or {"token": TOKEN}}]
        file.write_text(
            json.dumps({"current-context": "c", "contexts": [context], "clusters": [cluster], "users": users})
        )
        return file

    def _allowed(self, headers: Any) -> bool:
        return bool(headers.get("authorization") == f"Bearer {TOKEN}")

    async def _body(self, request: Request, check: Any) -> dict[str, Any] | JSONResponse:
        if not self._allowed(request.headers):
            return JSONResponse({"kind": "Status", "message": "Unauthorized"}, 401)
        body = await request.json()
        try:
            check(body)
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            self.refused.append(repr(error))
            return JSONResponse({"kind": "Status", "message": f"invalid: {error!r}"}, 422)
        self.made.append(body.get("kind", request.method))
        return dict(body)

    async def _make_job(self, request: Request) -> JSONResponse:
        body = await self._body(request, check_job)
        if isinstance(body, JSONResponse):
            return body
        name = body["metadata"]["name"]
        self.jobs[name] = {**body, "metadata": {**body["metadata"], "uid": f"uid-{name}"}}
        return JSONResponse(self.jobs[name], 201)

    async def _policy(self, request: Request) -> JSONResponse:
        body = await self._body(request, check_policy)
        if not isinstance(body, JSONResponse):
            self.policies[body["metadata"]["name"]] = body
        return body if isinstance(body, JSONResponse) else JSONResponse(body, 201)

    async def _secret(self, request: Request) -> JSONResponse:
        body = await self._body(request, check_secret)
        if not isinstance(body, JSONResponse):
            self.secrets[body["metadata"]["name"]] = body
        return body if isinstance(body, JSONResponse) else JSONResponse(body, 201)

    async def _job(self, request: Request) -> JSONResponse:
        name = request.path_params["name"]
        if not self._allowed(request.headers) or name not in self.jobs:
            return JSONResponse({"kind": "Status", "message": "not found"}, 404)
        if request.method == "PATCH":
            assert request.headers["content-type"] == "application/merge-patch+json"
            assert await request.json() == {"spec": {"suspend": False}}
            owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": f"uid-{name}"}
            for owned in (self.policies[name], self.secrets[name]):
                assert owned["metadata"]["ownerReferences"] == [owner]
            self.pods[f"{name}-x1"] = await self._start(name)
        if request.method == "DELETE":
            assert (await request.json())["propagationPolicy"] == "Foreground"
            await self._end(name)
            return JSONResponse({"kind": "Status", "status": "Success"})
        return JSONResponse(self.jobs[name])

    async def _end(self, name: str) -> None:
        process = self.pods.pop(f"{name}-x1", None)
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
        for kind in (self.jobs, self.policies, self.secrets):
            kind.pop(name, None)

    async def _start(self, name: str) -> asyncio.subprocess.Process:
        pod = self.jobs[name]["spec"]["template"]["spec"]
        container = pod["containers"][0]
        argv = [
            *("bwrap", "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"),
            *("--die-with-parent", "--clearenv", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin"),
            *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc"),
            *("--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev", "--tmpfs", "/tmp"),
        ]
        if self.policies[name]["spec"]["egress"]:
            argv.append("--share-net")  # as far as this stand-in goes: the policy's addresses are checked, not enforced
        for folder in _image_folders():
            argv += ["--ro-bind-try", folder, folder]
        for mount in container["volumeMounts"]:
            if mount["name"] == "data":
                how = "--ro-bind" if mount.get("readOnly") else "--bind"
                argv += [how, str(self.volume / mount["subPath"]), mount["mountPath"]]
        for variable, value in self.secrets[name]["stringData"].items():
            argv += ["--setenv", variable, value]
        argv += ["--remount-ro", "/", "--chdir", container["workingDir"], "--", *container["command"]]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe, limit=2**20)

    async def _list_pods(self, request: Request) -> JSONResponse:
        job = request.query_params["labelSelector"].removeprefix("job-name=")
        names = [name for name in self.pods if name == f"{job}-x1"]
        return JSONResponse({"items": [{"metadata": {"name": n}, "status": {"phase": "Running"}} for n in names]})

    async def _pod(self, request: Request) -> JSONResponse:
        code = self.codes.get(request.path_params["name"])
        state = {"running": {}} if code is None else {"terminated": {"exitCode": code}}
        return JSONResponse({"status": {"containerStatuses": [{"name": "agent", "state": state}]}})

    async def _attach(self, ws: WebSocket) -> None:
        wanted = {"container": "agent", "stdin": "true", "stdout": "true", "stderr": "true"}
        offered = ws.scope["subprotocols"]
        process = self.pods.get(ws.path_params["name"])
        if process is None or dict(ws.query_params) != wanted or not self._allowed(ws.headers):
            await ws.close()
            return
        chosen = "v5.channel.k8s.io" if self.newest else "v4.channel.k8s.io"
        assert chosen in offered
        await ws.accept(subprotocol=chosen)
        assert process.stdout is not None and process.stderr is not None
        reading = asyncio.create_task(self._feed(ws, process))
        await asyncio.gather(_send(ws, 1, process.stdout), _send(ws, 2, process.stderr))
        code = await process.wait()
        self.codes[ws.path_params["name"]] = code if code >= 0 else 128 - code
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await ws.send_bytes(b"\x03" + json.dumps({"metadata": {}, "status": "Success"}).encode())
            await ws.close()
        reading.cancel()

    async def _feed(self, ws: WebSocket, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        with contextlib.suppress(WebSocketDisconnect, ConnectionError):
            while True:
                message = await ws.receive_bytes()
                if message == b"\xff\x00" and self.newest:
                    process.stdin.close()
                elif message[:1] == b"\x00":
                    process.stdin.write(message[1:])
                    await process.stdin.drain()
        process.stdin.close()


async def _send(ws: WebSocket, channel: int, stream: asyncio.StreamReader) -> None:
    while data := await stream.read(65536):
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await ws.send_bytes(bytes([channel]) + data)


def _image_folders() -> list[str]:
    """What the image would hold: this Python."""
    return list(dict.fromkeys([sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix)]))


def _named(body: dict[str, Any], version: str, kind: str, fields: set[str]) -> str:
    assert body.keys() == {"apiVersion", "kind", "metadata", *fields}, body.keys()
    assert (body["apiVersion"], body["kind"]) == (version, kind)
    name = str(body["metadata"]["name"])
    assert len(name) <= 63 and name.replace("-", "").isalnum() and name == name.lower()
    assert body["metadata"]["labels"] == {"devteam.fence": name}
    return name


def check_job(body: dict[str, Any]) -> None:
    name = _named(body, "batch/v1", "Job", {"spec"})
    spec = body["spec"]
    assert spec.keys() == {"suspend", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "template"}
    assert (spec["suspend"], spec["backoffLimit"]) == (True, 0)
    assert isinstance(spec["activeDeadlineSeconds"], int)
    assert spec["template"]["metadata"]["labels"] == {"devteam.fence": name}
    pod = spec["template"]["spec"]
    assert pod.keys() == POD_FIELDS, pod.keys()
    assert (pod["restartPolicy"], pod["automountServiceAccountToken"]) == ("Never", False)
    user = pod["securityContext"]
    assert (
        user["runAsNonRoot"] is True and user["runAsUser"] > 0 and user["seccompProfile"] == {"type": "RuntimeDefault"}
    )
    (container,) = pod["containers"]
    assert container.keys() == CONTAINER_FIELDS, container.keys()
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert container["envFrom"] == [{"secretRef": {"name": name}}]
    limits = container["resources"]["limits"]
    assert limits.keys() == {"cpu", "memory", "ephemeral-storage"} and all(isinstance(v, str) for v in limits.values())
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    for mount in container["volumeMounts"]:
        assert not mount.get("subPath", "").startswith("/") and ".." not in mount.get("subPath", "")


def check_policy(body: dict[str, Any]) -> None:
    name = _named(body, "networking.k8s.io/v1", "NetworkPolicy", {"spec"})
    spec = body["spec"]
    assert spec["podSelector"] == {"matchLabels": {"devteam.fence": name}}
    assert (spec["policyTypes"], spec["ingress"]) == (["Ingress", "Egress"], [])
    for rule in spec["egress"]:
        (peer,) = rule["to"]
        assert ipaddress.ip_network(peer["ipBlock"]["cidr"]).num_addresses == 1
        assert all(port["protocol"] == "TCP" and isinstance(port["port"], int) for port in rule["ports"])


def check_secret(body: dict[str, Any]) -> None:
    _named(body, "v1", "Secret", {"type", "immutable", "stringData"})
    assert all(isinstance(value, str) for value in body["stringData"].values())
