"""SQL of users and their credentials. Of a token only its SHA-256 is stored: 32 random bytes need no salt."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from devteam.access.model import CredentialKind, Role, User
from devteam.kit.db import Connection, Row, sql

_USER = """
    SELECT u.id, u.version, u.name, u.role, u.all_customers, u.disabled_at, u.created_at,
        ARRAY(SELECT g.customer_id FROM user_customers g WHERE g.user_id = u.id ORDER BY g.customer_id) AS granted
    FROM users u
"""


def user_by_id(connection: Connection, user_id: UUID) -> User | None:
    """One user."""
    row = connection.execute(sql(f"{_USER} WHERE u.id = :id"), {"id": user_id}).first()
    return None if row is None else _user(row)


def user_by_name(connection: Connection, name: str) -> User | None:
    """One user; upper and lower case are the same."""
    row = connection.execute(sql(f"{_USER} WHERE lower(u.name) = lower(:name)"), {"name": name}).first()
    return None if row is None else _user(row)


def all_users(connection: Connection) -> list[User]:
    """Every user, by name."""
    return [_user(row) for row in connection.execute(sql(f"{_USER} ORDER BY lower(u.name)"))]


def insert_user(
    connection: Connection, user_id: UUID, *, name: str, role: Role, customers: frozenset[UUID] | None, now: datetime
) -> None:
    """A new user with grants."""
    connection.execute(
        sql(
            """INSERT INTO users (id, name, role, all_customers, created_at)
               VALUES (:id, :name, :role, :all_customers, :now)"""
        ),
        {"id": user_id, "name": name, "role": role.value, "all_customers": customers is None, "now": now},
    )
    for customer_id in sorted(customers or ()):
        connection.execute(
            sql("INSERT INTO user_customers (user_id, customer_id) VALUES (:user_id, :customer_id)"),
            {"user_id": user_id, "customer_id": customer_id},
        )


def unknown_customers(connection: Connection, wanted: Iterable[UUID]) -> list[UUID]:
    """Those of the ids that belong to no customer."""
    ids = list(wanted)
    known = connection.execute(sql("SELECT id FROM customers WHERE id = ANY(:ids)"), {"ids": ids}).scalars()
    return sorted(set(ids) - set(known))


def disable_user(connection: Connection, user_id: UUID, *, now: datetime) -> None:
    """Nobody signs in as this user any more; all credentials are gone."""
    connection.execute(
        sql("UPDATE users SET disabled_at = coalesce(disabled_at, :now), version = version + 1 WHERE id = :id"),
        {"id": user_id, "now": now},
    )
    connection.execute(sql("DELETE FROM credentials WHERE user_id = :id"), {"id": user_id})


def insert_credential(
    connection: Connection,
    token_hash: bytes,
    user_id: UUID,
    kind: CredentialKind,
    *,
    now: datetime,
    expires_at: datetime | None,
) -> None:
    """A new secret of a user."""
    connection.execute(
        sql(
            """INSERT INTO credentials (token_hash, user_id, kind, created_at, expires_at, used_at)
               VALUES (:hash, :user_id, :kind, :now, :expires_at, NULL)"""
        ),
        {"hash": token_hash, "user_id": user_id, "kind": kind.value, "now": now, "expires_at": expires_at},
    )


def credential(connection: Connection, token_hash: bytes, kind: CredentialKind) -> Row[Any] | None:
    """A credential of an active user: (user_id, expires_at, used_at)."""
    return connection.execute(
        sql(
            """SELECT c.user_id, c.expires_at, c.used_at FROM credentials c JOIN users u ON u.id = c.user_id
               WHERE c.token_hash = :hash AND c.kind = :kind AND u.disabled_at IS NULL"""
        ),
        {"hash": token_hash, "kind": kind.value},
    ).first()


def use_link(connection: Connection, token_hash: bytes, *, now: datetime) -> UUID | None:
    """Take a sign-in link; of two that try at once, one gets the user and the other None."""
    found = connection.execute(
        sql(
            """UPDATE credentials c SET used_at = :now FROM users u
               WHERE c.token_hash = :hash AND c.kind = 'login_link' AND c.used_at IS NULL AND c.expires_at > :now
                 AND u.id = c.user_id AND u.disabled_at IS NULL
               RETURNING c.user_id"""
        ),
        {"hash": token_hash, "now": now},
    ).scalar()
    return None if found is None else UUID(str(found))


def prolong(connection: Connection, token_hash: bytes, *, expires_at: datetime) -> None:
    """Let a session that is used live on."""
    connection.execute(
        sql("UPDATE credentials SET expires_at = :expires_at WHERE token_hash = :hash"),
        {"hash": token_hash, "expires_at": expires_at},
    )


def delete_credential(connection: Connection, token_hash: bytes) -> None:
    """Revoke one credential."""
    connection.execute(sql("DELETE FROM credentials WHERE token_hash = :hash"), {"hash": token_hash})


def delete_api_tokens(connection: Connection, user_id: UUID) -> None:
    """Revoke a user's API tokens."""
    connection.execute(sql("DELETE FROM credentials WHERE user_id = :id AND kind = 'api_token'"), {"id": user_id})


def delete_expired(connection: Connection, *, before: datetime) -> int:
    """Forget credentials that expired before then."""
    return connection.execute(sql("DELETE FROM credentials WHERE expires_at < :before"), {"before": before}).rowcount


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        version=row.version,
        name=row.name,
        role=Role(row.role),
        customers=None if row.all_customers else frozenset(row.granted),
        disabled_at=row.disabled_at,
        created_at=row.created_at,
    )
