"""The fence of a pod: each command is a Job of its own in a Kubernetes cluster, its standard streams attached.

What a pod may reach is written into a policy of the network before the Job is let go: nothing, or this worker's relay
of the sockets. The variables are a Secret's; both belong to the Job and go with it. The data folder is a volume that
worker and pods share; of it only the named folders are mounted. The runner supervises the client, `kubernetes_run.py`.
"""

import base64
import json
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from devteam.adapters.fences.cgroup import owner_part
from devteam.adapters.fences.choice import FenceChoice
from devteam.adapters.fences.container import GRACE_SECONDS, NAME, launcher
from devteam.adapters.fences.model import FenceRefused, FenceReport, ResourceLimits, forwarded_port
from devteam.adapters.fences.places import check_apart, checked, own_folder
from devteam.adapters.fences.repository import private_repository
from devteam.adapters.processes import CommandSpec

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PLAN_INPUT: Final = 64
_START_SECONDS: Final = 300
"""Of a pod's life that may go by before its command starts: a node is found, an image arrives."""
_KEPT_SECONDS: Final = 60
_LABEL: Final = "devteam.fence"


@dataclass(frozen=True)
class Cluster:
    """Where the cluster's API is and how one signs in: a token, or the file of one that is renewed."""

    server: str
    authority: str
    namespace: str
    token: str = ""
    token_file: str = ""


def cluster(choice: FenceChoice) -> Cluster:
    """The one that the operator's file names, else the one that this worker is a pod of. Raises FenceRefused."""
    missing = [name for name in ("image", "volume", "address") if not getattr(choice, name)]
    if missing:
        names = ", ".join(f"DEVTEAM_FENCE_{name.upper()}" for name in missing)
        raise FenceRefused(f"pods need {names}, which is not set")
    try:
        return _named(choice, choice.kubeconfig) if choice.kubeconfig else _surrounding(choice)
    except (OSError, KeyError, ValueError, TypeError, StopIteration, yaml.YAMLError) as error:
        raise FenceRefused(f"the cluster's address and sign-in cannot be read: {error!r}") from None


def _surrounding(choice: FenceChoice) -> Cluster:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return Cluster(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        authority=(ACCOUNT / "ca.crt").read_text(encoding="ascii"),
        namespace=choice.namespace or (ACCOUNT / "namespace").read_text(encoding="utf-8").strip(),
        token_file=os.fspath(ACCOUNT / "token"),
    )


def _named(choice: FenceChoice, file: Path) -> Cluster:
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    context = _entry(config["contexts"], config["current-context"])["context"]
    found = _entry(config["clusters"], context["cluster"])["cluster"]
    user = _entry(config["users"], context["user"])["user"]
    if found.get("insecure-skip-tls-verify") or not found["server"].startswith("https://"):
        raise FenceRefused("the cluster's certificate would not be checked")
    if "certificate-authority-data" in found:
        authority = base64.b64decode(found["certificate-authority-data"]).decode("ascii")
    else:
        authority = (file.parent / found["certificate-authority"]).read_text(encoding="ascii")
    if not (user.get("token") or user.get("tokenFile")):
        raise FenceRefused("the cluster's user signs in by something else than a token")
    return Cluster(
        server=found["server"].rstrip("/"),
        authority=authority,
        namespace=choice.namespace or context.get("namespace") or "default",
        token=user.get("token") or "",
        token_file=os.fspath(file.parent / user["tokenFile"]) if user.get("tokenFile") else "",
    )


