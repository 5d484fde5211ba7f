"""Gates as they are sent and stored: what must hold, when, and how it is found out."""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from devteam.kit.wire import Input
from devteam.projects.rules import ExecutorKind


class GateStage(StrEnum):
    """When a gate must hold.

    On the base before a task's work begins, on the work of each task, or on the base when an execution has worked
    through its queue.
    """

    PRE_EXECUTION = "pre_execution"
    POST_TASK = "post_task"
    POST_EXECUTION = "post_execution"


class Command(Input):
    """What to run: an argument list, or a script for `/bin/sh -e`; exactly one of the two."""

    argv: list[str] | None = Field(default=None, min_length=1, max_length=200)
    script: str | None = Field(default=None, min_length=1, max_length=65_536)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.argv is None) == (self.script is None):
            raise ValueError("give either argv or script")
        if any("\0" in part for part in [*(self.argv or []), self.script or ""]):
            raise ValueError("a command cannot hold a NUL character")
        if self.argv is not None and not self.argv[0]:
            raise ValueError("the program's name is empty")
        return self


class AnyGate(Input):
    """What all gates have. A gate that is not required only warns."""

    name: str = Field(min_length=1, max_length=80)
    stage: GateStage = GateStage.POST_TASK
    required: bool = True
    timeout_seconds: float = Field(default=600, gt=0, le=86_400)


class CommandGate(AnyGate, Command):
    """Holds when the command ends with exit code 0."""

    type: Literal["command"] = "command"


class _OnPaths(AnyGate):
    path: str = Field(min_length=1, max_length=1024)

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        return inside_path(path)


class FileGate(_OnPaths):
    """Holds when a file is there, or none is with `exists` false. The path may be a pattern: `docs/**/*.md`."""

    type: Literal["file"]
    exists: bool = True


class RegexGate(_OnPaths):
    """Holds when the pattern (Python syntax, multi-line) is found in a file at the path, or in none with `present`
    false. The path may be a pattern: `src/**/*.py`.
    """

    type: Literal["regex"]
    pattern: str = Field(min_length=1, max_length=2000)
    present: bool = True

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        if "\0" in pattern:
            raise ValueError("the pattern holds a NUL character")
        try:
            re.compile(pattern, re.MULTILINE)
        except (re.error, OverflowError, RecursionError) as exc:
            raise ValueError(f"the pattern is no regular expression: {exc}") from exc
        return pattern


class HttpGate(AnyGate):
    """Holds when a GET of the address is answered with the status and, if given, a body that contains the text.

    The engine asks, outside any fence, and follows no redirect.
    """

    type: Literal["http"]
    url: str = Field(min_length=1, max_length=2048)
    method: Literal["GET"] = "GET"
    expected_status: int = Field(default=200, ge=100, le=599)
    contains: str | None = Field(default=None, min_length=1, max_length=2000)
    timeout_seconds: float = Field(default=30, gt=0, le=600)

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if re.search(r"[\x00-\x20\x7f\\]", url):
            raise ValueError("the address holds blanks or control characters")
        try:
            parts = urlsplit(url)
            known, named, signed_in = parts.scheme in ("http", "https"), bool(parts.hostname), "@" in parts.netloc
            _ = parts.port
        except ValueError as exc:
            raise ValueError(f"the address cannot be read: {exc}") from exc
        if not known or not named:
            raise ValueError("the address must begin with http:// or https:// and name a server")
        if signed_in:
            raise ValueError("the address must not hold a user name or password")
        return url


class BuiltinCheck(StrEnum):
    """What DevTeam itself can find out about what a task changed."""

    SECRET_SCAN = "secret_scan"  # noqa: S105 - the name of a check
    DEPENDENCY_CHANGES = "dependency_changes"
    LICENCE_CHANGES = "licence_changes"
    DIFF_SIZE = "diff_size"
    PROTECTED_PATHS = "protected_paths"
    WEAKENED_TESTS = "weakened_tests"
    NOTHING_HAPPENED = "nothing_happened"
    CHANGED_COVERAGE = "changed_coverage"


PathPattern = Annotated[str, Field(min_length=1, max_length=500)]
"""A path, or a pattern of paths: `*` stays inside a folder, `**` does not; one that ends with `/` is a folder."""


class NoOptions(Input):
    """A check that has none."""


class SecretScanOptions(Input):
    """`allowPaths` are not looked at: recorded answers with made-up keys, say."""

    allow_paths: list[PathPattern] = Field(default=[], max_length=100)


class DependencyOptions(Input):
    """`allow` names packages that may come and go without a question."""

    allow: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(default=[], max_length=500)


class LicenceOptions(Input):
    """`allow` lists the licences that a new dependency may have, as SPDX writes them: `MIT`, `Apache-2.0`."""

    allow: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(default=[], max_length=200)


