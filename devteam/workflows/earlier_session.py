"""What an attempt that is gone on from had done by the chosen point, told to the agent that goes on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devteam.executions.ports import Again
from devteam.kit.db import Database, Row, sql

LIMIT = 12_000
"""Characters of each part; the end matters most."""
_LINE = 600


@dataclass(frozen=True)
class EarlierSession:
    """`kept` is what led to the files as they are; `since` was done after them, and is not in the files."""

    kept: str
    since: str


def read_session(database: Database, again: Again) -> EarlierSession:
    """The base attempt's session up to the chosen point: of a round its end, else of the whole attempt."""
    with database.transaction() as connection:
        saved_at = connection.execute(
            sql("SELECT at FROM attempt_rounds WHERE attempt_id = :id AND round = :round"),
            {"id": again.base_attempt_id, "round": again.from_round},
        ).scalar()
        rows = connection.execute(
            sql(
                """SELECT kind, data, at FROM attempt_entries WHERE attempt_id = :id
                   AND (CAST(:ordinal AS integer) IS NULL OR ordinal <= :ordinal) ORDER BY ordinal"""
            ),
            {"id": again.base_attempt_id, "ordinal": again.from_ordinal},
        ).all()
    if again.from_ordinal is None and again.from_round is None:
        return EarlierSession("" if again.start.start_commit is None else _told(rows), "")
    kept = [row for row in rows if saved_at is not None and row.at <= saved_at]
    since = rows[len(kept) :] if again.from_ordinal is not None else []
    return EarlierSession(_told(kept), _told(since))


def _told(rows: Sequence[Row[Any]]) -> str:
    text = "\n".join(line for row in rows for line in _lines(row.kind, row.data))
    return text if len(text) <= LIMIT else "…" + text[-LIMIT:].partition("\n")[2]


def _lines(kind: str, data: Mapping[str, Any]) -> Iterator[str]:
    text = " ".join(str(data.get("text", "")).split())[:_LINE]
    match kind:
        case "message" if text:
            yield f"said: {text}"
        case "steer" if text:
            yield f"was told: {text}"
        case "note" if text:
            yield f"note: {text}"
        case "tool_call":
            yield f"did: {str(data.get('title') or data.get('kind') or 'a tool')[:_LINE]}"
        case "plan":
            steps = [step for step in data.get("entries") or [] if isinstance(step, dict)]
            done = [f"{step.get('content', '')} ({step.get('status', '')})"[:_LINE] for step in steps]
            yield "planned: " + "; ".join(done)
