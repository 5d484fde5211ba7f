"""Commands that may be sent twice and are done once.

The key, everything that the command changes, and the answer commit in one transaction. So there is no moment
at which a crash could leave the command done and the key unknown, or the key known and the command not done:
whoever got no answer sends the same request again and either gets the recorded answer or has it done now.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from fastapi import Response
from sqlalchemy.exc import OperationalError

from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database, Row, sql
from devteam.kit.errors import Conflict, DevTeamError

KEPT = timedelta(hours=24)
_RUNNING = 0
_KEPT_HEADERS = ("etag", "location")


class KeyReused(DevTeamError):
    """The key was used before, for another request."""

    status = 422
    code = "idempotency_key_reused"


@dataclass(frozen=True)
class Command:
    """One request of a user. `fingerprint` is a hash over method, address and body."""

    user_id: UUID
    key: str | None
    fingerprint: bytes


class Commands:
    """Runs commands under their idempotency keys."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def run(self, command: Command, act: Callable[[], Response], *, secrets: Collection[str] = ()) -> Response:
        """Do it, or answer what it answered before. `secrets` are fields of the answer that are not kept: null then.

        A command that fails frees its key. Of two that arrive at once, the second waits for the first.
        """
        if command.key is None:
            return act()
        with self._database.all_or_nothing() as connection:
            if not self._claim(connection, command):
                recorded = self._recorded(connection, command)
                if recorded is None:  # purged in this very moment
                    raise Conflict("This idempotency key has just expired.", code="idempotency_key_in_use")
                return _replay(recorded, command)
            response = act()
            self._record(connection, command, response, secrets)
        return response

    def run_repeatable(self, command: Command, act: Callable[[], Response]) -> Response:
        """The same for an act that commits bit by bit and whose second run finds nothing left to do.

        The answer is recorded afterwards; after a crash in between, the same request is run again.
        """
        if command.key is None:
            return act()
        with self._database.transaction() as connection:
            recorded = self._recorded(connection, command)
        if recorded is not None:
            return _replay(recorded, command)
        response = act()
        with self._database.transaction() as connection:
            if self._claim(connection, command):
                self._record(connection, command, response, ())
        return response

    def purge(self) -> int:
        """Forget keys that are older than a day."""
        with self._database.transaction() as connection:
            return connection.execute(
                sql("DELETE FROM idempotency_keys WHERE created_at < :before"), {"before": self._clock() - KEPT}
            ).rowcount

    def _claim(self, connection: Connection, command: Command) -> bool:
        """Insert the key; False when it is there. Waits for another transaction that is inserting the same."""
        try:
            row = connection.execute(
                sql(
                    """INSERT INTO idempotency_keys (key, user_id, fingerprint, status, response, created_at)
                       VALUES (:key, :user_id, :fingerprint, :status, 'null', :now)
                       ON CONFLICT DO NOTHING RETURNING key"""
                ),
                {
                    "key": command.key,
                    "user_id": command.user_id,
                    "fingerprint": command.fingerprint,
                    "status": _RUNNING,
                    "now": self._clock(),
                },
            ).first()
        except OperationalError as exc:
            if isinstance(exc.orig, psycopg.errors.LockNotAvailable):
                raise Conflict(
                    "The same request is still being worked on; ask again.", code="idempotency_key_in_use"
                ) from exc
            raise
        return row is not None

    def _recorded(self, connection: Connection, command: Command) -> Row[Any] | None:
        return connection.execute(
            sql("SELECT fingerprint, status, response FROM idempotency_keys WHERE user_id = :user_id AND key = :key"),
            {"user_id": command.user_id, "key": command.key},
        ).first()

    def _record(self, connection: Connection, command: Command, response: Response, secrets: Collection[str]) -> None:
        connection.execute(
            sql(
                """UPDATE idempotency_keys SET status = :status, response = CAST(:response AS jsonb)
                   WHERE user_id = :user_id AND key = :key"""
            ),
            {
                "user_id": command.user_id,
                "key": command.key,
                "status": response.status_code,
                "response": json.dumps(_kept(response, secrets)),
            },
        )


def _kept(response: Response, secrets: Collection[str]) -> dict[str, Any]:
    body = bytes(response.body).decode()
    if secrets:
        body = json.dumps({**json.loads(body), **dict.fromkeys(secrets)})
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return {"body": body, "headers": headers}


def _replay(row: Row[Any], command: Command) -> Response:
    if bytes(row.fingerprint) != command.fingerprint:
        raise KeyReused("This idempotency key was used for another request; use a new key for a new one.")
    headers = {**row.response["headers"], "Idempotent-Replayed": "true"}
    return Response(row.response["body"], status_code=row.status, media_type="application/json", headers=headers)
