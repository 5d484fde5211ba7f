"""How a client comes to a customer's topic: from where it was, or from a snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.exc import ProgrammingError

from devteam.events.repository import read_live
from devteam.executions.queries import customer_snapshot
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, sql
from devteam.kit.errors import NotFound
from devteam.kit.wire import View
from devteam.live.relay import MAX_BEHIND, Version, read_version
from devteam.live.rooms import MAX_EVENTS, merge_all
from devteam.live.wire import Change, Envelope, Notable, Position, dump, reset_frame


@dataclass(frozen=True, slots=True)
class Attached:
    """What to send first, and the stream's version that it covers."""

    frames: Sequence[str]
    seq: int


def database_epoch(database: Database) -> str:
    """Names this database, the same for every process: versions of streams mean something only inside one."""
    with database.transaction() as connection:
        name = str(
            connection.execute(sql("SELECT oid FROM pg_database WHERE datname = current_database()")).scalar_one()
        )
    try:
        with database.transaction() as connection:
            cluster = connection.execute(sql("SELECT system_identifier FROM pg_control_system()")).scalar_one()
    except ProgrammingError:  # a hosted database may not allow it to us
        return name
    return f"{cluster}-{name}"


def attach_customer(
    database: Database,
    customer_id: UUID,
    *,
    epoch: str,
    clock: Clock,
    resume: Position | None,
    reason: str | None,
) -> Attached:
    """Read where a client begins, in one consistent state (blocks). Raises NotFound.

    `reason` says why a client that knows the topic already gets a snapshot.
    """
    topic = f"customer:{customer_id}"
    with database.snapshot() as connection:
        if resume is not None:
            resumed = _resume(connection, customer_id, Envelope(topic, epoch, clock()), resume)
            if resumed is not None:
                return resumed
            reason = "too_old" if resume.epoch == epoch else "restarted"
        snapshot = customer_snapshot(connection, customer_id, epoch=epoch)
    views: list[View] = [snapshot.customer, *snapshot.projects, *snapshot.tasks, *snapshot.attempts]
    views += [*snapshot.approvals, *snapshot.incidents]
    if snapshot.execution is not None:
        views.append(snapshot.execution)
    frame = Envelope(topic, epoch, clock()).snapshot(snapshot.seq, [dump(view.wire()) for view in views])
    frames = [frame] if reason is None else [reset_frame(topic, reason, clock()), frame]
    return Attached(frames, snapshot.seq)


def _resume(connection: Connection, customer_id: UUID, envelope: Envelope, resume: Position) -> Attached | None:
    head = connection.execute(
        sql("SELECT version FROM stream_heads WHERE stream = :stream"), {"stream": customer_id}
    ).scalar()
    if head is None:
        raise NotFound("There is no such customer.")
    if resume.epoch != envelope.epoch or not head - MAX_BEHIND <= resume.seq <= head:
        return None
    # The version it has is read too: the connection may have ended between a delta and its event.
    rows = read_live(connection, customer_id, after=resume.seq - 1)
    versions = [read_version(customer_id, row) for row in rows]
    missed = [version for version in versions if version.version > resume.seq]
    if [version.version for version in missed] != list(range(resume.seq + 1, head + 1)):
        return None
    events = [version.event for version in versions if version.event is not None]
    if len(events) > MAX_EVENTS:
        return None
    return Attached(_frames(envelope, resume.seq, head, missed, events), head)


def _frames(
    envelope: Envelope, prev: int, seq: int, missed: Sequence[Version], events: Sequence[Notable]
) -> Sequence[str]:
    changes = merge_all(change for version in missed for change in customer_changes(version))
    return envelope.deltas(prev, seq, changes, events)


def customer_changes(version: Version) -> list[Change]:
    """A version's changes for the customer's own topic, which an archived customer does not leave."""
    return [
        {key: value for key, value in change.items() if key != "removed"} if change["kind"] == "customer" else change
        for change in version.changes
    ]
