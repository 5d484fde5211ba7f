"""What a person asks the next attempt at a task to do: go on from an earlier one, or take over what was handed back.

Every function works inside the caller's transaction and its customer's lock.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from devteam.kit.db import Connection, Row, sql
from devteam.kit.ids import new_id
from devteam.kit.wire import UtcTime, View

PERSON = "person"
"""The executor of an attempt whose work a person did."""


class RequestKind(StrEnum):
    """What is wanted: another run from a point, remarks heeded, or a person's work taken over."""

    RUN_AGAIN = "run_again"
    SEND_BACK = "send_back"
    HAND_BACK = "hand_back"


@dataclass(frozen=True)
class Start:
    """Where an attempt begins that goes on from an earlier one.

    `base_commit` is what `start_commit` stands on; both None means the newest base. Onto `onto_commit`, a delivery
    on `branch`, the next one is committed. `by_agent` says that the files may hold what an agent wrote.
    """

    base_commit: str | None = None
    start_commit: str | None = None
    onto_commit: str | None = None
    branch: str | None = None
    by_agent: bool = False


@dataclass(frozen=True)
class Wanted:
    """A request as it is stored."""

    kind: RequestKind
    base_attempt_id: UUID
    start: Start = Start()
    from_round: int | None = None
    from_ordinal: int | None = None
    executor: str | None = None
    model: str | None = None
    budget_usd: float | None = None
    instructions: str | None = None
    bundle: bytes | None = None


class AttemptRequest(View):
    """What a person asked of an attempt. `attemptId` is null while no attempt has taken it.

    `fromRound` and `fromOrdinal` are the point of the base attempt; null where it began afresh.
    """

    kind: Literal["attempt_request"] = "attempt_request"
    id: UUID
    wanted: RequestKind
    task_id: UUID
    base_attempt_id: UUID
    attempt_id: UUID | None
    from_round: int | None
    from_ordinal: int | None
    start_commit: str | None
    executor: str | None
    model: str | None
    budget_usd: float | None
    instructions: str | None
    author: str
    requested_at: UtcTime

    @classmethod
    def from_row(cls, row: Row[Any]) -> "AttemptRequest":
        """From a row of `attempt_requests`."""
        return cls(
            id=row.id,
            wanted=row.kind,
            task_id=row.task_id,
            base_attempt_id=row.base_attempt_id,
            attempt_id=row.attempt_id,
            from_round=row.from_round,
            from_ordinal=row.from_ordinal,
            start_commit=row.start_commit,
            executor=row.executor,
            model=row.model,
            budget_usd=row.budget_usd,
            instructions=row.instructions,
            author=row.author,
            requested_at=row.requested_at,
        )


_SHOWN = """id, kind, task_id, base_attempt_id, attempt_id, from_round, from_ordinal, start_commit, executor, model,
            budget_usd, instructions, author, requested_at"""


def store(
    connection: Connection, customer_id: UUID, task_id: UUID, wanted: Wanted, *, author: str, now: datetime
) -> AttemptRequest:
    """Keep a request for the task's next attempt; one that waited already is withdrawn."""
    withdraw(connection, task_id, now=now)
    row = connection.execute(
        sql(
            f"""INSERT INTO attempt_requests (id, customer_id, task_id, base_attempt_id, kind, from_round, from_ordinal,
                    base_commit, start_commit, onto_commit, branch, by_agent, executor, model, budget_usd, instructions,
                    author, bundle, requested_at)
                VALUES (:id, :customer_id, :task_id, :base_attempt_id, :kind, :from_round, :from_ordinal,
                    :base_commit, :start_commit, :onto_commit, :branch, :by_agent, :executor, :model, :budget_usd,
                    :instructions, :author, :bundle, :now) RETURNING {_SHOWN}"""
        ),
        {
            **{key: value for key, value in vars(wanted).items() if key != "start"},
            **vars(wanted.start),
            "id": new_id(),
            "customer_id": customer_id,
            "task_id": task_id,
            "author": author,
            "now": now,
        },
    ).one()
    return AttemptRequest.from_row(row)


def withdraw(connection: Connection, task_id: UUID, *, now: datetime) -> None:
    """The task is not to be done as it was asked."""
    connection.execute(
        sql(
            """UPDATE attempt_requests SET withdrawn_at = :now
               WHERE task_id = :id AND attempt_id IS NULL AND withdrawn_at IS NULL"""
        ),
        {"id": task_id, "now": now},
    )


def waiting(connection: Connection, task_id: UUID) -> AttemptRequest | None:
    """The request that the task's next attempt will take."""
    row = connection.execute(
        sql(
            f"""SELECT {_SHOWN} FROM attempt_requests
                WHERE task_id = :id AND attempt_id IS NULL AND withdrawn_at IS NULL"""
        ),
        {"id": task_id},
    ).first()
    return None if row is None else AttemptRequest.from_row(row)


def take(connection: Connection, task_id: UUID, attempt_id: UUID) -> None:
    """The attempt that begins now is the one that was asked for, if one was."""
    connection.execute(
        sql(
            """UPDATE attempt_requests SET attempt_id = :attempt_id
               WHERE task_id = :id AND attempt_id IS NULL AND withdrawn_at IS NULL"""
        ),
        {"id": task_id, "attempt_id": attempt_id},
    )


def bundle_of(connection: Connection, attempt_id: UUID) -> bytes | None:
    """The commits that a person handed back, as a git bundle, for the attempt that takes them over."""
    found = connection.execute(
        sql("SELECT bundle FROM attempt_requests WHERE attempt_id = :id"), {"id": attempt_id}
    ).scalar()
    return None if found is None else bytes(found)


def store_round(connection: Connection, attempt_id: UUID, round_: int, *, base: str, work: str, now: datetime) -> None:
    """Remember what a round left, so that another attempt can begin there; the last one of a round wins."""
    connection.execute(
        sql(
            """INSERT INTO attempt_rounds (attempt_id, round, base_commit, work_commit, at)
               VALUES (:id, :round, :base, :work, :now)
               ON CONFLICT (attempt_id, round) DO UPDATE
               SET base_commit = excluded.base_commit, work_commit = excluded.work_commit, at = excluded.at"""
        ),
        {"id": attempt_id, "round": round_, "base": base, "work": work, "now": now},
    )
