"""The shapes of the demo's data, and how each is sent to the HTTP API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Expectation = Literal["completed", "gate_fails", "times_out", "blocked"]
"""How a task was measured to end. The demo's tests hold it true; the engine never sees it."""


@dataclass(frozen=True)
class DemoGate:
    """A check of a project that must hold after every task."""

    name: str
    argv: tuple[str, ...]
    timeout_seconds: float = 120.0

    def body(self) -> dict[str, Any]:
        """As part of a project that is sent."""
        return {
            "name": self.name,
            "stage": "post_task",
            "argv": list(self.argv),
            "required": True,
            "timeoutSeconds": self.timeout_seconds,
        }


@dataclass(frozen=True)
class DemoTask:
    """A piece of work. Exactly one of `argv` and `script` (for `/bin/sh -e`) says what is run."""

    key: str
    title: str
    description: str
    kind: str
    acceptance: tuple[Mapping[str, Any], ...]
    estimate_seconds: float
    argv: tuple[str, ...] | None = None
    script: str | None = None
    depends_on: tuple[str, ...] = ()
    time_limit_seconds: float = 120.0
    expected: Expectation = "completed"

    def body(self, project_id: str, ids: Mapping[str, str]) -> dict[str, Any]:
        """The body of `POST …/tasks`; `ids` are the identifiers of the earlier tasks by their keys."""
        run = {"script": self.script} if self.argv is None else {"argv": list(self.argv)}
        return {
            "projectId": project_id,
            "title": self.title,
            "description": self.description,
            "command": {**run, "timeLimitSeconds": self.time_limit_seconds},
            "acceptanceCriteria": [dict(criterion) for criterion in self.acceptance],
            "dependsOn": [ids[key] for key in self.depends_on],
            "estimateSeconds": self.estimate_seconds,
            "taskKind": self.kind,
        }


@dataclass(frozen=True)
class DemoProject:
    """A package's repository and what must hold in it. `package` is a name of `packages.PACKAGES`."""

    package: str
    delivery_mode: Literal["branch", "fast_forward", "merge_commit"]
    gates: tuple[DemoGate, ...]
    tasks: tuple[DemoTask, ...]
    base_branch: str | None = "main"
    """None takes the repository's own default."""

    def body(self, repository: str) -> dict[str, Any]:
        """The body of `POST …/projects`; `repository` is the path of the imported bare repository.

        The monitoring window is empty: the demo ends when its queues do.
        """
        return {
            "name": self.package,
            "repository": repository,
            "baseBranch": self.base_branch,
            "deliveryMode": self.delivery_mode,
            "gates": [gate.body() for gate in self.gates],
            "monitoringWindowSeconds": 0,
        }


@dataclass(frozen=True)
class DemoCustomer:
    """An invented company with one real project."""

    name: str
    priority_class: Literal["priority_customer", "standard_customer", "low_priority_customer"]
    project: DemoProject

    def body(self) -> dict[str, Any]:
        """The body of `POST …/customers`."""
        return {"name": self.name, "priorityClass": self.priority_class}


def passes(argv: Sequence[str], timeout_seconds: float = 60.0) -> dict[str, Any]:
    """The criterion that a command ends with exit code 0."""
    return {"type": "command", "argv": list(argv), "timeoutSeconds": timeout_seconds}


def exists(path: str) -> dict[str, Any]:
    """The criterion that a file is there."""
    return {"type": "file", "path": path, "exists": True}


def matches(path: str, pattern: str, *, present: bool = True) -> dict[str, Any]:
    """The criterion that a pattern is found in a file, or is not."""
    return {"type": "regex", "path": path, "pattern": pattern, "present": present}
