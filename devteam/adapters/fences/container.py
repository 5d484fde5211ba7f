"""The fence of a container, by podman or docker: the image is the operator's, what is opened is as in other fences.

The runner supervises a small client of the engine (`container_run.py`), which removes the container when it is told to
end. Containers are named after the process that made them, so that what a killed worker left is found and removed.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from devteam.adapters.fences.bubblewrap import INSIDE
from devteam.adapters.fences.cgroup import owner_of, owner_part
from devteam.adapters.fences.choice import FenceChoice
from devteam.adapters.fences.model import FenceRefused, FenceReport, ResourceLimits, forwarded_port
from devteam.adapters.fences.places import check_apart, checked, own_folder, python_folders, shown_apart
from devteam.adapters.fences.repository import private_repository
from devteam.adapters.fences.seccomp import contained_filter
from devteam.adapters.processes import CommandSpec, is_orphaned

NAME: Final = "devteam-"
ENGINE_SECONDS: Final = 30.0
GRACE_SECONDS: Final = 10.0
"""Within which the engine removes a container; the client ends as soon as it is gone."""
_PLAN_INPUT: Final = 64
_TEMPORARY: Final = Path("/", "tmp")
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What an engine needs of the operator's environment to find its images and its service.
_OF_THE_OPERATOR: Final = (
    "HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT",
    "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "CONTAINER_HOST", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF",
)  # fmt: skip


def find_engine(choice: FenceChoice) -> Path:
    """The program that the operator named, else podman or docker. Raises FenceRefused when there is none."""
    if not choice.image:
        raise FenceRefused("DEVTEAM_FENCE_IMAGE does not name the image that containers are made from")
    if choice.program is not None:
        return choice.program
    for name in ("podman", "docker"):
        found = shutil.which(name, path=_PATH)
        if found is not None:
            return Path(found)
    raise FenceRefused("neither podman nor docker is installed")


@dataclass(frozen=True)
class ContainerFence:
    """Runs each command in a container of its own, made by the engine `program`."""

    program: Path
    data: Path
    image: str
    limits: ResourceLimits
    report: FenceReport = field(default_factory=lambda: FenceReport("container"))

    def port(self, workspace: Path, index: int) -> int:
        """The same for every workspace: each container has a loopback of its own."""
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
        """See `Fence.wrap`. A daemon's container does not freeze with its client, so it cannot be paused."""
        check_apart(workspace, home, [*read_only, *sockets])
        keep = own_folder(home.parent / ".fence")
        shown = shown_apart(self.data, [*python_folders(), *read_only])
        mounts = [*(_mount(folder, folder) for folder in shown if not folder.is_relative_to("/usr"))]
        mounts += [_mount(folder, folder, write=True) for folder in (checked(home), checked(workspace))]
        mounts += [_mount(path, INSIDE / f"{index}.sock") for index, path in enumerate(sockets)]
        if mirror is not None:
            made = private_repository(mirror, workspace, own_folder(keep / workspace.name))
            mounts += [_mount(made.folder, made.shown_at, write=True), _mount(made.objects, made.objects)]
        name = f"{NAME}{owner_part()}-{uuid.uuid4().hex[:12]}"
        pairs = [f"{forwarded_port(index)}={INSIDE}/{index}.sock" for index in range(len(sockets))]
        plan = {
            "run": [*self._run(name, spec, network), *mounts, self.image, *launcher(spec, pairs)],
            "end": [[os.fspath(self.program), "kill", "--signal", "KILL", name]],
            "remove": [os.fspath(self.program), "rm", "--force", name],
            "environment": environment_file(spec.env),
        }
        return replace(
            spec,
            argv=(
                sys.executable,
                "-I",
                "-S",
                os.fspath(Path(__file__).with_name("container_run.py")),
                str(_PLAN_INPUT),
            ),
            script=None,
            cwd=Path("/"),
            env=_operators_environment(),
            grace=max(spec.grace, GRACE_SECONDS),
            # They are meant for the command, and the engine's own program needs more room.
            limits={"AS": 2**62, "NPROC": 2**31, **spec.limits},
            inputs={**spec.inputs, _PLAN_INPUT: json.dumps(plan).encode()},
            freezes=self._is_podman,
        )

    @property
    def _is_podman(self) -> bool:
        """Its containers are children of their client, and no daemon's."""
        return self.program.name == "podman"

    def _run(self, name: str, spec: CommandSpec, network: str) -> list[str]:
        keeps_user = self._is_podman and os.geteuid() != 0
        return [
            os.fspath(self.program), "run", "--rm", "--interactive", "--pull", "never", "--name", name,
            "--label", "devteam=fence", "--network", network, "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--security-opt", "label=disable", "--read-only",
            "--pids-limit", str(self.limits.processes), "--cpus", f"{self.limits.cpu:g}",
            "--memory", f"{self.limits.memory}b", "--memory-swap", f"{self.limits.memory}b",
            "--ulimit", "core=0:0", *_own_limits(),
            *(["--userns", "keep-id"] if keeps_user else []), "--user", f"{os.geteuid()}:{os.getegid()}",
            "--hostname", "devteam", "--log-driver", "none", "--workdir", os.fspath(spec.cwd),
            "--tmpfs", f"{_TEMPORARY}:rw,nosuid,nodev,size=1g", "--entrypoint", "",
        ]  # fmt: skip

    def sweep(self) -> int:
        """Remove what killed workers of this machine left; how many there were. Raises FenceRefused."""
        listing = self._ask("ps", "--all", "--filter", "label=devteam=fence", "--format", "{{.Names}}")
        left = [name for name in listing.split() if name.startswith(NAME) and is_orphaned(owner_of(name[len(NAME) :]))]
        for name in left:
            self._ask("rm", "--force", name)
        return len(left)

    def _ask(self, *args: str) -> str:
        try:
            answer = subprocess.run(
                [self.program, *args],
                capture_output=True, text=True, timeout=ENGINE_SECONDS, env=_operators_environment(), check=True,
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            raise FenceRefused(f"{self.program.name} {args[0]}: {error.stderr.strip()[-300:]}") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FenceRefused(f"{self.program.name} {args[0]}: {error}") from None
        return answer.stdout


def launcher(spec: CommandSpec, pairs: Sequence[str]) -> list[str]:
    """The first process of a container: offers the sockets, starts the command, buries whoever dies."""
    inside = spec.argv if spec.argv is not None else ("/bin/sh", "-e", "-c", spec.script or "")
    source = Path(__file__).with_name("forward.py").read_text(encoding="utf-8")
    program = contained_filter()
    options = [*pairs, *([] if program is None else [f"filter={program.hex()}"])]
    return [sys.executable, "-I", "-S", "-c", source, *options, "--", *inside]


def environment_file(env: Mapping[str, str]) -> str:
    """As `--env-file` reads it. Raises FenceRefused for what such a file cannot say."""
    for name, value in env.items():
        if "\n" in value or "\n" in name:
            raise FenceRefused(f"a container cannot be given the variable {name}: its value has several lines")
    return "".join(f"{name}={value}\n" for name, value in env.items())


def _mount(source: Path, target: Path, *, write: bool = False) -> str:
    if "," in f"{source}{target}" or '"' in f"{source}{target}":
        raise FenceRefused(f"{source} cannot be mounted in a container: its name has a comma or a quotation mark")
    return f"--mount=type=bind,source={source},destination={target}{'' if write else ',readonly'}"


def _own_limits() -> list[str]:
    """Said, because an engine's defaults may lie above what it may itself."""
    words: list[str] = []
    for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        hard = resource.getrlimit(number)[1]
        if hard != resource.RLIM_INFINITY:
            words += ["--ulimit", f"{name}={hard}:{hard}"]
    return words


def _operators_environment() -> dict[str, str]:
    return {"PATH": _PATH, **{name: os.environ[name] for name in _OF_THE_OPERATOR if name in os.environ}}
