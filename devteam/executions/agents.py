"""Agents as people see them: the session of an attempt, guidance for it, and which agents there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from devteam.access.model import Actor
from devteam.access.rules import Permission, check
from devteam.customers.change import customer_change
from devteam.executions.model import Phase
from devteam.executions.queries import USED
from devteam.executions.schemas import Used
from devteam.executions.session import EntryKind
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, Row, sql
from devteam.kit.errors import Conflict, NotFound
from devteam.kit.ids import new_id
from devteam.kit.wire import Input, UtcTime, View
from devteam.projects.routing import CHECK_KIND

_LISTENING = (Phase.PLANNING, Phase.EXECUTION)
"""Phases in which an agent works, or will in a moment, and so takes guidance."""


class GuidanceInput(Input):
    """What a person adds while an agent works."""

    text: str = Field(min_length=1, max_length=20_000, pattern=r"\S")


class GuidanceView(View):
    """What a person added; `takenAt` is null while the agent has not taken it."""

    id: UUID
    attempt_id: UUID
    text: str
    author: str
    at: UtcTime
    taken_at: UtcTime | None

    @classmethod
    def from_row(cls, row: Row[Any]) -> "GuidanceView":
        """From a row of `attempt_guidance`."""
        return cls(
            id=row.id, attempt_id=row.attempt_id, text=row.text, author=row.author, at=row.at, taken_at=row.taken_at
        )


class SessionEntry(View):
    """One thing that an agent said or did. What `data` holds depends on `kind`; it is the protocol's own JSON."""

    ordinal: int
    kind: EntryKind
    data: dict[str, Any]
    at: UtcTime


class SessionPage(View):
    """A stretch of an attempt's session after an ordinal. With `complete` nothing more will come.

    `waiting` is guidance that the agent has not taken yet; `used` is the whole attempt's.
    """

    entries: list[SessionEntry]
    next_ordinal: int
    complete: bool
    waiting: list[GuidanceView]
    used: Used


class CallView(View):
    """A model call of an attempt as the gateway metered it; `at` is its end.

    `costUsd` is in US dollars, and null when the price is unknown; `inputTokens` holds the cached ones too.
    """

    at: UtcTime
    provider: str
    model: str
    status: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float | None
    seconds: float


class CallList(View):
    """An attempt's model calls, oldest first."""

    calls: list[CallView]


@dataclass(frozen=True)
class ExecutorProfile:
    """An executor that a project can choose. `package` is what to install for it, in the version that was tried."""

    name: str
    title: str
    package: str | None
    usage: str
    loads_sessions: bool
    takes_guidance: bool
    is_installed: Callable[[], bool]
    version: Callable[[], str | None]


class KindFigures(View):
    """What was measured of an executor's finished attempts at tasks of one kind."""

    kind: str
    attempts: int
    succeeded: int
    median_seconds: float | None
    mean_cost_usd: float | None


class ExecutorView(View):
    """An executor, whether its program is on this machine, and what was measured of finished attempts by it.

    `medianSeconds` and `meanCostUsd` are null while there is nothing to take them from. `byKind` tells the same for
    each kind of task, most attempts first. Attempts by which executors are only tried out do not count.
    """

    kind: Literal["executor"] = "executor"
    name: str
    title: str
    package: str | None
    installed: bool
    installed_version: str | None
    usage: str
    loads_sessions: bool
    takes_guidance: bool
    attempts: int
    succeeded: int
    median_seconds: float | None
    mean_cost_usd: float | None
    by_kind: list[KindFigures]


class ExecutorList(View):
    """All executors."""

    executors: list[ExecutorView]


