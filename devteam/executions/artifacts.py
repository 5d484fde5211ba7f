"""Everything that an attempt left, as files with checksums: made from what is stored, the same bytes each time."""

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any
from uuid import UUID

from devteam.access.model import Actor
from devteam.access.rules import Permission, check
from devteam.executions import queries
from devteam.executions.schemas import AttemptView
from devteam.kit.clock import isoformat
from devteam.kit.db import Connection, Database, sql
from devteam.kit.errors import NotFound
from devteam.kit.log import mask, mask_json
from devteam.kit.wire import View

SUMS = "SHA256SUMS"
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_JSON_LINES = "application/jsonl"
MEDIA_TYPES = ("text/plain", _JSON, _JSON_LINES)
"""What artifacts are."""
_IN_MEMORY = 8 * 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every entry in an archive: the earliest that the format can hold."""


class ArtifactView(View):
    """A file that an attempt left. `sha256` is over its bytes, as they are sent."""

    name: str
    media_type: str
    bytes: int
    sha256: str


class ArtifactList(View):
    """All files of an attempt, by name. With `complete` they will not change any more."""

    attempt_id: UUID
    complete: bool
    artifacts: list[ArtifactView]


@dataclass(frozen=True)
class Artifact:
    """One file, with its bytes."""

    name: str
    media_type: str
    content: bytes

    @property
    def sha256(self) -> str:
        """The checksum of the bytes, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    def view(self) -> ArtifactView:
        """As a list shows it."""
        return ArtifactView(name=self.name, media_type=self.media_type, bytes=len(self.content), sha256=self.sha256)


class Artifacts:
    """Reads attempts' files, inside the caller's scope. Secrets are masked in all of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, actor: Actor, attempt_id: UUID) -> ArtifactList:
        """What there is to download. A file that would be empty is left out."""
        attempt, files = self._files(actor, attempt_id)
        return ArtifactList(
            attempt_id=attempt_id, complete=_is_complete(attempt), artifacts=[file.view() for file in files]
        )

    def one(self, actor: Actor, attempt_id: UUID, name: str) -> Artifact:
        """One file. Raises NotFound, also for a name that no attempt ever has."""
        with self._database.snapshot() as connection:
            attempt = _attempt(connection, actor, attempt_id)
            make = _MAKERS.get(name)
            content = b"" if make is None else make(connection, attempt)
        if not content:
            raise NotFound("The attempt has no such artifact.")
        return Artifact(name, _media_type(name), content)

    def archive(self, actor: Actor, attempt_id: UUID) -> IO[bytes]:
        """All files with their checksums as a zip archive, ready to be read from its beginning; close it."""
        _, files = self._files(actor, attempt_id)
        sums = "".join(f"{file.sha256}  {file.name}\n" for file in files)
        spooled = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - the caller reads and closes it
        with zipfile.ZipFile(spooled, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in [*files, Artifact(SUMS, _TEXT, sums.encode())]:
                entry = zipfile.ZipInfo(file.name, _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.content)
        spooled.seek(0)
        return spooled

    def _files(self, actor: Actor, attempt_id: UUID) -> tuple[AttemptView, list[Artifact]]:
        with self._database.snapshot() as connection:
            attempt = _attempt(connection, actor, attempt_id)
            made = [
                Artifact(name, _media_type(name), make(connection, attempt)) for name, make in sorted(_MAKERS.items())
            ]
        return attempt, [file for file in made if file.content]


def _attempt(connection: Connection, actor: Actor, attempt_id: UUID) -> AttemptView:
    attempt = queries.attempt_view(connection, attempt_id)
    if not actor.sees(attempt.customer_id):
        raise NotFound("There is no such attempt.")
    check(actor, Permission.READ, attempt.customer_id)
    return attempt


def _is_complete(attempt: AttemptView) -> bool:
    return attempt.outcome is not None and attempt.monitoring != "watching"


def _media_type(name: str) -> str:
    return _JSON if name.endswith(".json") else _JSON_LINES if name.endswith(".jsonl") else _TEXT


# --- the files ---


def _manifest(_: Connection, attempt: AttemptView) -> bytes:
    """Who did what on which base, with what outcome: what the other files belong to."""
    facts = attempt.model_dump(mode="json", by_alias=True, include=_MANIFEST_FIELDS)
    return _pretty(facts)


_MANIFEST_FIELDS = {
    "id", "customer_id", "task_id", "task_title", "project_id", "execution_id", "number", "run", "round", "phase",
    "outcome", "monitoring", "reason", "executor", "prompt_version", "isolation", "branch", "base_commit", "commit",
    "merged_commit", "revert_commit", "files_changed", "lines_added", "lines_deleted", "started_at", "finished_at",
    "phases", "calls", "input_tokens", "cached_tokens", "output_tokens", "cost_usd",
}  # fmt: skip


def _gates(_: Connection, attempt: AttemptView) -> bytes:
    return _pretty([gate.wire() for gate in attempt.gates]) if attempt.gates else b""


def _diff(connection: Connection, attempt: AttemptView) -> bytes:
    return mask(queries.attempt_diff(connection, attempt.id).diff).encode(errors="replace")


def _output(connection: Connection, attempt: AttemptView) -> bytes:
    rows = connection.execute(
        sql('SELECT text FROM attempt_output WHERE attempt_id = :id ORDER BY "offset"'), {"id": attempt.id}
    )
    return mask("".join(rows.scalars())).encode(errors="replace")


def _session(connection: Connection, attempt: AttemptView) -> bytes:
    return "".join(_line(entry) for entry in _entries(connection, attempt)).encode()


def _prompts(connection: Connection, attempt: AttemptView) -> bytes:
    """What the agent was told, round by round."""
    texts = [str(entry["data"].get("text", "")) for entry in _entries(connection, attempt, "prompt")]
    parts = [f"# Prompt {number}\n\n{mask(text).rstrip()}\n" for number, text in enumerate(texts, start=1)]
    return "\n".join(parts).encode(errors="replace")


def _plan(connection: Connection, attempt: AttemptView) -> bytes:
    """The agent's plan as it stood last."""
    plans = list(_entries(connection, attempt, "plan"))
    return _pretty(plans[-1]["data"]) if plans else b""


_MAKERS: Mapping[str, Callable[[Connection, AttemptView], bytes]] = {
    "manifest.json": _manifest,
    "gates.json": _gates,
    "diff.patch": _diff,
    "output.log": _output,
    "session.jsonl": _session,
    "prompt.md": _prompts,
    "plan.json": _plan,
}


def _entries(connection: Connection, attempt: AttemptView, kind: str | None = None) -> Iterator[dict[str, Any]]:
    rows = connection.execute(
        sql(
            """SELECT ordinal, kind, data, at FROM attempt_entries
               WHERE attempt_id = :id AND (CAST(:kind AS text) IS NULL OR kind = :kind) ORDER BY ordinal"""
        ),
        {"id": attempt.id, "kind": kind},
    )
    for row in rows:
        yield {"ordinal": row.ordinal, "kind": row.kind, "data": row.data, "at": isoformat(row.at)}


def _line(value: Any) -> str:
    return json.dumps(mask_json(value), sort_keys=True, separators=(",", ":")) + "\n"


def _pretty(value: Any) -> bytes:
    return (json.dumps(mask_json(value), sort_keys=True, indent=2) + "\n").encode()
