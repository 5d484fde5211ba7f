"""Two attempts at one task side by side: who did it, what the gates found, what it came to, which files it touched."""

import re
from collections.abc import Mapping
from uuid import UUID

from devteam.access.model import Actor
from devteam.access.rules import Permission, check
from devteam.executions import queries
from devteam.executions.schemas import AttemptView, DiffView, FileStat, GateResult
from devteam.kit.db import Connection, Database, sql
from devteam.kit.errors import Invalid, NotFound
from devteam.kit.wire import View

_FILE = re.compile(r"^diff --git ", re.MULTILINE)
_HASHES = re.compile(r"^index [0-9a-f]+\.\.[0-9a-f]+", re.MULTILINE)
_DELETED = re.compile(r"^--- a/(.*)$", re.MULTILINE)
_ADDED = re.compile(r"^\+\+\+ b/(.*)$", re.MULTILINE)
_NAMED = re.compile(r"a/(.*) b/\1$", re.MULTILINE)


class ComparedAttempt(View):
    """One side. `models` are those that answered its calls; `seconds` is null while it runs."""

    attempt: AttemptView
    models: list[str]
    seconds: float | None
    diff_truncated: bool


class ComparedGate(View):
    """What a gate found last on each side; null where it did not run."""

    stage: str
    name: str
    left: GateResult | None
    right: GateResult | None


class ComparedFile(View):
    """A file that at least one side changed. `same` is null where a stored diff was cut off or is binary."""

    path: str
    left: FileStat | None
    right: FileStat | None
    same: bool | None


class AttemptComparison(View):
    """Two attempts at the same task. Their diffs are read one by one."""

    task_id: UUID
    left: ComparedAttempt
    right: ComparedAttempt
    gates: list[ComparedGate]
    files: list[ComparedFile]


class Comparisons:
    """Compares attempts, inside the caller's scope."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def compare(self, actor: Actor, left_id: UUID, right_id: UUID) -> AttemptComparison:
        """Both attempts side by side. Raises Invalid for attempts at different tasks."""
        with self._database.snapshot() as connection:
            sides = [queries.attempt_view(connection, attempt_id) for attempt_id in (left_id, right_id)]
            for side in sides:
                if not actor.sees(side.customer_id):
                    raise NotFound("There is no such attempt.")
                check(actor, Permission.READ, side.customer_id)
            left, right = sides
            if left.task_id != right.task_id:
                raise Invalid("The attempts are at different tasks; only attempts at one task are compared.")
            diffs = [queries.attempt_diff(connection, side.id) for side in sides]
            models = [_models(connection, side.id) for side in sides]
        return AttemptComparison(
            task_id=left.task_id,
            left=_side(left, models[0], diffs[0]),
            right=_side(right, models[1], diffs[1]),
            gates=_gates(left, right),
            files=_files(*diffs),
        )


def _models(connection: Connection, attempt_id: UUID) -> list[str]:
    rows = connection.execute(
        sql("SELECT DISTINCT model FROM attempt_calls WHERE attempt_id = :id ORDER BY model"), {"id": attempt_id}
    )
    return list(rows.scalars())


def _side(attempt: AttemptView, models: list[str], diff: DiffView) -> ComparedAttempt:
    ended = attempt.finished_at
    seconds = None if ended is None else round((ended - attempt.started_at).total_seconds(), 3)
    return ComparedAttempt(attempt=attempt, models=models, seconds=seconds, diff_truncated=diff.truncated)


def _gates(left: AttemptView, right: AttemptView) -> list[ComparedGate]:
    found = [_last_results(side) for side in (left, right)]
    names = dict.fromkeys([*found[0], *found[1]])
    return [
        ComparedGate(stage=stage, name=name, left=found[0].get((stage, name)), right=found[1].get((stage, name)))
        for stage, name in names
    ]


def _last_results(attempt: AttemptView) -> dict[tuple[str, str], GateResult]:
    ordered = sorted(attempt.gates, key=lambda gate: gate.round)
    return {(gate.stage, gate.name): gate for gate in ordered}


def _files(left: DiffView, right: DiffView) -> list[ComparedFile]:
    stats = [{stat.path: stat for stat in diff.files} for diff in (left, right)]
    patches = [patches_of(diff.diff) for diff in (left, right)]
    cut = left.truncated or right.truncated
    return [
        ComparedFile(
            path=path,
            left=stats[0].get(path),
            right=stats[1].get(path),
            same=_same(patches[0].get(path), patches[1].get(path), both=path in stats[0] and path in stats[1], cut=cut),
        )
        for path in sorted({*stats[0], *stats[1]})
    ]


def _same(left: str | None, right: str | None, *, both: bool, cut: bool) -> bool | None:
    if not both:
        return False
    if cut or left is None or right is None or "\nBinary files " in left + right:
        return None
    return left == right


def patches_of(diff: str) -> Mapping[str, str]:
    """A unified diff by file, under the names after the change, without the hashes of contents."""
    found: dict[str, str] = {}
    for part in _FILE.split(diff)[1:]:
        header = part.partition("\n@@ ")[0]
        name = _ADDED.search(header) or _DELETED.search(header) or _NAMED.search(header)
        if name is not None:
            found[name[1].rstrip("\t")] = _HASHES.sub("", part)
    return found