class DiffSizeOptions(Input):
    """How much a task may change at most; lines are those added and deleted."""

    max_files: int | None = Field(default=None, ge=0, le=1_000_000)
    max_lines: int | None = Field(default=None, ge=0, le=1_000_000_000)

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if self.max_files is None and self.max_lines is None:
            raise ValueError("give maxFiles, maxLines or both")
        return self


class ProtectedPathOptions(Input):
    """`paths` are protected beside those that the project protects anyway."""

    paths: list[PathPattern] = Field(default=[], max_length=200)


class WeakenedTestOptions(Input):
    """`paths` hold tests beside the files whose names tell."""

    paths: list[PathPattern] = Field(default=[], max_length=100)


class CoverageOptions(Input):
    """The share of the added lines that must be run, and where gates leave their report: the first that is there."""

    minimum_percent: float = Field(default=80, ge=0, le=100)
    reports: list[Annotated[str, Field(min_length=1, max_length=500)]] = Field(
        default=["coverage.xml", "lcov.info", "coverage/lcov.info", "coverage.out"], min_length=1, max_length=20
    )

    @field_validator("reports")
    @classmethod
    def _stay_inside(cls, reports: list[str]) -> list[str]:
        return [inside_path(path) for path in reports]


CHECK_OPTIONS: dict[BuiltinCheck, type[Input]] = {
    BuiltinCheck.SECRET_SCAN: SecretScanOptions,
    BuiltinCheck.DEPENDENCY_CHANGES: DependencyOptions,
    BuiltinCheck.LICENCE_CHANGES: LicenceOptions,
    BuiltinCheck.DIFF_SIZE: DiffSizeOptions,
    BuiltinCheck.PROTECTED_PATHS: ProtectedPathOptions,
    BuiltinCheck.WEAKENED_TESTS: WeakenedTestOptions,
    BuiltinCheck.NOTHING_HAPPENED: NoOptions,
    BuiltinCheck.CHANGED_COVERAGE: CoverageOptions,
}
"""What each built-in check can be told."""


class BuiltinGate(AnyGate):
    """A check of DevTeam's own on what a task changed. Each has options of its own."""

    type: Literal["builtin"]
    check: BuiltinCheck
    options: dict[str, Any] = Field(default={}, max_length=20)

    @model_validator(mode="after")
    def _fits_the_check(self) -> Self:
        if self.stage is not GateStage.POST_TASK:
            raise ValueError("a built-in check looks at what a task changed: its stage is post_task")
        if self.check is BuiltinCheck.SECRET_SCAN and not self.required:
            raise ValueError("the secret scan is always required; leave paths out with allowPaths")
        try:
            read = CHECK_OPTIONS[self.check].model_validate(self.options)
        except ValidationError as exc:
            found = exc.errors()[0]
            where = ".".join(str(part) for part in found["loc"])
            raise ValueError(f"options{'.' + where if where else ''}: {found['msg']}") from exc
        self.options = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return self


class ReviewGate(AnyGate):
    """Holds when a second agent, which reads the change against the criteria, accepts it. It runs when all else holds.

    `model` should be another one than did the work; without it the providers' first is taken.
    """

    type: Literal["review"]
    executor: ExecutorKind
    model: str | None = Field(default=None, min_length=1, max_length=200)
    timeout_seconds: float = Field(default=1_800, gt=0, le=86_400)

    @model_validator(mode="after")
    def _can_review(self) -> Self:
        if self.stage is not GateStage.POST_TASK:
            raise ValueError("a review is of what a task changed: its stage is post_task")
        if self.executor in (ExecutorKind.COMMAND, ExecutorKind.ACP):
            raise ValueError("a review is done by an agent that DevTeam knows by name")
        return self


def _type_of(gate: Any) -> str:
    """Gates had no type when all of them were commands."""
    found = gate.get("type", "command") if isinstance(gate, dict) else getattr(gate, "type", "command")
    return found if isinstance(found, str) else ""


Gate = Annotated[
    Annotated[CommandGate, Tag("command")]
    | Annotated[RegexGate, Tag("regex")]
    | Annotated[FileGate, Tag("file")]
    | Annotated[HttpGate, Tag("http")]
    | Annotated[BuiltinGate, Tag("builtin")]
    | Annotated[ReviewGate, Tag("review")],
    Discriminator(_type_of),
]
"""A check that must hold; without a `type` it is a command."""

RepositoryGate = CommandGate | RegexGate | FileGate
"""A gate whose verdict follows from the repository's files alone, so that it can be compared with the base."""


def inside_path(path: str) -> str:
    """The path or pattern, unless it could lead out of the repository. Raises ValueError."""
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise ValueError("the path must stay inside the repository")
    return path


def check_gate_names(gates: list[Gate]) -> None:
    """Two gates of one stage must not share a name: results are told apart by it."""
    names = [(gate.stage, gate.name) for gate in gates]
    if len(set(names)) != len(names):
        raise ValueError("two gates of one stage have the same name")