def _entry(entries: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


@dataclass(frozen=True)
class KubernetesFence:
    """Runs each command as a Job. Its pods cannot be frozen."""

    cluster: Cluster
    data: Path
    choice: FenceChoice
    limits: ResourceLimits
    report: FenceReport = field(default_factory=lambda: FenceReport("kubernetes"))
    user: int = field(default_factory=os.geteuid)

    def port(self, workspace: Path, index: int) -> int:
        """The same for every workspace: each pod has a loopback of its own."""
        del workspace
        return forwarded_port(index)

    def wrap(
        self,
        spec: CommandSpec,
        *,
        workspace: Path,
        home: Path,
        read_only: Sequence[Path] = (),
        sockets: Sequence[Path] = (),
        network: Literal["none", "host"] = "none",
        mirror: Path | None = None,
    ) -> CommandSpec:
        """See `Fence.wrap`; what is read only is in the image at the same place, or is not there."""
        check_apart(workspace, home, [*read_only, *sockets])
        if network != "none":
            raise FenceRefused("a pod has no network but the worker's relay")
        if self.user == 0:
            raise FenceRefused("pods run as the worker's user, which must not be root")
        mounts = [self._mount(checked(folder), folder) for folder in (workspace, home)]
        if mirror is not None:
            made = private_repository(mirror, workspace, own_folder(home.parent / ".fence" / workspace.name))
            mounts.append(self._mount(made.folder, made.shown_at))
            mounts.append({**self._mount(made.objects, made.objects), "readOnly": True})
        name = f"{NAME}{owner_part()}-{uuid.uuid4().hex[:12]}"
        pairs = [f"{forwarded_port(index)}={self.choice.address}:{{{index}}}" for index in range(len(sockets))]
        plan = {
            "cluster": asdict(self.cluster),
            "sockets": [os.fspath(path) for path in sockets],
            "address": self.choice.address,
            "job": self._job(name, spec, mounts, launcher(spec, ["await=stdin", *pairs])),
            "policy": _policy(name),
            "secret": _object("v1", "Secret", name, type="Opaque", immutable=True, stringData=dict(spec.env)),
        }
        return replace(
            spec,
            argv=(sys.executable, "-m", "devteam.adapters.fences.kubernetes_run", str(_PLAN_INPUT)),
            script=None,
            cwd=Path(__file__).parents[3],
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            grace=max(spec.grace, GRACE_SECONDS),
            limits={"AS": 2**62, "NPROC": 2**31, **spec.limits},
            inputs={**spec.inputs, _PLAN_INPUT: json.dumps(plan).encode()},
            freezes=False,
        )

    def _mount(self, folder: Path, place: Path) -> dict[str, Any]:
        try:
            inside = folder.resolve().relative_to(self.data.resolve())
        except ValueError:
            raise FenceRefused(f"{folder} is not on the volume that pods share") from None
        return {"name": "data", "mountPath": os.fspath(place), "subPath": os.fspath(inside)}

    def _job(
        self, name: str, spec: CommandSpec, mounts: Sequence[Mapping[str, Any]], command: Sequence[str]
    ) -> dict[str, Any]:
        share = {
            "cpu": f"{int(self.limits.cpu * 1000)}m",
            "memory": str(self.limits.memory),
            "ephemeral-storage": str(self.limits.storage),
        }
        container = {
            "name": "agent",
            "image": self.choice.image,
            "command": list(command),
            "workingDir": os.fspath(spec.cwd),
            "stdin": True,
            "stdinOnce": True,
            "envFrom": [{"secretRef": {"name": name}}],
            "resources": {"limits": share, "requests": share},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [*mounts, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - the pod's own
        }
        pod = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": self.user,
                "runAsGroup": os.getegid() or self.user,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": self.choice.volume}},
                {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
            ],
        }
        return _object(
            "batch/v1",
            "Job",
            name,
            spec={
                "suspend": True,  # until its policy and its secret are there
                "backoffLimit": 0,
                "activeDeadlineSeconds": int(spec.time_limit) + _START_SECONDS,
                "ttlSecondsAfterFinished": _KEPT_SECONDS,
                "template": {"metadata": {"labels": {_LABEL: name}}, "spec": pod},
            },
        )


def _policy(name: str) -> dict[str, Any]:
    """Nothing in and nothing out; the client adds its relay, whose ports it knows when it listens."""
    allowed: list[dict[str, Any]] = []
    spec = {
        "podSelector": {"matchLabels": {_LABEL: name}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": allowed,
    }
    return _object("networking.k8s.io/v1", "NetworkPolicy", name, spec=spec)


def _object(version: str, kind: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": {_LABEL: name}}, **fields}