class Agents:
    """Reads sessions and takes guidance, inside the caller's scope."""

    def __init__(self, database: Database, clock: Clock, profiles: Sequence[ExecutorProfile]) -> None:
        self._database = database
        self._clock = clock
        self._profiles = profiles

    def session(self, actor: Actor, attempt_id: UUID, *, after: int, limit: int) -> SessionPage:
        """What an agent said and did after an ordinal."""
        with self._database.transaction() as connection:
            attempt = _attempt(connection, actor, attempt_id)
            check(actor, Permission.READ, attempt.customer_id)
            entries = [
                SessionEntry(ordinal=row.ordinal, kind=row.kind, data=row.data, at=row.at)
                for row in connection.execute(
                    sql(
                        """SELECT ordinal, kind, data, at FROM attempt_entries
                           WHERE attempt_id = :id AND ordinal > :after ORDER BY ordinal LIMIT :limit"""
                    ),
                    {"id": attempt_id, "after": after, "limit": limit},
                )
            ]
            waiting = connection.execute(
                sql("SELECT * FROM attempt_guidance WHERE attempt_id = :id AND taken_at IS NULL ORDER BY id"),
                {"id": attempt_id},
            ).all()
        return SessionPage(
            entries=entries,
            next_ordinal=entries[-1].ordinal if entries else after,
            complete=attempt.outcome is not None and len(entries) < limit,
            waiting=[GuidanceView.from_row(row) for row in waiting],
            used=Used(**attempt.used),
        )

    def calls(self, actor: Actor, attempt_id: UUID) -> CallList:
        """What an attempt's model calls used, one by one."""
        with self._database.transaction() as connection:
            attempt = _attempt(connection, actor, attempt_id)
            check(actor, Permission.READ, attempt.customer_id)
            rows = connection.execute(
                sql(
                    """SELECT c.at, p.name AS provider, c.model, c.status, c.input_tokens, c.cached_tokens,
                           c.output_tokens, c.cost_usd, c.seconds
                       FROM attempt_calls c JOIN model_providers p ON p.id = c.provider_id
                       WHERE c.attempt_id = :id ORDER BY c.at, c.id"""
                ),
                {"id": attempt_id},
            ).mappings()
            return CallList(calls=[CallView.model_validate(dict(row)) for row in rows])

    def guide(self, actor: Actor, attempt_id: UUID, text: str) -> GuidanceView:
        """Add guidance: the agent hears it at its next step where it can; else its turn is ended for it."""
        with self._database.transaction() as connection:
            customer_id = _attempt(connection, actor, attempt_id).customer_id
        check(actor, Permission.GUIDE_ATTEMPT, customer_id)
        with customer_change(self._database, customer_id, actor, self._clock) as change:
            attempt = _attempt(change.connection, actor, attempt_id)
            self._check_listens(attempt)
            row = change.connection.execute(
                sql(
                    """INSERT INTO attempt_guidance (id, attempt_id, text, author, at)
                       VALUES (:id, :attempt_id, :text, :author, :now) RETURNING *"""
                ),
                {"id": new_id(), "attempt_id": attempt_id, "text": text, "author": actor.name, "now": change.now},
            ).one()
            change.record("guidance_added", "attempt", attempt_id, title=attempt.task_title)
        return GuidanceView.from_row(row)

    def _check_listens(self, attempt: Row[Any]) -> None:
        profile = next((profile for profile in self._profiles if profile.name == attempt.executor), None)
        if profile is None or not profile.takes_guidance:
            raise Conflict(f"The executor {attempt.executor} takes no guidance.", code="takes_no_guidance")
        if attempt.outcome is not None:
            raise Conflict("The attempt has ended.", code="attempt_ended")
        if attempt.phase not in _LISTENING:
            raise Conflict("The agent has ended its turn; its work is being checked.", code="agent_not_working")

    def executors(self, actor: Actor) -> ExecutorList:
        """The executors, with what was measured of the attempts in the caller's scope."""
        check(actor, Permission.READ)
        scope = None if actor.customers is None else list(actor.customers)
        with self._database.transaction() as connection:
            rows = connection.execute(_MEASURED, {"scope": scope, "check": CHECK_KIND}).all()
        return ExecutorList(
            executors=[
                _executor(profile, [row for row in rows if row.executor == profile.name]) for profile in self._profiles
            ]
        )


_MEASURED = sql(
    """
    SELECT a.executor, t.kind, count(*) AS attempts, count(*) FILTER (WHERE a.outcome = 'succeeded') AS succeeded,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM a.finished_at - a.started_at))
            AS median_seconds,
        avg(paid.cost) AS mean_cost
    FROM attempts a JOIN tasks t ON t.id = a.task_id
    LEFT JOIN (
        SELECT attempt_id, sum(cost_usd) AS cost FROM attempt_calls GROUP BY attempt_id
        HAVING bool_and(cost_usd IS NOT NULL OR NOT (status BETWEEN 200 AND 299 OR status = 499))
    ) paid ON paid.attempt_id = a.id
    WHERE a.outcome IN ('succeeded', 'failed') AND t.kind <> :check
      AND (CAST(:scope AS uuid[]) IS NULL OR a.customer_id = ANY(:scope))
    GROUP BY GROUPING SETS ((a.executor), (a.executor, t.kind))
    ORDER BY attempts DESC, t.kind
    """
)


def _executor(profile: ExecutorProfile, rows: Sequence[Row[Any]]) -> ExecutorView:
    """From the executor's own row, which has no kind, and those of the kinds."""
    measured = next((row for row in rows if row.kind is None), None)
    return ExecutorView(
        name=profile.name,
        title=profile.title,
        package=profile.package,
        installed=profile.is_installed(),
        installed_version=profile.version(),
        usage=profile.usage,
        loads_sessions=profile.loads_sessions,
        takes_guidance=profile.takes_guidance,
        attempts=0 if measured is None else measured.attempts,
        succeeded=0 if measured is None else measured.succeeded,
        median_seconds=None if measured is None else float(measured.median_seconds),
        mean_cost_usd=None if measured is None else measured.mean_cost,
        by_kind=[
            KindFigures(
                kind=row.kind,
                attempts=row.attempts,
                succeeded=row.succeeded,
                median_seconds=float(row.median_seconds),
                mean_cost_usd=row.mean_cost,
            )
            for row in rows
            if row.kind is not None
        ],
    )


def _attempt(connection: Connection, actor: Actor, attempt_id: UUID) -> Row[Any]:
    """An attempt in the actor's scope. Raises NotFound."""
    row = connection.execute(
        sql(
            f"""SELECT a.customer_id, a.executor, a.phase, a.outcome, t.title AS task_title, {USED}
                FROM attempts a JOIN tasks t ON t.id = a.task_id WHERE a.id = :id"""
        ),
        {"id": attempt_id},
    ).first()
    if row is None or not actor.sees(row.customer_id):
        raise NotFound("There is no such attempt.")
    return row
